"""Who may see what of a grading: staff all of it, a student what the rubric shows at this stage of the assignment.

The words are Gradescope's, and so is what they mean: of an item that is not shown a student does not learn that it is
there, and its points count in the mark. `results.json` holds everything, each item with its visibility, and Gradescope
itself shows or hides; for those who hand out pages themselves, `--out` writes what a student may see to a folder of its
own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .model import Verdict
from .results import ItemResult, Report, Withheld
from .rubric import Item
from .texts import load

# From when on an item of each visibility is shown. Hidden ones never are.
STAGES = ("before_due_date", "after_due_date", "after_published")
_SHOWN_FROM = {"visible": 0, "after_due_date": 1, "after_published": 2, "hidden": len(STAGES)}


def is_shown(visibility: str, stage: str) -> bool:
    """Whether a student sees items of this visibility at this stage."""
    return STAGES.index(stage) >= _SHOWN_FROM[visibility]


def for_student(report: Report, stage: str) -> Report:
    """The report without what a student may not see at this stage. The mark stays, and what it is out of: both count
    what is not shown. Nothing else of that is left, neither names nor groups nor what came of it, and the sum of a
    group is of what is shown of it."""
    shown = [result for result in report.results if is_shown(result.item.visibility, stage)]
    others = [result for result in report.results if not is_shown(result.item.visibility, stage)]
    secret = {verdict.check.id for result in others for verdict in result.all_verdicts}
    secret -= {verdict.check.id for result in shown for verdict in result.all_verdicts}
    items = tuple(item if is_shown(item.visibility, stage) else _nameless(item) for item in report.rubric.items)
    return replace(
        report,
        rubric=replace(report.rubric, items=items),
        results=[_without(result, secret, report.language) for result in shown],
        withheld=[Withheld(one.score, one.unknown) for one in others],
    )


def as_seen(report: Report, result: ItemResult) -> ItemResult:
    """One result as those see it to whom its item is shown: without the names of checks that they see later or never.
    For where all items are handed on together, each with its visibility."""
    rank = _SHOWN_FROM[result.item.visibility]
    known = {verdict.check.id for other in report.results if _SHOWN_FROM[other.item.visibility] <= rank
             for verdict in other.all_verdicts}  # fmt: skip
    listed = {verdict.check.id for other in report.results for verdict in other.all_verdicts}
    return _without(result, listed - known, report.language)


def _nameless(item: Item) -> Item:
    """What is left of an item that is not shown: its points."""
    return replace(item, name="", group="", checks=())


def _without(result: ItemResult, secret: Iterable[str], language: str) -> ItemResult:
    """The result without the names of checks that are not shown: who was skipped says which check was the reason."""

    def redacted(verdict: Verdict) -> Verdict:
        if not any(name in verdict.reason for name in secret):
            return verdict
        shown = tuple(name for name in verdict.mend_first if name not in secret)
        return replace(verdict, reason=load(language)("report.withheld_reason"), mend_first=shown)

    memory = redacted(result.memory) if result.memory else None
    return replace(result, verdicts=[redacted(verdict) for verdict in result.verdicts], memory=memory)
