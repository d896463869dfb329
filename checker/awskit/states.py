"""The states of a connection in our own server, which says them itself: `--trace=FILE` writes a line for each change.

Only to explain, in a second run: nothing is judged by them. The file is in the server's box; its lines are read out of
strace's log, where they stand between the very calls that they belong to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .boxed import BoxedLauncher, Program
from .evidence import Call, Trace

FILE = "/tmp/aws-states"  # in the box
STRINGS = "-s160"  # of strace: as much of a string as a line of it has
_OPTION = b"write a line for each change of a connection's state"  # what --help of our own says of it
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?')
_NAMES = re.compile(r"^\d+ +[\d.]* *(?:open|creat|exec|newfstatat|l?stat)\w*\(")  # calls whose strings are paths
_CHANGE = re.compile(r"\bfd=(\d+) \w+ -> (CONN_[A-Z_]+)")


def says_states(program: Program) -> bool:
    """Whether it is our own server, by the text of its help. Whoever has the same text is asked for its states, too."""
    return _OPTION in (program.folder / program.binary).read_bytes()


def telling(launcher: BoxedLauncher) -> BoxedLauncher:
    """The same launcher, its server asked for its states where it is our own, and strace to show them."""
    if not says_states(launcher.program):
        return launcher
    return launcher.traced(*launcher.tracer, STRINGS).asking(f"--trace={FILE}")


def without_data(log: str) -> str:
    """strace's log as it is where strings are cut to nothing, but for the states: what is sent and received may look
    like anything."""
    lines = log.splitlines(keepends=True)
    return "".join(line if f"<{FILE}>" in line or _NAMES.search(line) else _STRING.sub('""', line) for line in lines)


def after(chosen: Sequence[Call], trace: Trace, port: int) -> dict[float, str]:
    """In which state the connection of the client at `port` was after each of the chosen calls, by the call's time."""
    known, found = {id(call) for call in chosen}, {}
    number, last = None, None
    for call in trace.calls:
        if call.accepted == port:
            number = call.result
        if id(call) in known:
            last = call
        elif last is not None and FILE in call.paths and (change := _CHANGE.search(call.arguments)):
            if int(change[1]) == number:
                found[last.at] = change[2]
    return found
