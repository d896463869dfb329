"""The kernel's rows of connections, read by a replay and by an exported program."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

from awskit import procfs
from awskit.cases.runtime import events

FIN_WAIT1 = 4  # include/net/tcp_states.h: it has said that no more comes, and that is not confirmed
Row = tuple[int, int, int, int]  # own port, other port, state, bytes unsent


def by_replays() -> list[Row]:
    return [(row.local_port, row.remote_port, row.state, row.unsent) for row in procfs.connections(os.getpid())]


def by_exports() -> list[Row]:
    return [row[:4] for row in events.sockets()]


@pytest.mark.parametrize("rows", [by_replays, by_exports])
def test_that_no_more_comes_is_no_byte_unsent(rows: Callable[[], list[Row]]) -> None:
    """The kernel counts the FIN among the bytes until it is confirmed, which may take 40 ms (delayed acknowledgement):
    a server that has sent all, and closed, is none whose client does not read."""
    found = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ends = listener.getsockname()[1]
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", ends)) as client, listener.accept()[0] as server:
                server.shutdown(socket.SHUT_WR)
                ours = (ends, client.getsockname()[1])
                found += [row[2:] for row in rows() if row[:2] == ours]
                server.close()
    assert FIN_WAIT1 in {state for state, _ in found}, "no FIN was found that is not confirmed: nothing is shown"
    assert not [row for row in found if row[1]]


def test_what_is_not_confirmed_is_unsent_after_the_end_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        with listener.accept()[0] as server:
            server.setblocking(False)
            sent = server.send(bytes(200_000))
            server.shutdown(socket.SHUT_WR)
            own = (listener.getsockname()[1], client.getsockname()[1])
            for rows in (by_replays(), by_exports()):
                [(state, unsent)] = [row[2:] for row in rows if row[:2] == own]
                assert state == FIN_WAIT1
                assert 0 < unsent <= sent
