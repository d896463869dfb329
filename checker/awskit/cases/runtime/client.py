"""A client of an exported case: one connection."""

from __future__ import annotations

import select
import socket
import struct
import time

from .events import wait_received
from .place import LONGEST, MOST, OPEN, PATIENCE, Place, Wrong
from .right import announced_length


class Client:
    """One connection. What was read ahead of an answer still belongs to it."""

    def __init__(self, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect((Place.host, Place.port))
        except OSError as error:
            raise Wrong(f"cannot connect to port {Place.port}: {error}") from error
        self.port = self.socket.getsockname()[1]
        self.ahead = b""  # what read_ahead has read
        self.unread = b""  # what came together with a head that was read, and follows it
        self.head = b""  # the head that was read last
        self.ending = OPEN
        self.end = time.monotonic() + LONGEST

    def send(self, data: bytes, cuts: tuple[int, ...] = ()) -> None:
        """Send it in pieces, each when the server has received the one before."""
        for start, end in zip((0, *cuts), (*cuts, len(data))):
            if start:
                wait_received(self)
            try:
                self.socket.sendall(data[start:end])
            except OSError:
                return  # the server has ended the connection: the answer tells

    def receive(self, count: int) -> bytes:
        """The next bytes, at most `count`; none at the end, which `ending` then names."""
        if self.unread:
            data, self.unread = self.unread[:count], self.unread[count:]
            return data
        if self.ending != OPEN:
            return b""
        if time.monotonic() > self.end:
            self.ending = f"after {LONGEST:g} s there was still more to come"
            return b""
        try:
            data = self.socket.recv(count)
            self.ending = OPEN if data else "the server closed the connection"
        except ConnectionResetError:
            data, self.ending = b"", "the server reset the connection (RST)"
        except TimeoutError:
            data, self.ending = b"", f"nothing more came for {PATIENCE:g} s"
        return data

    def has_answer(self, milliseconds: int = 0) -> bool:
        """Whether a byte, or the end, has come that was not read yet, or comes in this time."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(self.unread) or self.ending != OPEN or bool(poll.poll(milliseconds))

    def read_ahead(self, count: int) -> None:
        """Read so many bytes, or to the end; they still belong to the answer."""
        while count > 0 and (data := self.receive(count)):
            self.ahead += data
            count -= len(data)

    def read_all(self) -> tuple[bytes, bytes]:
        """Head and body of all that comes. Who has as much as Content-Length says, and sees no end, leaves as a browser
        does."""
        head = self.read_head()
        body, announced, left = bytearray(self.unread), announced_length(head), False
        self.unread = b""
        while len(body) <= MOST + (announced or 0):
            if not left and announced is not None and len(body) >= announced:
                left = True
                if not self.has_answer(1):
                    self.half_close()
            if not (piece := self.receive(1 << 18)):
                return head, bytes(body)
            body += piece
        self.ending = "more came than could be right, so reading was stopped"
        return head, bytes(body)

    def read_head(self) -> bytes:
        """The head of what comes."""
        data, self.ahead = self.ahead, b""
        while b"\r\n\r\n" not in data and len(data) <= 65536 and (piece := self.receive(65536)):
            data += piece
        head, separator, rest = data.partition(b"\r\n\r\n")
        self.head, self.unread = head + separator, rest + self.unread
        return self.head

    def half_close(self) -> None:
        """Say that no more will be sent, and go on reading."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self) -> None:
        """End the connection by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()
