"""Memory: the same requests once more, on a server whose memory is watched; and what grows from burst to burst.

Two watchers, because each sees what the other cannot: AddressSanitizer (sanitizer.py) overruns of the stack and of
global arrays, and at once; valgrind (valgrind.py) leaks, and values that were never set. Both tell the line in the
submission's own file. valgrind must give a complete report, so a run that was cut short is never a pass.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from . import procfs, sanitizer, valgrind
from .bench import KINDS, NARROW, Bench, request_bytes
from .boxed import BoxedLauncher
from .builds import Builds
from .model import Check, Failure, Trouble, check
from .often import ask_often

BURST = 240  # requests of a kind
BURSTS = 3  # after the first one
GROWTH = 32 * 1024  # bytes in one burst that are no chance: eight pages
# Bytes in all. How many clients a server has at once in a replay, and what its heap keeps then, is chance: good servers
# were seen to grow by 1.2 MB. A case takes half of what it saw for chance.
CERTAIN = 8 * 1024 * 1024

# Lengths about which a buffer ends: what programmers pick, the name of a file, the path of one.
EDGES = tuple(edge + step for edge in (128, 256, 512, 1024, 2048, 4096, 8192) for step in range(-2, 3))


class Watching:
    """The function of a check that runs other checks (`runs`) once more, on a server whose memory is watched."""

    def __init__(self, runs: Iterable[valgrind.NamedCheck]) -> None:
        self.runs = tuple(runs)

    def __call__(self, bench: Bench) -> None:
        for watcher in WATCHERS:
            watcher(bench, self.runs)


class Together:
    """The memory checks of one grading, on one server at first for each watcher: to start one under valgrind takes it
    longer than all requests of most of them. If nothing is found there, each has passed, since its requests came there,
    too. If anything is, whatever it is, each is judged on a server of its own.

    `is_due` tells of which checks that holds: those of which all needs have passed."""

    def __init__(self, checks: Iterable[Check], is_due: Callable[[Check], bool]) -> None:
        self._checks = [check for check in checks if isinstance(check.run, Watching)]
        self._is_due = is_due
        self._due: tuple[str, ...] | None = None  # not known before the first asks
        self._runs: list[valgrind.NamedCheck] = []
        self._watchers = list(WATCHERS)
        self._at_work = 0
        self._clean = True
        self._changed = threading.Condition()

    def has_passed(self, check: Check, bench: Bench) -> bool:
        """Whether this check has passed together with all others. The first who ask find out, each by one watcher and
        with a bench of its own; the others wait."""
        if check not in self._checks:
            return False
        with self._changed:
            if self._due is None:
                self._due = self._collect()
            while self._watchers and self._clean:
                self._watch(self._watchers.pop(), bench)
            self._changed.wait_for(lambda: not self._at_work)
            return self._clean and check.id in self._due

    def _collect(self) -> tuple[str, ...]:
        due = [check for check in self._checks if self._is_due(check)]
        if len(due) < 2:  # nothing is to be had from it
            return ()
        self._runs = [one for check in due for one in check.run.runs]  # type: ignore[attr-defined]
        return tuple(check.id for check in due)

    def _watch(self, watcher: Watcher, bench: Bench) -> None:
        """To be called with the lock held, which is let go meanwhile."""
        self._at_work += 1
        self._changed.release()
        found = True
        try:
            if self._runs:
                with contextlib.suppress(Failure, Trouble):
                    watcher(bench, self._runs)
                    found = False
        finally:
            self._changed.acquire()
            self._clean = self._clean and not found
            self._at_work -= 1
            self._changed.notify_all()


def _with_valgrind(bench: Bench, checks: Sequence[valgrind.NamedCheck]) -> None:
    """Returns if valgrind finds nothing and the checks (id and function) pass; Failure; Trouble if it cannot be."""
    launcher, builds = _boxed(bench)
    valgrind.judge(launcher.of(builds.transparent()), bench, checks)


def _with_sanitizer(bench: Bench, checks: Sequence[valgrind.NamedCheck]) -> None:
    """Returns if a sanitizer finds nothing, or the submission cannot be built with one; Failure."""
    launcher, builds = _boxed(bench)
    if program := builds.sanitized():
        _judge_sanitized(sanitizer.launcher(launcher.of(program)), bench, checks)


Watcher = Callable[[Bench, Sequence[valgrind.NamedCheck]], None]
WATCHERS: tuple[Watcher, ...] = (_with_sanitizer, _with_valgrind)


def _boxed(bench: Bench) -> tuple[BoxedLauncher, Builds]:
    assert isinstance(bench.launcher, BoxedLauncher), "only a submission is judged by these"
    assert bench.launcher.builds is not None, "the grader gives its launchers the submission's builds"
    return bench.launcher, bench.launcher.builds


def _judge_sanitized(launcher: BoxedLauncher, bench: Bench, checks: Sequence[valgrind.NamedCheck]) -> None:
    """Only what the sanitizer says counts: what it makes of the server otherwise is not the submission's doing."""
    server = launcher.launch(bench.tree)
    bench = replace(bench, launcher=launcher, server=server)
    try:
        for name, run in checks:
            if not server.ready():
                break
            with contextlib.suppress(Failure), bench.once_more(name) as own:
                run(own)
        found = sanitizer.finding(server)
    finally:
        server.stop(signal.SIGKILL)
    if found:
        failure = Failure(f"AddressSanitizer: {found.text}", got=found.report[:4000], expected="no memory error")
        failure.evidence.finding, failure.evidence.place = found.kind, found.place
        raise failure


def _register(name: str, title: str, needs: tuple[str, ...], run: Callable[[Bench], None]) -> None:
    id = f"memory.{name}"
    check(id, title, "S9", needs=needs, own_server=True)(Watching([(id, run)]))


def _files(kind: str) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        for target in (bench.small(kind), bench.large(kind), bench.small(kind, 1)):
            bench.expect_file(bench.get(target), target)
        target = bench.huge(kind)
        with bench.stalled(target) as [(client, begun)]:  # short counts and EAGAIN have paths of their own
            bench.expect_file(bench.finish(client, begun, target), target)

    return run


def _missing(bench: Bench) -> None:
    for target in ("/static/no-such-file.dat", "/dynamic/no-such-file.dat", "/no-such-file.dat"):
        bench.expect_404(bench.get(target), f"GET {target}")


def _leave(bench: Bench) -> None:
    """Clients leave before they have asked, at once, and in mid-transfer."""
    request = request_bytes(bench.small("static"))
    with bench.connect() as client:
        client.send(request[: len(request) // 2])
        bench.wait_consumed(client)
        client.abort()
    for kind in KINDS:
        with bench.paused(), bench.connect() as client:
            client.send(request_bytes(bench.small(kind)))
            client.abort()
        with bench.paused(), bench.connect() as client:
            client.send(request_bytes(bench.huge(kind)))
        for offset in (1, 100_000):
            with bench.connect(rcvbuf=NARROW) as client:
                client.send(request_bytes(bench.huge(kind)))
                client.receive_exactly(offset)
                client.abort()
        with bench.stalled(bench.huge(kind)):
            pass
    bench.expect_well("clients left at all stages")


def _hostile(bench: Bench) -> None:
    """Targets, segments and fields of every length at which a buffer ends."""
    for edge in EDGES:
        for start in ("/", "/static/", "/dynamic/"):
            bench.ask(request_bytes(start.ljust(edge, "x")))
            bench.ask(request_bytes((start + "d/" * edge)[:edge]))
        bench.ask(request_bytes(bench.small("static"), fields=(f"X: {'x' * edge}",)))
        bench.ask(request_bytes(bench.small("static"), fields=(f"{'X' * edge}: x",)))
    for size in (9000, 20_000, 70_000):
        bench.ask(request_bytes("/static/".ljust(size, "x")))
        bench.ask(request_bytes(bench.small("static"), fields=(f"X: {'x' * size}",)))
    for request in (b"GET\r\n\r\n", b"what\r\n\r\n", b"\0" * 9000 + b"\r\n\r\n"):
        bench.ask(request)
    bench.expect_well("requests of every length at which a buffer ends")


_register(
    "static",
    "no memory error and no leak: static files",
    ("static.one_then_another", "pieces.static_slow_reader"),
    _files("static"),
)
_register(
    "dynamic",
    "no memory error and no leak: dynamic files",
    ("dynamic.one_then_another", "pieces.dynamic_slow_reader", "memory.static"),
    _files("dynamic"),
)
_register(
    "notfound",
    "no memory error and no leak: files that are not there",
    ("notfound.static", "notfound.dynamic", "notfound.outside"),
    _missing,
)
_register(
    "clients_leave",
    "no memory error and no leak: clients that leave",
    ("memory.dynamic", "abort.dynamic"),
    _leave,
)
_register(
    "hostile",
    "no memory error and no leak: requests of every length at which a buffer ends",
    ("memory.static", "memory.notfound", "request.long_target", "request.long_head", "request.malformed"),
    _hostile,
)


@check(
    "memory.growth",
    "bursts of the same requests make the server grow no further",
    "S9",
    "S15",
    needs=("memory.dynamic", "memory.notfound", "abort.ten_thousand"),
)
def growth(bench: Bench) -> None:
    """What is lost in every burst, and is no leak to valgrind, because something still points to it. One burst
    that loses nothing ends it."""
    weights = [_weight_after_burst(bench)]
    bench.deeds.add("remember", value="memory")
    while len(weights) <= BURSTS:
        weights.append(_weight_after_burst(bench))
        if weights[-1] - weights[-2] < GROWTH:
            return
    grown = [after - before for before, after in zip(weights, weights[1:])]
    if sum(grown) >= CERTAIN:
        bench.deeds.add("compare", value=("memory", sum(grown) // 2))
    else:
        bench.deeds.unsaid = "so little grows that a replay does not tell it from chance"
    raise Failure(
        f"{BURSTS} bursts of {BURST} static files, {BURST} that are not there and 4 dynamic ones: memory grew in"
        f" each, by {', '.join(f'{size:,}' for size in grown)} bytes",
        got=f"{min(grown) // (2 * BURST):,} bytes for each request, or more",
        expected="as much memory as after the first burst",
    )


def _weight_after_burst(bench: Bench) -> int:
    """The server's own memory, in bytes, after one more burst."""
    for target in (bench.small("static"), "/static/no-such-file.dat"):
        for _ in ask_often(bench, request_bytes(target), BURST):
            pass
    for number in range(4):
        bench.get(bench.large("dynamic", number))
    bench.settled_descriptors()
    return procfs.memory(bench.server.pid, "RssAnon")
