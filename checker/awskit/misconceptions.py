"""Which misconception a failure shows: the patterns of misconceptions.toml, matched against facts.

The table is data, so that it can be read, reviewed and extended without this code. Where no pattern fits, there is no
cause: nothing is guessed.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from .facts import Facts
from .told import Cause

TABLE = Path(__file__).with_name("misconceptions.toml")

Pattern = Mapping[str, tuple[str, ...]]  # fact → globs, of which one must fit; `!glob`: none of its words may


@dataclass(frozen=True)
class Misconception:
    """A line of the table: the cause that is told, the defects of the catalogue that it explains, its patterns."""

    cause: Cause
    defects: tuple[str, ...]
    when: tuple[Pattern, ...] = field(repr=False)

    def fits(self, facts: Facts) -> bool:
        """Whether one of its patterns holds for these facts."""
        return any(all(_holds(globs, facts.get(name, frozenset())) for name, globs in pattern.items())
                   for pattern in self.when)  # fmt: skip


def recognise(facts: Facts) -> Cause | None:
    """The cause that the facts show, or None."""
    return next((one.cause for one in table() if one.fits(facts)), None)


@functools.cache
def table() -> tuple[Misconception, ...]:
    """All misconceptions, the special ones before the general ones. ValueError where an entry is not well formed."""
    entries = tomllib.loads(TABLE.read_text(encoding="utf-8"))["misconception"]
    return tuple(_read(entry) for entry in entries)


def _read(entry: dict[str, object]) -> Misconception:
    if set(entry) != {"id", "name", "sentences", "read", "defects", "when"}:
        raise ValueError(f"{TABLE.name}: {entry.get('id')}: {', '.join(sorted(entry))}")
    cause = Cause(str(entry["id"]), str(entry["name"]), _words(entry["sentences"]), _words(entry["read"]))
    patterns = entry["when"]
    if not isinstance(patterns, list) or not patterns or not all(isinstance(one, dict) and one for one in patterns):
        raise ValueError(f"{TABLE.name}: {cause.id}: `when` is a list of patterns, none of them empty")
    when = tuple({name: _words(globs) for name, globs in pattern.items()} for pattern in patterns)
    return Misconception(cause, _words(entry["defects"]), when)


def _words(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value)) if isinstance(value, list) else ()


def _holds(globs: tuple[str, ...], words: frozenset[str]) -> bool:
    """Whether a fact with these words is as the globs want it."""
    wrong = [glob[1:] for glob in globs if glob.startswith("!")]
    right = [glob for glob in globs if not glob.startswith("!")]
    if any(fnmatchcase(word, glob) for word in words for glob in wrong):
        return False
    return not right or any(fnmatchcase(word, glob) for word in words for glob in right)
