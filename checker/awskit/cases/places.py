"""At which line of a TOML text each of its values stands: tomllib does not say, and an error must.

The text is known to be right TOML (tomllib has read it): only as much of the grammar is looked at as it takes to find
keys and the ends of values.
"""

from __future__ import annotations

import bisect
import re
import tomllib

Path = tuple[str | int, ...]  # of keys and indices: ("steps", 3, "send")

DEEPEST = 8  # parts of a path that are kept: no value of a case lies deeper, and a long path for each is gigabytes

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")


def lines(text: str) -> dict[Path, int]:
    """The line, from 1, at which the value of each path begins; of a table that has a header, the header's. Of at most
    DEEPEST parts."""
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._at = 0
        self._found: dict[Path, int] = {}
        self._lengths: dict[Path, int] = {}  # of arrays of tables that headers make

    def run(self) -> dict[Path, int]:
        """Read it all."""
        prefix: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text[self._at] == "[":
                prefix = self._header()
            else:
                self._assignment(prefix)
        return self._found

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Go over what matches; the place after it."""
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _take(self, character: str) -> bool:
        """Go over the character if it stands here."""
        found = self._text.startswith(character, self._at)
        self._at += len(character) if found else 0
        return found

    def _note(self, path: Path) -> None:
        if len(path) <= DEEPEST:
            self._found.setdefault(path, bisect.bisect_left(self._ends, self._at) + 1)

    def _header(self) -> Path:
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        path: Path = ()
        for name in self._key():
            path += (name,)
            if path in self._lengths:
                path += (self._lengths[path] - 1,)
        if array:
            name = path[:-1] if isinstance(path[-1], int) else path
            self._lengths[name] = self._lengths.get(name, 0) + 1
            path = (*name, self._lengths[name] - 1)
            self._note(name)
        self._note(path)
        self._at += 2 if array else 1
        return path

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            begin = self._at
            quoted = self._text[begin] in "\"'"
            raw = self._text[begin : self._skip(_STRING if quoted else _BARE)]
            if not raw:
                raise ValueError(f"no key at {begin}")  # a text that is no TOML: the caller's mistake
            names.append(tomllib.loads(f"k = {raw}")["k"] if quoted else raw)
            self._skip(_SPACE)
            if not self._take("."):
                return names

    def _assignment(self, prefix: Path) -> None:
        begin = self._at
        names = self._key()
        for count in range(1, len(names) + 1):
            place, self._at = self._at, begin
            self._note((*prefix, *names[:count]))
            self._at = place
        self._take("=")
        self._skip(_SPACE)
        self._value((*prefix, *names))

    def _value(self, path: Path) -> None:
        self._note(path)
        if self._take("["):
            number = 0
            while self._skip(_BLANK) and not self._take("]"):
                self._value((*path, number))
                number += 1
                self._skip(_BLANK)
                self._take(",")
        elif self._take("{"):
            while self._skip(_BLANK) and not self._take("}"):
                self._assignment(path)
                self._skip(_BLANK)
                self._take(",")
        elif self._text[self._at] in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)
