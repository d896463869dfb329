"""The twelve stories: their cases, lines, pictures and words are there and agree. `make stories` replays them all."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bugs import BUGS
from grading import ROOT, awscheck
from stories import STORIES, Story, stories

REPLAYED = ("D11", "D07-sendfile", "D39")
LIMIT = 16_000  # bytes of a picture
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("story", stories(), ids=lambda story: story.case.stem)
def test_a_story_agrees_with_its_case_its_sample_and_its_picture(story: Story) -> None:
    assert story.untrue_of_files() == []
    assert story.untrue_of_picture() == []
    assert re.search(r"^> .", story.text, re.MULTILINE), "it quotes nothing"


@pytest.mark.parametrize("story", stories(REPLAYED), ids=lambda story: story.case.stem)
def test_a_story_says_what_its_replay_says(story: Story) -> None:
    assert story.untrue_of_replay() == []


def test_there_are_twelve_and_no_picture_besides() -> None:
    assert [story.title.split(". ")[0] for story in stories()] == [str(number) for number in range(1, 13)]
    assert {story.picture for story in stories()} == set((BUGS / "stories").iterdir())
    assert STORIES.name in (ROOT / "README.md").read_text()


def test_what_is_untrue_is_found() -> None:
    """The comparison can fail, in each of its ways."""
    (story,) = stories(("D07-sendfile",))

    def but(old: str, new: str) -> Story:
        assert old in story.text
        return Story(story.title, story.text.replace(old, new), story.command)

    assert "the sample has no line" in but("conn_finish(c);", "conn_close(c);").untrue_of_files()[0]
    assert "its picture is another one" in but("![Each", "![All").untrue_of_files()[0]
    assert "does not show 'sendfile → 7'" in but("sendfile → 1,024", "sendfile → 7").untrue_of_picture()[0]
    other = tuple(word.replace("sendfile-once", "stop-ends-server") for word in story.command)
    assert "does not name stop-ends-server" in Story("", story.text, other).untrue_of_files()[0]


@pytest.mark.parametrize("story", stories(), ids=lambda story: story.case.stem)
def test_a_picture_stands_alone(story: Story) -> None:
    """It is small and well-formed, loads and runs nothing, and has a ground of its own, in light and in dark."""
    text = story.picture.read_text()
    assert len(text.encode()) < LIMIT
    tree = ElementTree.fromstring(text)
    assert tree.tag == f"{SVG}svg" and tree.find(f"{SVG}rect[@class='sheet']") is not None
    assert {one.tag.removeprefix(SVG) for one in tree.iter()} <= {
        "svg", "style", "rect", "text", "tspan", "line", "circle", "use", "path", "defs", "pattern", "title", "desc"
    }  # fmt: skip
    assert all(value.startswith("#") for one in tree.iter() for name, value in one.attrib.items() if "href" in name)
    style = "".join(one.text or "" for one in tree.iter(f"{SVG}style"))
    assert "prefers-color-scheme: dark" in style and "url(" not in style and "@import" not in style
    asked = set(re.findall(r"var\((--[a-z-]+)\)", style))
    assert asked <= set(re.findall(r"(--[a-z-]+): ", style))


HOSTILE = r'''
title = "</text><script>alert(1)</script>"
about = "A case from anybody. Its words are drawn, and do nothing."
rule = "S4"
steps = [
    { send = "GET /<b>&\"'\u001b]0;x\u0007 HTTP/1.0\r\n\r\n" },
    { answer = "any" },
]
'''


def test_no_text_of_a_case_becomes_an_element(tmp_path: Path) -> None:
    case = tmp_path / "case.toml"
    case.write_text(HOSTILE)
    done = awscheck("draw", case)
    assert done.code == 0, done.errors
    tree = ElementTree.fromstring(done.text)
    assert {one.tag for one in tree.iter()} & {f"{SVG}script", f"{SVG}b"} == set()
    assert "</text><script>alert(1)</script>" in {one.text for one in tree.iter(f"{SVG}text")}
    assert "\x1b" not in done.text


def test_what_cannot_be_drawn_is_told() -> None:
    assert awscheck("draw", BUGS / "D15-no-aio.toml").code == 2
    done = awscheck("draw", BUGS / "fifo-blocks.toml", "--client", "nobody")
    assert done.code == 2 and "there is no client nobody; there are first, other" in done.errors
    assert awscheck("draw", Path(sys.executable)).code == 2
