"""What we write has the shape that Gradescope and CI servers read, whatever a submission says; and the shapes tell."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import shapes
from awskit import junit
from awskit.grade import CHECKS
from awskit.isolation import Isolation
from awskit.model import Outcome, Verdict
from awskit.report import gradescope
from awskit.results import ItemResult, Report
from awskit.rubric import Item, Rubric
from awskit.texts import LANGUAGES

ITEM = Item(17, "a small static file", 4, 1, ("static.small_equal",), "hidden", "files")
LIMIT = 1_000_000  # bytes of any file that we write of one item
EVIL = "]]><x a='\"&\x00\ufffe\ud800\x1b[2J\u202e\n::error::x\n" + "x" * 100_000 + "\n" * 1000


def _report(language: str = "en", evil: str = "text") -> Report:
    """One of each outcome, everything that a submission says being `evil`."""
    checks = [check for check in CHECKS.values() if check.submission][: len(Outcome)]
    verdicts = [
        Verdict(check, outcome, 1.5, reason=evil, got=evil, expected=evil, exchange=evil, server_log=evil,
                notes=(evil,))  # fmt: skip
        for check, outcome in zip(checks, Outcome)
    ]
    item = replace(ITEM, checks=tuple(check.id for check in checks))
    results = [ItemResult(item, verdicts, Verdict(CHECKS["memory.static"], Outcome.PASSED))]
    isolation = Isolation(True, True, True, True, None, ("no walls",))
    report = Report(evil[:100], Rubric("The list", (item,)), 9, isolation, results)
    report.build_log, report.language, report.seconds = evil, language, 12_345.678
    return report


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("evil", ["text", EVIL], ids=["tame", "evil"])
def test_what_is_written_has_its_shape_whatever_is_said(language: str, evil: str, tmp_path: Path) -> None:
    report = _report(language, evil)
    text = json.dumps(gradescope(report))
    assert shapes.breaches(json.loads(text), "gradescope") == []
    assert len(text) < LIMIT
    junit.write(tmp_path / "junit.xml", [junit.suite(report), junit.suite(report)])
    assert shapes.junit_breaches(tmp_path / "junit.xml") == ""
    assert (tmp_path / "junit.xml").stat().st_size < LIMIT


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda data: data.pop("score"), "$: no 'score'"),
        (lambda data: data.update(score="1"), "$.score: no number: '1'"),
        (lambda data: data.update(score=True), "$.score: no number: True"),
        (lambda data: data.update(score=-1), "$.score: -1 is too small"),
        (lambda data: data.update(scores=1), "$: unknown 'scores'"),
        (lambda data: data["tests"][0].update(visibility="shown"), "$.tests[0].visibility: 'shown' is none of"),
        (lambda data: data["tests"][0].update(output="x" * 100_001), "$.tests[0].output: 100001 characters"),
        (lambda data: data["tests"][0]["extra_data"]["checks"][1].pop("reason"), "checks[1]: no 'reason'"),
    ],
)
def test_a_wrong_results_file_is_told(spoil: Callable[[Any], object], says: str) -> None:
    data = copy.deepcopy(gradescope(_report()))
    spoil(data)
    (breach,) = shapes.breaches(data, "gradescope")
    assert says in breach


@pytest.mark.parametrize("old, new", [("<testcase ", "<case "), (' tests="', ' test="'), ("12345.678", "12 s"),
                                      ("</testsuites>", "")])  # fmt: skip
def test_wrong_xml_is_told(old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    junit.write(file, [junit.suite(_report())])
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    assert shapes.junit_breaches(file)


PAGE = """<meta http-equiv="Content-Security-Policy" \\
content="script-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='">\
<main><p>x<br>y</p><a href="a/b">c</a></main><script>a</script>"""


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("", "", None),
        ("<p>", "<p onclick=a>", "<p onclick='a'>"),
        ("<p>", "<p style=a>", "<p style='a'>"),
        ("a/b", "javascript:a", "<a href='javascript:a'>"),
        ("a/b", "//elsewhere", "<a href='//elsewhere'>"),
        ("x<br>", "<img src=x>", "<img>"),
        ("<script>a", "<script>b", "a <script> that the policy does not know"),
        ("</p>", "", "</main> ends what it did not begin"),
        ("</main>", "<script>a</script></main><div>", "<div> does not end"),
    ],
)
def test_a_wrong_page_is_told(old: str, new: str, says: str | None) -> None:
    assert old in PAGE
    breaches = shapes.page_breaches(PAGE.replace(old, new, 1))
    assert breaches == [] if says is None else says in breaches
