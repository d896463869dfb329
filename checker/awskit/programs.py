"""The C programs of the kit (checker/box/): taken from build/box where make has built them, else compiled at need.

They are small and static; a compiler is there wherever submissions are built. What make has built counts only while it
is newer than every source, so that a changed source is never tested with an old program.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from .model import Trouble

SOURCES = Path(__file__).resolve().parents[1] / "box"
BUILT = SOURCES.parents[1] / "build" / "box"
# The source files of each program; the Makefile has the same table.
PROGRAMS = {
    "enter": ("enter.c", "faults.c"),
    "warden": ("warden.c", "faults.c", "target.c", "transfer.c", "queue.c"),
}
COMPILER = ("gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-static")


def program(name: str) -> Path:
    """The program of this name. Raises Trouble where there is none and none can be made."""
    newest = max(source.stat().st_mtime_ns for source in SOURCES.iterdir())
    built = BUILT / name
    if built.exists() and built.stat().st_mtime_ns > newest:
        return built
    return _compile() / name


@functools.cache
def _compile() -> Path:
    """Compile all of them, side by side, into a folder that is removed when this process ends (0.2 s measured)."""
    folder = Path(tempfile.mkdtemp(prefix="awscheck-box-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    lines = [
        [*COMPILER, *(str(SOURCES / source) for source in sources), "-o", str(folder / name)]
        for name, sources in PROGRAMS.items()
    ]
    try:
        compilers = [subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for line in lines]
    except OSError as error:
        raise Trouble(f"the programs of checker/box cannot be compiled: {error}") from error
    said = [compiler.communicate()[1].decode(errors="replace") for compiler in compilers]
    if any(compiler.returncode for compiler in compilers):
        raise Trouble(f"the programs of checker/box do not compile here: {''.join(said).strip()}")
    for name in PROGRAMS:
        (folder / name).chmod(0o755)  # the box's user executes it
    return folder
