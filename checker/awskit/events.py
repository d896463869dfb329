"""Events on the server's side that a check waits for: accepted, received, stalled, let go, asleep.

All are seen from outside, in the kernel's tables. How long is waited is decided by what the server does (vigil.py).
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from . import procfs
from .client import Client
from .deeds import Deeds
from .judge import Judge
from .model import Failure, Trouble
from .server import Server
from .vigil import ASLEEP, BUSY_S, OVERTIME, PATIENCE_S, Tally, Vigil, states_of

T = TypeVar("T")

POLL_S = 0.002  # how often wait_until looks
ASLEEP_LOOKS = 8  # one after another that find every thread asleep; one more shows that it rests
AT_WORK_NS = 50_000_000  # of CPU time, after which a server does not come to rest, nor does what it has not done yet


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


class _Rest:
    """Whether a server has done all that it will do about something: since that last changed, every thread was found
    asleep more than ASLEEP_LOOKS times in a row, or it had AT_WORK_NS of CPU time for other things, or it has ended.
    `patience` in seconds stretches that time, as everywhere."""

    def __init__(self, server: Server, patience: float) -> None:
        self._server = server
        self._enough_ns = AT_WORK_NS * patience / PATIENCE_S
        self._seen: object = self  # nothing yet
        self._looks = self._ran = 0

    def has_come(self, seen: object) -> bool:
        """Look; `seen` is how the thing is now."""
        ran = procfs.run_time_ns(self._server.pid)
        if seen != self._seen:
            self._seen, self._looks, self._ran = seen, 0, ran
        self._looks = self._looks + 1 if states_of(self._server) <= ASLEEP else 0
        return self._looks > ASLEEP_LOOKS or ran - self._ran > self._enough_ns or not self._server.alive()


class Events(Judge):
    """Waits for what `server` does. `patience` in seconds is the last bound of a wait; `tally` counts what it costs."""

    tally: Tally
    still: float | None = None
    deeds: Deeds

    def vigil(self) -> Vigil:
        """The beginning of a wait for something that the server should do."""
        return Vigil(self.server, self.patience, self.tally, self.still)

    def wait(self, predicate: Callable[[], T], what: str) -> T:
        """Wait until `predicate()` is true, which the server should bring about; its value. Failure that says `what`
        and why when that is in vain."""
        return wait_until(predicate, self.vigil(), what)

    def sides(self, remote_port: int | None = None) -> list[procfs.Connection]:
        """The server's ends of its connections, or of the one with this port of a client, as the kernel shows them."""
        rows = procfs.connections(self.server.pid, self.server.port, remote_port)
        return [row for row in rows if row.state != procfs.LISTEN]

    def side(self, client: Client) -> procfs.Connection | None:
        """The server's end of this connection, or None when it is gone."""
        return next(iter(self.sides(client.port)), None)

    def wait_accepted(self, clients: Iterable[Client]) -> None:
        """Wait until a process has accepted each of these connections: the kernel's backlog alone does not count."""
        waiting = {client.port for client in self.noted("accepted", clients)}
        self.wait(
            lambda: waiting <= self._held(),
            f"the server accepts {len(waiting)} connection(s) on port {self.server.port}",
        )

    def wait_rest(self) -> None:
        """Wait until the server rests after its start: it sleeps, or goes on computing, or has ended. A process that is
        about to end does none of it until it has a CPU to do so."""
        rest = _Rest(self.server, self.patience)
        # One that never listened has slept for long already: that is no reason not to look now.
        wait_until(lambda: rest.has_come(None), Vigil(self.server, self.patience), "the server rests, or ends")

    def queued(self) -> int:
        """How many connections wait to be accepted: the kernel shows them as what the listening socket has unread."""
        rows = procfs.connections(self.server.pid, self.server.port)
        return sum(row.unread for row in rows if row.state == procfs.LISTEN)

    def wait_queue_empty(self) -> None:
        """Wait until nobody waits to be accepted: then the shortest queue has room for those who come next, though the
        server stand still."""
        self.wait(lambda: not self.queued(), "the server accepts all that wait to be accepted")

    def wait_let_in(self, connection: socket.socket) -> bool:
        """Wait for the end of a connect(2) that was begun. False where the kernel lets nobody in any more, because the
        queue of those who wait to be accepted is full (listen(2)) and the server leaves them there: it sleeps, stands
        still, or has had the CPU time to accept them."""
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        rest = _Rest(self.server, self.patience)

        def settled() -> bool:
            return bool(poll.poll(0)) or rest.has_come((len(self._held()), self.queued()))

        self.wait(settled, "the kernel lets a client in, or the server has no room for more")
        return bool(poll.poll(0)) and connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    def wait_full(self) -> None:
        """Wait until the server accepts no more: the number of its connections stays, looked at eight times; or until
        it has ended."""
        self.deeds.add("server", value="full")
        looks, held = 0, -1

        def settled() -> bool:
            nonlocal looks, held
            now = len(self._held())
            looks, held = (looks + 1, now) if now == held else (0, now)
            return looks > 8 and now > 0 or not self.server.alive()

        self.wait(settled, "the server accepts clients, until it has no room for more")

    def wait_released(self, clients: Iterable[Client]) -> None:
        """Wait until the server has closed its end of every one of these connections."""
        gone = {client.port for client in self.noted("released", clients)}
        try:
            self.wait(lambda: not gone & self._held(), "the server closes its end")
        except Failure as failure:
            raise self.failure(
                f"{len(gone)} client(s) had left and the server kept its end of {len(gone & self._held())}"
                f" connection(s) open: {failure.got}",
                got="open descriptors",
                expected="a closed connection (recv of 0 bytes, EPOLLHUP or EPOLLRDHUP handled)",
            ) from failure

    def wait_consumed(self, client: Client) -> None:
        """Wait until the server has received all that `client` sent: what is sent now is a new piece to it."""

        def consumed() -> bool:
            undelivered = client.undelivered()  # looked at first: what it shows as delivered, `side` counts as come
            row = self.side(client)
            if row is None or row.inode == 0 and row.state != procfs.ESTABLISHED:
                return True  # the server has ended the connection
            return not undelivered and row.inode != 0 and row.unread == 0

        client.transcript.paused("until the server has received it")
        self.noted("received", [client])
        self.wait(consumed, "the server receives what was sent")

    def expect_nothing_yet(self, client: Client, done: str, expected: str) -> None:
        """Neither a byte nor the end has come."""
        self.deeds.add("silence", client.number)
        if client.has_answer():
            reply = client.reply()
            reply.should(answer="nothing")
            self.fail(reply, f"{done}: {reply.outline()}", expected=expected)

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
        """Wait until the server's sockets to these clients, who do not read, are full, and stay so while it comes to
        rest: the next send to each has met, or will meet, EAGAIN. One that works, or waits for a CPU, may be about to
        send more; one that never sleeps spins. Their requests must be for `huge` files."""
        clients = self.noted("stalled", clients)
        ports = {client.port for client in clients}
        for client in clients:
            client.transcript.paused("reads nothing until the server's socket is full")
        rest = _Rest(self.server, self.patience)

        def stalled() -> bool:
            queued = {row.remote_port: row.unsent for row in self.sides() if row.remote_port in ports}
            # One whose connection has ended does not stall any more: what came of it, reading will show.
            return len(queued) < len(ports) or rest.has_come(queued) and all(queued.values())

        self.wait(stalled, "the server fills its socket to a client that does not read")

    def settled_descriptors(self) -> dict[tuple[int, int], str]:
        """The server's open descriptors, when it has done all that it will do about their number."""
        rest, links = _Rest(self.server, self.patience), {}

        def settled() -> bool:
            nonlocal links
            links = procfs.descriptors(self.server.pid)
            return rest.has_come(len(links))

        self.wait(settled, "the number of the server's descriptors stays")
        return links

    def wait_idle(self, what: str) -> None:
        """Wait until the server sleeps, as one must that has nothing to do: Failure if it goes on burning the CPU.

        Asleep = 25 looks one after another find no thread running, and meanwhile it ran for under 5 ms in all. That
        leaves room for a timer tick, and none for a loop: a loop is runnable at every look, on a loaded machine too.
        """
        self.deeds.add("server", value="idle")
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

        try:
            wait_until(asleep, OVERTIME * self.patience, "the server sleeps, or shows that it does not")
        except Failure as failure:  # ready to run at all looks, and never running
            raise Trouble(f"{what}: this machine is too busy to tell whether the server would sleep") from failure
        if looks <= 25:
            raise self.failure(
                f"{what}: the server should sleep in epoll_wait, and used {bound / 1e9:g} s of CPU time"
                f" in {time.monotonic() - begin:.1f} s",
                got=f"threads in state {procfs.states(self.server.pid)!r}",
                expected="all threads asleep (S)",
            )

    def noted(self, event: str, clients: Iterable[Client]) -> list[Client]:
        """The clients; that something is waited for of each is written down."""
        clients = list(clients)
        for client in clients:
            self.deeds.add("wait", client.number, event)
        return clients

    def unsent(self, client: Client) -> int:
        """The bytes for this client that the server has sent and that its kernel has not delivered yet."""
        row = self.side(client)
        return row.unsent if row else 0

    def _held(self) -> set[int]:
        """The client ports of the connections that a process on the server's side has open."""
        return {row.remote_port for row in self.sides() if row.inode}
