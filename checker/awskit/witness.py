"""A server under strace, and one run of it that brings what the checks of the means look at.

The run is made once for a grading: starting a traced server and asking it costs more than looking at what it did. What
the server did wrong to one request is kept for the checks that are about that request.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import procfs
from .bench import KINDS, SMALL, Bench, request_bytes
from .boxed import BoxedLauncher, BoxedServer, Program
from .evidence import EPOLL_WAITS, READS, STRACE, Call, Ledger, Trace, parse, without_loops
from .model import Failure, Seen, Trouble
from .transcript import Transcript

LOOP_BYTES = 2 << 20  # of strace's log: ten thousand calls; a right server makes some ten until it sleeps


@dataclass(frozen=True)
class Witness:
    """A traced server and its log."""

    bench: Bench
    server: BoxedServer
    log: Path

    def trace(self) -> Trace:
        """What it has done so far. The calls that just returned may be missing: strace writes them a moment later."""
        return parse(without_loops(self.log.read_text(errors="replace")), self.server.command)

    def finish(self) -> Trace:
        """All that it has done, and its end. When every thread sleeps in a call, strace has written all before that; a
        thread that it still holds is in state t. (A signal that the server may handle as it likes would end it later or
        never: LeakSanitizer, for one, hangs under a tracer.) Trouble if the log is not the server's."""
        self.wait_asleep()  # a server that never sleeps is ended without that
        self.server.stop(signal.SIGKILL)
        trace = self.trace()
        if not trace.started:
            raise Trouble("strace's log does not have the start of the server")
        return trace

    def wait_asleep(self, also: Callable[[], bool] = lambda: True) -> None:
        """Return when all threads sleep and `also` is true, or when that is in vain: so much of a log in which no byte
        moves is a loop's, and there is no need to wait for its CPU time, which under strace takes ten times as long."""
        begun = self.log.stat().st_size

        def settled() -> bool:
            if self.log.stat().st_size - begun > LOOP_BYTES:
                return True
            # A loop over epoll_wait without a timeout is in that call at some looks, too, but never asleep.
            return set(procfs.states(self.server.pid)) <= {"S"} and also()

        with contextlib.suppress(Failure):
            self.bench.wait(settled, "the server sleeps")

    def waiting(self) -> list[Call]:
        """The calls in which its threads sleep now, when one of them is in epoll, or when that is in vain: where it is
        instead is for the caller to say."""
        found: list[Call] = []

        def in_epoll() -> bool:
            nonlocal found
            found = self.trace().waiting()
            return any(call.name in EPOLL_WAITS for call in found)

        self.wait_asleep(in_epoll)
        return found or self.trace().waiting()

    def path(self, target: str) -> str:
        """The path under which the server sees the file of `target`."""
        return f"{self.server.site}{target}"


@contextlib.contextmanager
def witness(bench: Bench) -> Iterator[Witness]:
    """A server like the bench's, started anew under strace. Trouble where that cannot be done."""
    if not isinstance(bench.launcher, BoxedLauncher):
        raise Trouble("evidence is taken from a server in a box only")
    if not Path(STRACE[0]).exists():
        raise Trouble("strace is not installed")
    with tempfile.TemporaryDirectory(prefix="awscheck-trace-") as folder:
        log = Path(folder) / "strace"
        server = bench.launcher.traced(*STRACE, "-ttt", "-o", str(log)).start(bench.tree)
        try:
            yield Witness(replace(bench, server=server), server, log)
        finally:
            server.stop(signal.SIGKILL)


@dataclass(frozen=True)
class Served:
    """One request of the run: the client's port, how many bytes of body came, and what is wrong with that or None."""

    target: str
    port: int
    length: int
    failure: Failure | None = None
    transcript: Transcript | None = field(default=None, repr=False)


@dataclass
class Run:
    """What the server did in the run. `in_pieces` is the request of which half was sent at first; `waiting` are the
    calls in which its threads slept then."""

    port: int = 0  # at which the server listens
    site: str = ""
    in_pieces: Served | None = None
    waiting: list[Call] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    trace: Trace = field(default_factory=lambda: Trace(()))

    def seen(self, served: Served, culprit: Call | None) -> Seen | None:
        """The request as a picture can show it. `culprit` is the call that is wrong."""
        if served.transcript is None:
            return None
        calls = self._from(served)
        if culprit is not None and culprit not in calls:  # the same file was served before
            same = (call for call in calls if (call.name, call.opened) == (culprit.name, culprit.opened))
            culprit = next(same, None)
        return Seen(self.trace, served.transcript, self.site, culprit)

    def _from(self, served: Served) -> tuple[Call, ...]:
        """The calls from the accept of its client on."""
        calls = self.trace.calls
        return calls[next((at for at, call in enumerate(calls) if call.accepted == served.port), 0) :]

    def reading(self, served: Served, *but: str) -> Call | None:
        """The first call that read its file in another way than by these."""
        path = f"{self.site}{served.target}"
        return next((call for call in self._from(served)
                     if call.name in READS and call.name not in but and path in call.paths), None)  # fmt: skip

    def ledger(self, served: Served) -> Ledger:
        """The books of one request."""
        return self.trace.ledger(f"{self.site}{served.target}", served.port)


class _Once:
    """The run of one grading, made by the first who asks; the others wait for it. What it raised, it raises again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._error: Failure | Trouble | None = None

    def get(self, bench: Bench) -> Run:
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._run is None:
                try:
                    self._run = _observe(bench)
                except (Failure, Trouble) as error:
                    self._error = error
                    raise
            return self._run


# A grading builds its program anew: the program stands for it.
_RUNS: weakref.WeakKeyDictionary[Program, _Once] = weakref.WeakKeyDictionary()
_RUNS_LOCK = threading.Lock()


def observed(bench: Bench) -> Run:
    """The run of this grading. Failure if the server does not start, Trouble where it cannot be traced."""
    if not isinstance(bench.launcher, BoxedLauncher):
        raise Trouble("evidence is taken from a server in a box only")
    with _RUNS_LOCK:
        once = _RUNS.setdefault(bench.launcher.program, _Once())
    return once.get(bench)


def _observe(bench: Bench) -> Run:
    with witness(bench) as seen:
        run = Run(seen.server.port, seen.server.site)
        _ask_in_pieces(seen, run)
        for kind in KINDS:
            for target in (seen.bench.small(kind), seen.bench.large(kind)):
                run.served.append(_serve(seen, target))
        run.trace = seen.finish()
        return run


def _ask_in_pieces(seen: Witness, run: Run) -> None:
    """A client is in the middle of its request: now the server waits, and for certain for this client, too."""
    target = seen.bench.small("static")
    request = request_bytes(target)
    with seen.bench.connect() as client:
        run.in_pieces = Served(target, client.port, 0)
        try:
            client.send(request[: len(request) // 2])
            seen.bench.wait_consumed(client)

            run.waiting = seen.waiting()
            client.send(request[len(request) // 2 :])
            seen.bench.expect_answer(client.read_head(), f"GET {target} in two pieces")
        except Failure as failure:
            run.in_pieces = replace(run.in_pieces, failure=failure)


def _serve(seen: Witness, target: str) -> Served:
    """Fetch `target`. Not all of a large file need come: how much comes is judged by other checks. But all of a small
    one, which has come before: who sends nothing where he is traced has not sent it by the right means."""
    content = seen.bench.tree.content(target)
    assert content is not None
    try:
        with seen.bench.connect() as client:
            client.send(request_bytes(target))
            reply = client.read_head()
            if reply.status != 200:
                seen.bench.fail(reply, f"GET {target} under strace: {reply.outline()}", expected="status 200")
            length = len(client.receive_exactly(content.size))
            if length < content.size <= SMALL:
                seen.bench.fail(
                    reply,
                    f"GET {target} under strace: {length:,} of {content.size:,} bytes of body",
                    expected="as much as without it",
                )
            return Served(target, client.port, length, transcript=client.transcript)
    except Failure as failure:
        return Served(target, 0, 0, failure)
