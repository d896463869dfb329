"""What came back on a connection: the response by the grammar of RFC 9112, its body, how the connection ended.

Three things are kept apart, because a server may do one right and another wrong.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .transcript import Transcript
    from .tree import Content

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] ([1-5][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)")  # RFC 9112 section 4
_LOOSE_STATUS = re.compile(rb"HTTP/[0-9.]*[ \t]*([0-9]{3})(?![0-9])")
_VALUE = re.compile(rb"[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?|")  # RFC 9110 section 5.5
# Fields that a sender may generate once at most (RFC 9110 section 5.3: the value is not a list).
_SINGLETONS = frozenset({"content-length", "content-type", "date", "last-modified", "etag", "location", "server"})


class Ending(enum.Enum):
    """How the server's side of the connection ended, as far as we looked."""

    FIN = "the server closed the connection"
    RST = "the server reset the connection (RST)"
    SILENCE = "the connection stayed open and nothing more came"
    CUT = "more came than could be right, so reading was stopped"
    SLOW = "it came so slowly that reading was stopped"
    OPEN = "the connection is open"


@dataclass(frozen=True)
class Head:
    """A response head. Read leniently, so that one mistake does not hide the rest; `faults` are the breaches of
    RFC 9112's grammar, each a sentence, none for a right head."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]  # names in lower case, values without outer blanks, in order
    faults: tuple[str, ...]

    def field(self, name: str) -> str | None:
        """The value of the first field `name` (any case), or None."""
        return next((value for key, value in self.fields if key == name.lower()), None)

    @property
    def content_length(self) -> int | None:
        """Content-Length as a number; None if there is none or it is no number."""
        value = self.field("content-length")
        return int(value) if value is not None and re.fullmatch("[0-9]{1,18}", value) else None


def parse_head(raw: bytes) -> Head | None:
    """Read a response head, the empty line included; None if it does not even begin like one."""
    lines = raw.split(b"\r\n")
    loose = _LOOSE_STATUS.match(lines[0])
    if loose is None:
        return None
    faults = []
    strict = _STATUS_LINE.fullmatch(lines[0])
    if strict is None:
        faults.append(f"the status line {show(lines[0])} is not `HTTP/1.1 SP 3DIGIT SP reason` (RFC 9112 section 4)")
    if re.search(rb"\r(?!\n)|(?<!\r)\n", raw):
        faults.append("a CR or LF stands alone in the head (RFC 9112 section 2.2)")
    fields: list[tuple[str, str]] = []
    for line in lines[1:]:
        if not line:
            break
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not _TOKEN.fullmatch(name):
            faults.append(f"the line {show(line)} is not `name: value` (RFC 9112 section 5)")
        elif not _VALUE.fullmatch(value):
            faults.append(f"the value of {show(line)} has bytes that no field value may have (RFC 9110 section 5.5)")
        fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))
    names = [name for name, _ in fields]
    for name in sorted(_SINGLETONS.intersection(names)):
        if names.count(name) > 1:
            faults.append(f"the field {name} stands there {names.count(name)} times (RFC 9110 section 5.3)")
    head = Head(int(loose[1]), strict[2].decode("latin-1") if strict else "", tuple(fields), tuple(faults))
    if "content-length" in names and head.content_length is None:
        faults.append(f"Content-Length is {head.field('content-length')!r}, no number (RFC 9110 section 8.6)")
    return Head(head.status, head.reason, head.fields, tuple(faults))


@dataclass(frozen=True)
class Difference:
    """The first byte at which a body is not the file: at `offset`, some bytes of both sides from there on."""

    offset: int
    got: bytes
    expected: bytes


@dataclass
class Reply:
    """All that came on a connection: at most one response is right, and nothing after it."""

    head: Head | None = None
    raw_head: bytes = b""  # up to and with the empty line; all that came, where there is no head
    length: int = 0  # bytes of body
    start: bytes = b""  # the first 64 KiB of them
    difference: Difference | None = None  # against the expected file; None where equal so far, or nothing was expected
    ending: Ending = Ending.OPEN
    transcript: Transcript | None = None  # of the connection that it came on
    wanted: Content | None = None  # what the body was compared with
    why: str = ""  # reading was given up, where the ending is none of the server's
    judged_by: dict[str, Any] = field(default_factory=dict)  # what it should be, as a step of a case says it (Answer)

    def should(self, **words: Any) -> None:
        """Write down what a right one is like, in the words of a case's step. What was said first stands."""
        self.judged_by = words | self.judged_by

    @property
    def exchange(self) -> str:
        """What went both ways so far, for a person."""
        return self.transcript.render() if self.transcript else ""

    @property
    def status(self) -> int | None:
        """The status code, or None where no response came."""
        return self.head.status if self.head else None

    @property
    def empty(self) -> bool:
        """Not one byte came."""
        return not self.raw_head

    def outline(self) -> str:
        """In a few words: status, length, ending."""
        if self.empty:
            return f"no byte of an answer; {self.end}"
        if self.head is None:
            return f"{show(self.raw_head[:60])}, which is no HTTP response head; {self.end}"
        return f"status {self.head.status}, {self.length:,} bytes of body; {self.end}"

    @property
    def end(self) -> str:
        """How it ended, and why no more was waited for."""
        return f"{self.ending.value}: {self.why}" if self.why else self.ending.value


_NAMES = {10: "\\n", 13: "\\r", 9: "\\t", 92: "\\\\"}
_SHOWN = {byte: _NAMES.get(byte, f"\\x{byte:02x}") for byte in range(256) if byte in _NAMES or not 32 <= byte < 127}


def show(data: bytes, limit: int = 200) -> str:
    """Bytes as a person reads them, in one line: \\r, \\n, \\xHH for what is no printable ASCII; cut, and says so."""
    shown = data[:limit].decode("latin-1").translate(_SHOWN)
    return f'"{shown}"' + (f" and {len(data) - limit:,} bytes more" if len(data) > limit else "")
