"""Clients by bare sockets, a few at a time: for checks that need thousands of them."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

from .bench import Bench
from .client import Client
from .server import HOST
from .vigil import LOOK_S, SLEPT_S, Pace

PLAIN_S = 1.0  # a client waits so long before it looks at the server
LET_IN_S = 0.25  # and so long to be let in beside others; no verdict depends on it
AT_ONCE = 4


def _timeval(seconds: float) -> bytes:
    """struct timeval (socket(7), SO_RCVTIMEO)."""
    return struct.pack("ll", *divmod(round(seconds * 1_000_000), 1_000_000))


_PLAIN, _LET_IN = _timeval(PLAIN_S), _timeval(LET_IN_S)


def ask_often(bench: Bench, request: bytes, count: int) -> Iterator[bytes]:
    """`count` clients send these bytes, AT_ONCE at a time: all that came for each, and b"" for one that was refused or
    reset, after whom there is none. Ends early, and notes it, where the server sleeps for half of what it may in a
    check: nothing promises how fast it is, and the other half is for what comes after."""
    pace, asked, at_once = Pace(bench.server), 0, AT_ONCE
    slept, looked = 0.0, time.monotonic()
    while asked < count and bench.tally.slept + slept < SLEPT_S / 2:
        answers = _ask_plainly(bench, request, at_once)
        yield from answers
        asked, at_once = asked + len(answers), len(answers)
        if time.monotonic() - looked > LOOK_S:  # a look takes as long as several requests
            slept, looked = pace.slept(), time.monotonic()
    bench.tally.slept += pace.slept()
    if asked < count:
        bench.note(f"not all of {count:,} requests in a row were made: the server sleeps between them")


def _ask_plainly(bench: Bench, request: bytes, count: int) -> list[bytes]:
    """The answers to at most `count` clients at once, as many as the kernel lets in; the last is b"" where one was
    refused or reset."""
    answers = []
    bench.deeds.add("crowd", value=(request, count))
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        connections: list[socket.socket] = []
        limits = (_timeval(bench.patience), *[_LET_IN] * (count - 1))
        for limit, connection in zip(limits, list(map(stack.enter_context, bench.server.new_sockets(count)))):
            # The kernel's timeouts: Python's own take a poll(2) before each call.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PLAIN)
            try:
                connection.connect((HOST, bench.server.port))
            except BlockingIOError:
                if not connections:
                    raise
                break  # the queue of those who wait to be accepted is short (listen(2))
            connections.append(connection)
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            answers.append(_all_of(bench, connection))
        return answers
    return [*answers, b""]


def _all_of(bench: Bench, connection: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := connection.recv(1 << 16):
            answer += piece
    except BlockingIOError:
        client = Client(connection, bench.vigil, bench.unsent)  # which looks at the server while it waits
        while piece := client.receive():
            answer += piece
    return answer
