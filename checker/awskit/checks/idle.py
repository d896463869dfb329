"""A server with nothing to do sleeps: clients that are silent, or do not read, cost no CPU."""

from __future__ import annotations

from ..bench import KINDS, Bench, request_bytes
from ..model import check


@check("idle.half_request", "a client that stops in mid-request costs no CPU", "S1", needs=("async.writers",))
def half_request(bench: Bench) -> None:
    with bench.connect() as client:
        client.send(request_bytes(bench.small("static"))[:10])
        bench.wait_consumed(client)
        bench.wait_idle("a client has sent 10 bytes of a request and keeps silent")


def _register(kind: str) -> None:
    @check(
        f"idle.{kind}_reader",
        f"a client that does not read its {kind} file costs no CPU",
        "S1",
        needs=(f"pieces.{kind}_slow_reader", f"async.{kind}_reader"),
    )
    def reader(bench: Bench) -> None:
        with bench.stalled(bench.huge(kind)):
            bench.wait_idle(f"a client has a {kind} file under way and does not read")


for _kind in KINDS:
    _register(_kind)
