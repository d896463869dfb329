"""What a case expects of an answer, and what is said of one that is otherwise. The words are judge.py's."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..bench import Bench
from ..client import Client
from ..reply import Ending, Reply
from ..tree import Content
from .case import Answer
from .contents import Watch

BEGIN = b"HTTP/1."  # of every answer


@dataclass
class Line:
    """One connection of a client: what was asked for on it, what the file was then, what was read ahead."""

    client: Client
    narrow: bool = False
    asked: str = ""
    content: Content | None = None
    by_get: bool = False
    ahead: list[bytes] = field(default_factory=list)
    told: int = 0  # parts of its transcript that belong to earlier steps


def expect_end(bench: Bench, client: Client, reply: Reply, most: int) -> None:
    """All that was announced comes (`most` bytes of it are waited for), and when the server goes to sleep then, it has
    closed the connection: one that does so by a timer, or when the client does, has not."""
    announced = reply.head.content_length or 0 if reply.head else 0
    body = client.receive_exactly(min(announced, most))
    bench.wait_idle("the answer has come whole")
    if not client.has_answer():
        bench.fail(
            reply,
            "the answer came whole, the server sleeps, and the connection is open",
            got=Ending.OPEN.value,
            expected="the connection is closed by the server (FIN) after its one answer",
        )
    client.push_back(body)


def judge_head(bench: Bench, step: Answer, line: Line, reply: Reply) -> None:
    """What the step expects of the head, of which alone is known."""
    done = f"the head of the answer to {line.asked or 'what was sent'}"
    if isinstance(step.expected, int) and reply.status != step.expected:
        bench.fail(reply, f"{done}: {reply.outline()}", expected=f"status {step.expected}")
    bench.expect_answer(reply, done)
    _expect_head(bench, step, reply, done)


def judge(bench: Bench, step: Answer, line: Line, reply: Reply, target: str) -> None:
    """What the step expects of the answer. `target`: of the file that a 200 must bring, or ""."""
    done = f"the answer to {line.asked or 'what was sent'}"
    if step.expected == "refused":
        bench.expect_refusal(reply, done)
    elif step.expected == "either":
        if reply.status == 200 and target:
            bench.expect_equal(reply, target)
        else:
            bench.expect_refusal(reply, done)
    elif step.expected == "any":
        bench.expect_answer(reply, done)
    elif step.expected == "part":
        _expect_part(bench, reply, target, done)
    elif step.expected == 200 and target:
        (bench.expect_equal if step.ends == "any" else bench.expect_file)(reply, target)
    else:
        if reply.status != step.expected:
            bench.fail(reply, f"{done}: {reply.outline()}", expected=f"status {step.expected}")
        if step.ends != "any":
            bench.expect_closed(reply, done)
        if line.by_get:
            bench.expect_whole(reply, done)
    _expect_head(bench, step, reply, done)


def expect_none_of(bench: Bench, step: Answer, line: Line, reply: Reply, watch: Watch) -> None:
    """No byte came of the file that is watched for."""
    if watch.met:
        done = f"the answer to {line.asked or 'what was sent'}"
        bench.fail(reply, f"{done} holds bytes of {step.never}", expected=f"no byte of {step.never}")


def is_served(reply: Reply, content: Content | None) -> bool:
    """Whether nothing is missing: it is the whole `content` (None: whatever there is), and then the end."""
    whole = content.size if content else reply.head.content_length if reply.head else None
    right = reply.status == 200 if content else reply.head is not None
    return right and reply.ending is Ending.FIN and whole in (None, reply.length)


def _expect_part(bench: Bench, reply: Reply, target: str, done: str) -> None:
    """Bytes of the file, if there is one, and no others, or an error's answer, and then the end: of what cannot be
    completed. It may end in the middle of the head, too."""
    if reply.ending not in (Ending.FIN, Ending.RST):
        bench.fail(reply, f"{done}: {reply.outline()}", expected="the end of the connection")
    raw = reply.raw_head[: len(BEGIN)]
    begun = reply.head is None and raw == BEGIN[: len(raw)]
    if not begun and not (reply.status == 200 and target) and not 400 <= (reply.status or 0) <= 599:
        bench.fail(reply, f"{done}: {reply.outline()}", expected="status 200, as far as it came, or an error")
    if reply.difference is not None:
        bench.fail(reply, f"{done}: {reply.outline()}", expected="no bytes but those of the file")


def _expect_head(bench: Bench, step: Answer, reply: Reply, done: str) -> None:
    """What the step asks of the fields, and of the grammar."""
    for name, value in step.fields:
        got = reply.head.field(name) if reply.head else None
        if got is None or got.lower() != value.lower():
            shown = "missing" if got is None else repr(got)
            bench.fail(reply, f"{done}: {name} is {shown}", got=str(got), expected=f"{name}: {value}")
    if step.grammar:
        faults = "; ".join(reply.head.faults) if reply.head else reply.outline()
        if reply.head and ": " in reply.head.reason:
            faults = f"a field stands in the status line, whose reason is {reply.head.reason!r}"
        if faults:
            bench.fail(reply, f"{done}: {faults}", expected="a head by the grammar of RFC 9112")
