"""Asynchronous in fact: whoever is slow, a client or the disk, delays nobody else (contract S1).

No clock judges here. A fast client is served while the slow one is provably unfinished: it has sent a part of its
request only, or its socket is full.
"""

from __future__ import annotations

import contextlib

from ..bench import KINDS, Bench, request_bytes
from ..model import check
from ..reply import Ending

WRITERS, READERS = 20, 10


@check(
    "async.writers",
    "a client that stops in mid-request holds up nobody",
    "S1",
    needs=("static.small_equal",),
)
def writers(bench: Bench) -> None:
    with bench.connect() as slow:
        slow.send(request_bytes(bench.small("static"))[:20])
        bench.wait_consumed(slow)
        _expect_others_served(
            bench,
            [bench.small("static", 1)],
            "while a client has sent 20 bytes of a request and keeps silent",
            "recv(2) is called until the request is complete, on a blocking socket or in a loop that ignores EAGAIN",
        )


def _register(kind: str) -> None:
    @check(
        f"async.{kind}_reader",
        f"a client that does not read its {kind} file holds up nobody",
        "S1",
        needs=(f"{kind}.large_equal",),
    )
    def reader(bench: Bench) -> None:
        with bench.stalled(bench.huge(kind)):
            _expect_others_served(
                bench,
                [bench.small(kind), bench.large(kind)],
                f"while a client has a {kind} file under way and does not read",
                "the handler loops, or blocks, until its whole file is sent",
            )


for _kind in KINDS:
    _register(_kind)


@check(
    "async.many_slow",
    f"{WRITERS} clients that stop in mid-request and {READERS} that do not read hold up nobody",
    "S1",
    needs=("async.writers", "mixed.two_at_once"),
)
def many_slow(bench: Bench) -> None:
    targets = [bench.huge(KINDS[number % 2], number % 4) for number in range(READERS)]
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(bench.several(WRITERS))
        for number, client in enumerate(silent):
            client.send(request_bytes(bench.small(KINDS[number % 2]))[: 1 + 2 * number])
        slow = stack.enter_context(bench.stalled(*targets))
        _expect_others_served(
            bench,
            [pick(kind) for kind in KINDS for pick in (bench.small, bench.large)],
            f"while {WRITERS} clients have sent a part of their requests and {READERS} do not read",
            "a table of connections with few places, or a wait for one of them",
        )
        for (client, begun), target in zip(slow[:2], targets):
            bench.expect_file(bench.finish(client, begun, target), target)


def _expect_others_served(bench: Bench, targets: list[str], meanwhile: str, likely: str) -> None:
    """These files come to others now."""
    for target in targets:
        with bench.connect() as client:
            client.send(request_bytes(target))
            reply = bench.read(client, target)
        if reply.empty and reply.ending is Ending.SILENCE:
            bench.fail(
                reply,
                f"{meanwhile}, GET {target}: {reply.outline()}",
                expected="200, whatever the other client does",
                likely=likely,
            )
        bench.expect_file(reply, target)
