"""What the document tree of a case holds: files, links, and things that are no files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .kinds import MIB, SENT_MOST, Bad, Data, Flag, Integer, Table, Text, Word, key, short

_SIZE = re.compile(r"[0-9][0-9_,.]* *([kKMG]i?)?([Bb](ytes?)?)?")  # what somebody writes who means one
FILE_MOST = 256 * MIB
SPARSE_MOST = 8 << 30


@dataclass(frozen=True)
class File:
    """A regular file: `size` bytes that the seed decides, or `text`. `sparse`: zeros that take no room on the disk.
    `unreadable`: nobody but root may open it."""

    size: int | None = key("size", Integer(0, SPARSE_MOST), None)
    text: bytes | None = key("text", Data(SENT_MOST), None)
    sparse: bool = key("sparse", Flag(), False)
    unreadable: bool = key("unreadable", Flag(), False)


@dataclass(frozen=True)
class Link:
    """A symbolic link that stays in the tree."""

    to: str = key("link", Text(1000))


@dataclass(frozen=True)
class Special:
    """Something that is no file: a FIFO without a writer, a socket, a directory."""

    what: str = key("special", Word(("fifo", "socket", "directory")))


Entry = File | Link | Special


class EntryKind:
    """A file may be told by its size alone, or by its text; all entries by a table."""

    _table = Table(
        lambda table: Link if "link" in table else Special if "special" in table else File,
        'a size, a text, or a table such as { link = "other" }',
    )

    def read(self, value: Any) -> Entry:
        if isinstance(value, str):
            if _SIZE.fullmatch(value):
                raise Bad("a size is a number of bytes without quotes, such as 5242880; a text like this one stands in"
                          f" a table: {{ text = {short(value)} }}")  # fmt: skip
            return File(text=Data(SENT_MOST).read(value))
        if type(value) is int:
            return File(size=Integer(0, FILE_MOST).read(value))
        entry = self._table.read(value)
        if isinstance(entry, File):
            if (entry.size is None) == (entry.text is None):
                raise Bad("must have one of the keys size and text")
            if entry.sparse and entry.text is not None:
                raise Bad("a file with a text is no hole: it has a size instead, or is not sparse", ("sparse",))
            if (entry.size or 0) > FILE_MOST and not entry.sparse:
                raise Bad(f"must be at most {FILE_MOST:,} unless it is sparse", ("size",))
        return entry

    def write(self, entry: Entry) -> Any:
        table = self._table.write(entry)
        alone = set(table) in ({"size"}, {"text"}) and not _SIZE.fullmatch(str(table.get("text", "")))
        return next(iter(table.values())) if alone else table
