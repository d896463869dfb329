"""Failures on the student's own lines: GitHub's workflow commands, GitLab's report, and nothing that obeys others."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import shapes
from awskit import annotate
from awskit.grade import CHECKS
from awskit.isolation import Isolation
from awskit.model import Outcome, Verdict
from awskit.results import ItemResult, Report
from awskit.rubric import Item, Rubric
from awskit.told import Told
from toldsample import told

CHECK = "pieces.static_slow_reader"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's checkout, in which the submission is `server/`, with its Makefile below `src/`."""
    (tmp_path / "server" / "src").mkdir(parents=True)
    (tmp_path / "server" / "src" / "Makefile").touch()
    (tmp_path / "server.zip").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _report(submission: str, *tellings: Told, language: str = "en") -> Report:
    checks = [CHECKS[one.check] for one in tellings]
    verdicts = [Verdict(check, Outcome.FAILED, told=one) for check, one in zip(checks, tellings)]
    item = Item(1, "one", 9, 0, tuple(check.id for check in checks), "visible")
    isolation = Isolation(True, True, True, True, None, ())
    return Report(submission, Rubric("One", (item,)), 9, isolation, [ItemResult(item, verdicts)], language=language)


def _parse(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as GitHub's runner reads it (actions/runner, ActionCommand.TryParseV2)."""
    match = re.fullmatch(r"::([a-z]+)(?: ([^\n]*?))?::([^\r\n]*)", line)
    assert match, line
    pairs = dict(pair.split("=", 1) for pair in match[2].split(",")) if match[2] else {}
    escapes = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
    for code, character in escapes:
        pairs = {key: value.replace(code, character) for key, value in pairs.items()}
    text = match[3].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    return match[1], pairs, text


def test_an_error_stands_on_the_line_in_the_repository(checkout: Path) -> None:
    (line,) = annotate.github(_report("server", told())).splitlines()
    command, properties, text = _parse(line)
    assert command == "error"
    assert properties == {"file": "server/aws.c", "line": "211", "title": f"{CHECKS[CHECK].title}: 3 points lost"}
    assert text.splitlines()[0] == told().done
    assert "stuck after the first EAGAIN. The socket's buffer was full" in text
    assert text.splitlines()[-1] == told().again


def test_the_working_directory_itself_may_be_the_submission(checkout: Path) -> None:
    for name in (".", str(checkout)):
        assert [note.file for note in annotate.notes(_report(name, told()))] == ["aws.c"]


@pytest.mark.parametrize("submission", ["server.zip", "/", ".."])
def test_where_the_repository_has_no_such_file_none_is_named(checkout: Path, submission: str) -> None:
    (line,) = annotate.github(_report(submission, told())).splitlines()
    assert set(_parse(line)[1]) == {"title"}


def test_no_text_of_a_submission_is_a_command_or_a_property_of_one(checkout: Path) -> None:
    evil = "x,line=1::y%0A::error::z\n::stop-commands::t\r%"
    frame = replace(told().frame, file=evil)  # type: ignore[type-var]
    found = annotate.github(_report("server", replace(told(), done=evil, again=evil, frame=frame)))
    (line,) = found.split("\n")[:-1]
    assert "\r" not in line
    _, properties, text = _parse(line)
    assert properties["file"] == f"server/{evil}"
    assert set(properties) == {"file", "line", "title"}
    assert text.startswith("x,line=1::y%0A::error::z\n::stop-commands::t\\x0d%\n")


def test_the_most_costly_come_first_and_what_github_would_drop_is_counted(checkout: Path) -> None:
    names = [check.id for check in CHECKS.values() if check.submission][: annotate.MOST + 3]
    tellings = [replace(told(), check=name, lost=float(number)) for number, name in enumerate(names)]
    lines = annotate.github(_report("server", *tellings)).splitlines()
    assert len(lines) == annotate.MOST + 1
    points = [re.search(r"([0-9]+) points", _parse(line)[1]["title"]) for line in lines[:-1]]
    assert [int(found[1]) for found in points if found] == list(range(annotate.MOST + 2, 2, -1))
    assert _parse(lines[-1]) == ("notice", {}, "3 more failures are in the report.")


def test_a_note_is_short(checkout: Path) -> None:
    (note,) = annotate.notes(_report("server", replace(told(), done="x" * 100_000)))
    assert len(note.text) <= annotate.LENGTH


def test_gitlabs_report_has_its_shape_and_a_place_for_each(checkout: Path) -> None:
    other = replace(told(), check="static.small_equal", frame=None, lost=1.0)
    data = json.loads(annotate.gitlab(_report("server", other, told())))
    assert shapes.breaches(data, "gitlab") == []
    assert [(one["check_name"], one["location"]["path"], one["location"]["lines"]["begin"]) for one in data] == [
        (CHECK, "server/aws.c", 211), ("static.small_equal", "server/src/Makefile", 1)]  # fmt: skip
    assert data[0]["fingerprint"] != data[1]["fingerprint"]
    again = json.loads(annotate.gitlab(_report("server", replace(told(), done="other bytes"))))
    assert again[0]["fingerprint"] == data[0]["fingerprint"]


def test_notes_are_in_the_readers_language(checkout: Path) -> None:
    (note,) = annotate.notes(_report("server", told(), language="ro"))
    assert note.title.endswith(": 3 puncte pierdute")


def test_who_lost_nothing_has_no_note(checkout: Path) -> None:
    assert annotate.github(_report("server")) == ""
    assert json.loads(annotate.gitlab(_report("server"))) == []
