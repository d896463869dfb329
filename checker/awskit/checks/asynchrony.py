"""Asynchronous in fact: whoever is slow, a client or the disk, delays nobody else (contract S1).

No clock judges here. A fast client is served while the slow one is provably unfinished: it has sent a part of its
request only, or its socket is full.
"""

from __future__ import annotations

from ..bench import KINDS, Bench, request_bytes
from ..model import check
from ..reply import Ending, Reply


@check("async.writers", "a client that stops in mid-request holds up nobody", "S1", needs=("connect.one",))
def writers(bench: Bench) -> None:
    with bench.connect() as slow:
        slow.send(request_bytes(bench.small("static"))[:20])
        bench.wait_consumed(slow)
        target = bench.small("static", 1)
        reply = bench.get(target)
        _expect_not_blocked(
            bench,
            reply,
            f"while a client has sent 20 bytes of a request and keeps silent, GET {target}",
            "recv(2) is called until the request is complete, on a blocking socket or in a loop that ignores EAGAIN",
        )
        bench.expect_answer(reply, f"GET {target} while another client has sent a part of its request")


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


def _expect_others_served(bench: Bench, targets: list[str], meanwhile: str, likely: str) -> None:
    """These files come to others now."""
    for target in targets:
        reply = bench.get(target)
        _expect_not_blocked(bench, reply, f"{meanwhile}, GET {target}", likely)
        bench.expect_file(reply, target)


def _expect_not_blocked(bench: Bench, reply: Reply, done: str, likely: str) -> None:
    """Something came: an answer that stays out as long as somebody else is slow is a blocked server."""
    if reply.empty and reply.ending is Ending.SILENCE:
        bench.fail(
            reply, f"{done}: {reply.outline()}", expected="an answer, whatever the other client does", likely=likely
        )
