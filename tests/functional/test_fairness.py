"""Nobody waits for a slow client. Judged by the order of events, not by a clock: a fast client has finished while the
slow ones are provably unfinished; and a greedy one leaves room for a modest one."""

from __future__ import annotations

import pytest

from awskit.bench import KINDS, MIB, Bench, request_bytes

SLOW = 40


@pytest.mark.parametrize("kind", KINDS)
def test_a_fast_client_finishes_while_slow_ones_have_not(bench: Bench, kind: str) -> None:
    request = request_bytes(bench.small(kind))
    targets = [bench.huge(KINDS[number % 2], number % 4) for number in range(SLOW // 4)]
    with bench.several(SLOW) as writers, bench.stalled(*targets) as readers:
        for number, writer in enumerate(writers):
            writer.send(request[: 1 + number % (len(request) - 1)])
        for number in range(20):
            for target in (bench.small(kind, number), bench.large(kind, number % 4)):
                bench.expect_file(bench.get(target), target)
        sides = {row.remote_port: row for row in bench.sides()}
        for client, _begun in readers:
            assert sides[client.port].unsent > 0, "a slow reader has finished: the test shows nothing"
        for writer in writers:
            assert sides[writer.port].inode, "a slow writer was closed"
            assert not writer.has_answer()
        # And the slow ones get theirs when they go on.
        for number, writer in enumerate(writers):
            writer.send(request[1 + number % (len(request) - 1) :])
            bench.expect_file(bench.read(writer, bench.small(kind)), bench.small(kind))
        for (client, begun), target in zip(readers, targets):
            bench.expect_file(bench.finish(client, begun, target), target)


@pytest.mark.parametrize("kind", KINDS)
def test_a_greedy_client_leaves_room_for_a_modest_one(bench: Bench, kind: str) -> None:
    """100 MiB go to one as fast as it reads; each of several small requests is answered before it has half of it."""
    greedy = bench.tree.pair(f"size-{100 * MIB}.dat", 100 * MIB)[kind]
    content = bench.tree.content(greedy)
    with bench.connect() as reader:
        reader.send(request_bytes(greedy))
        assert reader.read_head().status == 200
        received = 0
        with bench.several(5) as modest:
            for client in modest:
                client.send(request_bytes(bench.small(kind)))
            while not all(client.has_answer() for client in modest):
                piece = reader.receive_exactly(MIB)
                assert piece == content.read(received, MIB)
                received += len(piece)
                assert received < 50 * MIB, "half of a large transfer was done before a small request was looked at"
            for client in modest:
                bench.expect_file(bench.read(client, bench.small(kind)), bench.small(kind))
        reader.abort()
