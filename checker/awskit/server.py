"""A running server under test, seen from outside: where it listens, how it is, how it ends."""

from __future__ import annotations

import signal
import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .model import Trouble

if TYPE_CHECKING:
    from .faults import Fault, Warden
    from .tree import Tree


HOST = "127.0.0.1"  # servers under test are asked on loopback only


@dataclass(frozen=True)
class Exit:
    """How a process ended: `code` 0..255, or None where `signal` (its number) ended it."""

    code: int | None
    signal: int | None

    def told(self) -> str:
        """`exit code 3`, `SIGSEGV`."""
        return f"exit code {self.code}" if self.signal is None else signal.Signals(self.signal).name


class Server(ABC):
    """One server process that serves `tree` at `port` on 127.0.0.1, in this network namespace or in one of its own."""

    tree: Tree
    port: int
    pid: int  # the server's own process as this machine numbers it; not strace's, not the sandbox's
    warden: Warden | None = None  # who delivers the faults that it was started with

    def connect(self, *, timeout: float = 10.0, rcvbuf: int | None = None) -> socket.socket:
        """A TCP connection to the server, TCP_NODELAY set. `rcvbuf` in bytes is set before connect(2), so that it
        bounds the window. `timeout` in seconds holds for each later call. Raises OSError as connect(2) fails."""
        connection = self.new_socket()
        try:
            connection.settimeout(timeout)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if rcvbuf is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            connection.connect((HOST, self.port))
        except BaseException:
            connection.close()
            raise
        return connection

    @abstractmethod
    def new_socket(self) -> socket.socket:
        """An IPv4 TCP socket in the network namespace that the server is in."""

    def new_sockets(self, count: int) -> list[socket.socket]:
        """So many of them."""
        return [self.new_socket() for _ in range(count)]

    @abstractmethod
    def alive(self) -> bool:
        """Whether the process that was started still runs."""

    @abstractmethod
    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 10.0) -> Exit:
        """End it by signal `how` and wait at most `timeout` seconds; then SIGKILL. Idempotent."""

    @abstractmethod
    def log(self) -> str:
        """What it has written to standard output and standard error, in that order."""

    @abstractmethod
    def stderr(self) -> str:
        """What it has written to standard error."""


class NoServer(Server):
    """Stands where a check that starts its own servers must not look."""

    def _refuse(self, *_: object, **__: object) -> None:
        raise Trouble("this check starts servers of its own and used the shared one")

    new_socket = alive = stop = log = stderr = _refuse  # type: ignore[assignment]


class Launcher(ABC):
    """Starts servers of one kind: the reference's binary, or a submission in its sandbox."""

    @abstractmethod
    def start(
        self, tree: Tree, *, args: tuple[str, ...] = (), nofile: int | None = None, faults: tuple[Fault, ...] = ()
    ) -> Server:
        """Start a server of `tree` and return when it listens (readiness is an event of that very process, never a
        sleep). `args` are command-line options of the reference; a submission's launcher refuses any with ValueError.
        `nofile` is RLIMIT_NOFILE. `faults` hit the server from its start on. Raises Failure if the server ends or does
        not listen in time, Trouble if it could not be started for a reason that is not its own."""

    def see_off(self, server: Server) -> None:
        """End a server that has done its part in a check: in order, and return when it has ended."""
        server.stop()
