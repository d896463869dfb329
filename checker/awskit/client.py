"""An HTTP client that hides nothing: it sends the very bytes it is told, and says exactly what came and how it ended.

A body is compared with the expected file as it comes, so that 100 MiB cost no memory.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable

from .deeds import Deeds
from .reply import Difference, Ending, Reply, parse_head
from .transcript import Transcript
from .tree import MIB, Content
from .vigil import Vigil

HEAD_LIMIT = 64 * 1024  # a response head longer than this is none
BODY_KEPT = 64 * 1024  # so much of a body is kept for a look at it
RECEIVE = 256 * 1024
DRAINED = 16  # receives at most: a server may talk without end
# So long a client that has all that was announced waits for the server's end before it ends its own side. A server that
# closes does so at once; for any other this is what each request costs. No verdict depends on it.
GRACE_S = 0.001


class Client:
    """One connection. A context manager: closed at the end. `wait` begins a wait for the server: silence until the
    vigil says that it is in vain is an ending. `unsent` tells how many bytes for this client the server's kernel has;
    `begun` when connect(2) was called (time.time()), for the picture; in `deeds` is written down what the client
    `number` does.

    No method raises for what the server does; it is seen in `ending` and in the reply.
    """

    def __init__(
        self,
        connection: socket.socket,
        wait: Callable[[], Vigil],
        unsent: Callable[[Client], int],
        begun: float | None = None,
        deeds: Deeds | None = None,
        receive_buffer: int = 0,
    ) -> None:
        self.socket = connection
        self.ending = Ending.OPEN
        self.why = ""  # nothing more was waited for, where the ending is none of the server's
        self._wait = wait
        self._unsent = unsent
        self.port: int = connection.getsockname()[1]
        self.transcript = Transcript(self.port, begun)
        self.deeds = deeds or Deeds()
        self.number = self.deeds.newcomer(receive_buffer)
        self.watch: Callable[[bytes], None] | None = None  # is given all that is read
        self._inbox = bytearray()  # received while sending, or beyond what was asked for
        connection.setblocking(False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- sending ------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        """Send all of it as one piece; False if the server had ended the connection or did not take it.
        What the server says meanwhile is kept for reading, so that two who only send do not wait for each other."""
        self.transcript.add_sent(data)
        self.deeds.add("send", self.number, data)
        rest = memoryview(data)
        poll = select.poll()
        poll.register(self.socket, select.POLLIN | select.POLLOUT)
        vigil = self._wait()
        while rest:
            events = poll.poll(vigil.pause() * 1000)
            if not events:
                if why := vigil.look():
                    self.transcript.note("end", f"the server took none of the last {len(rest):,} bytes: {why}")
                    return False
                continue
            vigil = self._wait()
            if events[0][1] & select.POLLIN and not self._receive_into_inbox():
                poll.modify(self.socket, select.POLLOUT)
            try:
                rest = rest[self.socket.send(rest) :]
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError) as error:
                self.transcript.note("end", f"sending failed: {error.strerror}")
                return False
        return True

    def undelivered(self) -> int:
        """Bytes sent that the server's kernel has not yet confirmed (SIOCOUTQ of tcp(7))."""
        return int(struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0\0\0\0"))[0])

    def half_close(self) -> None:
        """Say that no more will be sent (FIN), and go on reading."""
        self.deeds.add("half-close", self.number)
        self._end_sending()

    def _end_sending(self) -> None:
        self.transcript.note("half-close", "the client says that it has sent all (shutdown SHUT_WR)")
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.transcript.note("half-close", f"shutdown failed: {error.strerror}")

    def widen(self) -> None:
        """Give a slow reader a large receive buffer, so that what is left comes fast."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, MIB)

    def abort(self) -> None:
        """End the connection by RST, whatever is under way."""
        self.deeds.add("reset", self.number)
        self.transcript.note("reset", "the client resets the connection (RST)")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self.socket.fileno() >= 0:
            self.deeds.add("close", self.number)
            self.transcript.closed()
        self.socket.close()

    # -- reading ------------------------------------------------------------------------------------------------------

    def receive(self, limit: int = RECEIVE) -> bytes:
        """What comes next, at most `limit` bytes; b"" at the end, which `ending` then names."""
        data = self._receive(limit)
        if self.watch:
            self.watch(data)
        return data

    def _receive(self, limit: int) -> bytes:
        if self._inbox:
            data = bytes(self._inbox[:limit])
            del self._inbox[:limit]
            return data
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        vigil = self._wait()
        while self.ending is Ending.OPEN:
            if poll.poll(vigil.pause() * 1000):
                if data := self._take(limit):
                    return data
            elif why := vigil.look(lambda: self._unsent(self) > 0):
                ending = Ending.SLOW if vigil.dawdles() else Ending.SILENCE
                self._end(ending, "reading stopped" if ending is Ending.SLOW else "nothing more came", why)
        return b""

    def receive_exactly(self, count: int) -> bytes:
        """The next `count` bytes, or as many as there are before the end."""
        self.deeds.add("receive", self.number, count)
        data = bytearray()
        while len(data) < count:
            piece = self.receive(count - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

    def push_back(self, data: bytes) -> None:
        """Take back what `receive` gave: it will be read again."""
        self._inbox[:0] = data

    def has_answer(self) -> bool:
        """Whether a byte, or the end, has come that is not read yet. Does not wait."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(self._inbox) or self.ending is not Ending.OPEN or bool(poll.poll(0))

    def drain(self) -> None:
        """Throw away what has come, without waiting: to close with an answer unread would be RST, which a check that is
        not about it spares the server."""
        for _ in range(DRAINED):
            if not self.has_answer() or not self.receive():
                return

    def read_head(self) -> Reply:
        """Read up to the empty line only; the body stays to be read by `read_body`."""
        reply = Reply()
        self.deeds.add("head", self.number, reply)
        raw = bytearray()
        while b"\r\n\r\n" not in raw and len(raw) <= HEAD_LIMIT:
            piece = self.receive()
            if not piece:
                break
            raw += piece
        head, separator, rest = bytes(raw).partition(b"\r\n\r\n")
        self.push_back(rest)
        reply.raw_head = head + separator
        reply.head = parse_head(reply.raw_head) if separator else None
        reply.ending, reply.why = self.ending, self.why
        reply.transcript = self.transcript
        return reply

    def read_body(self, reply: Reply, expected: Content | None = None, *, until_closed: bool = False) -> Reply:
        """Read to the end of the connection into `reply`, comparing with `expected` on the way.

        A client that has as much as Content-Length announced leaves, as a browser does, and reads what still comes: a
        server that does not close of its own accord is one check's business, not every one's. That check says
        `until_closed`: wait for the server to close first. Bounded in silence (`receive`), in size, and in what the
        server sleeps and computes in all meanwhile.
        """
        reply.wanted = expected
        self.deeds.add("answer", self.number, reply)
        if until_closed:
            reply.should(ends="server")
        announced = reply.head.content_length if reply.head else None
        bound = max(expected.size if expected else 0, announced or 0) + 2 * BODY_KEPT
        pace = self._wait()
        staying = announced is not None and not until_closed
        while True:
            if staying and reply.length >= (announced or 0):
                staying = False
                self._leave()
            piece = self.receive()
            if not piece:
                break
            self._compare(reply, piece, expected)
            reply.length += len(piece)
            reply.start += piece[: BODY_KEPT - len(reply.start)] if len(reply.start) < BODY_KEPT else b""
            if reply.length > bound:
                self._end(Ending.CUT, "reading stopped", f"after {reply.length:,} bytes of body")
            elif why := pace.drags():
                self._end(Ending.SLOW, "reading stopped", why)
        reply.ending, reply.why = self.ending, self.why
        return reply

    def reply(self, expected: Content | None = None, *, until_closed: bool = False) -> Reply:
        """Read all that comes until the connection ends; the body is compared where the status is 200. For
        `until_closed` see `read_body`."""
        reply = self.read_head()
        return self.read_body(reply, expected if reply.status == 200 else None, until_closed=until_closed)

    def _leave(self) -> None:
        """Say that no more will be sent, unless something comes, or the end, while we hesitate."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        if self.ending is Ending.OPEN and not self._inbox and not poll.poll(GRACE_S * 1000):
            self._end_sending()

    @staticmethod
    def _compare(reply: Reply, piece: bytes, expected: Content | None) -> None:
        if expected is None or reply.difference is not None:
            return
        right = expected.read(reply.length, len(piece))
        if piece == right:
            return
        at = next((i for i, (a, b) in enumerate(zip(piece, right)) if a != b), len(right))
        reply.difference = Difference(reply.length + at, piece[at : at + 32], expected.read(reply.length + at, 32))

    def _receive_into_inbox(self) -> bool:
        """Take what has come while we send; False when there is no use in looking again."""
        if self.ending is not Ending.OPEN or len(self._inbox) >= 4 * BODY_KEPT:
            return False
        self._inbox += self._take(RECEIVE)
        return True

    def _take(self, limit: int) -> bytes:
        """One recv(2) on a socket that is readable; b"" also where it was not after all (select(2), BUGS)."""
        try:
            data = self.socket.recv(limit)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            self._end(Ending.RST, Ending.RST.value)
            return b""
        if data:
            self.transcript.add_received(data)
        else:
            self._end(Ending.FIN, Ending.FIN.value)
        return data

    def _end(self, ending: Ending, note: str, why: str = "") -> None:
        self.ending = ending
        self.why = why
        self.transcript.note("end", f"{note}: {why}" if why else note)
