"""Rubrics: which checks make up an item, what it is worth, who may see it. Data, so that staff write their own.

A rubric is a TOML file:

    title = "Second homework"
    total = 3                                # what all points together must come to

    [groups]                                 # may be left out; else: what the points of each group must come to
    "static files" = 3                       # or { points = 3, visibility = "hidden" }, for all its items

    [[item]]
    number = 1                               # each once; default: one more than the item before has
    name = "serves a small static file"      # default: the title of its check, if it is only one
    group = "static files"                   # default: none; one of [groups]
    points = 2                               # for all its checks passing
    memory = 1                               # default 0: for the same, its memory watched, without an error
    checks = ["static.small_equal"]
    visibility = "visible"                   # default: its group's, else this; or hidden, after_due_date,
                                             # after_published (Gradescope's words; audience.py says who sees what)
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .model import Check, WrongUsage

RUBRICS = Path(__file__).resolve().parent.parent / "rubrics"
VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")


class BadRubric(WrongUsage):
    """A rubric that cannot be used; the text says where and why."""


@dataclass(frozen=True)
class Item:
    """One line of the list."""

    number: int
    name: str
    points: float
    memory: float
    checks: tuple[str, ...]
    visibility: str
    group: str = ""


@dataclass(frozen=True)
class Rubric:
    """A list of items, in the order in which a report shows them."""

    title: str
    items: tuple[Item, ...]
    name: str = ""  # by which `load` found it

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups, in the order of their first items; none for items that have none."""
        return tuple(dict.fromkeys(item.group for item in self.items if item.group))

    @property
    def total(self) -> float:
        """All points there are to earn."""
        return sum(item.points + item.memory for item in self.items)

    def only(self, names: Collection[str]) -> Rubric:
        """The items with one of these numbers, or with one of these checks. BadRubric for a name that finds nothing."""
        for name in names:
            if not any(_is_named(item, name) for item in self.items):
                raise BadRubric(f"no item of this rubric has the number or the check {name!r}")
        return replace(self, items=tuple(item for item in self.items if any(_is_named(item, name) for name in names)))


def _is_named(item: Item, name: str) -> bool:
    return name == str(item.number) or name in item.checks


def load(name: str, known: Mapping[str, Check]) -> Rubric:
    """The rubric in the file `name`, or the one of that name that comes with the checker. `known` are the checks that
    there are, by id. Raises BadRubric."""
    path = RUBRICS / f"{name}.toml" if "/" not in name and not name.endswith(".toml") else Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        names = ", ".join(sorted(found.stem for found in RUBRICS.glob("*.toml")))
        raise BadRubric(f"rubric {name}: {error.strerror}; with the checker come: {names}") from error
    except UnicodeDecodeError as error:
        raise BadRubric(f"{path}: not UTF-8: {error}") from error
    return replace(parse(text, known, str(path)), name=name)


def parse(text: str, known: Mapping[str, Check], place: str) -> Rubric:
    """Read and judge a rubric's text; `place` is its name in messages. Raises BadRubric."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRubric(f"{place}: {error}") from error
    top = _Reader(place, 1, data)
    top.refuse_others("title", "total", "groups", "item")
    groups = _groups(top, text)
    rows = data.get("item")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise top.bad("there is no [[item]]")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.split("#")[0].strip() == "[[item]]"]
    # Items may be spelled in other ways than [[item]]; then the line is not known, and the first is given.
    readers = [_Reader(place, lines[at] if len(lines) == len(rows) else 1, row) for at, row in enumerate(rows)]
    items: list[Item] = []
    for reader in readers:
        items.append(_item(reader, known, groups, items[-1].number + 1 if items else 1))
        if any(items[-1].number == other.number for other in items[:-1]):
            raise reader.bad(f"two items have the number {items[-1].number}")
    rubric = Rubric(top.text("title"), tuple(items))
    _expect_total(top, "total is", top.points("total", None), items)
    for name, group in groups.items():
        _expect_total(group.reader, f"group {name!r} is", group.total, [item for item in items if item.group == name])
    return rubric


@dataclass(frozen=True)
class _Group:
    """A row of [groups]: its line, what its points must come to, and who sees items that do not say so themselves."""

    reader: _Reader
    total: float
    visibility: str


def _groups(top: _Reader, text: str) -> dict[str, _Group]:
    """The groups by their names."""
    table = top.table.get("groups", {})
    if not isinstance(table, dict):
        raise top.bad("groups must be a table of names and points")
    lines = text.splitlines()
    first = next((at for at, line in enumerate(lines) if re.match(r"\s*\[?\s*groups\b", line)), 0)
    groups = {}
    for name in table:
        row = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*=""")
        # In an inline table a group has no line of its own; then it is the table's.
        line = next((at for at in range(first, len(lines)) if row.match(lines[at])), first)
        value = table[name]
        reader = _Reader(top.place, line + 1, value if isinstance(value, dict) else table)
        if isinstance(value, dict):
            reader.refuse_others("points", "visibility")
            groups[name] = _Group(reader, reader.points("points", None), reader.visibility("visible"))
        else:
            groups[name] = _Group(reader, reader.points(name, None), "visible")
    return groups


def _expect_total(reader: _Reader, what: str, total: float, items: Collection[Item]) -> None:
    found = sum(item.points + item.memory for item in items)
    if not math.isclose(found, total, abs_tol=1e-9):
        raise reader.bad(f"{what} {total:g}, and the items' points come to {found:g}")


def _item(reader: _Reader, known: Mapping[str, Check], groups: Mapping[str, _Group], number: int) -> Item:
    """One item; `number` is the one that it has if it does not say another."""
    reader.refuse_others("number", "name", "group", "points", "memory", "checks", "visibility")
    checks = reader.table.get("checks")
    if not isinstance(checks, list) or not checks or not all(isinstance(name, str) for name in checks):
        raise reader.bad("checks must be a list of the ids of checks, one at least")
    for at, name in enumerate(checks):
        if name not in known:
            raise reader.bad(f"there is no check {name!r}")
        if name in checks[:at]:
            raise reader.bad(f"the check {name!r} stands here twice")
        if not known[name].submission:
            raise reader.bad(f"the check {name!r} is about the reference only: the assignment does not promise it")
    number = reader.table.get("number", number)
    if type(number) is not int or number < 1:
        raise reader.bad("number must be a whole number from 1 on")
    group = reader.text("group") if "group" in reader.table or groups else ""
    if group and group not in groups:
        raise reader.bad(f"there is no group {group!r} in [groups]")
    visibility = reader.visibility(groups[group].visibility if group else "visible")
    name = known[checks[0]].title if len(checks) == 1 and "name" not in reader.table else reader.text("name")
    points, memory = reader.points("points", None), reader.points("memory", 0)
    return Item(number, name, points, memory, tuple(checks), visibility, group)


@dataclass(frozen=True)
class _Reader:
    """A table of the file, and the line it begins at, for messages."""

    place: str
    line: int
    table: dict[str, object]

    def bad(self, reason: str) -> BadRubric:
        return BadRubric(f"{self.place}:{self.line}: {reason}")

    def refuse_others(self, *names: str) -> None:
        for name in self.table:
            if name not in names:
                raise self.bad(f"unknown key {name!r}; known are {', '.join(names)}")

    def text(self, name: str) -> str:
        value = self.table.get(name)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.bad(f"{name} must be a line of text")
        return value

    def visibility(self, default: str) -> str:
        value = self.table.get("visibility", default)
        if value not in VISIBILITIES:
            raise self.bad(f"visibility must be one of {', '.join(VISIBILITIES)}, not {value!r}")
        return value

    def points(self, name: str, default: float | None) -> float:
        value = self.table.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise self.bad(f"{name} must be a number from 0 on")
        return value
