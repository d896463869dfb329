"""What a student may see: what the rubric shows at this stage, a mark that counts all, and nothing of the rest."""

from __future__ import annotations

import html
import json
from dataclasses import asdict, replace

import pytest

import toldsample
from awskit import page
from awskit.audience import STAGES, for_student, is_shown
from awskit.grade import CHECKS
from awskit.isolation import Isolation
from awskit.model import NOT_TRIED, Outcome, Verdict
from awskit.report import gradescope, table
from awskit.results import ItemResult, Report
from awskit.rubric import VISIBILITIES, Item, Rubric

OPEN, SECRET = "static.small_equal", "dynamic.small_equal"


def _report(visibility: str) -> Report:
    """One item that is shown, skipped because of one that may not be, and that one."""
    items = (
        Item(1, "the open one", 4, 0, (OPEN,), "visible", "files"),
        Item(2, "the secret one", 2, 1, (SECRET,), visibility, "files"),
    )
    tale = replace(toldsample.told(), check=SECRET, title="a secret", done="why it failed")
    failed = Verdict(CHECKS[SECRET], Outcome.FAILED, reason="why it failed", got="a secret", notes=("a secret note",),
                     told=tale)  # fmt: skip
    skipped = Verdict(CHECKS[OPEN], Outcome.SKIPPED, reason=NOT_TRIED + SECRET,
                      mend_first=(SECRET,))  # fmt: skip
    memory = Verdict(CHECKS["memory.static"], Outcome.PASSED)
    results = [ItemResult(items[0], [skipped]), ItemResult(items[1], [failed], memory)]
    return Report("folder", Rubric("Two", items), 9, Isolation(True, True, True, True, None, ()), results)


@pytest.mark.parametrize(
    "visibility, stages",
    [("visible", STAGES), ("after_due_date", STAGES[1:]), ("after_published", STAGES[2:]), ("hidden", ())],
)
def test_when_what_is_shown(visibility: str, stages: tuple[str, ...]) -> None:
    assert visibility in VISIBILITIES
    assert [stage for stage in STAGES if is_shown(visibility, stage)] == list(stages)


def test_what_is_not_shown_counts_and_leaves_nothing_else() -> None:
    whole = _report("after_published")
    report = for_student(whole, "after_due_date")
    assert (report.score, report.rubric.total, report.mark_of("files")) == (1, 7, (0, 4))
    text = table(report)
    assert "0/4  FILES" in text
    assert "1 of 7 points" in text
    assert "the open one" in text
    everything = text + page.render(report) + json.dumps(asdict(report), default=str)
    for secret in ("secret", SECRET, "why it failed", "shown"):
        assert secret not in everything
    assert whole.results[0].verdicts[0].reason.endswith(SECRET), "the staff's report was changed"


def test_why_it_was_skipped_is_said_where_it_may_be_known() -> None:
    report = for_student(_report("after_published"), "after_published")
    assert toldsample.told().cause.sentences[0] in html.unescape(page.render(report))  # type: ignore[union-attr]
    text = table(report)
    assert f"this did not pass: {SECRET}" in text
    assert "a secret" in text


def test_what_could_not_be_judged_is_said_though_it_is_not_shown() -> None:
    whole = _report("hidden")
    whole.results[1].verdicts[0].outcome = Outcome.ERROR
    report = for_student(whole, "after_published")
    assert report.unknown
    assert report.score == 3


@pytest.mark.parametrize("visibility, told", [("visible", True), ("after_due_date", False), ("hidden", False)])
def test_what_gradescope_shows_of_an_item_names_no_check_that_it_hides(visibility: str, told: bool) -> None:
    """It has all of the report, and shows each item's output by the item's visibility."""
    shown, other = gradescope(_report(visibility))["tests"]
    assert (SECRET in shown["output"]) is told
    assert "not tried" in shown["output"]
    assert (shown["visibility"], other["visibility"]) == ("visible", visibility)
    assert "why it failed" in other["output"]
