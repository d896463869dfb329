"""Which line of the source an address of the program is of: addr2line(1) says it, in a box, because it reads a file
that the submission has made.
"""

from __future__ import annotations

from pathlib import Path

from .boxed import Program
from .sandbox import Limits, Sandbox

ADDR2LINE = "/usr/bin/addr2line"
PATIENCE_S = 5.0


def line_of(sandbox: Sandbox, program: Program, addresses: tuple[int, ...]) -> tuple[str, int, str] | None:
    """File, line and function of the first of these addresses that has a line; None where none has."""
    if not addresses or not Path(ADDR2LINE).exists():
        return None
    folder = sandbox.mount(program.folder, "/submission")
    # A return address is that of the next instruction, perhaps of the next line.
    words = [hex(address - 1) for address in addresses]
    command = [ADDR2LINE, "-f", "-e", f"{folder.inside}/{program.binary}", *words]
    process = sandbox.spawn(command, (folder,), folder.inside, Limits(cpu_seconds=5), None)
    try:
        process.wait(PATIENCE_S)
    finally:
        process.destroy()
    lines = process.stdout.text().splitlines()
    for function, where in zip(lines[::2], lines[1::2]):
        file, _, line = where.partition(" ")[0].rpartition(":")
        if line.isdecimal() and int(line) and not file.startswith("?"):
            return file, int(line), function
    return None
