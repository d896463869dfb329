"""What a check is given: a server, a tree whose bytes are known, clients, and events on the server's side to wait for.

A check says what it does in the words of this file and of judge.py: `get`, `stalled`, `wait_released`, `expect_file`.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import quote

from . import procfs
from .client import Client
from .faults import Fault, Warden
from .judge import Judge
from .model import Failure, Trouble
from .reply import Reply
from .server import Launcher, Server
from .tree import KIB, KINDS, MIB, Tree
from .vigil import BUSY_S, OVERTIME, PATIENCE_S, Tally, Vigil

T = TypeVar("T")

SMALL = 2 * KIB  # the published list's small file
LARGE = 2 * MIB  # and its large one
# More than the kernel takes over for a client that does not read (tcp_wmem's 4 MiB and the window): a server that sends
# this much to a stalled client has an unfinished transfer, for certain.
HUGE = 8 * MIB
NARROW = 8 * KIB  # SO_RCVBUF of a slow reader

POLL_S = 0.002  # how often wait_until looks


def wait_until(predicate: Callable[[], T], limit: float | Vigil, what: str) -> T:
    """Look until `predicate()` is true and return its value; Failure that says `what` when that is in vain: after
    `limit` seconds, or when the vigil says so.

    The only place that waits by looking again: for what no descriptor tells, such as a figure in /proc.
    """
    begin = time.monotonic()
    while not (value := predicate()):
        if isinstance(limit, Vigil):
            why = limit.look()
        else:
            why = f"it did not happen in {limit:g} s" if time.monotonic() - begin > limit else ""
        if why and not (value := predicate()):
            raise Failure(f"waited in vain: {what}; {why}", got=why, expected=what)
        if value:
            break
        time.sleep(POLL_S)
    return value


def _signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process of the server's family; nothing happens if it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def request_bytes(target: str, *, method: str = "GET", version: str = "HTTP/1.1", fields: Iterable[str] = ()) -> bytes:
    """A request head. `target` is percent-encoded as far as it must be; HTTP/1.1 gets a Host field and
    `Connection: close`."""
    lines = [f"{method} {quote(target, safe='/%?=&#:*~')} {version}", *fields]
    if version == "HTTP/1.1" and not any(line.lower().startswith("host:") for line in fields):
        lines.insert(1, "Host: localhost")
    if version == "HTTP/1.1" and not any(line.lower().startswith("connection:") for line in fields):
        lines.append("Connection: close")  # or a server that can do more may rightly wait for the next request
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass
class Bench(Judge):
    """A workbench for one check. `seed` is the run's; `name` the check's id; `patience` in seconds is the last bound of
    a wait for what a right server does at once (see vigil.py; raise it for a server under valgrind). `notes` are things
    to tell the reader that cost nothing."""

    launcher: Launcher
    tree: Tree
    server: Server
    seed: int = 0
    name: str = ""
    patience: float = PATIENCE_S
    tally: Tally = field(default_factory=Tally)
    notes: list[str] = field(default_factory=list)
    rng: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}/{self.name}")

    # -- servers ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def start(
        self,
        *,
        args: tuple[str, ...] = (),
        nofile: int | None = None,
        tree: Tree | None = None,
        faults: tuple[Fault, ...] = (),
    ) -> Iterator[Bench]:
        """A bench like this one with a server of its own, stopped at the end. For `args`, `nofile` and `faults` see
        Launcher. Raises Trouble where the machine does not allow faults."""
        tree = tree or self.tree
        begin = time.monotonic()
        try:
            server = self.launcher.start(tree, args=args, nofile=nofile, faults=faults)
        except Failure:
            self.tally.slept += time.monotonic() - begin
            raise
        try:
            yield replace(self, server=server, tree=tree)
        finally:
            self.tally.worked += procfs.run_time_ns(server.pid) / 1e9
            server.stop(self.launcher.farewell)

    @property
    def faults(self) -> Warden:
        """Who delivers the faults that this bench's server was started with."""
        if self.server.warden is None:
            raise Trouble("this server was started without faults")
        return self.server.warden

    def expect_delivered(self) -> None:
        """Trouble if no call of the server was hit by a fault: what it did then says nothing."""
        if not self.faults.delivered():
            raise Trouble("no fault reached the server: it made none of the calls that were to be hit")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The server stands still meanwhile (SIGSTOP): what clients do, it finds all at once afterwards."""
        stopped = procfs.family(self.server.pid)
        try:
            for member in stopped:
                _signal(member, signal.SIGSTOP)
            wait_until(
                lambda: not set(procfs.states(self.server.pid)) - set("TtZ"), self.patience, "the server stands still"
            )
            yield
        finally:
            for member in stopped:
                _signal(member, signal.SIGCONT)

    # -- waiting ------------------------------------------------------------------------------------------------------

    def vigil(self) -> Vigil:
        """The beginning of a wait for something that the server should do."""
        return Vigil(self.server, self.patience, self.tally)

    def wait(self, predicate: Callable[[], T], what: str) -> T:
        """Wait until `predicate()` is true, which the server should bring about; its value. Failure that says `what`
        and why when that is in vain."""
        return wait_until(predicate, self.vigil(), what)

    def note(self, text: str) -> None:
        """Tell the reader of the report something that costs no points: one sentence."""
        if text not in self.notes:
            self.notes.append(text)

    # -- clients ------------------------------------------------------------------------------------------------------

    def connect(self, *, rcvbuf: int | None = None) -> Client:
        """A connection to the server."""
        try:
            connection = self.server.connect(timeout=self.patience, rcvbuf=rcvbuf)
        except OSError as error:
            if isinstance(error, TimeoutError):
                self.tally.slept += self.patience
            raise self.failure(
                f"connected to port {self.server.port}: {error.strerror or error}",
                got=str(error),
                expected="a connection",
            ) from error
        return Client(connection, self.vigil, self._unsent)

    @contextlib.contextmanager
    def stalled(self, *targets: str) -> Iterator[list[tuple[Client, Reply]]]:
        """Clients that have each asked for a `huge` file and read only the head; the server's sockets to them are full.
        What they have of the reply comes with them."""
        with self.several(len(targets), rcvbuf=NARROW) as clients:
            slow = []
            for client, target in zip(clients, targets):
                client.send(request_bytes(target))
                begun = client.read_head()
                if begun.status != 200:
                    self.expect_file(self.finish(client, begun, target), target)
                slow.append((client, begun))
            self.wait_stalled(clients)
            yield slow

    def finish(self, client: Client, begun: Reply, target: str) -> Reply:
        """Read the rest of a reply that `stalled` began, now as fast as it comes."""
        client.widen()
        return client.read_body(begun, self.tree.content(target))

    @contextlib.contextmanager
    def several(self, count: int, *, rcvbuf: int | None = None) -> Iterator[list[Client]]:
        """`count` connections at once, closed at the end."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.connect(rcvbuf=rcvbuf)) for _ in range(count)]

    def get(self, target: str, *, method: str = "GET", version: str = "HTTP/1.1", fields: Iterable[str] = ()) -> Reply:
        """Ask for `target` on a new connection and read to the end; a body is compared with the tree's file."""
        return self.ask(request_bytes(target, method=method, version=version, fields=fields), target)

    def ask(self, request: bytes, target: str | None = None) -> Reply:
        """Send these bytes as one piece on a new connection, read to the end, compare with the file of `target`."""
        with self.connect() as client:
            client.send(request)
            return self.read(client, target)

    def ask_plainly(self, request: bytes, count: int) -> list[bytes]:
        """`count` clients at once send these bytes by bare sockets, for checks that need thousands: all that came for
        each; fewer, and the last one b"", where a connection was refused or reset."""
        answers = []
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            connections = [stack.enter_context(self.server.connect(timeout=self.patience)) for _ in range(count)]
            for connection in connections:
                connection.settimeout(1.0)  # seconds; then the server is looked at
                connection.sendall(request)
            for connection in connections:
                answers.append(self._all_of(connection))
            return answers
        return [*answers, b""]

    def _all_of(self, connection: socket.socket) -> bytes:
        answer = b""
        try:
            while piece := connection.recv(1 << 16):
                answer += piece
        except TimeoutError:
            client = Client(connection, self.vigil, self._unsent)  # which looks at the server while it waits
            while piece := client.receive():
                answer += piece
        return answer

    def read(self, client: Client, target: str | None = None) -> Reply:
        """Read all that comes on `client` and compare a 200's body with the tree's file for `target`."""
        return client.reply(self.tree.content(target) if target else None)

    # -- events on the server's side ----------------------------------------------------------------------------------

    def sides(self) -> list[procfs.Connection]:
        """The server's ends of its connections, as the kernel shows them."""
        rows = procfs.connections(self.server.pid)
        return [row for row in rows if row.local_port == self.server.port and row.state != procfs.LISTEN]

    def side(self, client: Client) -> procfs.Connection | None:
        """The server's end of this connection, or None when it is gone."""
        return next((row for row in self.sides() if row.remote_port == client.port), None)

    def wait_accepted(self, clients: Iterable[Client]) -> None:
        """Wait until a process has accepted each of these connections: the kernel's backlog alone does not count."""
        waiting = {client.port for client in clients}
        self.wait(
            lambda: waiting <= self._held(),
            f"the server accepts {len(waiting)} connection(s) on port {self.server.port}",
        )

    def wait_full(self) -> None:
        """Wait until the server accepts no more: the number of its connections stays, looked at eight times; or until
        it has ended."""
        looks, held = 0, -1

        def settled() -> bool:
            nonlocal looks, held
            now = len(self._held())
            looks, held = (looks + 1, now) if now == held else (0, now)
            return looks > 8 and now > 0 or not self.server.alive()

        self.wait(settled, "the server accepts clients, until it has no room for more")

    def wait_released(self, clients: Iterable[Client]) -> None:
        """Wait until the server has closed its end of every one of these connections."""
        gone = {client.port for client in clients}
        try:
            self.wait(lambda: not gone & self._held(), "the server closes its end")
        except Failure as failure:
            raise self.failure(
                f"{len(gone)} client(s) had left and the server kept its end of {len(gone & self._held())}"
                f" connection(s) open: {failure.got}",
                got="open descriptors",
                expected="a closed connection (recv of 0 bytes, EPOLLHUP or EPOLLRDHUP handled)",
                likely="recv(2) returning 0 (the client has closed) is not handled, or the descriptor is not closed",
            ) from failure

    def wait_consumed(self, client: Client) -> None:
        """Wait until the server has received all that `client` sent: what is sent now is a new piece to it."""

        def consumed() -> bool:
            undelivered = client.undelivered()  # looked at first: what it shows as delivered, `side` counts as come
            row = self.side(client)
            if row is None or row.inode == 0 and row.state != procfs.ESTABLISHED:
                return True  # the server has ended the connection
            return not undelivered and row.inode != 0 and row.unread == 0

        self.wait(consumed, "the server receives what was sent")

    def send_pieces(self, client: Client, pieces: Iterable[bytes]) -> bool:
        """Send each piece when the server has received the one before: each recv(2) is short for certain.
        False if the server ended the connection meanwhile."""
        for number, piece in enumerate(pieces):
            if number:
                self.wait_consumed(client)
            if not client.send(piece):
                return False
        return True

    def wait_stalled(self, clients: Iterable[Client]) -> None:
        """Wait until the server's sockets to these clients, who do not read, are full and stay so for eight looks:
        the next send to each has met, or will meet, EAGAIN. Their requests must be for `huge` files."""
        ports = {client.port for client in clients}
        looks, queued = 0, {}

        def stalled() -> bool:
            nonlocal looks, queued
            now = {row.remote_port: row.unsent for row in self.sides() if row.remote_port in ports}
            looks, queued = (looks + 1 if all(now.values()) and now == queued else 0), now
            # One whose connection has ended does not stall any more: what came of it, reading will show.
            return looks > 8 or len(now) < len(ports)

        self.wait(stalled, "the server fills its socket to a client that does not read")

    def settled_descriptors(self) -> dict[tuple[int, int], str]:
        """The server's open descriptors, when their number has stayed for eight looks."""
        looks, links = 0, {}

        def settled() -> bool:
            nonlocal looks, links
            now = procfs.descriptors(self.server.pid)
            looks, links = (looks + 1 if len(now) == len(links) else 0), now
            return looks > 8

        self.wait(settled, "the number of the server's descriptors stays")
        return links

    def wait_idle(self, what: str) -> None:
        """Wait until the server sleeps, as one must that has nothing to do: Failure if it goes on burning the CPU.

        Asleep = 25 looks one after another find no thread running, and meanwhile it ran for under 5 ms in all. That
        leaves room for a timer tick, and none for a loop: a loop is runnable at every look, on a loaded machine too.
        """
        looks = 0
        first = ran = procfs.run_time_ns(self.server.pid)
        bound = BUSY_S * 1e9 * self.patience / PATIENCE_S
        begin = time.monotonic()

        def asleep() -> bool:
            nonlocal looks, ran
            now = procfs.run_time_ns(self.server.pid)
            if "R" in procfs.states(self.server.pid) or now - ran > 5_000_000:
                looks, ran = 0, now
            looks += 1
            return looks > 25 or now - first > bound

        wait_until(asleep, OVERTIME * self.patience, "the server sleeps, or shows that it does not")
        if looks <= 25:
            raise self.failure(
                f"{what}: the server should sleep in epoll_wait, and used {bound / 1e9:g} s of CPU time"
                f" in {time.monotonic() - begin:.1f} s",
                got=f"threads in state {procfs.states(self.server.pid)!r}",
                expected="all threads asleep (S)",
                likely="busy loop: a level-triggered event stays ready (EPOLLOUT with nothing to send, EPOLLHUP or"
                " a recv of 0 not handled, a full descriptor table), or EAGAIN is tried again at once",
            )

    def _unsent(self, client: Client) -> int:
        """The bytes for this client that the server has sent and that its kernel has not delivered yet."""
        row = self.side(client)
        return row.unsent if row else 0

    def _held(self) -> set[int]:
        """The client ports of the connections that a process on the server's side has open."""
        return {row.remote_port for row in self.sides() if row.inode}

    # -- the server's health ------------------------------------------------------------------------------------------

    def expect_well(self, after: str) -> None:
        """The server is alive and serves a small static file: what every hostile check ends with."""
        self.expect_alive(after)
        target = self.small("static")
        reply = self.get(target)
        try:
            self.expect_file(reply, target)
        except Failure as failure:
            raise Failure(
                f"{after}, and then a plain {failure.reason}",
                got=failure.got,
                expected=failure.expected,
                exchange=failure.exchange,
                likely=failure.likely or "the server, or a table of its, was left in a bad state by what came before",
            ) from failure

    def expect_answering(self, after: str) -> None:
        """The server is alive and still says something in HTTP: what checks below the level of files end with."""
        self.expect_alive(after)
        self.expect_answer(self.get(self.small("static")), f"{after}, and then GET {self.small('static')}")

    # -- files --------------------------------------------------------------------------------------------------------

    def small(self, kind: str, number: int = 0) -> str:
        """The target of a small file, the same name in both folders."""
        return self.tree.pair(f"small{number:02}.dat", SMALL)[kind]

    def large(self, kind: str, number: int = 0) -> str:
        """The target of a large file, the same name in both folders."""
        return self.tree.pair(f"large{number:02}.dat", LARGE)[kind]

    def huge(self, kind: str, number: int = 0) -> str:
        """The target of a file that no socket buffer can hold, the same name in both folders."""
        return self.tree.pair(f"huge{number:02}.dat", HUGE)[kind]


__all__ = ["HUGE", "KIB", "KINDS", "LARGE", "MIB", "NARROW", "SMALL", "Bench", "request_bytes", "wait_until"]
