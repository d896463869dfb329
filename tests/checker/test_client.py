"""The client leaves when it has what was announced, as a browser does, and not before; a process that ends is over."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from awskit import procfs
from awskit.client import DRAINED, Client
from awskit.reply import Ending

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


class GivesUp:
    """A vigil that finds at its first look, after 50 ms, that it is in vain to wait longer."""

    def pause(self) -> float:
        return 0.05

    def look(self, *_: object) -> str:
        return "nothing more will come"

    def drags(self) -> str:
        return ""

    dawdles = drags


@contextlib.contextmanager
def connected() -> Iterator[tuple[Client, socket.socket]]:
    """A client and the server's end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = socket.create_connection(listener.getsockname())
        client = Client(connection, GivesUp, lambda _: 0)  # type: ignore[arg-type]
        with client, listener.accept()[0] as server:
            yield client, server


def ended(server: socket.socket) -> bool:
    """Whether the client has said that it will send no more."""
    poll = select.poll()
    poll.register(server, select.POLLRDHUP)
    return bool(poll.poll(0))


def test_who_has_all_leaves_and_sees_the_end() -> None:
    def close_after_the_client(server: socket.socket) -> None:
        server.settimeout(10)
        assert server.recv(1) == b""
        server.close()

    with connected() as (client, server):
        server.sendall(HEAD + b"body")
        waiting = threading.Thread(target=close_after_the_client, args=(server,))
        waiting.start()
        reply = client.reply()
        waiting.join()
    assert (reply.status, reply.length, reply.ending) == (200, 4, Ending.FIN)


@pytest.mark.parametrize(
    "sent, until_closed",
    [(HEAD + b"body", True), (HEAD + b"bod", False), (b"HTTP/1.1 200 OK\r\n\r\nbody", False)],
    ids=["asked to stay", "one byte is missing", "no length was announced"],
)
def test_who_has_not_all_or_was_asked_to_stay_stays(sent: bytes, until_closed: bool) -> None:
    with connected() as (client, server):
        server.sendall(sent)
        reply = client.reply(until_closed=until_closed)
        assert reply.ending is Ending.SILENCE
        assert not ended(server)


def test_what_comes_beyond_the_length_is_read() -> None:
    with connected() as (client, server):
        server.sendall(HEAD + b"body and more")
        server.shutdown(socket.SHUT_WR)
        assert client.reply().length == len(b"body and more")


def test_who_drains_leaves_by_fin_and_does_not_wait_or_go_on_for_ever() -> None:
    with connected() as (client, server):
        client.drain()  # nothing has come
        assert client.ending is Ending.OPEN
        server.sendall(HEAD)
        select.select([client.socket], [], [])
        client.drain()
        client.close()
        assert server.recv(1) == b""  # and no ECONNRESET
    received = []
    with connected() as (client, server), pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "receive", lambda: received.append(1) or b"more")
        patch.setattr(client, "has_answer", lambda: True)
        client.drain()
    assert len(received) == DRAINED


def test_a_killed_process_is_over_before_anybody_has_waited_for_it() -> None:
    process = subprocess.Popen(["/usr/bin/sleep", "100"])
    descriptor = os.pidfd_open(process.pid)
    try:
        assert not procfs.ending(process.pid)
        process.send_signal(signal.SIGKILL)
        select.select([descriptor], [], [])
        assert procfs.ending(process.pid)
    finally:
        os.close(descriptor)
        process.wait()
    assert procfs.ending(process.pid)


def test_a_process_whose_first_thread_has_ended_is_not_over() -> None:
    program = """
import ctypes, threading
threading.Thread(target=lambda: (threading.main_thread().join(0.1), print(flush=True), input())).start()
ctypes.CDLL(None).pthread_exit(None)
"""
    with subprocess.Popen(
        ["/usr/bin/python3", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout and process.stdout.readline()
        assert "Z" in procfs.states(process.pid)
        assert not procfs.ending(process.pid)
        process.kill()
