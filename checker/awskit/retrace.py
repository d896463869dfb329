"""A failed check once more, under strace, only to explain: which calls the server made on the connection that failed.
And a third time, where there is time: from where in the program the call was made at which it went wrong.

Nothing here judges. The run is short: who has been waited for in vain once is not waited for again as long. When it
does not fail as the first one did, or takes too long, nothing is shown of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import calls, facts, moments, procfs, sanitizer, states
from .bench import Bench
from .boxed import BoxedLauncher, BoxedServer
from .evidence import STRACE, Call, Trace, parse
from .facts import Facts
from .model import Check, Failure, Trouble, Verdict
from .server import NoServer
from .told import Moment
from .tree import Tree
from .vigil import Vigil

# For an idle machine. Where others want its CPUs, all takes longer, and may.
PATIENCE_S = 0.4  # of the second run: a busy loop is one after 0.08 s of CPU time
START_S = 3.0  # for a server to listen, on a busy machine
WAIT_S = 0.3  # for one event: a traced server that is right needs a hundredth of that
REPORT_S = 3.0  # for a sanitizer, which looks up its lines when the program has crashed
LIMIT_S = 1.2  # for one check; then its server is killed, and nothing is shown
LEAST_S = 0.4  # what must be left for one to be begun
BUDGET_S = 1.5  # for all that is run again in one grading
MOST_TIMES = 4.0  # as long, at most
LOOKS, LOOK_S = 10, 0.002  # at how many want a CPU
MOST_OF_LOG = 1 << 20  # bytes of its beginning, and of its end
# Besides what evidence.py looks at, with the time of each call: what ends a connection, or the program.
_MORE = ("close", "shutdown", "exit_group", "getpeername", "io_setup", "io_destroy", "eventfd2", "fstat", "newfstatat",
         "stat", "statx")  # fmt: skip
CRASHES = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL")
CHECKS = "/checks"  # the folder of the checks: what is below it are helpers of all
# Arrays that are shown whole.
_WHOLE = ("epoll_wait", "epoll_pwait", "io_getevents", "io_pgetevents", "readv", "writev", "recvmsg", "sendmsg")
_TRACER = tuple(
    word + ",".join(["", *_WHOLE]) if word.startswith("abbrev=")
    else word + ",".join(["", *("?" + name for name in _MORE)]) if word.startswith("trace=")
    else word
    for word in (*STRACE, "-ttt")
)  # fmt: skip


@dataclass(frozen=True)
class Second:
    """What a second run showed: the moments of the exchange, both sides; facts that only strace sees; the call at which
    it went wrong, where there is one, and the return addresses on its stack, where a third run showed those."""

    moments: tuple[Moment, ...]
    facts: Facts
    wrong: Call | None = None
    stack: tuple[int, ...] = ()


class _ShortVigil(Vigil):
    """Gives up soon: that waiting is in vain was found out in the first run."""

    def __init__(self, seconds: float, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def look(self, under_way: Callable[[], bool] = lambda: False) -> str:
        return super().look(under_way) or (f"not in {self._seconds:g} s" if time.monotonic() > self._end else "")


@dataclass
class _ShortBench(Bench):
    """A bench that waits `wait_s` seconds for an event, and whose servers can all be ended from another thread."""

    wait_s: float = 0.0
    servers: list[BoxedServer] = field(default_factory=list)
    late: threading.Event = field(default_factory=threading.Event)

    def vigil(self) -> Vigil:
        return _ShortVigil(self.wait_s, self.server, self.patience, self.tally)

    @contextlib.contextmanager
    def start(self, **options: Any) -> Iterator[Bench]:
        if self.late.is_set():
            raise Failure("the second run has had its time")
        with super().start(**options) as own:
            assert isinstance(own.server, BoxedServer), "only a submission is run again"
            self.servers.append(own.server)
            yield own

    def end(self) -> None:
        """The time is over: what fails from here on says nothing."""
        self.late.set()
        for server in list(self.servers):
            server.stop(signal.SIGKILL)


class Retracer:
    """Runs failed checks again, as long as there is time. One for a grading."""

    def __init__(self, launcher: BoxedLauncher, tree: Tree, seed: int) -> None:
        self._launcher, self._tree, self._seed = launcher, tree, seed
        self._times = times_as_long()
        self._end = time.monotonic() + BUDGET_S * self._times
        self._looked_at_a_crash = False

    def crash(self, verdict: Verdict) -> sanitizer.Finding | None:
        """What AddressSanitizer says of a check in which the server crashed, when it is run once more on a program that
        has one. For one crash in a grading: it may take a build."""
        crashed = verdict.failure is not None and facts.gathered(verdict.failure).ended in CRASHES
        if not crashed or self._looked_at_a_crash or self._launcher.builds is None:
            return None
        self._looked_at_a_crash = True
        if (program := self._launcher.builds.sanitized()) is None:
            return None
        launcher = sanitizer.launcher(replace(self._launcher.of(program), only_explains=True)).patient(START_S)
        bench = _ShortBench(launcher, self._tree, NoServer(), self._seed, verdict.check.id, wait_s=REPORT_S)
        with contextlib.suppress(Trouble, OSError):
            _run(verdict.check, bench, REPORT_S)
        found = [finding for server in bench.servers if (finding := sanitizer.finding(server)) and finding.place]
        return found[0] if found else None

    def again(self, verdict: Verdict) -> Second | None:
        """The second run of a check that failed; None where it cannot be had, or was another failure."""
        return _told(*found) if (found := self._traced(verdict, _TRACER)) else None

    def place(self, verdict: Verdict, second: Second) -> Second:
        """The second run, with the stack of the call at which it went wrong. strace takes milliseconds to unwind one:
        so it is another run, which looks at calls of that name only. Not where the first run showed a place."""
        assert verdict.failure is not None, "only a failure is run again"
        evidence = facts.gathered(verdict.failure)
        if second.wrong is None or evidence.stack or evidence.place:
            return second
        names = f"trace=execve,{second.wrong.name}"
        tracer = tuple(names if word.startswith("trace=") else word for word in (*_TRACER, "-k"))
        if (found := self._traced(verdict, tracer)) is None:
            return second
        failure, trace, _ = found
        like = [call for call in trace.calls if call.stack and call.error == second.wrong.error]
        transcript = facts.transcript_of(facts.gathered(failure))
        own = [call for call in like if transcript and call.port == transcript.port] or like
        return replace(second, stack=tuple(own[-1].stack)) if own else second

    def _traced(self, verdict: Verdict, tracer: tuple[str, ...]) -> tuple[Failure, Trace, str] | None:
        """The failure of another run under `tracer` that is like the first one, what strace saw, and the document root
        as the server saw it."""
        check, first = verdict.check, verdict.failure
        limit = min(LIMIT_S * self._times, self._end - time.monotonic())
        if first is None or limit < LEAST_S * self._times or not _tells_more(check) or not Path(STRACE[0]).exists():
            return None
        with tempfile.TemporaryDirectory(prefix="awscheck-again-") as folder:
            log = Path(folder) / "strace"
            evidence = facts.gathered(first)
            # Contexts are made and destroyed in the warden's hands, too: it counts them.
            taken = bool(evidence.faults) or "context" in evidence.words.get("left_open", ())
            launcher = traced(self._launcher, log, taken, tracer).patient(START_S)
            bench = _ShortBench(launcher, self._tree, NoServer(), self._seed, check.id, PATIENCE_S * self._times,
                                wait_s=WAIT_S * self._times)  # fmt: skip
            with contextlib.suppress(Trouble, OSError):
                second = _run(check, bench, limit)
                if second is not None and _alike(first, second):
                    server = bench.servers[-1]
                    return second, _parsed(log, server), server.site
        return None


def times_as_long() -> float:
    """How many times as long as on an idle machine a thread takes now: by how many others there are for each CPU."""
    others = 0
    for _ in range(LOOKS):
        others += procfs.ready_to_run() - 1
        time.sleep(LOOK_S)
    return min(MOST_TIMES, 1.0 + others / LOOKS / (os.cpu_count() or 1))


def traced(launcher: BoxedLauncher, log: Path, taken: bool, tracer: tuple[str, ...] = _TRACER) -> BoxedLauncher:
    """The same launcher under strace, which writes to `log`: only to explain. `taken`: calls that the warden's filter
    takes are to be seen, too, as faults hit them."""
    # A filter for strace would not see those: then it looks at all calls.
    words = [word for word in tracer if word != "--seccomp-bpf" or not taken]
    return states.telling(replace(launcher.traced(*words, "-o", str(log)), only_explains=True))


def seen(failure: Failure, log: Path, server: BoxedServer) -> Second | None:
    """What strace wrote of the exchange that failed; None where it does not have the server's start."""
    return _told(failure, _parsed(log, server), server.site)


def _parsed(log: Path, server: BoxedServer) -> Trace:
    return parse(states.without_data(_beginning_and_end(log)), server.command)


def _beginning_and_end(log: Path) -> str:
    """The log, without its middle where it is long: a busy loop fills it."""
    data = log.read_bytes()
    if len(data) > 2 * MOST_OF_LOG:
        data = data[:MOST_OF_LOG].rpartition(b"\n")[0] + b"\n" + data[-MOST_OF_LOG:].partition(b"\n")[2]
    return data.decode(errors="replace")


def _tells_more(check: Check) -> bool:
    """Whether a second run can tell more: not of a build, of what was seen by strace already, or of memory."""
    return not check.id.startswith(("build.", "process.", "mechanism.", "memory."))


def _run(check: Check, bench: _ShortBench, limit: float) -> Failure | None:
    """The failure of a run that ends within `limit` seconds; None where there is none."""
    bench.tree.mend()
    timer = threading.Timer(limit, bench.end)
    timer.start()
    try:
        if check.own_server:
            check.run(bench)
        else:
            with bench.start() as own:
                check.run(own)
    except Failure as failure:
        return None if bench.late.is_set() else failure
    finally:
        timer.cancel()
    return None


def _alike(first: Failure, second: Failure) -> bool:
    """Whether both failed at the same place of the same check, and the server looked alike from outside; or it ended
    by itself in the same way: which of several clients that leave meets the moment is luck."""
    ended = facts.gathered(second).ended
    return _outline(first) == _outline(second) and _site(first) == _site(second) or (
        ended != "" and ended == facts.gathered(first).ended
    )


def _site(failure: Failure) -> list[tuple[str, int]]:
    """The lines of checks and of what they are made of in which it was raised."""
    frames = traceback.extract_tb(failure.__traceback__)
    return [(frame.filename, frame.lineno or 0) for frame in frames if f"{CHECKS}/" in frame.filename]


def _outline(failure: Failure) -> tuple[object, ...]:
    evidence = facts.gathered(failure)
    reply = evidence.reply
    return evidence.ended, reply and (reply.status, reply.ending, reply.length > 0, reply.difference is None)


def _told(second: Failure, trace: Trace, site: str) -> Second | None:
    """The moments of both sides; None where the log does not have the server's start."""
    evidence = facts.gathered(second)
    transcript = facts.transcript_of(evidence)
    if not trace.started or transcript is None:
        return None
    server = calls.of_connection(trace, transcript, site, evidence)
    wrong = next((moment.at for moment in server if moment.wrong), None)
    culprit = calls.left_open(trace, evidence.words.get("left_open", ()))
    culprit = culprit or next((call for call in trace.calls if call.at == wrong), None)
    server += moments.of_end(evidence.ended, max((moment.at for moment in server), default=0.0))
    client = [replace(moment, wrong=False) for moment in moments.of_client(transcript)]
    faults = moments.of_faults(evidence.faults, client[0].at)
    return Second((*faults, *client, *server), calls.reported(trace), culprit)
