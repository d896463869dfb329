"""What a report shows, and what a verdict is worth."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

import toldsample

from awskit import junit, plain
from awskit.grade import CHECKS
from awskit.model import NOT_TRIED, Outcome, Verdict
from awskit.plain import LINES, WIDTH, alone, clean, cut, line
from awskit.report import gradescope, table
from awskit.results import ItemResult, Report
from awskit.rubric import Item, Rubric
from awskit.isolation import Isolation

ITEM = Item(17, "a small static file", 4, 1, ("static.small_equal",), "hidden")


def _verdict(outcome: Outcome, **more: str) -> Verdict:
    return Verdict(CHECKS["static.small_equal"], outcome, **more)


def _report(*results: ItemResult, missing: tuple[str, ...] = ()) -> Report:
    rubric = Rubric("The list", tuple(result.item for result in results))
    return Report("a folder", rubric, 9, Isolation(True, True, True, True, None, missing), list(results))


@pytest.mark.parametrize(
    "first, second, memory, score",
    [
        (Outcome.PASSED, Outcome.PASSED, Outcome.PASSED, 5),
        (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED, 0),
        (Outcome.PASSED, Outcome.SKIPPED, Outcome.SKIPPED, 0),
        (Outcome.PASSED, Outcome.PASSED, Outcome.FAILED, 4),
        (Outcome.PASSED, Outcome.ERROR, Outcome.ERROR, 5),
        (Outcome.ERROR, Outcome.FAILED, Outcome.SKIPPED, 0),
        (Outcome.PASSED, Outcome.PASSED, Outcome.ERROR, 5),
    ],
)
def test_only_what_failed_or_was_not_tried_costs_points(
    first: Outcome, second: Outcome, memory: Outcome, score: float
) -> None:
    result = ItemResult(ITEM, [_verdict(first), _verdict(second)], _verdict(memory))
    assert result.score == score
    assert result.max_score == 5
    assert result.unknown == (Outcome.ERROR in (first, second, memory))


def test_a_failure_is_told_with_all_that_is_known_and_how_to_have_it_again() -> None:
    verdict = _verdict(Outcome.FAILED, reason="the reason")
    verdict.told = toldsample.told()
    report = _report(ItemResult(ITEM, [verdict], _verdict(Outcome.SKIPPED, reason="why not")))
    for text in (table(report), gradescope(report)["tests"][0]["output"]):
        for part in (
            "failed: the reason",
            "expected: 8,388,608 bytes of body",
            "got: status 200, 2,629,496 bytes",
            "how it ended: the connection stayed open",
            "the body differs from byte 2,629,496 on",
            "| got: nothing: it has ended",
            "| expected: 10 11 12 13 14",
            "sendfile(fd 7 <- fd 8, 5,759,112) = EAGAIN   <-- here it went wrong",
            "likely cause: stuck after the first EAGAIN",
            "| To read: epoll(7); send(2)",
            "where: aws.c:211 (send_body)",
            "| >  211    n = sendfile(s, f);",
            "the server said: [INFO] listening",
            "rule S6, S8 of the contract; again: checker/awscheck grade folder --rubric full",
            "skipped: why not",
        ):
            assert part in text
    assert "0 of 5 points" in table(report)


def test_an_error_says_that_it_costs_nothing_and_what_could_not_be_enforced_is_listed() -> None:
    text = table(_report(ItemResult(ITEM, [_verdict(Outcome.ERROR, reason="no tracer")]), missing=("no walls",)))
    assert "ERROR, costs nothing: no tracer" in text
    assert "they count as earned" in text
    assert "not enforced here: no walls" in text
    assert "4 of 5 points" in text


def test_it_is_told_in_the_readers_language() -> None:
    failed = _verdict(Outcome.FAILED, reason="the evidence")
    report = _report(ItemResult(ITEM, [failed], _verdict(Outcome.SKIPPED, reason=NOT_TRIED + "a.b")))
    report.language = "ro"
    for text in (table(report), gradescope(report)["tests"][0]["output"]):
        assert "eșuată: the evidence" in text
        assert "omisă: nu s-a încercat, fiindcă nu a trecut: a.b" in text
    assert "0 din 5 puncte" in table(report)
    assert "omisă" not in table(replace(report, language="en"))


def test_notes_are_told_and_cost_nothing() -> None:
    verdict = Verdict(CHECKS["static.small_equal"], Outcome.PASSED, notes=("a 404 without\x1b length",))
    report = _report(ItemResult(ITEM, [verdict, verdict], _verdict(Outcome.PASSED)))
    assert report.notes == ["a 404 without\x1b length"]
    assert "note, costs nothing: a 404 without\\x1b length" in table(report)
    assert gradescope(report)["extra_data"]["notes"] == ["a 404 without\\x1b length"]
    assert "5 of 5 points" in table(report)


def test_groups_are_shown_with_what_they_brought() -> None:
    item = replace(ITEM, group="files")
    lost = replace(ITEM, number=18, group="files", points=2, memory=0)
    other = replace(ITEM, number=19, group="others")
    results = [ItemResult(item, [_verdict(Outcome.PASSED)], _verdict(Outcome.PASSED)),
               ItemResult(lost, [_verdict(Outcome.FAILED)]),
               ItemResult(other, [_verdict(Outcome.PASSED)], _verdict(Outcome.FAILED))]  # fmt: skip
    text = table(_report(*results))
    assert "5/7  FILES" in text
    assert "4/5  OTHERS" in text
    assert gradescope(_report(*results))["extra_data"]["groups"] == {"files": "5/7", "others": "4/5"}


def test_the_time_for_memory_is_told_by_itself() -> None:
    report = _report(ItemResult(ITEM, [_verdict(Outcome.PASSED)]))
    report.seconds = 12.34
    assert table(report).endswith("4 of 5 points in 12.3 s\n")
    report.memory_seconds = 5.0
    assert table(report).endswith("4 of 5 points in 12.3 s\n5.0 s of them were for the checks of memory\n")


def test_told_in_detail_every_check_has_its_seconds() -> None:
    verdict = Verdict(CHECKS["static.small_equal"], Outcome.PASSED, seconds=1.25)
    report = _report(ItemResult(ITEM, [verdict]))
    assert "1.250 s  static.small_equal passed" in table(report, verbose=True)
    assert "1.250 s" not in table(report)


def test_junit_is_xml_with_a_case_for_each_check(tmp_path: Path) -> None:
    evil = "]]><x a='\"&\x00\ufffe\ud800\x1b"
    shown = "]]><x a='\"&\\x00\ufffd\\ud800\\x1b"
    failed = _verdict(Outcome.FAILED, reason=evil, got=evil, server_log=evil)
    failed.told = replace(toldsample.told(), got=clean(evil), log=clean(evil))
    skipped = Verdict(CHECKS["static.large_equal"], Outcome.SKIPPED, reason="why not")
    error = Verdict(CHECKS["dynamic.large_equal"], Outcome.ERROR, reason="no tracer", notes=(evil,))
    passed = Verdict(CHECKS["connect.one"], Outcome.PASSED, seconds=0.5)
    again = ItemResult(replace(ITEM, number=18), [failed])
    report = _report(ItemResult(ITEM, [failed, skipped, error, passed]), again)
    report.submission = evil
    junit.write(tmp_path / "junit.xml", [junit.suite(report)])
    (suite,) = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1"}  # fmt: skip
    cases = {(case.get("name") or "").partition(":")[0]: case for case in suite.iter("testcase")}
    assert list(cases) == ["static.small_equal", "static.large_equal", "dynamic.large_equal", "connect.one"]
    failure = cases["static.small_equal"].find("failure")
    assert failure is not None
    assert failure.get("message") == shown
    assert f"got: {shown}" in (failure.text or "")
    assert "--only pieces.static_slow_reader" in (failure.text or "")
    assert [child.tag for child in cases["static.large_equal"]] == ["skipped"]
    assert [child.tag for child in cases["dynamic.large_equal"]] == ["error"]
    assert list(cases["connect.one"]) == []
    assert cases["connect.one"].get("time") == "0.500"
    assert suite.findtext("system-out") == f"note: {shown}"


def test_an_item_is_an_entry_of_gradescopes() -> None:
    test = gradescope(_report(ItemResult(ITEM, [_verdict(Outcome.PASSED)], _verdict(Outcome.PASSED))))["tests"][0]
    assert (test["score"], test["max_score"], test["status"], test["visibility"]) == (5, 5, "passed", "hidden")


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain ăș→", "plain ăș→"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[31m\r\a\x7f\x9b", r"\x1b[31m\x0d\x07\x7f\x9b"),
        ("\u202eevil\u2066\u200b\u2028", r"\u202eevil\u2066\u200b\u2028"),
        ("\ud800", r"\ud800"),
        ("a ##[error]b ##vso[task]c ##teamcity[x] ###[", r"a \x23#[error]b \x23#vso[task]c \x23#teamcity[x] #\x23#["),
        ("## heading [1]", "## heading [1]"),
    ],
)
def test_text_of_a_submission_does_nothing(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_text_that_begins_a_line_is_no_command_of_github() -> None:
    shown = "\\x3a:error::a\n \t\\x3a:set-env::b ::c\na::b :c\\x1b"
    assert alone("::error::a\n \t::set-env::b ::c\na::b :c\x1b") == shown


def test_long_text_is_cut_in_the_middle_and_says_so() -> None:
    lines = cut("\n".join(map(str, range(1000))))
    assert len(lines) == LINES + 1
    assert lines[0] == "0"
    assert lines[-1] == "999"
    assert lines[LINES // 2] == f"[… {1000 - LINES} lines left out …]"
    assert cut("\n0\n1\n2\n3\n4\n", lines=4) == ["0", "1", "2", "3", "4"]
    assert cut("\n0\n1\n2\n3\n4\n5\n", lines=4) == ["0", "1", "[… 2 lines left out …]", "4", "5"]
    assert line("one\x1b\ntwo") == "one\\x1b […]"
    assert line("onetwo\n", 3) == "one [… 3 more]"
    assert cut("x" * (WIDTH + 7)) == ["x" * WIDTH + " [… 7 more]"]


def test_where_it_is_cut_no_command_comes_to_be() -> None:
    for command in ("##[error]", "##vso[x]", "##teamcity[x]"):
        for at in range(len(command) + 1):
            (shown,) = cut("x" * (WIDTH - at) + command + "y")
            assert not re.search(r"##(vso|teamcity)?\[", shown)


def test_what_is_left_out_of_gigabytes_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[int] = []
    monkeypatch.setattr(plain, "clean", lambda text: cleaned.append(len(text)) or text)
    for text in ("x" * 10_000_000, "x\n" * 5_000_000, "\n" * 1000 + "x" * 1_000_000 + "\n" * 1000):
        assert sum(map(len, cut(text))) < 2 * WIDTH + LINES
    assert sum(cleaned) < 3 * WIDTH + LINES
