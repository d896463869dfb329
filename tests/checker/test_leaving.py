"""Servers that have done their part are killed at once, and their ends are waited for, by others and not too many."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from awskit.leaving import Leaving


class Server:
    """One that ends when it is allowed to."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.deeds: list[object] = []

    def kill(self) -> None:
        self.deeds.append("kill")

    def stop(self, how: signal.Signals) -> None:
        assert self.may_end.wait(10)
        self.deeds.append(how)


def test_it_is_killed_at_once_and_waited_for_at_the_end() -> None:
    leaving, server = Leaving(2), Server()
    leaving.add(server)
    assert server.deeds == ["kill"]
    server.may_end.set()
    leaving.close()
    assert server.deeds == ["kill", signal.SIGKILL]


def test_one_more_than_there_is_room_for_waits_for_the_first() -> None:
    leaving, servers = Leaving(2), [Server() for _ in range(3)]
    for server in servers[:2]:
        leaving.add(server)
    with ThreadPoolExecutor(1) as another:
        third = another.submit(leaving.add, servers[2])
        with pytest.raises(TimeoutError):
            third.result(0.1)
        assert servers[2].deeds == ["kill"]
        servers[0].may_end.set()
        third.result(10)
    for server in servers:
        server.may_end.set()
    leaving.close()
    assert all(server.deeds == ["kill", signal.SIGKILL] for server in servers)


def test_what_the_end_of_one_raises_is_not_lost_and_makes_room() -> None:
    leaving, server = Leaving(1), Server()
    server.may_end.set()
    server.stop = lambda _: 1 / 0
    leaving.add(server)
    with pytest.raises(ZeroDivisionError):
        other = Server()
        other.may_end.set()
        leaving.add(other)
        leaving.close()
    assert other.deeds == ["kill", signal.SIGKILL]
