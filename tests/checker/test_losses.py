"""What each failure costs, and what waits behind it."""

from __future__ import annotations

from awskit.isolation import Isolation
from awskit.losses import losses, skipped, waiting
from awskit.model import REGISTRY, Outcome, Verdict
from awskit.results import ItemResult, Report
from awskit.rubric import Item, Rubric

SMALL, LARGE, TWO, FIFTY = "static.small_equal", "static.large_equal", "static.two_at_once", "static.fifty_at_once"


def _result(number: int, points: float, *verdicts: Verdict, memory: Verdict | None = None) -> ItemResult:
    checks = tuple(verdict.check.id for verdict in verdicts)
    item = Item(number, f"item {number}", points, 1 if memory else 0, checks, "visible")
    return ItemResult(item, list(verdicts), memory)


def _report(*results: ItemResult) -> Report:
    rubric = Rubric("The list", tuple(result.item for result in results))
    return Report("folder", rubric, 1, Isolation(True, True, True, True, None, ()), list(results))


def _verdict(name: str, outcome: Outcome, *mend_first: str) -> Verdict:
    return Verdict(REGISTRY[name], outcome, mend_first=mend_first)


FAILED, SKIPPED, PASSED, ERROR = Outcome.FAILED, Outcome.SKIPPED, Outcome.PASSED, Outcome.ERROR


def test_the_failure_that_most_points_hang_on_comes_first() -> None:
    report = _report(
        _result(1, 3, _verdict(LARGE, FAILED)),
        _result(2, 1, _verdict(SMALL, FAILED)),
        _result(3, 4, _verdict(TWO, SKIPPED, SMALL)),
        _result(4, 5, _verdict(FIFTY, PASSED)),
    )
    first, second = losses(report)
    assert (first.verdict.check.id, first.lost, first.waiting) == (SMALL, 1, 4)
    assert [verdict.check.id for verdict in first.behind] == [TWO]
    assert (second.verdict.check.id, second.lost, second.waiting, second.behind) == (LARGE, 3, 0, [])
    assert sum(map(waiting, report.results)) == 4


def test_a_check_of_several_items_takes_the_points_of_each_and_is_listed_once() -> None:
    failed = _verdict(SMALL, FAILED)
    (loss,) = losses(_report(_result(1, 2, failed), _result(2, 3, failed, _verdict(TWO, PASSED))))
    assert loss.lost == 5
    assert [result.item.number for result in loss.items] == [1, 2]


def test_points_that_something_failed_for_do_not_wait() -> None:
    report = _report(_result(1, 2, _verdict(SMALL, FAILED), _verdict(TWO, SKIPPED, SMALL)))
    (loss,) = losses(report)
    assert (loss.lost, loss.waiting, len(loss.behind)) == (2, 0, 1)
    assert waiting(report.results[0]) == 0


def test_memory_points_are_by_themselves() -> None:
    memory = Verdict(REGISTRY[FIFTY], FAILED)
    result = _result(1, 4, _verdict(SMALL, PASSED), memory=memory)
    (loss,) = losses(_report(result))
    assert (loss.verdict, loss.lost) == (memory, 1)
    result = _result(1, 4, _verdict(SMALL, FAILED), memory=_verdict(FIFTY, SKIPPED, SMALL))
    (loss,) = losses(_report(result))
    assert (loss.lost, loss.waiting) == (4, 1)
    assert waiting(result) == 1


def test_an_error_costs_nothing_and_is_no_loss() -> None:
    assert losses(_report(_result(1, 2, _verdict(SMALL, ERROR), _verdict(TWO, PASSED)))) == []


def test_what_was_not_tried_is_told_by_what_is_to_be_mended_first() -> None:
    late = _verdict("connect.one", SKIPPED)
    report = _report(
        _result(1, 1, _verdict(SMALL, FAILED)),
        _result(2, 6, _verdict(LARGE, FAILED)),
        _result(3, 2, _verdict(TWO, SKIPPED, SMALL), late),
        _result(4, 2, _verdict(TWO, SKIPPED, SMALL)),
        _result(5, 2, _verdict(FIFTY, SKIPPED, SMALL, LARGE)),
    )
    found = skipped(report)
    assert {root: [(one.check.id, others) for one, others in waiting] for root, waiting in found.items()} == {
        LARGE: [(FIFTY, [SMALL])], SMALL: [(TWO, [])], "": [(late.check.id, [])]}  # fmt: skip
    assert list(found) == [LARGE, SMALL, ""]
