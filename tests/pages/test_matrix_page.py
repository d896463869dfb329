"""The page of a fault matrix in a browser, and a picture that stands alone: readable light and dark, narrow, wide."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from awskit.cases import grid, matrix_page
from awskit.cases.drawing import svg
from awskit.cases.matrix import FAILURES, Judged, Mark, Matrix
from awskit.cases.play import Played
from awskit.model import Failure
from awskit.told import Moment, Told
from browser import Browser

LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
MARKS = list(Mark)


def _judged(number: int, cell: grid.Cell) -> Judged:
    """A cell; their marks go round."""
    mark, case = MARKS[number % len(MARKS)], cell.case(grid.EXCHANGES, 1)
    assert case is not None
    failure = Failure("GET /static/small.dat: 1 byte of body came", got="x" * 300, expected="2,217 bytes of body")
    played = Played(case, failure if mark in FAILURES else None)
    return Judged(cell, mark, None if mark is Mark.LEFT_OUT else case, played)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid with something of everything."""
    folder = tmp_path_factory.mktemp("matrix")
    case = grid.plain(["missing"], 1)
    unsound = {"missing": Played(case, Failure("GET /static/none.dat: status 200"))}
    cells = tuple(_judged(number, cell) for number, cell in enumerate(grid.cells()))
    file = folder / "grid.html"
    text = matrix_page.render(Matrix("class/a-folder", 1, unsound, cells), file, folder / "cases")
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_grid_is_readable_asks_for_nothing_and_has_no_complaint(
    tab: Browser, page: Path, width: int, dark: bool
) -> None:
    tab.open_page(page, width=width, dark=dark)
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    seen = tab.evaluate(LOOK)
    assert seen["texts"] > len(grid.cells())
    assert {what: found for what, found in seen["problems"].items() if found} == {}
    assert tab.complaints() == []
    assert tab.requests() == [page.as_uri()]
    if keep := os.environ.get("PAGES"):
        tab.screenshot(Path(keep) / f"matrix-{width}-{'dark' if dark else 'light'}.png")


def test_a_cell_is_told_apart_without_colours(tab: Browser, page: Path) -> None:
    tab.open_page(page, width=1280)
    shown = tab.evaluate("[...document.querySelectorAll('.matrix tbody td[class]')]"
                         ".map((cell) => [cell.className, cell.textContent])")  # fmt: skip
    assert {text for _, text in shown} == {mark.value for mark in Mark}
    assert len({tuple(one) for one in shown}) == len(Mark)


def test_it_is_whole_on_paper(tab: Browser, page: Path) -> None:
    """A printed page cannot be scrolled: the grid has the width of the sheet."""
    tab.open_page(page, width=1000, media="print")
    assert tab.evaluate("document.querySelector('.matrix').getBoundingClientRect().right <= innerWidth")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_picture_that_stands_alone_has_a_ground_of_its_own(tab: Browser, tmp_path: Path, dark: bool) -> None:
    """As a page shows it whose ground is the other one: an image, which nothing of the page reaches."""
    file = tmp_path / "picture.svg"
    moment = Moment(0.0, "server", "sendfile", "fd 7, 8,388,608", "EAGAIN", 0, "", True)
    told = Told("", "<A title>", (), 0, "", "", "", "", None, (moment,), 0, 0, True, "", None, None, "", "")
    file.write_text(svg(told), encoding="utf-8")
    tab.open_page(file, width=900, dark=dark)
    colours = tab.evaluate("['.sheet', '.title'].map((name) => getComputedStyle(document.querySelector(name)).fill)")
    sheet, ink = (sum(map(int, colour.strip("rgb()").split(","))) for colour in colours)
    assert (ink - sheet > 400) if dark else (sheet - ink > 400)
    assert tab.complaints() == []
