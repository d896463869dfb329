"""Several clients at once, and provably at once: each transfer is unfinished while the others go on."""

from __future__ import annotations

import contextlib

from ..bench import KINDS, Bench, request_bytes
from ..client import Client
from ..model import check
from ..reply import Ending, Reply

FIFTY = 50


def _register(group: str, kinds: tuple[str, str]) -> None:
    """`kinds`: of the first file and of the second, and then by turns."""
    rules = ("S1", *(("S6",) if "static" in kinds else ()), *(("S7",) if "dynamic" in kinds else ()))

    @check(
        f"{group}.two_at_once",
        f"two {group} files at once",
        *rules,
        # The slow one stays unfinished, and holds up nobody: without that there are no two at once.
        needs=(
            *(f"{kind}.large_equal" for kind in sorted(set(kinds))),
            f"pieces.{kinds[0]}_slow_reader",
            f"async.{kinds[0]}_reader",
        ),
    )
    def two_at_once(bench: Bench) -> None:
        first, second = bench.huge(kinds[0], 0), bench.huge(kinds[1], 1)
        with bench.stalled(first) as [(slow, begun)]:
            reply = bench.get(second)
            expect_not_blocked(bench, reply, f"while a client has {first} under way and does not read, GET {second}")
            bench.expect_file(reply, second)
            bench.expect_file(bench.finish(slow, begun, first), first)

    @check(f"{group}.fifty_at_once", f"fifty {group} files at once", *rules, needs=(f"{group}.two_at_once",))
    def fifty_at_once(bench: Bench) -> None:
        # One in five is large: fast ones and slow ones among each other.
        targets = [
            (bench.large(kinds[i % 2], i // 5) if i % 5 == 0 else bench.small(kinds[i % 2], i)) for i in range(FIFTY)
        ]
        with contextlib.ExitStack() as stack:
            clients = [(stack.enter_context(bench.connect()), target) for target in targets]
            _send_in_halves(bench, clients)
            bench.rng.shuffle(clients)
            for client, target in clients:
                bench.expect_file(bench.read(client, target), target)


def _send_in_halves(bench: Bench, clients: list[tuple[Client, str]]) -> None:
    """All have sent the first half of their requests before any sends its second: all are under way at once."""
    halves = [(client, request_bytes(target)) for client, target in clients]
    for client, request in halves:
        client.send(request[: len(request) // 2])
    for client, request in halves:
        client.send(request[len(request) // 2 :])


def expect_not_blocked(bench: Bench, reply: Reply, done: str) -> None:
    """Something came: an answer that stays out until a slow client has finished is a blocked server."""
    if reply.ending is Ending.SILENCE and reply.empty:
        bench.fail(
            reply,
            f"{done}: no answer for {bench.patience:g} s, as long as the slow one did not read",
            expected="200, whatever the other client does",
            likely="one client at a time: the handler loops, or blocks, until its whole file is sent",
        )


_register("static", ("static", "static"))
_register("dynamic", ("dynamic", "dynamic"))
_register("mixed", KINDS)


@check(
    "mixed.sequence",
    "files of both kinds and a 404, one after another",
    "S9",
    needs=("static.large_equal", "dynamic.large_equal"),
)
def mixed_sequence(bench: Bench) -> None:
    for kind in (*KINDS, *KINDS[::-1]):
        for target in (bench.small(kind, 3), bench.large(kind, 3)):
            bench.expect_file(bench.get(target), target)
        bench.expect_404(bench.get(f"/{kind}/gone.dat"), f"GET /{kind}/gone.dat after other files")


@check("dynamic.four_slow", "four slow readers of different dynamic files", "S7", "S8", needs=("dynamic.two_at_once",))
def dynamic_four_slow(bench: Bench) -> None:
    targets = [bench.huge("dynamic", number) for number in range(4)]
    with bench.stalled(*targets) as slow:
        readers = list(zip(slow, targets))
        bench.rng.shuffle(readers)
        for (client, begun), target in readers:
            bench.expect_file(bench.finish(client, begun, target), target)
