"""Clients that go away: by RST or by closing with data unread, at every stage. The server lives and lets go of them."""

from __future__ import annotations

from ..bench import KINDS, NARROW, Bench, request_bytes
from ..client import Client
from ..model import check

# Bytes that the client takes before it leaves: of the head, the first buffers, about the socket buffer, in mid-file.
OFFSETS = (0, 1, 100, 1000, 4096, 8192, 65536, 131072, 1_000_000, 3_000_000, 5_000_000)


def _register(kind: str) -> None:
    needs = (f"{kind}.large_equal",)

    @check(
        f"abort.{kind}_reset",
        f"clients reset the connection at many offsets of a {kind} file",
        "S10",
        "S16",
        needs=needs,
    )
    def reset(bench: Bench) -> None:
        target = bench.huge(kind)
        gone = []
        for offset in (*OFFSETS, *(bench.rng.randrange(6_000_000) for _ in range(5))):
            with bench.connect(rcvbuf=NARROW if offset < 65536 else None) as client:
                client.send(request_bytes(target))
                client.receive_exactly(offset)
                client.abort()
            bench.expect_alive(f"a client took {offset:,} bytes of {target} and reset the connection")
            gone.append(client)
        _expect_over(bench, gone, f"clients reset the connection in mid-transfer of {target}")

    @check(f"abort.{kind}_closed", f"clients close in mid-transfer of a {kind} file", "S9", "S16", needs=needs)
    def closed(bench: Bench) -> None:
        target = bench.huge(kind)
        with bench.stalled(*[target] * 6) as slow:
            pass
        _expect_over(bench, [client for client, _begun in slow], f"clients closed in mid-transfer of {target}")

    @check(f"abort.{kind}_at_once", f"clients ask for a {kind} file and leave at once", "S10", "S16", needs=needs)
    def at_once(bench: Bench) -> None:
        target = bench.huge(kind)
        gone = []
        for number in range(30):
            with bench.connect() as client:
                client.send(request_bytes(target))
                # By turns: at once, and when the request has provably arrived, that is, with the answer being made.
                if number % 2:
                    bench.wait_consumed(client)
                client.abort()
            gone.append(client)
        _expect_over(bench, gone, f"clients asked for {target} and reset the connection at once")


for _kind in KINDS:
    _register(_kind)


@check(
    "abort.before_answer",
    "clients leave with nothing, or with half a request sent",
    "S9",
    "S16",
    needs=("connect.one",),
)
def before_answer(bench: Bench) -> None:
    request = request_bytes(bench.small("static"))
    gone = []
    for sent in (0, 1, len(request) // 2, len(request) - 1) * 3:
        with bench.connect() as client:
            client.send(request[:sent])
            if sent % 2:
                bench.wait_consumed(client)
            client.abort()
        gone.append(client)
    bench.wait_released(gone)
    bench.expect_answering("clients reset the connection before they had asked for anything")


def _expect_over(bench: Bench, gone: list[Client], what: str) -> None:
    bench.expect_alive(what)
    bench.wait_released(gone)
    bench.expect_well(what)
