"""What a check is given: a server, a tree whose bytes are known, clients, and events on the server's side to wait for.

A check says what it does in the words of this file, of events.py and of judge.py: `get`, `stalled`, `wait_released`,
`expect_file`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from . import procfs
from .client import Client
from .deeds import Deeds
from .events import Events, wait_until
from .faults import Fault, Warden
from .model import Failure, Trouble
from .reply import Reply
from .server import HOST, Launcher, Server
from .transcript import Transcript
from .tree import KIB, KINDS, MIB, Tree
from .vigil import PATIENCE_S, Tally

SMALL = 2 * KIB  # the published list's small file
LARGE = 2 * MIB  # and its large one
# More than the kernel takes over for a client that does not read (tcp_wmem's 4 MiB and the window): a server that sends
# this much to a stalled client has an unfinished transfer, for certain.
HUGE = 8 * MIB
NARROW = 8 * KIB  # SO_RCVBUF of a slow reader
REMEMBERED = 64  # connections of a check whose transcripts are kept


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
class Bench(Events):
    """A workbench for one check. `seed` is the run's; `name` the check's id; `patience` in seconds is the last bound of
    a wait for what a right server does at once (see vigil.py; raise it for a server under valgrind), `still` of
    one for a server that sleeps. `notes` are things to tell the reader that cost nothing."""

    launcher: Launcher
    tree: Tree
    server: Server
    seed: int = 0
    name: str = ""
    patience: float = PATIENCE_S
    tally: Tally = field(default_factory=Tally)
    notes: list[str] = field(default_factory=list)
    still: float | None = None
    deeds: Deeds = field(default_factory=Deeds, repr=False)
    transcripts: deque[Transcript] = field(default_factory=lambda: deque(maxlen=REMEMBERED), repr=False)
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
            own = replace(self, server=server, tree=tree, deeds=Deeds(faults, nofile or 0))
            yield own
        except Failure as failure:
            own.look_at(server, failure)
            failure.evidence.faults = tuple(fault.word() for fault in faults)
            raise
        finally:
            self.tally.worked += procfs.run_time_ns(server.pid) / 1e9
            self.launcher.see_off(server)

    @contextlib.contextmanager
    def once_more(self, name: str) -> Iterator[Bench]:
        """A bench for the check `name` on the same server. It has told its notes already; what its server sleeps counts
        for this bench, too."""
        tally = Tally()
        try:
            yield replace(self, name=name, tally=tally, notes=[])
        finally:
            self.tally.slept += tally.slept

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
            self.deeds.add("server", value="stop")
            yield
        finally:
            self.deeds.add("server", value="continue")
            for member in stopped:
                _signal(member, signal.SIGCONT)

    def look_at(self, server: Server, failure: Failure) -> None:
        """Put into the failure's evidence how the server is that it is about, before anybody ends it."""
        failure.evidence.transcripts = tuple(self.transcripts)
        failure.evidence.deeds = failure.evidence.deeds or self.deeds
        failure.evidence.files = dict(self.tree.made)
        if server.alive() and not procfs.ending(server.pid):
            self.look_where_it_waits(server, failure)
        else:
            failure.evidence.ended = server.stop(signal.SIGKILL).told()
            failure.evidence.log = server.log()

    def release(self, count: int | None = None, *, error: int = 0, last_first: bool = False) -> None:
        """Let reads that are held complete, see Warden.release."""
        self.deeds.add("release", value=(count, error, last_first))
        self.faults.release(count, error=error, last_first=last_first)

    def change(self, target: str, how: str, data: bytes = b"") -> None:
        """Change a file under the server: "empty" it or "append" to it in place, "replace" it by another."""
        self.deeds.add("change", value=(target, how, len(data)))
        if how == "empty":
            self.tree.truncate(target)
        elif how == "append":
            with self.tree.path(target).open("ab") as stream:
                stream.write(data)
        else:
            self.tree.text(target, data)

    def note(self, text: str) -> None:
        """Tell the reader of the report something that costs no points: one sentence."""
        if text not in self.notes:
            self.notes.append(text)

    # -- clients ------------------------------------------------------------------------------------------------------

    def connect(self, *, rcvbuf: int | None = None) -> Client:
        """A connection to the server."""
        begun = time.time()
        try:
            connection = self.server.connect(timeout=self.patience, rcvbuf=rcvbuf)
        except OSError as error:
            self.deeds.newcomer(rcvbuf or 0)
            if isinstance(error, TimeoutError):
                self.tally.slept += self.patience
            raise self.failure(
                f"connected to port {self.server.port}: {error.strerror or error}",
                got=str(error),
                expected="a connection",
            ) from error
        client = Client(connection, self.vigil, self.unsent, begun, self.deeds, rcvbuf or 0)
        self.transcripts.append(client.transcript)
        return client

    @contextlib.contextmanager
    def crowd(self, most: int) -> Iterator[list[Client]]:
        """Like `several`, but fewer than `most` where so many wait to be accepted that the kernel lets nobody else in:
        nothing promises how many that are, of a server that stands still or has no room for more."""
        with contextlib.ExitStack() as stack:
            clients: list[Client] = []
            while len(clients) < most and (client := self._connect_if_let_in()):
                clients.append(stack.enter_context(client))
            yield clients

    def _connect_if_let_in(self) -> Client | None:
        begun = time.time()
        connection = self.server.new_socket()
        connection.setblocking(False)
        if connection.connect_ex((HOST, self.server.port)) in (0, errno.EINPROGRESS) and self.wait_let_in(connection):
            client = Client(connection, self.vigil, self.unsent, begun, self.deeds)
            self.transcripts.append(client.transcript)
            return client
        connection.close()
        return None if self.queued() else self.connect()  # which says why there is none

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

    def read(self, client: Client, target: str | None = None) -> Reply:
        """Read all that comes on `client` and compare a 200's body with the tree's file for `target`."""
        return client.reply(self.tree.content(target) if target else None)

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
