"""Clients that go away: by RST or by closing, at every stage. The server lives and lets go of them.

Each check has a stage of its own, because servers die at different places: in accept(2) or getpeername(2), in recv(2),
in send(2) of the head, in sendfile(2), in send(2) of a body. Where a client must have left before the server looks, the
server is paused meanwhile: no luck is needed to meet the moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from ..bench import NARROW, SMALL, Bench, request_bytes
from ..client import Client
from ..model import check
from ..often import ask_often
from ..reply import show

# Bytes that the client takes before it leaves: none, of the head, some buffers, more than all socket buffers hold.
OFFSETS = (0, 1, 1000, 4096, 65536, 1_000_000, 5_000_000)
BACKLOG = 4  # clients that wait to be accepted at once: not more than a short queue takes (listen(2) with 5)
REQUESTS = 10_000


@check(
    "abort.before_answer",
    "clients reset the connection with half a request sent",
    "S9",
    "S16",
    needs=("disconnect.one", "static.small_equal"),  # a server that does nothing survives everything
)
def before_answer(bench: Bench) -> None:
    request = request_bytes(bench.small("static"))
    gone = []
    for sent in (1, len(request) // 2, len(request) - 1) * 3:
        with bench.connect() as client:
            client.send(request[:sent])
            bench.wait_consumed(client)
            client.abort()
        bench.expect_alive(f"a client sent {sent} bytes of a request and reset the connection")
        gone.append(client)
    _expect_over(bench, gone, "clients reset the connection with half a request sent")


@check(
    "abort.before_accept",
    "clients connect and have left before they are accepted",
    "S9",
    "S16",
    needs=("abort.before_answer", "cuts.stopped"),
)
def before_accept(bench: Bench) -> None:
    gone = []
    for _ in range(3):
        bench.wait_queue_empty()
        with bench.paused(), bench.crowd(BACKLOG) as clients:
            for number, client in enumerate(clients):
                (client.abort, client.close)[number % 2]()
        bench.wait_released(clients)
        bench.expect_alive("clients connected and left before they were accepted")
        gone += clients
    _expect_over(bench, gone, "clients connected and left before they were accepted")


@check(
    "abort.at_once",
    "clients ask for a file and reset the connection at once",
    "S9",
    "S16",
    needs=("abort.before_accept", "static.small_equal", "dynamic.small_equal"),
)
def at_once(bench: Bench) -> None:
    targets = (bench.small("static"), bench.small("dynamic"), "/static/no-such-file.dat")
    gone = []
    for target in targets * 2:
        bench.wait_queue_empty()
        with bench.paused(), bench.crowd(BACKLOG) as clients:
            for client in clients:
                client.send(request_bytes(target))
                client.abort()
        gone += clients
        bench.expect_alive(f"clients asked for {target} and reset the connection at once")
    _expect_over(bench, gone, "clients asked for a file and reset the connection at once")


def _register(kind: str, needs: tuple[str, ...]) -> None:
    @check(
        f"abort.{kind}",
        f"clients leave in mid-transfer of a {kind} file: by reset, by close, at many offsets",
        "S10",
        "S16",
        needs=("abort.at_once", f"{kind}.large_equal", *needs),
    )
    def in_transfer(bench: Bench) -> None:
        target = bench.huge(kind)
        gone = []
        for offset in (*OFFSETS, *(bench.rng.randrange(4_000_000) for _ in range(3))):
            with bench.connect(rcvbuf=NARROW if offset < 65536 else None) as client:
                client.send(request_bytes(target))
                client.receive_exactly(offset)
                client.abort()
            bench.expect_alive(f"a client took {offset:,} bytes of {target} and reset the connection")
            gone.append(client)
        for _ in range(2):
            with bench.stalled(target) as [(client, _begun)]:
                pass
            bench.expect_alive(f"a client stopped reading {target}, and closed the connection")
            gone.append(client)
        for _ in range(3):
            # Closed with nothing unread, so by FIN: the server finds a request, and only its second send fails.
            with bench.paused(), bench.connect() as client:
                client.send(request_bytes(target))
            bench.wait_released([client])
            bench.expect_alive(f"a client asked for {target} and closed the connection at once")
            gone.append(client)
        _expect_over(bench, gone, f"clients left in mid-transfer of {target}")


_register("static", ())
# What is not held for a client that leaves is, by chance, in flight for one that leaves in mid-transfer, too.
_register("dynamic", ("abort.static", "async.left_meanwhile"))


@check(
    "abort.ten_thousand",
    "ten thousand requests, one after another, and the last is answered as the first",
    "S9",
    "S15",
    needs=("static.small_equal", "answer.closed", "leak.static"),
)
def ten_thousand(bench: Bench) -> None:
    target = bench.small("static")
    request, body = request_bytes(target), bench.tree.file(target, SMALL).read(0, SMALL)
    done = 0
    for done, answer in enumerate(ask_often(bench, request, REQUESTS), 1):
        if not (answer.startswith(b"HTTP/") and answer.endswith(body)):
            _tell_of(bench, target, done, answer)
    bench.expect_well(f"{done:,} requests")


def _tell_of(bench: Bench, target: str, number: int, answer: bytes) -> NoReturn:
    """The failure of request `number`: what a client sees who asks once more, or what came then."""
    bench.expect_alive(f"request {number:,} of {REQUESTS:,}, all for {target}")
    bench.expect_well(f"{number - 1:,} requests for {target}")
    raise bench.failure(
        f"request {number:,} of {REQUESTS:,}, all for {target}, was not answered as those before",
        got=show(answer) if answer else "no byte of an answer, or no connection",
        expected="the same answer 10,000 times",
    )


def _expect_over(bench: Bench, gone: Iterable[Client], what: str) -> None:
    """The server is alive, has closed its ends, sleeps, and serves."""
    bench.expect_alive(what)
    bench.wait_released(gone)
    bench.wait_idle(what)
    bench.expect_answering(what)
