"""A class at a glance: what came of each submission, and of each check and misconception over all; `marks.csv`.

Everything is read back from the `results.json` that each grading left in its folder, so that the page says what the
files say, and so that a class of hundreds is never in memory as a whole.
"""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .plain import clean
from .rubric import Rubric
from .told import Cause

NAME = 80  # characters of a submission's name, at most
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet take a text for a formula (OWASP, CSV injection)


@dataclass(frozen=True)
class Row:
    """One submission. `score` is None where there is no result; `folder` is the name of its folder beside the page."""

    name: str
    folder: str
    score: float | None
    groups: dict[str, float]
    failed: tuple[str, ...] = ()  # checks by id
    skipped: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()  # the misconceptions that were recognised, each once
    whole: bool = True  # False: the checker could not judge all of it

    @property
    def judged(self) -> str:
        """`yes`, `in part` or `no`."""
        return "no" if self.score is None else "yes" if self.whole else "in part"


@dataclass(frozen=True)
class Roll:
    """The class, in the order of names."""

    rubric: Rubric
    rows: tuple[Row, ...]

    @property
    def scores(self) -> list[float]:
        """The marks of all that were judged, from the least on."""
        return sorted(row.score for row in self.rows if row.score is not None)

    def histogram(self, bins: int) -> list[int]:
        """How many marks fall into each of `bins` equal parts from 0 to all points; the last has all points, too."""
        counts = [0] * bins
        for score in self.scores:
            counts[min(bins - 1, math.floor(score * bins / self.rubric.total)) if self.rubric.total else 0] += 1
        return counts

    def quartiles(self) -> tuple[float, float, float]:
        """The marks below which a quarter, half and three quarters of the class lie, to a hundredth. Needs one mark."""
        scores = self.scores if len(self.scores) > 1 else self.scores * 2
        low, middle, high = statistics.quantiles(scores, n=4, method="inclusive")
        return round(low, 2), round(middle, 2), round(high, 2)

    def by_check(self) -> list[tuple[str, list[Row], int]]:
        """Of each check that failed somewhere: its id, who failed it, and for how many it was skipped. Most first."""
        failed: dict[str, list[Row]] = defaultdict(list)
        skipped: dict[str, int] = defaultdict(int)
        for row in self.rows:
            for name in row.failed:
                failed[name].append(row)
            for name in row.skipped:
                skipped[name] += 1
        found = [(name, rows, skipped[name]) for name, rows in failed.items()]
        return sorted(found, key=lambda one: (-len(one[1]), one[0]))

    def by_cause(self) -> list[tuple[Cause, list[Row]]]:
        """Of each misconception that was recognised somewhere: whose it is. Most first."""
        found: dict[str, tuple[Cause, list[Row]]] = {}
        for row in self.rows:
            for cause in row.causes:
                found.setdefault(cause.id, (cause, []))[1].append(row)
        return sorted(found.values(), key=lambda one: (-len(one[1]), one[0].id))


def read(rubric: Rubric, folders: Iterable[tuple[Path, Path]]) -> Roll:
    """The roll of these submissions: the path of each, and the folder with what came of it."""
    rows = (_row(rubric, path, folder) for path, folder in folders)
    return Roll(rubric, tuple(sorted(rows, key=_order)))


def _order(row: Row) -> tuple[str, str]:
    """As names are looked up: letters with a mark stand among those without."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", row.name) if not unicodedata.combining(one))
    return plain.casefold(), row.folder


def _row(rubric: Rubric, path: Path, folder: Path) -> Row:
    name = _short(clean(path.resolve().name).replace("\n", "\\n").replace("\t", "\\t"))
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Row(name, folder.name, None, {}, whole=False)
    checks = {one["check"]: one for test in results["tests"] for one in test["extra_data"]["checks"]}
    outcomes = {outcome: tuple(name for name, one in checks.items() if one["outcome"] == outcome)
                for outcome in ("failed", "skipped", "error")}  # fmt: skip
    groups = {group: 0.0 for group in rubric.groups}
    for test in results["tests"]:
        if group := test["extra_data"]["group"]:
            groups[group] += test["score"]
    causes = {cause.id: cause for cause in map(_cause, checks.values()) if cause}
    return Row(name, folder.name, results["score"], groups, outcomes["failed"], outcomes["skipped"],
               tuple(causes.values()), whole=not outcomes["error"])  # fmt: skip


def _cause(record: dict[str, Any]) -> Cause | None:
    """The misconception in a failed check's record."""
    cause = (record.get("told") or {}).get("cause")
    return Cause(cause["id"], cause["name"], tuple(cause["sentences"]), tuple(cause["read"])) if cause else None


def _short(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"


def marks(roll: Roll) -> str:
    """The marks as CSV by RFC 4180: a line for each submission, a column for each group. No cell is a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    groups = roll.rubric.groups
    writer.writerow(["submission", "folder", "judged", "score", "max_score", *map(_cell, groups)])
    for row in roll.rows:
        points = [_points(row.groups.get(group)) for group in groups]
        writer.writerow([_cell(row.name), _cell(row.folder), row.judged, _points(row.score),
                         _points(roll.rubric.total), *points])  # fmt: skip
    return stream.getvalue()


def _cell(text: str) -> str:
    """Text that a spreadsheet shows and does not compute."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _points(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")
