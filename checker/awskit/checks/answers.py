"""What an answer looks like: it comes for every kind of request, once, in the grammar, and is followed by the end."""

from __future__ import annotations

from ..bench import Bench, request_bytes
from ..model import check


@check("answer.http10", "an HTTP/1.0 request is answered", "S5", needs=("connect.one",))
def answer_http10(bench: Bench) -> None:
    target = bench.small("static")
    bench.expect_answer(bench.get(target, version="HTTP/1.0"), f"GET {target} HTTP/1.0")
    bench.expect_alive("an HTTP/1.0 request")


@check("answer.http11_no_host", "an HTTP/1.1 request without Host is answered", "S5", needs=("connect.one",))
def answer_http11_no_host(bench: Bench) -> None:
    target = bench.small("static")
    request = request_bytes(target, version="HTTP/1.0").replace(b"HTTP/1.0", b"HTTP/1.1")
    bench.expect_answer(bench.ask(request), f"GET {target} HTTP/1.1 without Host")
    bench.expect_alive("an HTTP/1.1 request without Host")
