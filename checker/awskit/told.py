"""What is said of a failed check: one object, from which the terminal's text, results.json, JUnit, page and picture are
all made.

Everything in it is bounded, and every text is clean (plain.clean): it may be shown as it is on a terminal, and must be
escaped for HTML and XML like any text. `to_json` and `from_json` are each other's inverse, so that a class page reads
it back from results.json.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any

SIDE = 48  # bytes of each side of a difference, at most
BEFORE = 16  # of them before the first byte that differs
MOMENTS = 40  # of one exchange, at most: a picture that a person takes in


@dataclass(frozen=True)
class Difference:
    """The first byte at which a body is not the file: at `offset`. `got` and `expected` are what stands from `begins`
    on, which is `offset` or a little before. A side that ends at `offset` has nothing from there on."""

    offset: int
    begins: int
    got: bytes
    expected: bytes


@dataclass(frozen=True)
class Frame:
    """A place in the submission's own file; never in ours or in a library's. `source`: number and text of three lines
    about it, none where the file cannot be read. `function` may be "". `what` says what happened there."""

    file: str  # relative to the submission
    line: int
    function: str
    what: str
    source: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Moment:
    """One thing that happened."""

    at: float  # seconds since the beginning of the exchange
    side: str  # "client", "server", "fault" (one that the checker delivered), or "kernel" (a signal, the end)
    call: str  # "connect", "send", "receive", "pause", "end", "reset", "close"; of the server the system call's name
    text: str  # one line: its arguments in short
    result: str  # "65,536", "EAGAIN", "FIN", or ""
    count: int  # bytes that moved, 0 where none
    state: str  # our own server's state after it, "" of any other
    wrong: bool  # here it went wrong


@dataclass(frozen=True)
class Cause:
    """A misconception that the evidence fits, of misconceptions.toml. `read`: "epoll(7)", "RFC 9112 section 9.6"."""

    id: str
    name: str
    sentences: tuple[str, ...]
    read: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """All that is said of one check that failed."""

    check: str
    title: str
    rules: tuple[str, ...]
    lost: float  # points of the items that it makes fail
    done: str  # one sentence: what was done, and what came of it
    got: str
    expected: str
    ending: str  # how the connection that failed ended, or ""
    difference: Difference | None
    moments: tuple[Moment, ...]  # in the order of time
    moments_cut: int  # how many were left out
    moments_gap: int  # before which of `moments` they were left out
    traced: bool  # the server's calls stand among them: they are of a second run, under strace, that failed alike
    exchange: str  # the bytes both ways, as lines of text
    cause: Cause | None  # None: not recognised
    frame: Frame | None
    again: str  # the command line that shows it again
    log: str  # the server's own last words
    replay: str = ""  # the command line that replays its case file, "" where none was written
    no_case: str = ""  # why there can be none, or ""


def to_json(told: Told) -> dict[str, Any]:
    """As JSON has it: bytes as hexadecimal digits, tuples as lists."""
    return _plain(told)


def from_json(data: dict[str, Any]) -> Told:
    """The inverse of `to_json`. ValueError, KeyError or TypeError if it is not of that shape."""
    return _typed(Told, data)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def _typed(kind: Any, value: Any) -> Any:
    """`value` as it was before `_plain`, when its type was `kind`."""
    options = typing.get_args(kind)
    if type(None) in options:
        return None if value is None else _typed(options[0], value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if set(value) != set(hints):
            raise ValueError(f"no {kind.__name__}: {', '.join(sorted(set(value) ^ set(hints)))}")
        return kind(**{name: _typed(hint, value[name]) for name, hint in hints.items()})
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise TypeError(f"no list: {value!r}")
        if options[1:] == (Ellipsis,):
            return tuple(_typed(options[0], item) for item in value)
        return tuple(_typed(option, item) for option, item in zip(options, value, strict=True))
    if kind is bytes:
        return bytes.fromhex(value)
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or isinstance(value, bool) and kind is not bool:
        raise TypeError(f"no {kind.__name__}: {value!r}")
    return kind(value)
