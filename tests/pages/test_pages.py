"""Pages as a browser shows them: light and dark, on a telephone and on a desk, by keyboard, printed, without script.

`make pages` runs this; it needs Debian's chromium.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from browser import Browser

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "fixtures" / "submissions"
LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
# Failures that look different: a transfer cut short, the wrong bytes, a signal, faults of the checker, memory.
FAILING = ("eagain-ends-dynamic", "buffers-from-start", "sigpipe-kills", "head-sent-once", "buffers-never-freed")


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each failing sample, graded for what it fails, in one of the languages each."""
    folder, found = tmp_path_factory.mktemp("pages"), {}
    for number, name in enumerate(FAILING):
        subprocess.run([SAMPLES / "unfold", name, folder / name], check=True)
        with (SAMPLES / "defect" / name / "expected.toml").open("rb") as stream:
            fails = tomllib.load(stream)["fails"]
        found[name] = folder / f"{name}.html"
        line = [sys.executable, ROOT / "checker" / "awscheck", "grade", folder / name, "--rubric", "full"]
        line += ["--seed", "3", "--lang", ("en", "ro")[number % 2], "--html", found[name], "--only", *fails]
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode == 1, done.stdout + done.stderr
    if keep := os.environ.get("PAGES"):  # where to put the pages and their pictures, for a look at them
        for name, page in found.items():
            (Path(keep) / f"{name}.html").write_bytes(page.read_bytes())
    return found


@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_is_readable_asks_for_nothing_and_has_no_complaint(
    tab: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    tab.open_page(pages[name], width=width, dark=dark)
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    seen = tab.evaluate(LOOK)
    assert seen["texts"] > 30
    assert {what: found for what, found in seen["problems"].items() if found} == {}
    assert tab.evaluate("document.querySelectorAll('.failure').length") >= 1
    lines = tab.evaluate("[...document.querySelectorAll('.again .option')].map((one) => one.getClientRects().length)")
    assert set(lines) == {1}, "an option of the command is broken at its hyphens"
    assert tab.complaints() == []
    assert tab.requests() == [pages[name].as_uri()]
    if keep := os.environ.get("PAGES"):
        tab.screenshot(Path(keep) / f"{name}-{width}-{'dark' if dark else 'light'}.png")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_what_folds_opens_and_closes_by_keyboard_with_the_focus_to_be_seen(
    tab: Browser, pages: dict[str, Path], script: bool
) -> None:
    tab.open_page(pages["eagain-ends-dynamic"], width=1200, script=script)
    assert tab.evaluate("document.querySelector('.failures details').open") is True
    for _ in range(20):
        tab.press("Tab", 9)
        if tab.evaluate("document.activeElement.matches('.failures > li > details > summary')"):
            break
    else:
        pytest.fail("no failure is reached by the Tab key")
    assert float(tab.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")) >= 2
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for wanted in (False, True):
        tab.press("Enter", 13, "\r")
        assert tab.evaluate("document.querySelector('.failures details').open") is wanted


def test_a_button_opens_all_and_closes_all_and_there_is_none_without_script(
    tab: Browser, pages: dict[str, Path]
) -> None:
    opened = "[...document.querySelectorAll('main details')].filter((one) => one.open).length"
    tab.open_page(pages["eagain-ends-dynamic"], width=1200)
    everything = tab.evaluate("document.querySelectorAll('main details').length")
    assert 0 < tab.evaluate(opened) < everything
    for wanted in (everything, 0):
        tab.evaluate("document.querySelector('button[data-does=fold]').click()")
        assert tab.evaluate(opened) == wanted
    tab.open_page(pages["eagain-ends-dynamic"], width=1200, script=False)
    assert tab.evaluate("[...document.querySelectorAll('button')].filter((one) => one.checkVisibility()).length") == 0


def test_printed_everything_is_unfolded_even_without_script(tab: Browser, pages: dict[str, Path]) -> None:
    folded = (
        "[...document.querySelectorAll('details:not([open]) > :not(summary)')].map((one) => one.checkVisibility())"
    )
    tab.open_page(pages["eagain-ends-dynamic"], width=800, script=False)
    assert set(tab.evaluate(folded)) == {False}
    tab.open_page(pages["eagain-ends-dynamic"], width=800, script=False, media="print")
    assert set(tab.evaluate(folded)) == {True}
    assert tab.evaluate(LOOK)["problems"]["pale"] == []


def test_a_link_to_a_failure_opens_it(tab: Browser, pages: dict[str, Path]) -> None:
    tab.open_page(pages["eagain-ends-dynamic"], width=1200)
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = false; })")
    target = tab.evaluate("document.querySelector('.failures details').id")
    opened = tab.evaluate(
        "new Promise((done) => { addEventListener('hashchange', () => done("
        f"document.getElementById({json.dumps(target)}).open)); location.hash = {json.dumps(target)}; }})"
    )
    assert opened is True


@pytest.mark.parametrize("name", FAILING)
def test_who_does_not_see_the_page_hears_what_it_shows(tab: Browser, pages: dict[str, Path], name: str) -> None:
    tab.open_page(pages[name], width=1200)
    nodes = [node for node in tab.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
    for role in ("image", "img", "button", "heading", "link", "DisclosureTriangle"):
        assert [name for found, name in named if found == role and not name.strip()] == []
    roles = {role for role, _ in named}
    assert {"main", "heading", "table"} <= roles
    assert roles & {"image", "img"}


def test_nothing_moves_for_who_does_not_want_it(tab: Browser, pages: dict[str, Path]) -> None:
    tab.open_page(pages["eagain-ends-dynamic"], width=1200)
    moving = (
        "[...document.querySelectorAll('*')]"
        ".flatMap((one) => ['', '::before'].map((part) => getComputedStyle(one, part)))"
        ".filter((style) => parseFloat(style.transitionDuration) > 0 || style.animationName !== 'none').length"
    )
    assert tab.evaluate(moving) == 0
