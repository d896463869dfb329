"""Failures as notes on the submission's own lines, where its repository's CI shows them: GitHub and GitLab.

GitHub reads workflow commands from what a step prints (docs.github.com, "Workflow commands for GitHub Actions"); GitLab
reads a file in the form of a Code Quality report (docs.gitlab.com, "Code Quality"). Both are meant for a student's
repository whose checkout is the working directory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .model import Check, Outcome
from .plain import cut
from .results import Report
from .submission import MAKEFILES
from .texts import load
from .told import Told

MOST = 10  # errors that GitHub shows of one step; more are dropped without a word
LENGTH = 1000  # characters of a note
PLACES = (".", "src", "skel")  # where a submission's Makefile may be (contract U1)


@dataclass(frozen=True)
class Note:
    """What is said of one failed check. `file` is relative to the working directory, "" where no place is known."""

    check: str
    file: str
    line: int
    title: str
    text: str


def notes(report: Report) -> list[Note]:
    """Of each check that failed one, the most costly first."""
    found: dict[str, tuple[Check, Told]] = {}
    for result in report.results:
        for verdict in result.all_verdicts:
            if verdict.outcome is Outcome.FAILED and verdict.told is not None:
                found.setdefault(verdict.check.id, (verdict.check, verdict.told))
    return [_note(report, *one) for one in sorted(found.values(), key=lambda one: -one[1].lost)]


def _note(report: Report, check: Check, told: Told) -> Note:
    texts = load(report.language)
    said = [told.done]
    if told.cause is not None:
        name, sentences = texts.cause(told.cause.id, told.cause.name, told.cause.sentences)
        said += [f"{name}. {' '.join(sentences)}"]
    text = "\n".join(line for one in (*said, told.again) for line in cut(one))
    file = _file(report.submission, told.frame.file) if told.frame else ""
    title = texts("report.annotation", n=told.lost, title=texts.check(check))
    return Note(told.check, file, told.frame.line if file and told.frame else 0, title,
                text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…")  # fmt: skip


def _file(submission: str, name: str) -> str:
    """The file as the repository knows it; "" where it is in an archive, or outside of the working directory."""
    path = PurePosixPath(os.path.relpath(Path(submission, name)))
    return str(path) if Path(submission).is_dir() and ".." not in path.parts else ""


# -- GitHub -----------------------------------------------------------------------------------------------------------


def github(report: Report) -> str:
    """Workflow commands, a line each: an error for each note, as many as GitHub shows; of the others their number."""
    return "".join(f"{line}\n" for line in _commands(report))


def _commands(report: Report) -> Iterator[str]:
    found = notes(report)
    for note in found[:MOST]:
        properties = {"file": note.file, "line": str(note.line)} if note.file else {}
        shown = ",".join(f"{key}={_property(value)}" for key, value in (properties | {"title": note.title}).items())
        yield f"::error {shown}::{_data(note.text)}"
    if len(found) > MOST:
        yield f"::notice::{_data(load(report.language)('report.more_failures', n=len(found) - MOST))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# -- GitLab -----------------------------------------------------------------------------------------------------------


def gitlab(report: Report) -> str:
    """A Code Quality report. It has no note without a place: where none is known, the Makefile's first line stands."""
    makefile = _makefile(report.submission)
    entries = [
        {
            "description": f"{note.title}: {note.text}",
            "check_name": note.check,
            # The same failure is the same entry in the next run, and is then told from a new one.
            "fingerprint": hashlib.sha256(f"{note.check}\0{note.file}".encode()).hexdigest(),
            "severity": "major",
            "location": {"path": note.file or makefile, "lines": {"begin": note.line or 1}},
        }
        for note in notes(report)
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _makefile(submission: str) -> str:
    """The submission's Makefile as the repository knows it; where it cannot be found, its most usual name."""
    names = [f"{place}/{name}" for place in PLACES for name in MAKEFILES if Path(submission, place, name).is_file()]
    return _file(submission, names[0]) or "Makefile" if names else "Makefile"
