"""Reading a case file. What is wrong with one is said with line and field: `a.toml:12: steps[3].send: …`."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from ..model import WrongUsage
from . import places
from .case import Case
from .kinds import Bad, read_fields, short
from .sound import expect_sound

TEXT_MOST = 1 << 20  # characters of a case file: no text that a person writes is longer,
REPEATED_MOST = 32 << 20  # bytes that all `repeat` of a case stand for
LINE_MOST = 8192  # nor a line of it, nor a key of many parts, for which tomllib takes time by the square of them
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"]*"|'[^']*')[ \t]*\.[ \t]*){32}""")


class BadCase(WrongUsage):
    """A case file that cannot be used; the text says where and why."""


def read(path: Path) -> Case:
    """The case in the file `path`. Raises BadCase."""
    return parse(_text(path), str(path))


def read_with_lines(path: Path) -> tuple[Case, list[int]]:
    """The same, and at which line of the file each step stands."""
    text = _text(path)
    case = parse(text, str(path))
    found = places.lines(text)
    return case, [found["steps", number] for number in range(len(case.steps))]


def _text(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO has no writer
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadCase(f"{path}: no regular file")
            data = stream.read(TEXT_MOST + 1)
    except OSError as error:
        raise BadCase(f"{path}: {error.strerror}") from error
    if len(data) > TEXT_MOST:
        raise BadCase(f"{path}: longer than {TEXT_MOST:,} bytes: no case file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadCase(f"{path}: not UTF-8: {error}") from error


def parse(text: str, name: str) -> Case:
    """The case in a text; `name` stands for the file in messages. Raises BadCase."""
    if len(text) > TEXT_MOST:
        raise BadCase(f"{name}: longer than {TEXT_MOST:,} characters: no case file")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LINE_MOST:
            raise BadCase(f"{name}:{number}: a line of more than {LINE_MOST:,} characters; put it together of parts")
        if _LONG_KEY.search(line):
            raise BadCase(f"{name}:{number}: a key of more than 32 parts")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadCase(_no_toml(name, text, str(error))) from error
    except ValueError as error:
        raise BadCase(f"{name}:{_line_of_digits(text)}: a number of thousands of digits") from error
    except RecursionError as error:
        raise BadCase(f"{name}: nested too deep") from error
    try:
        return from_table(table)
    except Bad as bad:
        raise BadCase(f"{name}:{_line(text, bad.within)}: {_spelled(bad.within)}{bad}") from bad


def _no_toml(name: str, text: str, error: str) -> str:
    """What is wrong with a text that is no TOML. Its parser sees some mistakes only at the beginning of the next line;
    and a step in braces that goes on in another line is none that it knows."""
    reason, _, place = error.partition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)
    number = int(found[1]) if found else text.count("\n") + 1
    lines = text.split("\n")
    line, before = lines[number - 1].strip(), next((one.strip() for one in lines[number - 2 :: -1] if one.strip()), "")
    hint = ""
    if reason == "Unclosed array" and number > 1 and not before.endswith((",", "[")):
        hint = f"; is there a comma missing at the end of line {number - 1}?"
    elif "{" in line and line.count("{") > line.count("}"):
        hint = "; what stands in braces is one line in TOML, its end, too"
    elif reason == "Invalid value":
        hint = "; a text stands in quotes, true and false are small"
    return f"{name}:{number}: no TOML: {reason}{f' at column {found[2]}' if found else ''}{hint}"


def _line_of_digits(text: str) -> int:
    return next((at for at, line in enumerate(text.split("\n"), 1) if re.search(r"[0-9_]{4000}", line)), 1)


def from_table(table: dict[str, Any]) -> Case:
    """The case that a table of TOML's values describes. Raises Bad."""
    _expect_keys_on_top(table)
    _expect_room(table)
    case = read_fields(Case, table)
    expect_sound(case)
    return case


def _expect_keys_on_top(table: dict[str, Any]) -> None:
    """Bad where a key of the case stands below `[files]`, and so is one of that table."""
    files = table.get("files")
    names = {field.metadata["key"] for field in dataclasses.fields(Case)}
    for name in files if isinstance(files, dict) else ():
        if name in names:
            raise Bad("stands below [files], whose end is the end of the file: put it above", ("files", name))


def _expect_room(table: dict[str, Any]) -> None:
    """Bad where the texts that are written as `{ repeat = "x", times = 9000 }` are too much memory, before any of them
    is made: 2,000 lines may stand for gigabytes."""
    room, values = REPEATED_MOST, [table]
    while values:
        value = values.pop()
        match value:
            case {"repeat": str(part), "times": int(times), **more} if not more:
                room -= len(part) * max(times, 0)
            case dict():
                values += value.values()
            case list():
                values += value
        if room < 0:
            raise Bad(f"what is repeated comes to more than {REPEATED_MOST:,} bytes in all")


def _line(text: str, within: tuple[str | int, ...]) -> int:
    """The line of the value, or of the nearest that holds it and has a line."""
    found = places.lines(text)
    while within and within not in found:
        within = within[:-1]
    return found.get(within, 1)


def _spelled(within: tuple[str | int, ...]) -> str:
    text = ""
    for part in within:
        plain = isinstance(part, str) and part.isidentifier() and len(part) <= 60
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if plain else f".{short(part)}"
    return f"{text.lstrip('.')}: " if text else ""
