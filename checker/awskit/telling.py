"""Makes of a verdict that is `failed` all that is said of it (told.py): bounded, clean, and with a cause only where the
evidence shows one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import calls, facts, misconceptions, moments, source
from .model import Evidence, Verdict
from .plain import clean, cut
from .reply import Reply
from .retrace import Second
from .sanitizer import Finding
from .told import BEFORE, SIDE, Cause, Difference, Frame, Moment, Told

# valgrind's words for what it finds, and one of ours (valgrind.py); a sanitizer's are English.
FOUND = {
    "Leak_DefinitelyLost": "what is allocated here is never freed",
    "InvalidRead": "memory is read here that is not there",
    "InvalidWrite": "memory is written here that is not there",
    "UsedAfterFree": "memory is used here that was freed before",
    "InvalidFree": "what is freed here was not allocated, or freed before",
    "MismatchedFree": "what is freed here was allocated in another way",
    "Overlap": "what is copied here overlaps",
    "UninitCondition": "what is decided here depends on a value that was never set",
    "UninitValue": "what is done here depends on a value that was never set",
    "SyscallParam": "the kernel is given a value here that was never set",
}
# What a program says that ends itself by the course's DIE(), or by assert(3): where that stands.
_LAST_WORDS = (
    re.compile(r"^\(([^\s():,]{1,200}), (\d{1,7})\): .*$", re.MULTILINE),
    re.compile(r"^[^\n:]*: ([^\s:]{1,200}):(\d{1,7}): .*Assertion.*$", re.MULTILINE),
)
WAITS, SPINS = "the call in which it waits", "here it spends its CPU time"
FAILS = "the call at which it went wrong"
LEFT_OPEN = "what is opened here is not closed again"
CALLERS = 4  # functions of which the names are told, the innermost among them
LOG_LINES = 12
TEXT_LINES = 12


Place = tuple[str, int, str]  # file, line, function


@dataclass(frozen=True)
class Grading:
    """What a failure is told with: how to have it again, and where the submission's source is."""

    submission: str
    rubric: str  # its name, "" where it has none
    seed: int
    source: Path | None = None
    binary: str = "aws"  # relative to `source`
    locate: Callable[[Sequence[int]], tuple[Place, ...]] = lambda _: ()  # the lines of addresses that have one


def tell(
    verdict: Verdict,
    grading: Grading,
    item: int,
    lost: float,
    second: Second | None = None,
    crash: Finding | None = None,
) -> Told:
    """All that is said of this failure, by which the item of this number, with others perhaps, loses `lost` points.
    `second` is a second run of its check, under strace, that failed alike; `crash` what a sanitizer says of a third."""
    assert verdict.failure is not None, "only a failure is told"
    evidence = facts.gathered(verdict.failure)
    shown, left_out, gap = moments.in_order(second.moments if second else _moments(evidence))
    return Told(
        check=verdict.check.id,
        title=verdict.check.title,
        rules=verdict.check.rules,
        lost=lost,
        done=" ".join(cut(verdict.reason, 4)),
        got=_text(verdict.got),
        expected=_text(verdict.expected),
        ending=clean(_ending(evidence)),
        difference=_difference(evidence.reply) if evidence.reply else None,
        moments=shown,
        moments_cut=left_out,
        moments_gap=gap,
        traced=second is not None or evidence.seen is not None,
        exchange=_text(verdict.exchange, 24),
        cause=_cause(facts.of(verdict) | (second.facts if second else {}), crash),
        frame=_frame(verdict, evidence, grading, crash) or _frame_of_call(second, evidence, grading),
        again=_again(verdict, grading, item),
        log=_text(evidence.log or verdict.server_log, LOG_LINES),
    )


def _cause(known: facts.Facts, crash: Finding | None) -> Cause | None:
    """The misconception; what a sanitizer says counts where nothing else shows one."""
    found = misconceptions.recognise(known)
    return found or (misconceptions.recognise({"finding": frozenset([crash.kind])}) if crash else None)


def _text(text: str, lines: int = TEXT_LINES) -> str:
    return "\n".join(cut(text, lines))


def _ending(evidence: Evidence) -> str:
    """How the connection ended, and the server's process, if it did."""
    words = [evidence.reply.end] if evidence.reply else []
    words += [f"the server's process had ended: {evidence.ended}"] if evidence.ended else []
    return "; ".join(words)


def _difference(reply: Reply) -> Difference | None:
    """Where the body stops being the file: a byte that differs, or its end. None where nothing is wrong with it, or
    where not a byte of it came."""
    if reply.wanted is None or reply.status != 200:
        return None
    if reply.difference is not None:
        offset, got = reply.difference.offset, reply.difference.got
    elif 0 < reply.length < reply.wanted.size:
        offset, got = reply.length, b""
    else:
        return None
    begins = max(0, offset - BEFORE)
    same = reply.wanted.read(begins, offset - begins)  # up to there both sides are equal
    return Difference(offset, begins, (same + got)[:SIDE], reply.wanted.read(begins, SIDE))


def _moments(evidence: Evidence) -> list[Moment]:
    """What the failing connection's client did, or the last one's where it is not about one."""
    if evidence.seen is not None:
        return list(calls.moments_of(evidence.seen))
    transcript = facts.transcript_of(evidence)
    if transcript is None:
        return []
    found = moments.of_client(transcript)
    return moments.of_faults(evidence.faults, found[0].at) + found + moments.of_end(evidence.ended, found[-1].at)


def _frame(verdict: Verdict, evidence: Evidence, grading: Grading, crash: Finding | None) -> Frame | None:
    """Where a memory checker or the compiler found it; or the call in which the server waits, which it should not; or
    where it spins."""
    if grading.source is None:
        return None
    said = [found for pattern in _LAST_WORDS for found in pattern.finditer(evidence.log)] if evidence.ended else []
    if crash is not None and crash.place is not None:
        return source.frame(grading.source, grading.binary, crash.place, f"AddressSanitizer: {crash.kind}")
    if evidence.place is None and said:
        return source.frame(grading.source, grading.binary, (said[-1][1], int(said[-1][2]), ""), said[-1][0])
    if evidence.place is not None:
        what = FOUND.get(evidence.finding, evidence.finding) or verdict.reason.rpartition(" error: ")[2]
        return source.frame(grading.source, grading.binary, evidence.place, what)
    why = f"{verdict.reason} {evidence.reply.why if evidence.reply else ''}"
    spins = "running" in evidence.asleep
    names = ", ".join(name for name in evidence.asleep if not name.startswith("epoll"))
    shows = ("CPU time" if spins else "server sleeps") in why and not evidence.ended
    if not shows or not (spins or names) or not (places := grading.locate(evidence.stack)):
        return None
    return source.frame(grading.source, grading.binary, places[0], SPINS if spins else f"{WAITS}: {names}")


def _frame_of_call(second: Second | None, evidence: Evidence, grading: Grading) -> Frame | None:
    """Where the call was made at which it went wrong, and which functions had been called for that."""
    if second is None or second.wrong is None or grading.source is None:
        return None
    if not (places := grading.locate(second.stack)):
        return None
    callers = ", ".join(function for _, _, function in places[1:CALLERS])
    what = f"{LEFT_OPEN if 'left_open' in evidence.words else FAILS}: {calls.name_of(second.wrong)}"
    what += f", called by {callers}" if callers else ""
    return source.frame(grading.source, grading.binary, places[0], what)


def _again(verdict: Verdict, grading: Grading, item: int) -> str:
    """The command line. The points for memory have no check of their own name: there the item is named."""
    name = str(item) if verdict.check.id.removeprefix("memory.").isdecimal() else verdict.check.id
    rubric = f" --rubric {shlex.quote(grading.rubric)}" if grading.rubric else ""
    what = f"--seed {grading.seed} --only {name}"
    return clean(f"checker/awscheck grade {shlex.quote(grading.submission)}{rubric} {what}")
