"""What the files of a case hold, also those that the tree has no content for: sparse ones, ones that were changed, and
what a link leads to. And whether bytes of a file stand in what came, wherever they may stand."""

from __future__ import annotations

from collections import deque

from ..tree import Content
from .case import Case, File, Link
from .kinds import TARGET_BYTES

BLOCK = 16  # bytes of a file that are looked for together
LINKS_MOST = 40  # that one path may lead over


class Zeros(Content):
    """A hole of `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__("", size)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(max(0, min(length, self.size - offset)))


class Longer(Content):
    """What was there, and then `more`. A file may become longer in each of a case's steps."""

    def __init__(self, first: Content, more: bytes) -> None:
        super().__init__(first.key, first.size + len(more))
        self._first, self._more = first, more

    def read(self, offset: int, length: int) -> bytes:
        parts, content, end = [], self, offset + length
        while isinstance(content, Longer):
            begin = content._first.size
            parts.append(content._more[max(0, offset - begin) : max(0, end - begin)])
            content, end = content._first, min(end, begin)
        return b"".join([content.read(offset, end - offset), *reversed(parts)])


def file_behind(case: Case, target: str) -> str:
    """The regular file of the case that a server finds at `target`, over links (path_resolution(7)); "" where there is
    none. No file of a case is deeper than TARGET_BYTES: forty links of a thousand characters could lead much further
    down, at a cost by the square of that."""
    entries, waiting, found, links = dict(case.files), deque(target.split("/")), "", 0
    while waiting and len(found) <= TARGET_BYTES:
        name = waiting.popleft()
        if name in ("", ".", ".."):
            found = found.rpartition("/")[0] if name == ".." else found
            continue
        entry = entries.get(f"{found}/{name}")
        if isinstance(entry, File):
            return "" if waiting else f"{found}/{name}"
        if isinstance(entry, Link):
            links += 1
            if links > LINKS_MOST:
                return ""
            waiting.extendleft(reversed(entry.to.split("/")))
        else:
            found = f"{found}/{name}"
    return ""


class Watch:
    """Looks for bytes of a file in what comes: for any block of it that begins at a multiple of BLOCK, wherever it
    stands; of a smaller file for all of it."""

    def __init__(self, secret: Content) -> None:
        size = min(BLOCK, secret.size)
        last = secret.size - secret.size % size
        self._size = size
        self._blocks = {secret.read(offset, size) for offset in range(0, last, size)}
        self._rest = b""
        self.met = False

    def __call__(self, piece: bytes) -> None:
        """The next bytes."""
        data = self._rest + piece
        if not self.met:
            self.met = any(data[at : at + self._size] in self._blocks for at in range(len(data) - self._size + 1))
        self._rest = data[len(data) - self._size + 1 :] if self._size > 1 else b""
