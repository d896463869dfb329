"""What went both ways on one connection: as a person reads it, and as moments in time for the picture.

A check may move 100 MiB in thousands of receives: both are bounded, and say how much they leave out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .reply import show

SHOWN = 1024  # so much of each message is kept to be shown to a person,
LINES = 16  # so many lines of it,
LINE = 160  # and so many bytes of each;
BODY = 32  # of a body, which says nothing to a person, so many
PARTS = 40  # runs of bytes that are shown
EVENTS = 256  # of one connection that are kept: the first half, and the last


@dataclass(frozen=True)
class Event:
    """The client did something, or something came. `at` is time.time()'s clock, which strace has, too."""

    at: float
    call: str  # connect, send, receive, end, half-close, reset, close
    text: str
    count: int  # bytes


@dataclass
class _Part:
    """A run of bytes in one direction, or a note about the connection."""

    mark: str  # > sent, < received, * happened
    size: int = 0
    kept: bytearray = field(default_factory=bytearray)


class Transcript:
    """What went both ways, cut for reading. `port` is the client's; `begun` when it called connect(2)."""

    def __init__(self, port: int, begun: float | None = None) -> None:
        self.port = port
        self.sent = bytearray()  # the beginning of what the client said: its request
        self.sends = 0  # in so many pieces
        self._parts: list[_Part] = []
        self._joins = True  # what comes is a part with what came before
        self._first: list[Event] = []
        self._last: list[Event] = []
        self._first.append(Event(begun or time.time(), "connect", "", 0))

    @property
    def events(self) -> list[Event]:
        """What happened, in the order of time, without what was left out in the middle."""
        return self._first + self._last

    def add_sent(self, data: bytes) -> None:
        """The client has handed this to the kernel, as one piece."""
        self.sent += data[: max(0, SHOWN - len(self.sent))]
        self.sends += 1
        self._add(">", data, join=False)
        self._happen("send", show(data.split(b"\r\n")[0], 60)[1:-1] if data.isascii() else show(data, 20), len(data))

    def add_received(self, data: bytes) -> None:
        """This has come."""
        self._add("<", data, join=True)
        self._happen("receive", "", len(data))

    def note(self, call: str, text: str) -> None:
        """Write down an event that is neither."""
        self._parts.append(_Part("*", len(text), bytearray(text.encode())))
        self._happen(call, text, 0)

    def paused(self, text: str) -> None:
        """The client waits for an event of the server's before it goes on. Only the picture shows it."""
        self._happen("pause", text, 0)

    def closed(self) -> None:
        """The client has closed the connection: it does so with every one, and only the picture shows it."""
        self._happen("close", "", 0)

    def parts(self) -> int:
        """How many parts there are: what comes next begins another one."""
        self._joins = False
        return len(self._parts)

    def render(self, begin: int = 0, end: int | None = None) -> str:
        """Lines of `> sent`, `< received`, `* event`, of all parts or of those from `begin` to `end`; where one is
        cut, a line that says how much is left."""
        lines = []
        parts = self._parts[begin:end]
        for part in parts[:PARTS]:
            if part.mark == "*":
                lines.append("* " + part.kept.decode())
                continue
            shown = 0
            for line in _lines(bytes(part.kept)):
                shown += len(line)
                lines.append(f"{part.mark} {show(line)[1:-1]}")
            if part.size > shown:
                lines.append(f"{part.mark} [… {part.size:,} bytes in all, the rest is not shown]")
        if len(parts) > PARTS:
            lines.append(f"[… {len(parts) - PARTS} parts more, not shown]")
        return "\n".join(lines)

    def _add(self, mark: str, data: bytes, *, join: bool) -> None:
        """Write down `data`; with `join` it belongs to the part before if that went the same way."""
        if not (join and self._joins and self._parts and self._parts[-1].mark == mark):
            self._parts.append(_Part(mark))
        self._joins = True
        part = self._parts[-1]
        part.size += len(data)
        part.kept += data[: max(0, SHOWN - len(part.kept))]

    def _happen(self, call: str, text: str, count: int) -> None:
        kept = self._first if len(self._first) < EVENTS // 2 else self._last
        kept.append(Event(time.time(), call, text, count))
        if len(self._last) > EVENTS // 2:
            del self._last[0]


def _lines(data: bytes) -> list[bytes]:
    """A message by its lines, as far as they are shown: of what follows its head, the beginning only."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = [line[:LINE] for line in (head + end).splitlines(keepends=True)[:LINES]]
    if body and b"".join(lines) == head + end:  # the whole head is shown
        lines.append(body[:BODY])
    return lines
