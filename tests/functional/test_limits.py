"""Every limit of the server, set low: at each it refuses politely or waits, and goes on serving."""

from __future__ import annotations

import contextlib
import os
import signal

from awskit import procfs
from awskit.bench import HUGE, KINDS, MIB, NARROW, Bench, request_bytes, wait_until
from awskit.reply import Ending

HEAD_SIZE = 16 * 1024
TARGET_SIZE = 8000


def test_a_head_that_does_not_come_is_closed_without_a_byte(bench: Bench) -> None:
    with bench.start(args=("--head-timeout", "0.3")) as own:
        request = request_bytes(own.small("static"))
        for sent in (0, 1, len(request) - 1):
            with own.connect() as client:
                client.send(request[:sent])
                reply = own.read(client)
                assert reply.empty and reply.ending is Ending.FIN, f"{sent} bytes sent: {reply.outline()}"
        own.expect_well("clients were silent for too long")


def test_a_head_timeout_is_for_the_whole_head_not_for_each_byte(bench: Bench) -> None:
    """Slowloris: a byte now and then keeps no connection open."""
    with bench.start(args=("--head-timeout", "0.3")) as own:
        with own.connect() as client:
            client.send(b"GET /")

            def dripped() -> bool:
                """Another byte has been received by the server; true when it has closed none the less."""
                client.send(b"x")
                own.wait_consumed(client)
                return client.has_answer()

            wait_until(dripped, own.patience, "the server closes although bytes keep coming")
            assert own.read(client).empty, "a request that was not complete was answered"
        own.expect_well("slowloris")


def test_a_client_that_takes_nothing_is_given_up(bench: Bench) -> None:
    with bench.start(args=("--send-timeout", "0.3")) as own:
        for kind in KINDS:
            with own.stalled(own.huge(kind)) as [(client, begun)]:
                own.wait_released([client])
                reply = own.finish(client, begun, own.huge(kind))
                assert reply.length < HUGE and reply.difference is None, reply.outline()
                assert reply.ending in (Ending.FIN, Ending.RST)
        own.expect_well("clients that took nothing")


def test_more_clients_than_allowed_wait_and_are_not_accepted(bench: Bench) -> None:
    with bench.start(args=("--max-connections", "3")) as own:
        with own.several(3) as inside, own.several(4) as outside:
            own.wait_accepted(inside)
            for client in outside:
                client.send(request_bytes(own.small("static")))
            own.wait_idle("three clients are connected, and four wait")
            held = {row.remote_port for row in own.sides() if row.inode}
            assert held == {client.port for client in inside}
            # One leaves, and one of those who wait is served, and so on to the last.
            inside[0].close()
            for client in outside:
                own.expect_file(own.read(client, own.small("static")), own.small("static"))
            for client in inside[1:]:
                client.send(request_bytes(own.small("dynamic")))
                own.expect_file(own.read(client, own.small("dynamic")), own.small("dynamic"))


def test_a_crowd_at_the_door_is_not_let_in_beyond_the_limit(bench: Bench) -> None:
    """Many wait at one moment: the server is stopped while they connect, so that it finds them all at once."""
    with bench.start(args=("--max-connections", "4")) as own:
        os.kill(own.server.pid, signal.SIGSTOP)
        with own.several(20) as clients:
            os.kill(own.server.pid, signal.SIGCONT)
            own.wait_full()
            assert len([row for row in own.sides() if row.inode]) == 4
            for client in clients:
                client.send(request_bytes(own.small("static")))
            for client in clients:
                own.expect_file(own.read(client, own.small("static")), own.small("static"))


def test_the_smallest_window_serves_everything(bench: Bench) -> None:
    with bench.start(args=("--window", "128K", "--dynamic-memory", "128K")) as own:
        for size in (0, 1, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 2 * MIB + 1):
            target = own.tree.pair(f"window-{size}.dat", size)["dynamic"]
            own.expect_file(own.get(target), target)
        # One buffer for all: each waits its turn, and all are served.
        targets = [own.large("dynamic", number) for number in range(8)]
        with own.several(len(targets)) as clients:
            for client, target in zip(clients, targets):
                client.send(request_bytes(target))
            for client, target in zip(clients, targets):
                own.expect_file(own.read(client, target), target)


def test_files_about_the_window_of_ones_own_choice(bench: Bench) -> None:
    with bench.start(args=("--window", "1M", "--dynamic-memory", "3M")) as own:
        for size in (MIB - 1, MIB, MIB + 1, 3 * MIB - 1, 3 * MIB, 3 * MIB + 1):
            target = own.tree.pair(f"window-{size}.dat", size)["dynamic"]
            own.expect_file(own.get(target), target)


def test_stalled_readers_of_dynamic_files_stay_within_the_memory_and_finish(bench: Bench) -> None:
    """More readers than there is memory for: nobody is refused, and nobody's bytes get mixed up."""
    targets = [bench.huge("dynamic", number % 4) for number in range(12)]
    with bench.start(args=("--window", "1M", "--dynamic-memory", "4M")) as own:
        with contextlib.ExitStack() as stack:
            slow = []
            for target in targets:
                client = stack.enter_context(own.connect(rcvbuf=NARROW))
                client.send(request_bytes(target))
                slow.append((client, client.read_head(), target))
            own.wait_idle("as many slow readers as the memory holds, and more")
            for client, begun, target in slow:
                own.expect_file(own.finish(client, begun, target), target)


def test_targets_and_heads_up_to_the_limit_are_handled(bench: Bench) -> None:
    target = bench.small("static")
    fits = f"{target}?{'q' * (TARGET_SIZE - len(target) - 1)}"
    for query, status in ((fits, 200), (fits + "q", 404)):
        reply = bench.ask(f"GET {query} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), target)
        assert reply.status == status, f"a target of {len(query)} bytes: {reply.outline()}"
        bench.expect_closed(reply, f"a target of {len(query)} bytes")
    for size, status in ((HEAD_SIZE, 200), (HEAD_SIZE + 1, 404)):
        head = f"GET {target} HTTP/1.1\r\nHost: a\r\nX: "
        request = head.encode() + b"x" * (size - len(head) - 4) + b"\r\n\r\n"
        reply = bench.ask(request, target)
        assert reply.status == status, f"a head of {len(request)} bytes: {reply.outline()}"
        bench.expect_closed(reply, f"a head of {len(request)} bytes")


def test_out_of_descriptors_the_listener_pauses_and_comes_back(bench: Bench) -> None:
    """With more connections allowed than descriptors: accept(2) meets EMFILE."""
    with bench.start(args=("--max-connections", "1000"), nofile=30) as own:
        with own.several(50) as clients:
            own.wait_full()
            assert len(procfs.descriptors(own.server.pid)) == 30
            own.wait_idle("there is no descriptor left")
            clients[0].close()
            own.wait_released(clients[:1])
            wait_until(lambda: len(procfs.descriptors(own.server.pid)) == 30, own.patience, "the next one is accepted")
        own.expect_well("there was no descriptor left")
