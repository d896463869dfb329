"""What came of a grading: its verdicts by items, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass, field

from .model import Outcome, Verdict
from .rubric import Item, Rubric
from .sandbox import Isolation
from .texts import DEFAULT


@dataclass
class ItemResult:
    """What came of one line of the list. `memory` is None where the item has no memory point."""

    item: Item
    verdicts: list[Verdict]
    memory: Verdict | None = None

    @property
    def score(self) -> float:
        """Points earned."""
        earned = self.item.points if all(_costs_nothing(verdict) for verdict in self.verdicts) else 0
        if self.memory is not None and _costs_nothing(self.memory):
            earned += self.item.memory
        return earned

    @property
    def max_score(self) -> float:
        """Points that there were to earn."""
        return self.item.points + self.item.memory

    @property
    def all_verdicts(self) -> list[Verdict]:
        """The checks' verdicts, and the memory's."""
        return self.verdicts + ([self.memory] if self.memory else [])

    @property
    def unknown(self) -> bool:
        """Whether the checker could not find out some of it."""
        return any(verdict.outcome is Outcome.ERROR for verdict in self.all_verdicts)


@dataclass(frozen=True)
class Withheld:
    """What is left of an item for a reader who may not see it: it counts in the mark."""

    score: float
    unknown: bool


@dataclass
class Report:
    """All that a grading brought. `seconds` is how long it took."""

    submission: str
    rubric: Rubric
    seed: int
    isolation: Isolation
    results: list[ItemResult] = field(default_factory=list)
    build_log: str = ""
    seconds: float = 0.0
    withheld: list[Withheld] = field(default_factory=list)
    memory_seconds: float = 0.0  # of them for the checks of memory, which come last
    language: str = DEFAULT  # of the texts, as `texts.load` knows it

    @property
    def score(self) -> float:
        """Points earned in all."""
        return sum(result.score for result in [*self.results, *self.withheld])

    @property
    def unknown(self) -> bool:
        """Whether the checker could not find out something."""
        return any(result.unknown for result in [*self.results, *self.withheld])

    def mark_of(self, group: str) -> tuple[float, float]:
        """The points of one group, as far as its items are shown: earned, and all there are."""
        results = [result for result in self.results if result.item.group == group]
        return sum(one.score for one in results), sum(one.max_score for one in results)

    @property
    def notes(self) -> list[str]:
        """What is told to the reader and costs nothing, each thing once."""
        verdicts = [verdict for result in self.results for verdict in result.all_verdicts]
        return list(dict.fromkeys(note for verdict in verdicts for note in verdict.notes))


def _costs_nothing(verdict: Verdict) -> bool:
    return verdict.outcome in (Outcome.PASSED, Outcome.ERROR)
