"""A submission, from a folder of sources to a program that can be started: its Makefile found, and run in a box.

A Makefile runs whatever it likes, and a compiler reads whatever it is told to include: both see what the server will
see, and no network.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .boxed import Program
from .handed_in import BINARY, Unusable
from .model import Failure
from .namespace import NetworkNamespace
from .overuse import Room
from .process import Process
from .sandbox import MIB, Access, Limits, Mount, Sandbox
from .server import Exit
from .vigil import Vigil

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
MAKE_FOLDERS = ("", "src", "skel")  # contract U1
TOOLS = "/tools"  # where a box sees programs of the checker's
# A submission compiles in one to two seconds of CPU time. For one that hangs see vigil.py, whose bounds of CPU time
# grow with the patience: 20 s of it here.
BUILD_PATIENCE_S = 100.0
MAX_BYTES_BUILT = 512 * MIB
REQUESTS_OF_BUILD = 1024  # of Linux AIO, in all its contexts: enough for a Makefile that tries out what it has made

_COMPILER_ERROR = re.compile(r"^\S[^:\n]*:\d+(?::\d+)?: (?:fatal )?error: .*$", re.MULTILINE)
_LINKER_ERROR = re.compile(r"^.*(?:undefined reference to|cannot find -l).*$", re.MULTILINE)
_MAKE_ERROR = re.compile(r"^make.*\*\*\*.*$", re.MULTILINE)


def find_makefile(folder: Path) -> PurePosixPath:
    """The folder to run make in, relative to `folder`; one folder around everything is looked through."""
    for top in (PurePosixPath(), *_wrapping(folder)):
        for place in MAKE_FOLDERS:
            if any(_is_plain_file(folder / top / place / name) for name in MAKEFILES):
                return top / place
    raise Unusable("there is no Makefile at the top, in src/ or in skel/", expected="a Makefile")


def build(
    sandbox: Sandbox, folder: Path, tools: Path | None = None, covers: tuple[Mount, ...] = ()
) -> tuple[Program, str]:
    """Run `make` in a box; the program and what make said. Programs in the folder `tools` are found before the
    system's, and `covers` are mounted last, over what is there. Raises Failure with the compiler's first error."""
    place = find_makefile(folder)
    sandbox.own(folder)
    mounts = [sandbox.mount(folder, "/submission", Access.WRITE)]
    if tools:
        mounts.append(sandbox.mount(tools, TOOLS))
    mounts += covers
    cwd = str(PurePosixPath(mounts[0].inside) / place)
    room = Room(folder, MAX_BYTES_BUILT)
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(contextlib.closing(NetworkNamespace())) if sandbox.isolation.network else None
        process = sandbox.spawn(
            ["/usr/bin/make"],
            tuple(mounts),
            cwd,
            Limits(cpu_seconds=120, aio_requests=REQUESTS_OF_BUILD),
            network,
            tools=mounts[1].inside if tools else "",
            room=room,
        )
        stack.callback(process.destroy)
        code, in_vain = _wait(process)
    output = process.stdout.text() + process.stderr.text()
    overuse = process.overuse or room.overuse()
    if overuse:
        raise Failure(f"make {overuse}", got=output, expected="an executable aws")
    _drop_privileged_modes(folder)
    if in_vain:
        raise Failure(f"make did not end: {in_vain}", got=output, expected="an executable aws")
    if code != 0:
        status = (Exit(code, None) if code > 0 else Exit(None, -code)).told()
        error = _first_error(output)
        failure = Failure(f"make failed: {error or status}", got=output, expected="an executable aws")
        if found := re.match(r"(\S+?):(\d+):", error):
            failure.evidence.place = str(place / found[1]), int(found[2]), ""
        raise failure
    binary = place / BINARY
    # Not through a link to another place, which would be read as the checker's own user.
    real = os.path.realpath(folder / binary) == os.path.join(os.path.realpath(folder), binary)
    if not real or not _is_plain_file(folder / binary):
        where = f"in {place}/" if str(place) != "." else "beside the Makefile"
        raise Failure(f"make left no file `aws` {where}", got=output, expected="an executable aws")
    if not os.stat(folder / binary).st_mode & stat.S_IXOTH:
        raise Failure("the file `aws` is not executable for all", got=output, expected="an executable aws")
    return Program(folder, str(binary)), output


def _wait(process: Process) -> tuple[int | None, str]:
    """The exit code of make; or None, and why it is in vain to wait for it any longer."""
    vigil = Vigil(process, BUILD_PATIENCE_S)
    in_vain = ""
    while (code := process.wait(vigil.pause())) is None and not in_vain:
        in_vain = vigil.look().replace("the server", "it")
    return code, in_vain


def _drop_privileged_modes(folder: Path) -> None:
    """Nobody is to run what a submission has built as the user that it was built by: not here, and not where the folder
    is kept."""
    for parent, _, files in os.walk(folder):
        for name in files:
            about = os.lstat(os.path.join(parent, name))
            if stat.S_ISREG(about.st_mode) and about.st_mode & (stat.S_ISUID | stat.S_ISGID):
                os.chmod(os.path.join(parent, name), stat.S_IMODE(about.st_mode) & 0o777)


def _first_error(output: str) -> str:
    """The line of make's output that a student should look at first."""
    for pattern in (_COMPILER_ERROR, _LINKER_ERROR, _MAKE_ERROR):
        if match := pattern.search(output):
            return match[0]
    return ""


def warnings(output: str) -> tuple[str, ...]:
    """What is to be said of the compiler's warnings in make's output, in one sentence; () if there are none."""
    lines = re.findall(r"^\S+:\d+:(?:\d+:)? warning: .*$", output, re.MULTILINE)
    times = "once" if len(lines) == 1 else f"{len(lines)} times"
    return (f"the compiler warns {times}: {lines[0]}",) if lines else ()


def _wrapping(folder: Path) -> Iterator[PurePosixPath]:
    """The one folder that holds everything, if there is one (archives are often made so)."""
    names = [name for name in os.listdir(folder) if not name.startswith(".") and name != "__MACOSX"]
    if len(names) == 1 and stat.S_ISDIR(os.lstat(folder / names[0]).st_mode):
        yield PurePosixPath(names[0])


def _is_plain_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
