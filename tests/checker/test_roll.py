"""The class: what came of each, statistics that a person can check by hand, a page and a CSV that obey nobody."""

from __future__ import annotations

import csv
import html.parser
import io
import json
from pathlib import Path

import pytest

import shapes
from awskit import class_page, roll
from awskit.grade import CHECKS
from awskit.isolation import Isolation
from awskit.model import Outcome, Verdict
from awskit.report import gradescope
from awskit.results import ItemResult, Report
from awskit.roll import Roll, Row
from awskit.rubric import Item, Rubric
from awskit.texts import LANGUAGES, load
from awskit.told import Cause

EVIL = "=cmd|' /C calc'!A0 <script>alert(1)</script>\x1b[2J\u202e"
STATIC, DYNAMIC, EPOLL = "static.small_equal", "dynamic.small_equal", "mechanism.epoll"
ITEMS = (
    Item(1, "a static file", 6, 0, (STATIC,), "visible", "files"),
    Item(2, "a dynamic file", 3, 0, (DYNAMIC,), "hidden", "files"),
    Item(3, "by epoll", 1, 0, (EPOLL,), "visible", "-mechanism"),
)
RUBRIC = Rubric("Three", ITEMS)
CAUSE = Cause("stuck", "stuck after <EAGAIN>", ("It waits.",), ("epoll(7)",))


def _graded(folder: Path, static: Outcome, dynamic: Outcome, epoll: Outcome) -> None:
    """What a grading with these outcomes writes."""
    outcomes = (static, dynamic, epoll)
    results = [ItemResult(item, [Verdict(CHECKS[item.checks[0]], outcome)]) for item, outcome in zip(ITEMS, outcomes)]
    report = Report(folder.name, RUBRIC, 9, Isolation(True, True, True, True, None, ()), results)
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(gradescope(report)))


def _row(score: float | None, name: str = "one", **more: object) -> Row:
    return Row(name, "folder", score, {}, **more)  # type: ignore[arg-type]


def test_what_came_of_each_is_read_from_its_results(tmp_path: Path) -> None:
    _graded(tmp_path / "b", Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)
    _graded(tmp_path / "a", Outcome.PASSED, Outcome.PASSED, Outcome.ERROR)
    (tmp_path / "c").mkdir()
    folders = [(Path("/in/Bob.zip"), tmp_path / "b"), (Path("/in/anna"), tmp_path / "a"), (Path("/x"), tmp_path / "c")]
    anna, bob, x = roll.read(RUBRIC, folders).rows
    assert (anna.name, anna.score, anna.groups, anna.judged) == ("anna", 10, {"files": 9, "-mechanism": 1}, "in part")
    assert (bob.name, bob.score, bob.groups, bob.judged) == ("Bob.zip", 6, {"files": 6, "-mechanism": 0}, "yes")
    assert (bob.failed, bob.skipped, anna.failed) == ((DYNAMIC,), (EPOLL,), ())
    assert (x.name, x.score, x.judged) == ("x", None, "no")


def test_names_are_in_the_order_in_which_people_look_for_them() -> None:
    names = ["zoe", "Șerban", "ana", "Ștefan", "Sorin", "Țuțu", "Bob", "teo"]
    rows = roll.read(RUBRIC, [(Path("/in") / name, Path("/none")) for name in names]).rows
    assert [row.name for row in rows] == ["ana", "Bob", "Șerban", "Sorin", "Ștefan", "teo", "Țuțu", "zoe"]


def test_a_name_is_harmless_and_short() -> None:
    paths = (Path("/in") / ("x" * 200), Path("/in/y\n\x1b"))
    long, odd = roll.read(RUBRIC, [(path, Path("/none")) for path in paths]).rows
    assert long.name == "x" * (roll.NAME - 1) + "…"
    assert odd.name == r"y\n\x1b"


@pytest.mark.parametrize(
    "scores, counts, quartiles",
    [
        ([0, 2.4, 2.5, 9.5, 10, 10], [2, 1, 0, 3], (2.42, 6, 9.88)),
        ([7], [0, 0, 1, 0], (7, 7, 7)),
        ([1, 2, 3, 4, 5], [2, 2, 1, 0], (2, 3, 4)),
    ],
)
def test_distribution(scores: list[float], counts: list[int], quartiles: tuple[float, ...]) -> None:
    found = Roll(RUBRIC, (*map(_row, reversed(scores)), _row(None)))
    assert found.scores == scores
    assert found.histogram(4) == counts
    assert found.quartiles() == pytest.approx(quartiles, abs=0.006)


def test_checks_and_causes_are_counted_with_whose_they_are() -> None:
    rows = (_row(1, "a", failed=(STATIC, DYNAMIC), causes=(CAUSE,)), _row(2, "b", failed=(DYNAMIC,), skipped=(STATIC,)),
            _row(3, "c", skipped=(STATIC, EPOLL)), _row(4, "d", failed=(EPOLL,), causes=(CAUSE,)))  # fmt: skip
    found = Roll(RUBRIC, rows)
    assert [(id, [row.name for row in whose], skipped) for id, whose, skipped in found.by_check()] == [
        (DYNAMIC, ["a", "b"], 0), (EPOLL, ["d"], 1), (STATIC, ["a"], 2)]  # fmt: skip
    assert [(cause.id, [row.name for row in whose]) for cause, whose in found.by_cause()] == [("stuck", ["a", "d"])]


def test_the_csv_is_by_rfc_4180_and_no_cell_is_a_formula() -> None:
    rows = (Row('a "quoted", one', "a", 6.25, {"files": 6.25, "-mechanism": 0}), Row(EVIL, "e", None, {}, whole=False),
            Row("-1+1", "@x", 10, {"files": 9, "-mechanism": 1}))  # fmt: skip
    text = roll.marks(Roll(RUBRIC, rows))
    assert text.count("\r\n") == text.count("\n") == 4
    head, first, evil, last = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert head == ["submission", "folder", "judged", "score", "max_score", "files", "'-mechanism"]
    assert first == ['a "quoted", one', "a", "yes", "6.25", "10", "6.25", "0"]
    assert evil == [f"'{EVIL}", "e", "no", "", "10", "", ""]
    assert last == ["'-1+1", "'@x", "yes", "10", "10", "9", "1"]


class _Reader(html.parser.HTMLParser):
    """Elements of a page, and what a reader sees in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        assert shapes.page_breaches(text) == []
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.seen: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "hr", "col", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.seen.append(data)


def _page(rows: tuple[Row, ...], language: str = "en") -> tuple[str, _Reader]:
    text = class_page.render(Roll(RUBRIC, rows), load(language))
    return text, _Reader(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_marks_distribution_checks_and_causes(language: str) -> None:
    rows = (Row("Ana", "ana", 6.5, {"files": 6.5, "-mechanism": 0}, (EPOLL,), (), (CAUSE,)),
            Row("Bob", "bob dir", 10, {"files": 9, "-mechanism": 1}), _row(None, "Cy", whole=False))  # fmt: skip
    texts = load(language)
    _, page = _page(rows, language)
    seen = " ".join(page.seen)
    for part in (texts("class.title", n=3), texts("class.with_all", n=1), texts("class.not_judged", n=1),
                 texts("class.distribution"), texts.number(6.5), texts.check(CHECKS[EPOLL]), CAUSE.name,
                 texts("class.no_result")):  # fmt: skip
        assert part in seen
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == ["ana/page.html", "bob%20dir/page.html", "ana/page.html", "ana/page.html"]
    (root,) = [attributes for tag, attributes in page.elements if tag == "html"]
    assert root["lang"] == language
    # What a column is sorted by is a number where the column is one.
    cells = [attributes for tag, attributes in page.elements if tag == "td" and attributes.get("class") == "number"]
    assert [float(cell["data-by"] or "") for cell in cells] == [6.5, 6.5, 0, 1, 10, 9, 1, 0, -1, -1, -1, -1]


def test_nothing_that_a_submission_chooses_is_markup() -> None:
    cause = Cause("x", EVIL, (EVIL,), (EVIL,))
    row = Row(EVIL, 'a"><img src=x>', 1, {"files": 1, "-mechanism": 0}, (EPOLL,), (), (cause,))
    text, page = _page((row,))
    assert [tag for tag, _ in page.elements if tag in ("script", "img")] == ["script"]
    assert "<script>alert" not in text
    assert "\x1b" not in text and "\u202e" not in text


def test_a_class_of_a_thousand_who_all_fail_everything_is_a_page_that_opens() -> None:
    failed = tuple(check.id for check in CHECKS.values() if check.submission)
    rows = tuple(_row(0, "n" * roll.NAME, failed=failed, causes=(CAUSE,)) for _ in range(1000))
    text, page = _page(rows)
    assert len(text) < 4_000_000
    assert "and 940 more" in page.seen


def test_a_class_of_which_nobody_could_be_judged_has_a_page() -> None:
    _, page = _page((_row(None, whole=False),))
    assert "1 submission" in page.seen
    assert not [tag for tag, _ in page.elements if tag == "svg"]
