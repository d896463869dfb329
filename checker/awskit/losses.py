"""What was lost, and to what: each failure with the points that it took, and those that wait behind it.

A check that was skipped has lost its points to the failure at its root: who mends that one gets a chance at them. So
the failures in the order of what mending each may bring.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .model import Outcome, Verdict
from .results import ItemResult, Report


@dataclass
class Loss:
    """A failed check. `lost`: points of the items that it makes fail; points that need several checks count for each of
    those that failed. `waiting`: points of items of which nothing failed, but something was skipped because of it."""

    verdict: Verdict
    items: list[ItemResult] = field(default_factory=list)  # in which it stands
    lost: float = 0.0
    waiting: float = 0.0
    behind: list[Verdict] = field(default_factory=list)  # what was skipped because of it


def losses(report: Report) -> list[Loss]:
    """The failures of a report, those first that cost most."""
    found: dict[str, Loss] = {}
    for result in report.results:
        for verdict in result.all_verdicts:
            if verdict.outcome is Outcome.FAILED:
                loss = found.setdefault(verdict.check.id, Loss(verdict))
                if result not in loss.items:
                    loss.items.append(result)
    for result in report.results:
        for points, verdicts in _parts(result):
            _attribute(points, verdicts, found)
    return sorted(found.values(), key=lambda loss: -(loss.lost + loss.waiting))  # equals stay in the rubric's order


def skipped(report: Report) -> dict[str, list[tuple[Verdict, list[str]]]]:
    """The checks that were not tried, each once: below the failure that costs most of those that they wait for (""
    where they wait for none: their time had run out), with the others that they wait for, too."""
    order = [loss.verdict.check.id for loss in losses(report)]
    found: dict[str, Verdict] = {}
    for result in report.results:
        for verdict in result.all_verdicts:
            if verdict.outcome is Outcome.SKIPPED:
                found.setdefault(verdict.check.id, verdict)
    groups: dict[str, list[tuple[Verdict, list[str]]]] = {name: [] for name in order}
    for verdict in found.values():
        roots = sorted(verdict.mend_first, key=lambda name: order.index(name) if name in order else len(order))
        groups.setdefault(roots[0] if roots else "", []).append((verdict, roots[1:]))
    return {name: verdicts for name, verdicts in groups.items() if verdicts}


def waiting(result: ItemResult) -> float:
    """Points of an item that were lost although nothing of it failed: it was not tried."""
    return sum(points for points, verdicts in _parts(result) if not _failed(verdicts) and _skipped(verdicts))


def _attribute(points: float, verdicts: list[Verdict], found: dict[str, Loss]) -> None:
    failed, waits = _failed(verdicts), _skipped(verdicts)
    for verdict in failed:
        found[verdict.check.id].lost += points
    roots = {root: None for verdict in waits for root in verdict.mend_first}
    for root in [found[root] for root in roots if root in found]:
        root.waiting += 0 if failed else points
        root.behind += [verdict for verdict in waits if verdict not in root.behind]


def _parts(result: ItemResult) -> Iterator[tuple[float, list[Verdict]]]:
    """The points of an item that are earned together, and by which checks: memory's apart."""
    yield result.item.points, result.verdicts
    if result.memory is not None:
        yield result.item.memory, [result.memory]


def _failed(verdicts: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.outcome is Outcome.FAILED]


def _skipped(verdicts: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.outcome is Outcome.SKIPPED]
