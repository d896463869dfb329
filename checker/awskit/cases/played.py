"""What came of a case on a server: the verdict, at which step, and in what way it failed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..model import Failure, Outcome, Trouble
from ..reply import Reply
from ..transcript import Transcript
from .case import Case


_NUMBER = re.compile(r"[0-9][0-9,.]*")


@dataclass(frozen=True)
class Moment:
    """What went both ways on one connection of a client during a step: these parts of its transcript."""

    step: int
    client: str
    transcript: Transcript
    begin: int
    end: int


@dataclass
class Played:
    """What came of a case on a server: it holds, unless there was a `failure`, or `trouble` that kept us from judging.
    `step` is the one that failed, or None: it was what is expected of every case at its end, or of a start."""

    case: Case
    failure: Failure | None = None
    trouble: Trouble | None = None
    step: int | None = None
    transcripts: tuple[Transcript, ...] = ()
    hits: tuple[int, ...] = ()  # how often each of the case's faults has changed a call
    moments: list[Moment] = field(default_factory=list)  # what went both ways, in the order of the steps

    @property
    def outcome(self) -> Outcome:
        """Passed, failed or error."""
        return Outcome.ERROR if self.trouble else Outcome.FAILED if self.failure else Outcome.PASSED

    @property
    def way(self) -> tuple[str, ...]:
        """In what way it failed: the same for the same mistake, whatever the sizes are. () where it holds."""
        if self.failure is None:
            return ()
        if self.failure.evidence.ended:
            return ("ended", self.failure.evidence.ended)
        reply = self.failure.evidence.reply
        other_bytes = reply is not None and reply.difference is not None  # whose place in the file decides the text
        wanted = "" if other_bytes else _NUMBER.sub("N", self.failure.expected)
        return (self._doing(), wanted, *(_nature(reply) if reply else ()))

    def _doing(self) -> str:
        if self.step is None:
            return "the end"
        step = self.case.steps[self.step]
        word = getattr(step, "event", None) or getattr(step, "what", None) or getattr(step, "figure", "")
        return f"{type(step).__name__} {word}".strip()


def _nature(reply: Reply) -> tuple[str, ...]:
    """What is wrong with a reply, without its numbers."""
    wanted = reply.wanted.size if reply.wanted else None
    length = "" if wanted is None or reply.length == wanted else "short" if reply.length < wanted else "long"
    differs = "" if reply.difference is None else "other bytes"
    return (str(reply.status), reply.ending.name, length, differs)
