"""What the parts of the kit say to each other: a check, its outcome, the server it is about.

The drawing of the kit, arrows pointing down only:

    tests/functional      cli.py  (awscheck: finds the command; options.py: what all commands share)
          |                 |  \\
          |                 |   cases/  (a failure as a file: found, replayed, drawn, handed on; the fault matrix)
          |                 |   grade_command.py  (grading on the command line)
          |                 |   batch.py, report.py, junit.py, annotate.py  (many at once; what is read of it)
          |                 |   explain.py, audience.py  (what a check is about; what a student may see)
          |                 |   class_page.py, roll.py  (a class at a glance: its page, its marks)
          |                 |   page.py, failing.py, picture.py, exchange.py, losses.py  (a page: failures, drawn)
          |                 |   markup.py  (HTML that no text gets out of, the look of all pages)
          |                 |   told_text.py  (a failure as text)
          |               grade.py, schedule.py, results.py, rubric.py  (which check when, and what it is worth)
          |              /  \\  |
          |             /    telling.py, misconceptions.py, retrace.py  (why it failed: what a failure shows, and where)
          |            /        facts.py, calls.py, states.py, moments.py, source.py, lines.py
          |           /      |
        checks/*.py     /   mechanism.py, witness.py, evidence.py  (what the kernel saw)
          |            /    memory.py, sanitizer.py, valgrind.py, builds.py  (what is wrong with its memory)
          |            /    handed_in.py, submission.py  (what was handed in, and its build)
          |           /     boxed.py, sandbox.py, isolation.py, bwrap.py, process.py, namespace.py, overuse.py (its box)
          |          /      entry.py, faults.py, programs.py, checker/box/*.c  (its bounds; calls cut, refused, held)
        bench.py, often.py  (what a check is given: a tree, a server, clients; local.py starts the reference's server)
          |     \\
        events.py judge.py client.py vigil.py  (what to wait for, and how long; what is right; HTTP, nothing hidden)
        /   |   \\   |
  server.py tree.py reply.py   procfs.py stack.py  (a server, its files, what came back; a process as /proc shows it)
  transcript.py  deeds.py  (what went both ways; what was done, for a case)
        \\   |   /
         model.py  (this file)
             |
         told.py, plain.py, texts.py  (what is said of a failure; text made harmless; labels by language)

A *check* is a function that takes a `Bench`, does something to the bench's server, and returns if the server did
right, raises `Failure` if it did wrong, and `Trouble` if the kit or the machine could not find out. The same function
judges the reference in `make functional` and a submission in `awscheck grade`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .told import Told

if TYPE_CHECKING:
    from .bench import Bench
    from .deeds import Deeds
    from .evidence import Call, Trace
    from .reply import Reply
    from .transcript import Transcript


class Outcome(enum.Enum):
    """The four outcomes of a check (contract K4); they are never merged."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # a check that this one needs did not pass
    ERROR = "error"  # the kit's or the machine's fault: costs no points


@dataclass(frozen=True)
class Seen:
    """A request as strace saw it: all calls of the run, the client's transcript, the document root as the server sees
    it, and the call that is wrong, where it is one."""

    trace: Trace
    transcript: Transcript
    site: str
    culprit: Call | None


@dataclass
class Evidence:
    """What was observed of a failure, beside its words: it explains, and judges nothing. Whoever passes the failure on
    puts in what he knows; `gathered` (facts.py) joins what a chain of failures has."""

    reply: Reply | None = None  # which was wrong
    transcripts: Sequence[Transcript] = ()  # of the check's connections, in the order in which they were made
    deeds: Deeds | None = None  # what was done to the server that it is about
    files: dict[str, Any] = field(default_factory=dict)  # that the check had made, see Tree.made
    ended: str = ""  # how the server had ended of its own accord: "SIGPIPE", "exit code 1"; "" where it ran on
    asleep: tuple[str, ...] = ()  # the calls in which its threads slept then
    stack: tuple[int, ...] = ()  # addresses where a thread slept elsewhere than in epoll, or spun (stack.py)
    log: str = ""  # the server's last words
    faults: tuple[str, ...] = ()  # that it was started with, as faults.py words them
    finding: str = ""  # what a sanitizer or valgrind found: "stack-buffer-overflow", "Leak_DefinitelyLost"
    place: tuple[str, int, str] | None = None  # file, line and function of that, in the submission
    mixed_with: str = ""  # whose bytes came instead of the file's, as judge.py's `origin` says it
    side: str = ""  # the server's end of the reply's connection: "not accepted", "not received", "open", "closed"
    seen: Seen | None = None  # what strace saw, where that is what failed
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)  # facts that only the check knows (`seen`)


# Begins the reason of what was skipped for the sake of others, whose ids follow.
NOT_TRIED = "not tried, because this did not pass: "


class Failure(Exception):
    """The server under test did wrong. `reason` is one sentence: what was done, what came, what should have come."""

    def __init__(self, reason: str, *, got: str = "", expected: str = "", exchange: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.got = got  # what came, cut for reading, or ""
        self.expected = expected  # what should have come, cut for reading, or ""
        self.exchange = exchange  # the bytes both ways, as a person reads them
        self.evidence = Evidence()

    def shown(self, seen: Seen | None) -> Failure:
        """This failure, with what strace saw of it."""
        self.evidence.seen = seen
        return self

    def seen(self, **words: str | Iterable[str]) -> Failure:
        """This failure, with facts that only its check knows: name=word, or several."""
        for name, word in words.items():
            self.evidence.words[name] = (word,) if isinstance(word, str) else tuple(word)
        return self


class WrongUsage(Exception):
    """What was asked for cannot be, such as an option, a rubric or a case file; the text says what and why."""


class Trouble(Exception):
    """The kit or the machine failed, not the server under test. Never costs points."""


@dataclass(frozen=True)
class Check:
    """A check as data. `id` is `group.name`; `rules` are the contract's ids; `needs` ids of checks to pass first."""

    id: str
    title: str
    rules: tuple[str, ...]
    run: Callable[[Bench], None]
    needs: tuple[str, ...] = ()
    # True: due to a submission too. False: a promise of the reference only (options, limits, links, 404 for all else).
    submission: bool = True
    # True: the check starts servers of its own, with limits or a tree of its own, and does not use `bench.server`.
    own_server: bool = False


@dataclass
class Verdict:
    """What came of one check. Everything that a report needs, and nothing that it must compute."""

    check: Check
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""
    got: str = ""
    expected: str = ""
    exchange: str = ""
    server_log: str = field(default="", repr=False)
    notes: tuple[str, ...] = ()  # told to the reader, whatever the outcome; they cost nothing
    cost: float = 0.0  # seconds that the server made the checker wait
    failure: Failure | None = field(default=None, repr=False)  # why, with its evidence
    mend_first: tuple[str, ...] = ()  # ids of the checks at the root of it, where it was skipped because of them
    told: Told | None = None  # all that is said of it, where it failed


REGISTRY: dict[str, Check] = {}


def check(
    id: str,
    title: str,
    *rules: str,
    needs: tuple[str, ...] = (),
    submission: bool = True,
    own_server: bool = False,
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Register the decorated function as the check `id`. A second check of the same id is an error of ours."""

    def register(function: Callable[[Bench], None]) -> Callable[[Bench], None]:
        if id in REGISTRY:
            raise ValueError(f"two checks are named {id}")
        REGISTRY[id] = Check(id, title, rules, function, needs, submission, own_server)
        return function

    return register
