"""The class page in a browser: readable light and dark, narrow and wide; its table sorts, by mouse and by keyboard."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from awskit import class_page
from awskit.grade import CHECKS
from awskit.misconceptions import table
from awskit.roll import Roll, Row
from awskit.rubric import load as load_rubric
from awskit.texts import load
from browser import Browser

LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
NAMES = ("Țuțu Bălan", "ana", "Șerban", "Bob", "zoe", "Ștefan")
SCORES = (72.5, None, 100.0, 9.25, 88.0, 72.5)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small class, in Romanian, with something of everything."""
    rubric = load_rubric("full", CHECKS)
    failed, causes = ("static.two_at_once", "pieces.two"), tuple(one.cause for one in table()[:2])
    rows = [
        Row(name, f"folder-{number}", score, dict.fromkeys(rubric.groups, 3.25) if score is not None else {},
            failed if score and score < 80 else (), ("mixed.two_at_once",), causes if number == 0 else (),
            whole=score is not None and number != 3)
        for number, (name, score) in enumerate(zip(NAMES, SCORES))
    ]  # fmt: skip
    rows.sort(key=lambda row: row.name.casefold())
    file = tmp_path_factory.mktemp("class") / "index.html"
    file.write_text(class_page.render(Roll(rubric, tuple(rows)), load("ro")), encoding="utf-8")
    return file


def _names(tab: Browser) -> list[str]:
    """The submissions in the order in which the table has them."""
    found = tab.evaluate("[...document.querySelectorAll('.marks tbody th')].map((cell) => cell.dataset.by)")
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_readable_asks_for_nothing_and_has_no_complaint(
    tab: Browser, page: Path, width: int, dark: bool
) -> None:
    tab.open_page(page, width=width, dark=dark)
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    seen = tab.evaluate(LOOK)
    assert {what: found for what, found in seen["problems"].items() if found} == {}
    assert tab.complaints() == []
    assert tab.requests() == [page.as_uri()]
    if keep := os.environ.get("PAGES"):
        tab.screenshot(Path(keep) / f"class-{width}-{'dark' if dark else 'light'}.png")


def test_it_sorts_by_each_column_and_says_how(tab: Browser, page: Path) -> None:
    tab.open_page(page, width=1200)
    by_name = ["ana", "Bob", "Șerban", "Ștefan", "Țuțu Bălan", "zoe"]
    press = "document.querySelectorAll('.marks thead button')[{}].click()"
    said = "[...document.querySelectorAll('.marks thead th')].map((one) => one.getAttribute('aria-sort'))"
    others = [None] * (tab.evaluate("document.querySelectorAll('.marks thead th').length") - 2)
    # Points: the most first, as one looks for them; those of whom there are none always count least.
    tab.evaluate(press.format(1))
    assert _names(tab)[0] == "Șerban" and _names(tab)[-2:] == ["Bob", "ana"]
    assert tab.evaluate(said) == [None, "descending", *others]
    tab.evaluate(press.format(1))
    assert _names(tab)[:2] == ["ana", "Bob"] and _names(tab)[-1] == "Șerban"
    assert tab.evaluate(said) == [None, "ascending", *others]
    # Names by the rules of the page's language, not by bytes.
    tab.evaluate(press.format(0))
    assert _names(tab) == by_name
    assert tab.evaluate(said) == ["ascending", None, *others]
    tab.evaluate(press.format(0))
    assert _names(tab) == by_name[::-1]
    assert tab.complaints() == []


def test_it_sorts_by_keyboard(tab: Browser, page: Path) -> None:
    tab.open_page(page, width=1200)
    for _ in range(10):
        tab.press("Tab", 9)
        if tab.evaluate("document.activeElement.matches('.marks thead th:nth-child(2) button')"):
            break
    else:
        pytest.fail("the column's button is not reached by the Tab key")
    assert float(tab.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")) >= 2
    tab.press("Enter", 13, "\r")
    assert _names(tab)[0] == "Șerban"


def test_without_a_script_it_is_in_the_order_of_names_and_has_no_dead_button(tab: Browser, page: Path) -> None:
    tab.open_page(page, width=1200, script=False)
    assert _names(tab) == sorted(NAMES, key=str.casefold)
    assert tab.evaluate("document.querySelectorAll('button').length") == 0


def test_printed_it_keeps_its_heads_and_is_unfolded(tab: Browser, page: Path) -> None:
    tab.open_page(page, width=800, media="print")
    heads = "[...document.querySelectorAll('.marks thead button')].map((one) => one.checkVisibility())"
    assert set(tab.evaluate(heads)) == {True}
    folded = "[...document.querySelectorAll('details > :not(summary)')].map((one) => one.checkVisibility())"
    assert set(tab.evaluate(folded)) == {True}
