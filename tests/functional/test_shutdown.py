"""How it ends: SIGTERM and SIGINT finish what is being sent, close the rest, free everything, exit 0."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from awskit import procfs
from awskit.bench import KINDS, MIB, Bench, request_bytes, wait_until
from awskit.server import Exit

STOPS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("how", STOPS, ids=lambda how: how.name)
def test_an_idle_server_ends_at_once(bench: Bench, how: signal.Signals) -> None:
    with bench.start() as own:
        own.expect_well("started")
        with own.several(5) as clients:
            own.wait_accepted(clients)
            assert own.server.stop(how) == Exit(0, None)
            for client in clients:
                assert own.read(client).empty, "a client that had asked for nothing was answered"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", STOPS, ids=lambda how: how.name)
def test_a_transfer_under_way_is_finished(bench: Bench, how: signal.Signals, kind: str) -> None:
    with bench.start() as own:
        target = own.huge(kind)
        with own.stalled(target) as [(client, begun)]:
            os.kill(own.server.pid, how)
            wait_until(lambda: not procfs.listening_ports(own.server.pid), own.patience, "it listens no more")
            with pytest.raises(ConnectionRefusedError):
                own.server.connect()
            own.expect_alive(f"{how.name} with a transfer under way")
            own.expect_file(own.finish(client, begun, target), target)
        assert own.server.stop(how) == Exit(0, None)


def test_a_transfer_that_does_not_go_on_is_cut_after_the_grace_time(plain_bench: Bench) -> None:
    with plain_bench.start() as own:
        with own.stalled(*(own.huge(kind) for kind in KINDS)):
            os.kill(own.server.pid, signal.SIGTERM)
            wait_until(lambda: not own.server.alive(), 60, "it ends although two clients do not read")
        assert own.server.stop() == Exit(0, None)


def test_a_server_that_always_has_something_to_do_ends_too(plain_bench: Bench) -> None:
    """Clients that throw away what comes, inside the kernel, are faster than a server: some socket is always writable,
    and epoll_pwait(2), which lets a signal in only when it has no event to report, would never let one in."""

    def throw_away(connection: socket.socket) -> None:
        buffer = bytearray(MIB)
        connection.settimeout(60)
        with contextlib.suppress(OSError):
            while connection.recv_into(buffer, len(buffer), socket.MSG_TRUNC):
                pass

    with plain_bench.start() as own:
        own.tree.sparse("/static/endless.dat", 1 << 40)
        with own.several(32) as clients, ThreadPoolExecutor(len(clients)) as pool:
            for client in clients:
                client.send(request_bytes("/static/endless.dat"))
                assert client.read_head().status == 200
            for client in clients:
                pool.submit(throw_away, client.socket)
            wait_until(lambda: procfs.run_time_ns(own.server.pid) > 200_000_000, own.patience, "it is busy")
            os.kill(own.server.pid, signal.SIGTERM)
            try:
                wait_until(lambda: not procfs.listening_ports(own.server.pid), own.patience, "it listens no more")
            finally:
                for client in clients:
                    client.socket.shutdown(socket.SHUT_RDWR)
                ended = own.server.stop()
        assert ended == Exit(0, None)


def test_requests_that_have_come_are_answered_or_closed(bench: Bench) -> None:
    """Many at the moment of the signal, at all stages: no crash, no leak (the sanitizers look), exit 0."""
    with bench.start() as own:
        with own.several(30) as clients:
            for number, client in enumerate(clients):
                request = request_bytes(own.large(KINDS[number % 2], number % 3))
                client.send(request if number % 3 else request[:10])
            assert own.server.stop(signal.SIGTERM) == Exit(0, None)


def test_sigpipe_and_sighup_like_signals(plain_bench: Bench) -> None:
    with plain_bench.start() as own:
        os.kill(own.server.pid, signal.SIGPIPE)
        own.expect_well("SIGPIPE")
