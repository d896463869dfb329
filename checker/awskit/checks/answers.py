"""What an answer looks like from outside: it comes for every version of the request, and the end comes after it."""

from __future__ import annotations

from ..bench import KINDS, Bench, request_bytes
from ..model import check
from ..reply import Ending

MISSING = "/static/no-such-file.dat"


@check("answer.http10", "an HTTP/1.0 request is answered", "S5", needs=("connect.one",))
def answer_http10(bench: Bench) -> None:
    target = bench.small("static")
    bench.expect_answer(bench.get(target, version="HTTP/1.0"), f"GET {target} HTTP/1.0")
    bench.expect_alive("an HTTP/1.0 request")


@check("answer.http11_no_host", "an HTTP/1.1 request without Host is answered", "S5", needs=("connect.one",))
def answer_http11_no_host(bench: Bench) -> None:
    target = bench.small("static")
    request = f"GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n".encode()
    bench.expect_answer(bench.ask(request), f"GET {target} HTTP/1.1 without Host")
    bench.expect_alive("an HTTP/1.1 request without Host")


@check(
    "answer.closed",
    "after the answer the server closes the connection, it does not wait for the client to do so",
    "S9",
    needs=("static.small_received",),
)
def answer_closed(bench: Bench) -> None:
    for target in (*(bench.small(kind) for kind in KINDS), MISSING):
        with bench.connect() as client:
            client.send(request_bytes(target))
            reply = client.reply(until_closed=True)
        if reply.head is not None and reply.ending is Ending.SILENCE:
            bench.fail(
                reply,
                f"GET {target}: the answer came whole, and the connection stayed open",
                expected="the connection is closed by the server (FIN) after its one answer",
            )
