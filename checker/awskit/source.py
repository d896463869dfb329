"""A place in the submission's own source, with the lines about it.

What names the place is a report about a hostile program: the path is followed only inside of the submission's folder,
and only to a regular file that is no link.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from .plain import clean
from .told import Frame

INSIDE = "/submission"  # where the box has the folder that is built
AROUND = 1  # lines before and after
WIDTH = 160  # of a line that is shown
MOST = 4 << 20  # bytes of a file that is looked at


def frame(root: Path, binary: str, place: tuple[str, int, str], what: str) -> Frame | None:
    """The frame for `place`: a path that is absolute in the box or relative to the program `binary`, itself relative to
    `root`; a line; a function. `what` happened there. None where that is no file of the submission."""
    name, line, function = place
    path = PurePosixPath(name)
    if path.is_absolute():
        if not path.is_relative_to(INSIDE):
            return None
        candidates = [path.relative_to(INSIDE)]
    else:
        candidates = [PurePosixPath(binary).parent / path, path]
    for candidate in candidates:
        relative = os.path.normpath(candidate)
        if not relative.startswith("..") and (text := _read(root, relative)) is not None:
            lines = text.split("\n")
            first, last = max(1, line - AROUND), min(len(lines), line + AROUND)
            shown = tuple((number, _line(lines[number - 1])) for number in range(first, last + 1))
            return Frame(_line(relative), line, _line(function), _line(what), shown)
    return None


def _line(text: str) -> str:
    return clean(text.replace("\t", "    ").replace("\n", "\\n")[:WIDTH])


def _read(root: Path, relative: str) -> str | None:
    """The beginning of a regular file below `root` to which no link leads, or None."""
    path = root / relative
    try:
        if path.resolve() != root.resolve() / relative:
            return None
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(MOST).decode(errors="replace")
