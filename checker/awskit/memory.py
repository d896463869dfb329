"""Memory: the same requests once more, on a server whose memory is watched; and what grows from burst to burst.

Two watchers, because each sees what the other cannot: AddressSanitizer (sanitizer.py) overruns of the stack and of
global arrays, and at once; valgrind (valgrind.py) leaks, and values that were never set. Both tell the line in the
submission's own file. valgrind must give a complete report, so a run that was cut short is never a pass.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable

from . import procfs, sanitizer, valgrind
from .bench import KINDS, NARROW, Bench, request_bytes
from .boxed import BoxedLauncher
from .model import Failure, check
from .tree import Tree

BURST = 240  # requests of a kind
AT_ONCE = 4
BURSTS = 3
GROWTH = 32 * 1024  # bytes in one burst that are no chance: eight pages

# Lengths about which a buffer ends: what programmers pick, the name of a file, the path of one.
EDGES = tuple(edge + step for edge in (128, 256, 512, 1024, 2048, 4096, 8192) for step in range(-2, 3))


def judge(launcher: BoxedLauncher, tree: Tree, seed: int, checks: Iterable[valgrind.NamedCheck]) -> None:
    """Run the checks (id and function) on a server with a sanitizer, where it can be had, and on one under valgrind.
    Returns if neither finds anything and the checks pass under valgrind; Failure; Trouble if the machine cannot."""
    builds, checks = launcher.builds, list(checks)
    assert builds is not None, "the grader gives its launchers the submission's builds"
    if program := builds.sanitized():
        _judge_sanitized(sanitizer.launcher(launcher.of(program)), tree, seed, checks)
    valgrind.judge(launcher.of(builds.transparent()), tree, seed, checks)


def _judge_sanitized(launcher: BoxedLauncher, tree: Tree, seed: int, checks: list[valgrind.NamedCheck]) -> None:
    """Only what the sanitizer says counts: what it makes of the server otherwise is not the submission's doing."""
    server = launcher.launch(tree)
    try:
        if server.ready():
            with contextlib.suppress(Failure):
                for name, run in checks:
                    run(Bench(launcher, tree, server, seed, name, launcher.patience))
        found = sanitizer.finding(server)
    finally:
        server.stop(signal.SIGKILL)
    if found:
        failure = Failure(f"AddressSanitizer: {found.text}", got=found.report[:4000], expected="no memory error")
        failure.evidence.finding, failure.evidence.place = found.kind, found.place
        raise failure


def _register(name: str, title: str, needs: tuple[str, ...], run: Callable[[Bench], None]) -> None:
    id = f"memory.{name}"

    @check(id, title, "S9", needs=needs, own_server=True)
    def memory(bench: Bench) -> None:
        assert isinstance(bench.launcher, BoxedLauncher), "only a submission is judged by these"
        judge(bench.launcher, bench.tree, bench.seed, [(id, run)])


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
    """What is lost in every burst, and is no leak to valgrind, because something still points to it."""
    weights = []
    for _ in range(1 + BURSTS):
        for target in (bench.small("static"), "/static/no-such-file.dat"):
            for _ in range(BURST // AT_ONCE):
                bench.ask_plainly(request_bytes(target), AT_ONCE)
        for number in range(4):
            bench.get(bench.large("dynamic", number))
        bench.settled_descriptors()
        weights.append(procfs.memory(bench.server.pid, "RssAnon"))
    grown = [after - before for before, after in zip(weights, weights[1:])]
    if min(grown) >= GROWTH:
        raise Failure(
            f"{BURSTS} bursts of {BURST} static files, {BURST} that are not there and 4 dynamic ones: memory grew in"
            f" each, by {', '.join(f'{size:,}' for size in grown)} bytes",
            got=f"{min(grown) // (2 * BURST):,} bytes for each request, or more",
            expected="as much memory as after the first burst",
            likely="what belongs to a connection is kept in a list or table, and never given back",
        )
