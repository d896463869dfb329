"""What people and machines read of a grading: the list with marks, Gradescope's results.json, the journal.

Much of the text comes from the submission. It is shown with its control characters spelled out, cut, and never at the
start of a line, where a terminal or a CI runner could take it for a command.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from . import told_text
from .audience import as_seen
from .model import NOT_TRIED, Outcome, Verdict
from .plain import clean, cut
from .results import ItemResult, Report
from .rubric import Rubric
from .texts import Texts, load
from .told import to_json


def details(report: Report, result: ItemResult) -> Iterator[str]:
    """For each check of the item that did not pass: why, in short, and what there is to know; and all notes."""
    texts = load(report.language)
    for verdict in result.all_verdicts:
        if verdict.outcome is not Outcome.PASSED:
            yield f"{verdict.check.id} {texts(f'report.{verdict.outcome.value}')}: {reason(verdict, texts)}"
            if verdict.outcome is not Outcome.SKIPPED:
                yield from explanation(report, verdict)
        yield from (f"{verdict.check.id}: {texts('report.note')}: {cut(note)[0]}" for note in verdict.notes)


def reason(verdict: Verdict, texts: Texts) -> str:
    """Why it did not pass, in a line. That it was skipped for the sake of others is said in the reader's language."""
    first = cut(verdict.reason)[0]
    others = first.removeprefix(NOT_TRIED)
    return first if others == first else texts("report.not_tried", checks=others)


def explanation(report: Report, verdict: Verdict) -> Iterator[str]:
    """All there is to know of a verdict that is `failed` or `error`, beside its reason."""
    texts = load(report.language)
    if verdict.told is not None:
        yield from told_text.lines(verdict.told, texts)
        return
    for title, text in (("expected", verdict.expected), ("got", verdict.got), ("log", verdict.server_log)):
        yield from told_text.block(texts(f"failure.{title}"), "\n".join(cut(text)))


def table(report: Report, *, verbose: bool = False) -> str:
    """The list with marks, for a terminal; `verbose`: with every check and the seconds that it took."""
    texts = load(report.language)
    lines = [f"{texts('report.submission', path=clean(report.submission))}: {_headline(report)}"]
    lines += _surroundings(report)
    group = ""
    for number, result in enumerate(report.results):
        if result.item.group != group or not number:
            group = result.item.group
            mark = "/".join(f"{part:g}" for part in report.mark_of(group))
            lines += ["", *([f"     {mark:>9}  {texts.name(group).upper()}"] if group else [])]
        unknown = f"   ({texts('report.unknown_item')})" if result.unknown else ""
        lines.append(f"{result.item.number:3}  {_mark([result]):>9}  {texts.name(result.item.name)}{unknown}")
        if verbose:
            lines += [f"{'':16}{verdict.seconds:7.3f} s  {verdict.check.id} {verdict.outcome.value}"
                      for verdict in result.all_verdicts]  # fmt: skip
        lines += [f"{'':16}{line}" for line in details(report, result)]
    return "\n".join([*lines, "", *_end(report)]) + "\n"


def _headline(report: Report) -> str:
    return load(report.language)("report.headline", rubric=_title(report), seed=str(report.seed))


def _title(report: Report) -> str:
    return load(report.language).name(report.rubric.title)


def _end(report: Report) -> Iterator[str]:
    """The sum, and what is to be known of it."""
    texts = load(report.language)
    yield texts("report.sum", score=report.score, n=report.rubric.total, seconds=texts.seconds(report.seconds))
    if report.memory_seconds:
        yield texts("report.memory_seconds", seconds=texts.seconds(report.memory_seconds))
    if report.unknown:
        yield texts("report.unknown")


def _mark(results: Sequence[ItemResult]) -> str:
    return f"{sum(result.score for result in results):g}/{sum(result.max_score for result in results):g}"


def contents(rubric: Rubric, texts: Texts) -> str:
    """What a rubric holds, for a terminal."""
    lines = [f"{texts.name(rubric.title)}: {texts('report.points', n=rubric.total)}"]
    for item in rubric.items:
        worth = f"{item.points:g}" + (f" + {item.memory:g}" if item.memory else "")
        lines.append(f"{item.number:3}  {worth:>5}  {texts.name(item.name)} ({', '.join(item.checks)})")
    return "\n".join(lines) + "\n"


def _surroundings(report: Report) -> list[str]:
    texts = load(report.language)
    missing = [f"{texts('report.not_enforced')}: {clean(text)}" for text in report.isolation.missing]
    return missing or [texts("report.boxed")]


def gradescope(report: Report) -> dict[str, Any]:
    """The report in the shape of Gradescope's results.json; `extra_data` has every verdict as the checker knows it."""
    groups = {group: report.mark_of(group) for group in report.rubric.groups}
    return {
        "score": report.score,
        "execution_time": round(report.seconds, 3),
        "output": "\n".join([_headline(report), *_surroundings(report)]),
        "tests": [_test(report, result) for result in report.results],
        "extra_data": {
            "seed": report.seed,
            "language": report.language,
            "rubric": report.rubric.title,
            "max_score": report.rubric.total,
            "not_enforced": [clean(text) for text in report.isolation.missing],
            "notes": [cut(note)[0] for note in report.notes],
            "groups": {group: f"{score:g}/{most:g}" for group, (score, most) in groups.items()},
            "build_log": "\n".join(cut(report.build_log)),
        },
    }


def _test(report: Report, result: ItemResult) -> dict[str, Any]:
    texts = load(report.language)
    group = f"{texts.name(result.item.group)}: " if result.item.group else ""
    return {
        "number": str(result.item.number),
        "name": group + texts.name(result.item.name),
        "score": result.score,
        "max_score": result.max_score,
        "status": "passed" if result.score == result.max_score else "failed",
        "output": "\n".join(details(report, as_seen(report, result))),
        "visibility": result.item.visibility,
        "extra_data": {"group": result.item.group, "checks": [_record(verdict) for verdict in result.all_verdicts]},
    }


def _record(verdict: Verdict) -> dict[str, Any]:
    return record(verdict) | {"told": to_json(verdict.told) if verdict.told else None}


def record(verdict: Verdict) -> dict[str, Any]:
    """A verdict as data: a line of the journal."""
    return {
        "check": verdict.check.id,
        "outcome": verdict.outcome.value,
        "seconds": round(verdict.seconds, 3),
        "reason": "\n".join(cut(verdict.reason)),
        "expected": "\n".join(cut(verdict.expected)),
        "got": "\n".join(cut(verdict.got)),
        "notes": [clean(note) for note in verdict.notes],
        "cost": round(verdict.cost, 3),
    }


def journal_line(verdict: Verdict) -> str:
    """A verdict as one line of JSON."""
    return json.dumps(record(verdict), ensure_ascii=False) + "\n"
