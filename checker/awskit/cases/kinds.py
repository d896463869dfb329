"""What values a case file may hold: how each is read from TOML, its bounds, and how it is written again.

A case may come from anybody, so every value is bounded here, before anything is done with it.
"""

from __future__ import annotations

import dataclasses
import errno
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

MIB = 1 << 20
SENT_MOST = 2 * MIB  # bytes of one step
TARGET_BYTES = 4000  # of a path in the tree, PATH_MAX's order
NAME_BYTES = 255  # of one name in it (NAME_MAX)
REPEATED = 32  # from so many times on, what is repeated is written as a number
_REPEATED = re.compile(rb"(.{1,8}?)\1{%d,}" % (REPEATED - 1), re.DOTALL)


class Bad(Exception):
    """A value that may not stand there; the text says why. `within` is where in the value, such as `[2].times`."""

    def __init__(self, reason: str, within: tuple[str | int, ...] = ()) -> None:
        super().__init__(reason)
        self.within = within


class Kind(Protocol):
    """A kind of value. `read` raises Bad; `write` is its inverse."""

    def read(self, value: Any) -> Any:
        """The value as the case has it, from TOML's."""

    def write(self, value: Any) -> Any:
        """TOML's value, from the case's."""


class _Same:
    """Written as it was read."""

    def write(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Integer(_Same):
    """A whole number from `low` to `high`."""

    low: int
    high: int

    def read(self, value: Any) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise Bad(f"must be a whole number from {self.low:,} to {self.high:,}, not {short(value)}")
        return value


@dataclass(frozen=True)
class Flag(_Same):
    """`true`; its absence is `false`."""

    def read(self, value: Any) -> bool:
        if value is not True:
            raise Bad(f"is `true` or is not there at all, and not {short(value)}")
        return value


@dataclass(frozen=True)
class Text(_Same):
    """One line of text."""

    most: int

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > self.most:
            raise Bad(f"must be one line of text of at most {self.most} characters, not {short(value)}")
        return value


@dataclass(frozen=True)
class Pattern(_Same):
    """Text of a certain shape; `what` describes it."""

    shape: re.Pattern[str]
    what: str

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not self.shape.fullmatch(value):
            raise Bad(f"must be {self.what}, not {short(value)}")
        return value


@dataclass(frozen=True)
class Word(_Same):
    """One of some words."""

    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise Bad(f"must be one of {', '.join(self.words)}, not {short(value)}")
        return value


@dataclass(frozen=True)
class Errno(_Same):
    """The name of an error, such as EAGAIN (errno(3))."""

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not isinstance(getattr(errno, value, None), int):
            raise Bad(f"must be the name of an error as errno(3) lists them, such as EAGAIN, not {short(value)}")
        return value


@dataclass(frozen=True)
class Target(_Same):
    """A path in the document tree, as a client writes it: `/static/a.dat`. It cannot leave the tree."""

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not value.startswith("/"):
            raise Bad(f"must be a path in the tree that begins with a slash, not {short(value)}")
        names = value[1:].split("/")
        if any(name in ("", ".", "..") or "\0" in name for name in names):
            raise Bad(f"{short(value)} is no plain path: it has an empty name, `.`, `..` or a NUL")
        if len(value.encode(errors="replace")) > TARGET_BYTES or any(len(name.encode()) > NAME_BYTES for name in names):
            raise Bad(f"is longer than a path may be ({TARGET_BYTES:,} bytes, {NAME_BYTES} for a name)")
        return value


@dataclass(frozen=True)
class Data:
    """Bytes: a text in which each character is one (U+0000 to U+00FF), or a list of such texts and of
    `{ repeat = "x", times = 9000 }`. At most `most` of them, one at least."""

    most: int

    def read(self, value: Any) -> bytes:
        parts = value if isinstance(value, list) else [value]
        data = bytearray()
        for number, part in enumerate(parts):
            within = (number,) if isinstance(value, list) else ()
            data += self._part(part, within, self.most - len(data))
        if not data:
            raise Bad("must be one byte at least")
        return bytes(data)

    def _part(self, part: Any, within: tuple[str | int, ...], room: int) -> bytes:
        times = 1
        if isinstance(part, dict):
            if set(part) != {"repeat", "times"}:
                raise Bad('must have just these keys: { repeat = "x", times = 9000 }', within)
            part, times = part["repeat"], part["times"]
            if type(times) is not int or times < 1:
                raise Bad(f"must be a whole number from 1 on, not {short(times)}", (*within, "times"))
        try:
            data = part.encode("latin-1")
        except (AttributeError, UnicodeEncodeError):
            raise Bad("must be text in which each character is one byte, U+0000 to U+00FF", within) from None
        if len(data) * times > room:
            raise Bad(f"is more than {self.most:,} bytes", within)
        return data * times

    def write(self, value: bytes) -> Any:
        parts: list[Any] = []
        at = 0
        for run in _REPEATED.finditer(value):
            parts += [value[at : run.start()].decode("latin-1")] if run.start() > at else []
            parts.append({"repeat": run[1].decode("latin-1"), "times": len(run[0]) // len(run[1])})
            at = run.end()
        parts += [value[at:].decode("latin-1")] if at < len(value) else []
        return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else parts


@dataclass(frozen=True)
class List:
    """From `least` to `most` values of one kind."""

    kind: Kind
    most: int
    least: int = 0

    def read(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            raise Bad(f"must be a list of {self.least} to {self.most:,}, not {short(value)}")
        return tuple(_within(self.kind, item, number) for number, item in enumerate(value))

    def write(self, value: tuple[Any, ...]) -> list[Any]:
        return [self.kind.write(item) for item in value]


@dataclass(frozen=True)
class Pairs:
    """A table of at most `most` values of one kind, each with a key of another."""

    keys: Kind
    values: Kind
    most: int

    def read(self, value: Any) -> tuple[tuple[Any, Any], ...]:
        if not isinstance(value, dict) or len(value) > self.most:
            raise Bad(f"must be a table of at most {self.most:,}, not {short(value)}")
        return tuple((_within(self.keys, key, key), _within(self.values, item, key)) for key, item in value.items())

    def write(self, value: tuple[tuple[Any, Any], ...]) -> dict[str, Any]:
        return {key: self.values.write(item) for key, item in value}


@dataclass(frozen=True)
class Either:
    """A whole number, or what the other kind takes."""

    number: Integer
    other: Kind

    def read(self, value: Any) -> Any:
        if type(value) is int:
            return self.number.read(value)
        try:
            return self.other.read(value)
        except Bad as bad:
            low, high = self.number.low, self.number.high
            raise Bad(f"{bad}, and no whole number from {low:,} to {high:,}", bad.within) from None

    def write(self, value: Any) -> Any:
        return value if isinstance(value, int) else self.other.write(value)


@dataclass(frozen=True)
class Table:
    """A table that one of some dataclasses describes; `choose` says which one for a table, or raises Bad."""

    choose: Callable[[dict[str, Any]], type]
    what: str

    def read(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise Bad(f"must be {self.what}, not {short(value)}")
        return read_fields(self.choose(value), value)

    def write(self, value: Any) -> dict[str, Any]:
        return write_fields(value)


def key(name: str, kind: Kind, default: Any = dataclasses.MISSING) -> Any:
    """A field that the file spells `name`; it must be there unless it has a default."""
    return dataclasses.field(
        default=default, metadata={"key": name, "kind": kind, "needed": default is dataclasses.MISSING}
    )


def read_fields(cls: type, table: dict[str, Any]) -> Any:
    """An object of the dataclass `cls`, whose fields are made by `key`, from a table. Raises Bad."""
    fields = {field.metadata["key"]: field for field in cls.__dataclass_fields__.values()}
    for name in table:
        if name not in fields:
            raise Bad(f"there is no such key here; known are {', '.join(fields)}", (name,))
    missing = [f"`{name}`" for name, field in fields.items() if field.metadata["needed"] and name not in table]
    if missing:
        raise Bad(f"the key{'s' if missing[1:] else ''} {', '.join(missing)} {'are' if missing[1:] else 'is'} missing")
    return cls(**{field.name: _within(field.metadata["kind"], table[name], name)
                  for name, field in fields.items() if name in table})  # fmt: skip


def write_fields(value: Any) -> dict[str, Any]:
    """The table that `read_fields` would read; what is as by default is left out."""
    table = {}
    for field in value.__dataclass_fields__.values():
        own = getattr(value, field.name)
        if field.metadata["needed"] or own != field.default:
            table[field.metadata["key"]] = field.metadata["kind"].write(own)
    return table


def _within(kind: Kind, value: Any, where: str | int) -> Any:
    try:
        return kind.read(value)
    except Bad as bad:
        raise Bad(str(bad), (where, *bad.within)) from None


def short(value: Any) -> str:
    """A value in a message: plain characters, and so few that one line holds them."""
    try:
        text = ascii(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        text = "such a number"
    return text if len(text) <= 60 else text[:57] + "..."
