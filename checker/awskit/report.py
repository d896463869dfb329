"""What people and machines read of a grading: the list with marks, Gradescope's results.json, the journal.

Much of the text comes from the submission. It is shown with its control characters spelled out, cut, and never at the
start of a line, where a terminal or a CI runner could take it for a command.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from collections.abc import Iterator
from typing import Any

from .grade import ItemResult, Report
from .model import Outcome, Verdict

LINES = 24  # of one text that a report shows
WIDTH = 400  # characters of one line of it

_WORDS = {Outcome.FAILED: "failed", Outcome.SKIPPED: "skipped", Outcome.ERROR: "ERROR, costs nothing"}


def clean(text: str) -> str:
    """Text that does nothing but stand there: control and format characters (also those that turn the direction of
    writing) as \\xHH or \\uHHHH; line feeds and tabs stay."""
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        else f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
        for character in text
    )


def cut(text: str) -> list[str]:
    """The lines of `text`, cleaned, so many that a person reads them; says where something is left out."""
    lines = clean(text).strip("\n").split("\n")
    if len(lines) > LINES:
        half = LINES // 2
        lines = [*lines[:half], f"[… {len(lines) - 2 * half} lines left out …]", *lines[-half:]]
    return [line if len(line) <= WIDTH else f"{line[:WIDTH]}[… {len(line) - WIDTH} more]" for line in lines]


def details(report: Report, result: ItemResult) -> Iterator[str]:
    """For each check of the item that did not pass: why, in short, and what there is to know."""
    for verdict in result.all_verdicts:
        if verdict.outcome is Outcome.PASSED:
            continue
        yield f"{verdict.check.id} {_WORDS[verdict.outcome]}: {cut(verdict.reason)[0]}"
        if verdict.outcome is Outcome.SKIPPED:
            continue
        for title, text in (("expected", verdict.expected), ("got", verdict.got), ("likely", verdict.likely),
                            ("exchange", verdict.exchange), ("the server said", verdict.server_log)):  # fmt: skip
            if text.strip():
                yield from _block(title, text)
        if verdict.outcome is Outcome.FAILED:
            yield f"  rule {', '.join(verdict.check.rules)} of the contract; again: {_again(report, result)}"


def _block(title: str, text: str) -> Iterator[str]:
    lines = cut(text)
    if len(lines) == 1:
        yield f"  {title}: {lines[0]}"
    else:
        yield f"  {title}:"
        yield from (f"    | {line}" for line in lines)


def _again(report: Report, result: ItemResult) -> str:
    return clean(f"awscheck grade {shlex.quote(report.submission)} --seed {report.seed} --only {result.item.number}")


def table(report: Report) -> str:
    """The list with marks, for a terminal."""
    lines = [f"{clean(report.submission)}: {report.rubric.title}, seed {report.seed}", *_surroundings(report), ""]
    for result in report.results:
        mark = f"{result.score:g}/{result.max_score:g}"
        unknown = "   (not all of it could be judged)" if result.unknown else ""
        lines.append(f"{result.item.number:3}  {mark:>5}  {result.item.name}{unknown}")
        lines += [f"            {line}" for line in details(report, result)]
    lines += ["", f"{report.score:g} of {report.rubric.total:g} points in {report.seconds:.1f} s"]
    if report.unknown:
        lines.append("Some could not be judged, through no fault of the submission; they count as earned.")
    return "\n".join(lines) + "\n"


def _surroundings(report: Report) -> list[str]:
    missing = [f"not enforced here: {clean(text)}" for text in report.isolation.missing]
    return missing or ["built and run in a box of its own: no network, no files of this machine, limited"]


def gradescope(report: Report) -> dict[str, Any]:
    """The report in the shape of Gradescope's results.json; `extra_data` has every verdict as the checker knows it."""
    return {
        "score": report.score,
        "execution_time": round(report.seconds, 3),
        "output": "\n".join([f"{report.rubric.title}, seed {report.seed}", *_surroundings(report)]),
        "tests": [_test(report, result) for result in report.results],
        "extra_data": {
            "seed": report.seed,
            "rubric": report.rubric.title,
            "max_score": report.rubric.total,
            "not_enforced": [clean(text) for text in report.isolation.missing],
            "build_log": "\n".join(cut(report.build_log)),
        },
    }


def _test(report: Report, result: ItemResult) -> dict[str, Any]:
    return {
        "number": str(result.item.number),
        "name": result.item.name,
        "score": result.score,
        "max_score": result.max_score,
        "status": "passed" if result.score == result.max_score else "failed",
        "output": "\n".join(details(report, result)),
        "visibility": result.item.visibility,
        "extra_data": {"checks": [record(verdict) for verdict in result.all_verdicts]},
    }


def record(verdict: Verdict) -> dict[str, Any]:
    """A verdict as data: a line of the journal."""
    return {
        "check": verdict.check.id,
        "outcome": verdict.outcome.value,
        "seconds": round(verdict.seconds, 3),
        "reason": "\n".join(cut(verdict.reason)),
        "expected": "\n".join(cut(verdict.expected)),
        "got": "\n".join(cut(verdict.got)),
        "likely": "\n".join(cut(verdict.likely)),
    }


def journal_line(verdict: Verdict) -> str:
    """A verdict as one line of JSON."""
    return json.dumps(record(verdict), ensure_ascii=False) + "\n"
