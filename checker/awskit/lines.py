"""Which line of the source an address of the program is of: addr2line(1) says it, in a box, because it reads a file
that the submission has made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .boxed import Program
from .sandbox import Limits, Sandbox

ADDR2LINE = "/usr/bin/addr2line"
PATIENCE_S = 5.0


def lines_of(sandbox: Sandbox, program: Program, addresses: Sequence[int]) -> tuple[tuple[str, int, str], ...]:
    """File, line and function of those of these return addresses that have a line, in their order."""
    if not addresses or not Path(ADDR2LINE).exists():
        return ()
    folder = sandbox.mount(program.folder, "/submission")
    # A return address is that of the next instruction, perhaps of the next line.
    words = [hex(address - 1) for address in addresses]
    command = [ADDR2LINE, "-f", "-C", "-e", f"{folder.inside}/{program.binary}", *words]
    process = sandbox.spawn(command, (folder,), folder.inside, Limits(cpu_seconds=5), None)
    try:
        process.wait(PATIENCE_S)
    finally:
        process.destroy()
    lines, places = process.stdout.text().splitlines(), []
    for function, where in zip(lines[::2], lines[1::2]):
        file, _, line = where.partition(" ")[0].rpartition(":")
        if line.isdecimal() and int(line) and not file.startswith("?"):
            places.append((file, int(line), function))
    return tuple(places)
