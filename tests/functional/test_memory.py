"""What the server weighs: with a large dynamic file, hundreds of slow readers of it, thousands who are idle."""

from __future__ import annotations

import contextlib
import resource

import pytest

from awskit import procfs
from awskit.bench import KINDS, MIB, NARROW, Bench, request_bytes
from awskit.client import Client

MEGABYTE = 1000 * 1000
HUNDRED_MIB = 100 * MIB
SLOW = 500
IDLE = 10_000

pytestmark = pytest.mark.usefixtures("unsanitized")


def test_100_mib_dynamic_takes_no_more_than_30_mb(plain_bench: Bench) -> None:
    with plain_bench.start() as own:
        target = own.tree.pair(f"size-{HUNDRED_MIB}.dat", HUNDRED_MIB)["dynamic"]
        own.expect_file(own.get(target), target)
        peak = procfs.memory(own.server.pid, "VmHWM")
        assert peak <= 30 * MEGABYTE, f"{peak:,} bytes resident at most"


def test_500_slow_readers_of_100_mib_dynamic_stay_within_the_memory(plain_bench: Bench) -> None:
    """Each takes a bit in turn, none can finish; a fast client beside them is served, and the figure holds."""
    memory = 16 * MIB
    plain_bench.patience = 60  # the buffers go round all of them before it is the fast one's turn
    with plain_bench.start(args=("--window", "1M", "--dynamic-memory", "16M")) as own:
        target = own.tree.pair(f"size-{HUNDRED_MIB}.dat", HUNDRED_MIB)["dynamic"]
        content = own.tree.content(target)
        with own.several(SLOW, rcvbuf=NARROW) as clients:
            for client in clients:
                client.send(request_bytes(target))
            begun = [client.read_head() for client in clients]
            assert {reply.status for reply in begun} == {200}
            for turn in range(3):
                for client in clients:
                    assert client.receive_exactly(1024) == content.read(turn * 1024, 1024)
            for kind in KINDS:
                for fast in (own.small(kind), own.large(kind)):
                    own.expect_file(own.get(fast), fast)
            peak = procfs.memory(own.server.pid, "VmHWM")
            assert peak <= memory + 50 * MEGABYTE, f"{peak:,} bytes resident at most"
            assert {own.side(client) is not None for client in clients[:20]} == {True}, "the slow ones are still there"


def test_10000_idle_connections_take_1_kib_each_at_most(plain_bench: Bench) -> None:
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(IDLE, room - 100)
    if count < 1000:
        pytest.skip(f"only {room} descriptors may be open here")
    with plain_bench.start(args=("--max-connections", str(count), "--head-timeout", "600"), nofile=room) as own:
        own.expect_well("started")
        before = procfs.memory(own.server.pid, "RssAnon")
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(own.connect()) for _ in range(count)]
            own.wait_accepted(clients)
            each = (procfs.memory(own.server.pid, "RssAnon") - before) / count
            assert each <= 1024, f"{each:.0f} bytes for each of {count} connections that say nothing"
            _say_a_word(own, clients)
            each = (procfs.memory(own.server.pid, "RssAnon") - before) / count
            assert each <= 1024, f"{each:.0f} bytes for each of {count} connections in mid-request"


def _say_a_word(bench: Bench, clients: list[Client]) -> None:
    for client in clients:
        client.send(b"GET /static/")
    bench.wait_consumed(clients[-1])
    bench.wait_idle("all have sent the beginning of a request")


@pytest.mark.parametrize("kind", KINDS)
def test_bursts_leave_nothing_behind(plain_bench: Bench, kind: str) -> None:
    """Three bursts alike: memory that grows in every one of them is a leak."""
    with plain_bench.start() as own:
        weights = []
        for _ in range(4):
            for number in range(40):
                own.get(own.small(kind, number))
            with own.several(20) as clients:
                for client in clients:
                    client.send(request_bytes(own.large(kind)))
            own.wait_released(clients)
            weights.append(procfs.memory(own.server.pid, "RssAnon"))
        assert not weights[0] < weights[1] < weights[2] < weights[3], weights
