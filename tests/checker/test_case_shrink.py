"""Shrinking: what is left fails alike, holds on the reference, and no part of it can go."""

from __future__ import annotations

from pathlib import Path

from awskit.cases.read import parse, read
from bugs import SAMPLES
from grading import awscheck

# One step of these matters, and one place of its split.
FAT = """\
title = "Much that does not matter"
about = "A file, a crowd and a request in many pieces. One of the pieces ends in the middle of the target."
rule = "S4"

steps = [
    { client = "first", get = "/dynamic/b.dat" },
    { client = "first", answer = 200 },
    { client = "crowd", connect = 3 },
    { client = "crowd", get = "/static/a.dat" },
    { client = "crowd", answer = 200 },
    { client = "one", send = "GET /static/a.dat HTTP/1.1\\r\\nHost: a\\r\\nX: y\\r\\n\\r\\n", split = [14, 30] },
    { client = "one", answer = 200, file = "/static/a.dat" },
]

[files]
"/static/a.dat" = 20480
"/dynamic/b.dat" = 10000
"""


def shrink(tmp_path: Path, *more: str, text: str = FAT) -> tuple[int, str, Path]:
    """Shrink it on a server that overwrites one piece of the target by the next; exit code, what was said, the case."""
    (tmp_path / "fat.toml").write_text(text)
    small = tmp_path / "small.toml"
    server = SAMPLES / "defect" / "url-piece-overwrites"
    done = awscheck("shrink", tmp_path / "fat.toml", "--server", server, "--out", small, *more)
    return done.code, done.errors, small


def test_only_what_matters_is_left(tmp_path: Path) -> None:
    code, said, small = shrink(tmp_path)
    assert code == 0, said
    case = read(small)
    assert [type(step).__name__ for step in case.steps] == ["Send", "Answer"]
    assert case.steps[0].data == b"GET /static/a.dat HTTP/1.1\r\n\r\n" and case.steps[0].split == (14,)
    assert case.files[0][1].size == 0 and len(case.files) == 1
    assert "removed: client crowd" in said and "steps 7 -> 2" in said and "no part of it can go" in said
    server = SAMPLES / "defect" / "url-piece-overwrites"
    assert [awscheck("replay", small, "--server", server).code, awscheck("replay", small).code] == [1, 0]


def test_it_ends_when_the_time_is_over(tmp_path: Path) -> None:
    code, said, small = shrink(tmp_path, "--seconds", "1")
    assert code == 0 and "the time is over" in said, said
    assert len(read(small).steps) < len(parse(FAT, "fat.toml").steps)


def test_a_case_that_holds_is_not_shrunk(tmp_path: Path) -> None:
    code, said, small = shrink(tmp_path, text=FAT.replace("split = [14, 30]", "split = [30]"))
    assert code == 2 and "it holds on" in said and not small.exists()


def test_a_case_that_is_wrong_itself_is_not_shrunk(tmp_path: Path) -> None:
    code, said, small = shrink(tmp_path, text=FAT.replace("answer = 200", "answer = 201"))
    assert code == 2 and "it fails on the reference, too" in said and not small.exists()
