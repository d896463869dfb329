"""Requests that come in pieces, clients that are slow: everything partial, by events and without a pause.

A piece is sent when the server has provably received the one before, so that every recv(2) is short for certain; a slow
reader reads on when the server's socket to it is provably full. What the kernel never does by itself is in cuts.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..bench import HUGE, KINDS, Bench, request_bytes
from ..model import check
from ..reply import Ending

MISSING = "/static/no-such-file.dat"


def _expect_by_pieces(bench: Bench, target: str, cuts: list[int]) -> None:
    """Send a request for `target`, cut at these positions; the answer must be that to a request in one piece. How the
    connection ends is not looked at: who answers early closes early, and `pieces.not_early` says so."""
    request = request_bytes(target)
    with bench.connect() as client:
        bench.send_pieces(client, _pieces(request, cuts))
        reply = bench.read(client, target)
    reply.should(ends="any")
    expected = 404 if target == MISSING else 200
    if reply.status != expected:
        where = f"after byte {', '.join(map(str, cuts))}" if len(cuts) < 3 else "after every byte"
        bench.fail(
            reply,
            f"GET {target}, the request cut {where} of {len(request)}: {reply.outline()}",
            expected=f"status {expected}, as to a request in one piece",
        )
    if expected == 200:
        bench.expect_equal(reply, target)


def _pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    for start, end in zip([0, *cuts], [*cuts, len(data)]):
        yield data[start:end]


@check("pieces.two", "a request in two pieces, split at every position", "S4", needs=("static.small_equal",))
def two(bench: Bench) -> None:
    target = bench.small("static")
    for at in range(1, len(request_bytes(target))):
        _expect_by_pieces(bench, target, [at])


@check(
    "pieces.many",
    "requests in three pieces, and in pieces of one byte",
    "S4",
    needs=("pieces.two", "dynamic.small_equal", "notfound.static"),
)
def many(bench: Bench) -> None:
    for target in (bench.small("static"), bench.small("dynamic"), MISSING):
        length = len(request_bytes(target))
        for _ in range(3):
            _expect_by_pieces(bench, target, sorted(bench.rng.sample(range(1, length), 2)))
    target = bench.small("static")
    _expect_by_pieces(bench, target, list(range(1, len(request_bytes(target)))))


@check(
    "pieces.not_early",
    "nothing is answered before the head has ended",
    "S4",
    needs=("pieces.two", "async.writers", "dynamic.small_equal", "notfound.static"),
)
def not_early(bench: Bench) -> None:
    for target in (bench.small("static"), bench.small("dynamic"), MISSING):
        request = request_bytes(target)
        line = request.index(b"\r\n")
        # At the end of the request line, after it, after a field, and one byte before the end.
        for at in (line, line + 2, len(request) - 2, len(request) - 1):
            with bench.connect() as client:
                client.send(request[:at])
                bench.wait_consumed(client)
                # One that answers early does so in the turn in which it received, at the latest before it sleeps: it
                # has served two others since.
                bench.expect_answering(f"{at} bytes of a request were sent")
                bench.expect_answering(f"{at} bytes of a request were sent")
                bench.expect_nothing_yet(
                    client,
                    f"GET {target}, when {at} of {len(request)} bytes had been sent",
                    "nothing before the empty line that ends the head",
                )
                client.send(request[at:])
                bench.expect_answer(bench.read(client), f"GET {target} in two pieces")


@check(
    "pieces.end_in_request",
    "a client that ends in mid-request is let go",
    "S4",
    "S9",
    needs=("disconnect.one", "pieces.not_early"),
)
def end_in_request(bench: Bench) -> None:
    request = request_bytes(bench.small("static"))
    for at in (1, len(request) // 2, len(request) - 1):
        done = f"{at} of {len(request)} bytes of a request, and then the client's end (FIN)"
        with bench.connect() as client:
            client.send(request[:at])
            bench.wait_consumed(client)
            client.half_close()
            bench.expect_refusal(bench.read(client), done)
        bench.wait_released([client])
        bench.wait_idle(done)
    bench.expect_answering("clients ended in mid-request")


def _register(kind: str, rule: str) -> None:
    @check(
        f"pieces.{kind}_slow_reader",
        f"a client that stops reading a {kind} file gets all of it later",
        rule,
        needs=(f"{kind}.large_equal",),
    )
    def slow_reader(bench: Bench) -> None:
        target = bench.huge(kind)
        with bench.stalled(target) as [(client, begun)]:
            # Gulp by gulp at first, so that many sends are short; then the rest.
            client.push_back(b"".join(client.receive_exactly(3000) for _ in range(20)))
            bench.expect_file(bench.finish(client, begun, target), target)


_register("static", "S6")
_register("dynamic", "S8")


@check(
    "pieces.half_close",
    "a client that says that it has sent all still gets its file",
    "S9",
    needs=("static.one_then_another", "dynamic.one_then_another", "cuts.stopped"),
)
def half_close(bench: Bench) -> None:
    """Of a small file the server finds request and end at once: else it may have sent all before the end comes. A large
    one is on its way then."""
    for kind in KINDS:
        _half_close(bench, bench.small(kind), bench.paused())
        _half_close(bench, bench.large(kind), contextlib.nullcontext())


def _half_close(bench: Bench, target: str, meanwhile: contextlib.AbstractContextManager[None]) -> None:
    with bench.connect() as client:
        with meanwhile:
            client.send(request_bytes(target))
            client.half_close()
        reply = bench.read(client, target)
    if reply.empty or reply.length < (reply.head.content_length or 0 if reply.head else 0):
        bench.fail(
            reply,
            f"GET {target}, then shutdown(SHUT_WR): {reply.outline()}",
            expected="the whole file: a client that sends no more still reads (RFC 9112 section 9.6)",
        )
    bench.expect_file(reply, target)


@check(
    "pieces.more_later",
    "a client that sends more while it reads its file still gets all of it",
    "S9",
    needs=("pieces.static_slow_reader", "pieces.dynamic_slow_reader"),
)
def more_later(bench: Bench) -> None:
    for kind in KINDS:
        target = bench.huge(kind)
        with bench.stalled(target) as [(client, begun)]:
            client.send(request_bytes(target))
            reply = bench.finish(client, begun, target)
        reply.should(ends="any")
        if reply.length < HUGE and reply.ending is Ending.RST:
            bench.fail(
                reply,
                f"GET {target}, and a second request during the transfer: {reply.outline()}",
                expected=f"{HUGE:,} bytes of body",
            )
        bench.expect_equal(reply, target)
