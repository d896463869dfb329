"""Faults in any server, below its C library: calls that move less than they could, fail, or take their time.

    checker  --control-->  warden  <--the filter's listener--  server (in its box or not)

`enter` (checker/box/enter.c) becomes the server after it has installed a seccomp filter that refers the calls in
question to the warden (checker/box/warden.c). So it works whatever the server is linked with, and the server can
neither see nor reach who does it. All other calls run at full speed; one that is hit costs 10 us more.

Several may be about the same calls; each counts them for itself. Of those that are due for one call a refusal wins, the
first in order; if there is none, all cuts apply together.

A fault says nothing where it did not hit anything: `Warden.hits` counts, and a check asks for it.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from dataclasses import dataclass

from .model import Trouble
from .programs import program

CONNECTIONS = 1000  # that are numbered (CONNECTIONS_MAX of checker/box/transfer.c)
CONTROL_SECONDS = 30.0  # for an answer of the warden (20 us measured): bounds a machine that hangs


@dataclass(frozen=True)
class Cut:
    """Each of these calls moves at most `most` bytes (0: no bound) and at most `share` of what it could move.

    `calls`: "receive" (read, readv, recv, recvfrom, recvmsg on a connection), "send" (write, writev, send, sendto,
    sendmsg on a connection), "sendfile", "aio": each read that io_submit accepts, of which the event then tells; or
    "submit": io_submit accepts so many reads of those that it is given.
    `share`: "" (all), "half", "all-but-one". One byte at least is moved; O_DIRECT reads end at a block's edge.
    `first`, `every` and `connection`: as for Refuse; by default each call."""

    calls: str
    most: int = 0
    share: str = ""
    first: int = 1
    every: int = 1
    connection: int = 0

    def word(self) -> str:
        """As the C programs read it."""
        return f"cut:{self.calls}:{self.most}:{self.share or 'all'}:{self.first}:{self.every}:{self.connection}"


@dataclass(frozen=True)
class Refuse:
    """The `first` call (from 1) of this kind, and every `every`-th after it (0: none), is not run and fails with
    `error` (an errno).

    `calls`: as for Cut, without "aio"; "accept", "setup" (io_setup), "submit" (io_submit), "wait" (epoll_wait and its
    like), "getevents".
    `connection`: only calls on this one count, of those of receive, send and sendfile (0: on any). They are numbered
    from 1, in the order in which the server first makes a call on each that any of its faults is about.
    EAGAIN is given only where a descriptor is non-blocking, and epoll then reports again that it is ready."""

    calls: str
    error: int
    first: int = 1
    every: int = 0
    connection: int = 0

    def word(self) -> str:
        """As the C programs read it."""
        return f"refuse:{self.calls}:{self.error}:{self.first}:{self.every}:{self.connection}"


@dataclass(frozen=True)
class HoldReads:
    """A disk that does not answer: io_submit accepts reads of files, and none completes until it is released. A read
    that does not want to wait (RWF_NOWAIT) ends with -EAGAIN at once. `first`: reads before this one go through."""

    first: int = 1

    def word(self) -> str:
        """As the C programs read it."""
        return f"hold:{self.first}"


Fault = Cut | Refuse | HoldReads


class Warden:
    """The warden of one server; `entry.py` brings the two together. `words` are those that enter gets, too."""

    def __init__(self, words: list[str], gate: socket.socket) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(CONTROL_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [str(program("warden")), str(theirs.fileno()), str(gate.fileno()), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={},
                pass_fds=(theirs.fileno(), gate.fileno()),
                process_group=0,  # a ^C at the terminal is for the checker to act on
            )
        # What it works at, the server waits for. Its process group, too: whatever is of it ends with the warden.
        self.pid = self._process.pid

    def ready(self) -> bool:
        """Whether it has the server's calls in hand; waits until it has, or knows that it never will."""
        return self._receive() == "ready"

    def hits(self) -> tuple[int, ...]:
        """How many calls each fault has changed so far: cut, refused, or held. Of several cuts that were due for one
        call only those count that left no more than all of them did."""
        return self._ask("report")[0]

    def delivered(self) -> int:
        """How many hits there were so far in all."""
        return sum(self.hits())

    def held(self) -> int:
        """How many reads are held."""
        return self._ask("report")[1]

    def release(self, count: int | None = None, *, error: int = 0, last_first: bool = False) -> int:
        """Complete `count` of the reads held, the first submitted first, or `last_first`; by default all of them, and
        nothing is held any more. `error` (an errno): they fail with it. Returns how many are still held."""
        return self._ask(f"release {-1 if count is None else count} {error} {int(last_first)}")[1]

    def close(self) -> None:
        """End the warden. Idempotent."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        self._process.kill()
        self._process.wait()

    def _ask(self, command: str) -> tuple[tuple[int, ...], int]:
        """Send it; the numbers of calls that each fault has hit, and of reads held."""
        with self._lock:
            try:
                self._control.send(command.encode())
            except OSError as error:
                raise Trouble(f"the warden has ended: {error}") from error
            said = self._receive().split()
        if len(said) < 2:
            raise Trouble("the warden has ended")
        held, fit, *hits = said
        if fit == "refused":
            raise Trouble("this machine does not let the checker reach into the server's process")
        if fit == "unfit":
            raise Trouble("the server uses its AIO queue for other than reads of files: they cannot be held or cut")
        return tuple(map(int, hits)), int(held)

    def _receive(self) -> str:
        try:
            return self._control.recv(4096).decode()
        except OSError as error:
            raise Trouble(f"the warden does not answer: {error}") from error
