"""What was observed of a failure, as facts: name → words. Patterns of misconceptions are written in these (see the head
of misconceptions.toml, which lists them).

A fact is there only where it was seen: what nobody observed fits no pattern. Nothing here knows a submission's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace

from .model import Evidence, Failure, Verdict
from .reply import Reply
from .transcript import Transcript
from .tree import KINDS, KIB, MIB

Facts = dict[str, frozenset[str]]

# All that there are; misconceptions.toml says what each is.
NAMES = frozenset({
    "check", "reason", "ended", "asleep", "answer", "answered", "ending", "side", "body", "bytes", "came", "missing",
    "size", "mixed", "length", "field", "status_line", "kind", "method", "target", "version", "request", "pieces",
    "over", "cut", "client", "fault", "left_open", "finding", "in", "port", "flags", "read_by", "submitted", "reported",
})  # fmt: skip

_REQUEST = re.compile(rb"([A-Z]+) (/?(\w*)[^ ]*) HTTP/(\d\.\d)\r\n")
_HEAD_END = b"\r\n\r\n"


def gathered(failure: Failure) -> Evidence:
    """The evidence of a failure and of those that it was made of: of each thing what the outermost knows."""
    found, evidence = [], Evidence()
    cause: BaseException | None = failure
    while cause is not None and len(found) < 8:
        found.append(cause.evidence if isinstance(cause, Failure) else Evidence())
        cause = cause.__cause__
    for one in reversed(found):
        known = {field.name: value for field in fields(one) if (value := getattr(one, field.name))}
        evidence = replace(evidence, **known)
    return evidence


def transcript_of(evidence: Evidence) -> Transcript | None:
    """The connection that failed; where the failure is about no single one, the last that the check made."""
    if evidence.reply is not None:
        return evidence.reply.transcript
    return evidence.transcripts[-1] if evidence.transcripts else None


def of(verdict: Verdict) -> Facts:
    """The facts of a verdict that is `failed`."""
    assert verdict.failure is not None, "only a failure has facts"
    evidence = gathered(verdict.failure)
    found: dict[str, set[str]] = {}
    for name, word in _all(verdict, verdict.failure, evidence):
        if word:
            found.setdefault(name, set()).add(word)
    return {name: frozenset(words) for name, words in found.items()}


def _all(verdict: Verdict, failure: Failure, evidence: Evidence) -> Iterator[tuple[str, str]]:
    yield "check", verdict.check.id
    yield "reason", failure.reason
    yield from ((name, word) for name, words in evidence.words.items() for word in words)
    yield "ended", evidence.ended or "no"
    yield from (("asleep", name) for name in evidence.asleep)
    yield from (("fault", fault) for fault in evidence.faults)
    yield "finding", evidence.finding
    yield "mixed", evidence.mixed_with
    yield "side", evidence.side
    if evidence.place:
        yield "in", evidence.place[2]
    yield "answered", _answered(failure, evidence)
    if evidence.reply is not None:
        yield from _of_reply(evidence.reply)
    elif evidence.transcripts:
        yield from _of_request(bytes(evidence.transcripts[-1].sent))
        yield "client", evidence.transcripts[-1].events[-1].call


def _answered(failure: Failure, evidence: Evidence) -> str:
    """Whether a byte came back for the request that the check is about, or the end without one; "" where the client did
    not wait for that. Where a plain request afterwards is what failed, it is the one before that."""
    asked = [transcript for transcript in evidence.transcripts if transcript.sends]
    if evidence.reply is not None and failure.evidence.reply is None:
        asked = [transcript for transcript in asked if transcript is not evidence.reply.transcript]
    elif evidence.reply is not None and evidence.reply.transcript is not None:
        asked = [evidence.reply.transcript]
    if not asked:
        return ""
    calls = {event.call for event in asked[-1].events}
    return "yes" if "receive" in calls else "no" if "end" in calls else ""


def _of_request(sent: bytes) -> Iterator[tuple[str, str]]:
    yield "request", "none" if not sent else "whole" if _HEAD_END in sent else "begun"
    yield from (("over", str(size)) for size in (512, 8192) if len(sent) > size)
    if found := _REQUEST.match(sent):
        yield "method", found[1].decode()
        yield "version", found[4].decode()
        yield "kind", found[3].decode() if found[3].decode() in KINDS else "other"
        yield "target", found[2].decode("latin-1")


def _of_reply(reply: Reply) -> Iterator[tuple[str, str]]:
    yield "answer", "nothing" if reply.empty else "no head" if reply.head is None else str(reply.status)
    yield "ending", reply.ending.name.lower()
    if "busy" in reply.why:
        yield "ending", "busy"
    if "sleeps" in reply.why:
        yield "ending", "asleep"
    if reply.transcript is not None:
        yield from _of_request(bytes(reply.transcript.sent))
        yield "pieces", str(reply.transcript.sends)
        yield "cut", _first_cut(reply.transcript)
        calls = {event.call for event in reply.transcript.events}
        yield from (("client", call) for call in calls & {"reset", "half-close"})
    if reply.head is not None:
        yield from (("field", f"{name}: {value}") for name, value in reply.head.fields)
        yield from _of_length(reply)
        if reply.head.reason or reply.head.faults:
            yield "status_line", reply.raw_head.split(b"\r\n")[0].decode("latin-1")
    elif not reply.empty:
        yield from _of_headless(reply)
    if reply.wanted is not None:
        yield from _of_body(reply)
    elif reply.head is not None:
        yield "bytes", "some" if reply.length else "none"


def _first_cut(transcript: Transcript) -> str:
    """In which part of the request its first piece ended; "" where it is one piece, or no request."""
    sent, first = bytes(transcript.sent), next((event for event in transcript.events if event.call == "send"), None)
    ends = [place for mark in (b" ", b" HTTP/", b"\r\n") if (place := sent.find(mark)) >= 0]
    if transcript.sends < 2 or first is None or len(ends) < 3:
        return ""
    parts = ("method", "target", "version", "fields")
    return parts[sum(first.count > end for end in ends)]


def _of_length(reply: Reply) -> Iterator[tuple[str, str]]:
    """What Content-Length says, beside what is right and what came."""
    assert reply.head is not None
    said, text = reply.head.content_length, reply.head.field("content-length")
    if said is None:
        yield "length", "missing" if text is None else "negative" if text.startswith("-") else "no number"
        return
    if reply.wanted is not None:
        size = reply.wanted.size
        yield "length", "right" if said == size else "too large" if said > size else "too small"
    yield "length", "as announced" if said == reply.length else "more came" if said < reply.length else "less came"


def _of_headless(reply: Reply) -> Iterator[tuple[str, str]]:
    """What came instead of a response head."""
    if reply.raw_head.startswith(b"HTTP/"):
        yield "answer", "head without end"


def _of_body(reply: Reply) -> Iterator[tuple[str, str]]:
    """The body beside the file."""
    size = reply.wanted.size if reply.wanted else 0
    yield "size", _measure(size)
    if reply.length == size and reply.difference is None:
        yield "body", "whole"
    elif reply.difference is not None:
        yield "body", "differs" if reply.difference.expected else "too long"
    else:
        yield "body", "none" if not reply.length else "short"
        yield "came", _measure(reply.length)
        yield "missing", _measure(size - reply.length)
        if reply.length == size - len(reply.raw_head):
            yield "missing", "as much as the head"
    if reply.length > size:
        yield "body", "too long"
        yield "came", "twice" if size and reply.length == 2 * size else _measure(reply.length)


def _measure(count: int) -> str:
    """A number of bytes as programmers think of it: a power of two, or so many KiB or MiB, where it is one."""
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if count and count % unit == 0:
            return f"{count // unit} {name}"
    return str(count)
