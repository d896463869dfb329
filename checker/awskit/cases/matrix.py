"""The fault matrix of a server: every call, under every fault that it can meet (grid.py), and what came of it.

The submission is built once and started anew for each cell. What fails without a fault is told, and left out of the
cells, so that a red cell is the fault's work.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from ..bench import Bench
from ..model import Failure, Trouble
from ..witness import Witness
from . import grid
from .case import Case, ClientStep, ServerStep
from .play import Played, play
from .target import Target

AGAIN = 2  # times that what failed is played again


class Mark(enum.Enum):
    """What is said of a cell."""

    HELD = "held"
    FAILED = "failed"
    CHANCE = "by chance"  # it failed, and the same held when it was played again, or failed without the fault
    MISSED = "not delivered"  # the server never made the call, or not so that the fault could hit it: no verdict
    LEFT_OUT = "left out"  # the exchanges that make the call fail without any fault
    ERROR = "error"  # the kit's or the machine's fault


FAILURES = (Mark.FAILED, Mark.CHANCE)


@dataclass(frozen=True)
class Judged:
    """A cell, its case (None: too little is sound), and what came of it."""

    cell: grid.Cell
    mark: Mark
    case: Case | None = None
    played: Played | None = None

    @property
    def file(self) -> str:
        """The name of its case file."""
        return f"{self.cell.call}-{self.cell.column.lower()}.toml"


@dataclass(frozen=True)
class Matrix:
    """All of it. `unsound`: the exchanges that fail without a fault, and how."""

    server: str
    seed: int
    unsound: dict[str, Played]
    cells: tuple[Judged, ...]

    def of(self, *marks: Mark) -> list[Judged]:
        """The cells with one of these marks, mark by mark."""
        return [one for mark in marks for one in self.cells if one.mark is mark]


def run(target: Target, seed: int, calls: Collection[str] = grid.CALLS) -> Matrix:
    """Play every cell of these calls on the server. Raises Trouble if it cannot even be judged without a fault."""
    unsound = _unsound(target, seed)
    sound = [name for name in (*grid.EXCHANGES, *grid.STALLED, *grid.HALFWAY) if name not in unsound]
    sound += [name for name, stalled in grid.APART.items() if stalled in sound and _is_apart(stalled, target, seed)]
    cells = tuple(_judge(cell, sound, target, seed) for cell in grid.cells() if cell.call in calls)
    return Matrix(target.name, seed, unsound, cells)


def _unsound(target: Target, seed: int) -> dict[str, Played]:
    """Which exchanges fail without a fault, where one comes after another: without those the others hold. And which
    clients under way beside them fail, or make them fail."""
    found: dict[str, Played] = {}
    while left := [name for name in grid.EXCHANGES if name not in found]:
        played = play(grid.plain(left, seed), target)
        if played.failure is None:
            break
        step = None if played.step is None else played.case.steps[played.step]
        # At the end of all, or at a start, it is none in particular.
        found |= dict.fromkeys([step.client] if isinstance(step, ClientStep) else left, played)
    for together in dict.fromkeys(cell.beside for cell in grid.cells()) if left else ():
        names = [own for name in together if (own := grid.APART.get(name, name)) not in found]
        both = play(grid.plain(left, seed, names), target)
        if both.failure:
            alone = {name: play(grid.plain(left, seed, [name]), target) for name in names}
            failed = {name: played for name, played in alone.items() if played.failure}
            found |= failed or dict.fromkeys(names, both)
    return found


def _is_apart(stalled: str, target: Target, seed: int) -> bool:
    """Whether a body goes by the call that is its kind's: of a static file by sendfile, of a dynamic one without."""
    counting = _Counting(target)
    play(grid.sendfiles(stalled, seed), counting)
    return (counting.hits > 0) == (stalled == "stalled-static")


def _judge(cell: grid.Cell, sound: list[str], target: Target, seed: int) -> Judged:
    """What comes of the cell. Where it fails without its faults, too, it is who is under way that the server cannot
    bear, in this order of things: then the cell is played without them."""
    for names in (sound, [name for name in sound if name in grid.EXCHANGES]):
        judged = _play(cell, cell.case(names, seed), target)
        if judged.mark is not Mark.FAILED:
            return judged
        if _is_sound(judged, target):
            return _again(judged, target)
    return replace(judged, mark=Mark.LEFT_OUT)


def _again(judged: Judged, target: Target) -> Judged:
    """Red is what fails each time with its faults, and never without: what else fails is a matter of time. That the
    server is waited for in vain is known."""
    for _ in range(AGAIN):
        if not _is_sound(judged, target) or _play(judged.cell, judged.case, target.hasty()).mark is not Mark.FAILED:
            return replace(judged, mark=Mark.CHANCE)
    return judged


def _is_sound(judged: Judged, target: Target) -> bool:
    """Whether its case holds without its faults."""
    return judged.case is not None and play(grid.without_faults(judged.case), target).failure is None


def _play(cell: grid.Cell, case: Case | None, target: Target) -> Judged:
    if case is None:
        return Judged(cell, Mark.LEFT_OUT)
    counting = _Counting(target)
    try:
        # Alone a case that its fault misses is no verdict; here that is one, and told from all other trouble.
        played = replace(play(replace(case, may_miss=True), counting), case=case)
    except Trouble as trouble:
        return Judged(cell, Mark.ERROR, case, Played(case, trouble=trouble))
    missed = not counting.hits and (played.failure is None or _waits_for_the_fault(played))
    return Judged(cell, Mark.MISSED if missed else Mark.FAILED if played.failure else Mark.HELD, case, played)


def _waits_for_the_fault(played: Played) -> bool:
    """Whether the step that failed waits for reads to be held."""
    step = None if played.step is None else played.case.steps[played.step]
    return isinstance(step, ServerStep) and step.what == "reading"


class _Counting(Target):
    """The same server; `hits` says how many of its calls each fault has hit at least."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.name = target.name
        self.hits = 0

    @contextlib.contextmanager
    def bench(self, case: Case) -> Iterator[tuple[Bench, Witness | None]]:
        with self._target.bench(case) as (bench, witness):
            try:
                yield bench, witness
            finally:
                self.hits = min(bench.faults.hits())


def failure_of(judged: Judged) -> Failure:
    """Why a cell failed, always or by chance."""
    assert judged.played is not None and judged.played.failure is not None
    return judged.played.failure
