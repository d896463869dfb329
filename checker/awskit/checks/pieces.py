"""Requests that come in pieces, clients that are slow: everything partial, by events and without a pause.

A piece is sent when the server has provably received the one before, so that every recv(2) is short for certain.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..bench import HUGE, KINDS, Bench, request_bytes
from ..model import check
from ..reply import Ending
from .concurrency import expect_not_blocked

LIKELY = (
    "only what the first recv(2) brought is parsed; or the path is overwritten, not extended, by each piece of the URL"
)


def _expect_by_pieces(bench: Bench, target: str, pieces: Iterable[bytes], done: str, *, missing: bool = False) -> None:
    """Send the pieces; the whole file must come, or 404 where it is `missing`."""
    with bench.connect() as client:
        bench.send_pieces(client, pieces)
        reply = bench.read(client, target)
        if reply.status != (404 if missing else 200):
            bench.fail(
                reply,
                f"{done}: {reply.outline()}",
                expected="the same answer as to a request in one piece: " + ("404" if missing else "200"),
                likely=LIKELY,
            )
        if not missing:
            bench.expect_file(reply, target)


def _register(kind: str) -> None:
    needs = (f"{kind}.small_equal",)

    @check(
        f"pieces.{kind}_every_split", f"a request for a {kind} file, split in two at every position", "S4", needs=needs
    )
    def every_split(bench: Bench) -> None:
        target = bench.small(kind)
        request = request_bytes(target)
        for at in range(1, len(request)):
            _expect_by_pieces(bench, target, (request[:at], request[at:]), f"GET {target} split after {at} bytes")

    @check(f"pieces.{kind}_three", f"a request for a {kind} file in three pieces", "S4", needs=needs)
    def three(bench: Bench) -> None:
        target = bench.small(kind)
        request = request_bytes(target)
        for _ in range(20):
            a, b = sorted(bench.rng.sample(range(1, len(request)), 2))
            pieces = (request[:a], request[a:b], request[b:])
            _expect_by_pieces(bench, target, pieces, f"GET {target} split after {a} and {b} bytes")

    @check(f"pieces.{kind}_bytes", f"a request for a {kind} file, one byte per segment", "S4", needs=needs)
    def by_bytes(bench: Bench) -> None:
        target = bench.small(kind)
        request = request_bytes(target)
        _expect_by_pieces(
            bench, target, [request[i : i + 1] for i in range(len(request))], f"GET {target} byte by byte"
        )

    @check(
        f"pieces.{kind}_slow_reader",
        f"a client that stops reading a {kind} file gets all of it later",
        "S6" if kind == "static" else "S8",
        needs=(f"{kind}.large_equal",),
    )
    def slow_reader(bench: Bench) -> None:
        target = bench.huge(kind)
        with bench.stalled(target) as [(client, begun)]:
            # Gulp by gulp at first, so that many sends are short; then the rest.
            client.push_back(b"".join(client.receive_exactly(3000) for _ in range(20)))
            bench.expect_file(bench.finish(client, begun, target), target)

    @check(
        f"pieces.{kind}_half_close",
        f"a client that says that it has sent all still gets its {kind} file",
        "S9",
        needs=(f"{kind}.large_equal",),
    )
    def half_close(bench: Bench) -> None:
        for target in (bench.small(kind), bench.large(kind)):
            with bench.connect() as client:
                client.send(request_bytes(target))
                client.half_close()
                reply = bench.read(client, target)
                if reply.empty or reply.length < (reply.head.content_length or 0 if reply.head else 0):
                    bench.fail(
                        reply,
                        f"GET {target}, then shutdown(SHUT_WR): {reply.outline()}",
                        expected="the whole file: a client that sends no more still reads (RFC 9112 section 9.6)",
                        likely="EPOLLRDHUP, or a recv of 0 bytes after a complete request, taken for an abort",
                    )
                bench.expect_file(reply, target)

    @check(
        f"pieces.{kind}_more_later",
        f"a client that sends more while it reads its {kind} file still gets all of it",
        "S9",
        needs=(f"{kind}.large_equal",),
    )
    def more_later(bench: Bench) -> None:
        target = bench.huge(kind)
        with bench.stalled(target) as [(client, begun)]:
            client.send(request_bytes(target))
            reply = bench.finish(client, begun, target)
        if reply.length < HUGE and reply.ending is Ending.RST:
            bench.fail(
                reply,
                f"GET {target}, and a second request during the transfer: {reply.outline()}",
                expected=f"{HUGE:,} bytes of body",
                likely="close(2) with bytes of the client unread sends RST, and that destroys the end of the answer:"
                " shut the writing side down first, and read away what still comes",
            )
        bench.expect_equal(reply, target)


for _kind in KINDS:
    _register(_kind)


@check(
    "pieces.missing_bytes", "a request for what is not there, one byte per segment", "S4", needs=("notfound.static",)
)
def missing_bytes(bench: Bench) -> None:
    target = "/static/no-such-file.dat"
    request = request_bytes(target)
    _expect_by_pieces(
        bench, target, [request[i : i + 1] for i in range(len(request))], f"GET {target} byte by byte", missing=True
    )


@check("pieces.not_early", "nothing is answered before the head has ended", "S4", needs=("pieces.static_bytes",))
def not_early(bench: Bench) -> None:
    for target in (bench.small("static"), bench.small("dynamic"), "/static/no-such-file.dat"):
        request = request_bytes(target)
        # Within the request line's end, after it, after a field, and one byte before the end.
        for at in (request.index(b"\r\n"), request.index(b"\r\n") + 2, len(request) - 2, len(request) - 1):
            with bench.connect() as client:
                client.send(request[:at])
                bench.wait_consumed(client)
                # One that answers early does so in the turn in which it received, at the latest before it sleeps: it
                # has served two others since.
                bench.expect_answering(f"{at} bytes of a request were sent")
                bench.expect_answering(f"{at} bytes of a request were sent")
                if client.has_answer():
                    reply = bench.read(client)
                    bench.fail(
                        reply,
                        f"GET {target}: {reply.outline()}, when {at} of {len(request)} bytes had been sent",
                        expected="nothing before the empty line that ends the head",
                        likely="answers when the path is known instead of when the head is complete",
                    )
                client.send(request[at:])
                bench.expect_answer(bench.read(client), f"GET {target} in two pieces")


@check(
    "pieces.half_request_half_close", "a client that ends in mid-request is let go", "S4", "S9", needs=("connect.one",)
)
def half_request_half_close(bench: Bench) -> None:
    request = request_bytes(bench.small("static"))
    for at in (1, len(request) // 2, len(request) - 1):
        with bench.connect() as client:
            client.send(request[:at])
            bench.wait_consumed(client)
            client.half_close()
            bench.expect_refusal(
                bench.read(client), f"{at} of {len(request)} bytes of a request, then shutdown(SHUT_WR)"
            )
    bench.expect_answering("clients ended in mid-request")


@check(
    "pieces.stalled_writers",
    "clients that stop in mid-request hold up nobody",
    "S1",
    needs=("static.small_equal", "dynamic.small_equal"),
)
def stalled_writers(bench: Bench) -> None:
    with bench.several(20) as slow:
        for number, client in enumerate(slow):
            client.send(request_bytes(bench.small(KINDS[number % 2]))[: 1 + 2 * number])
        for kind in KINDS:
            target = bench.small(kind)
            reply = bench.get(target)
            expect_not_blocked(bench, reply, f"while 20 clients have sent a part of their requests only, GET {target}")
            bench.expect_file(reply, target)


@check(
    "pieces.stalled_readers",
    "clients that do not read hold up nobody, and nobody else's answer is mixed into theirs",
    "S1",
    needs=("static.small_equal", "dynamic.small_equal"),
)
def stalled_readers(bench: Bench) -> None:
    with bench.stalled(*(bench.huge(KINDS[number % 2], number % 4) for number in range(10))):
        for kind in KINDS:
            for target in (bench.small(kind), bench.large(kind)):
                reply = bench.get(target)
                expect_not_blocked(bench, reply, f"while 10 clients do not read, GET {target}")
                bench.expect_file(reply, target)


@check("idle.half_request", "a client that stops in mid-request costs no CPU", "S1", needs=("connect.one",))
def idle_half_request(bench: Bench) -> None:
    with bench.connect() as client:
        client.send(request_bytes(bench.small("static"))[:10])
        bench.wait_consumed(client)
        bench.wait_idle("a client has sent half a request and keeps silent")


@check("idle.after_close", "a client that has left costs no CPU", "S9", needs=("connect.one",))
def idle_after_close(bench: Bench) -> None:
    with bench.connect() as client:
        client.send(request_bytes(bench.small("static"))[:10])
        bench.wait_consumed(client)
    bench.wait_idle("a client has sent half a request and left")


def _register_idle(kind: str) -> None:
    needs = (f"{kind}.large_equal",)

    @check(f"idle.{kind}_slow_reader", f"a client that does not read its {kind} file costs no CPU", "S1", needs=needs)
    def idle_slow_reader(bench: Bench) -> None:
        with bench.stalled(bench.huge(kind)):
            bench.wait_idle(f"a client has a {kind} file under way and does not read")

    @check(
        f"idle.{kind}_after_abort",
        f"a client that left in mid-transfer of a {kind} file costs no CPU",
        "S9",
        needs=needs,
    )
    def idle_after_abort(bench: Bench) -> None:
        with bench.stalled(bench.huge(kind)) as [(client, _begun)]:
            client.abort()
        bench.expect_alive("a client reset the connection in mid-transfer")
        bench.wait_idle(f"a client had a {kind} file under way and has left")


for _kind in KINDS:
    _register_idle(_kind)
