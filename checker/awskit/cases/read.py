"""Reading a case file. What is wrong with one is said with line and field: `a.toml:12: steps[3].send: …`."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

from . import places
from .case import Case
from .kinds import Bad, read_fields
from .sound import expect_sound

TEXT_MOST = 1 << 20  # characters of a case file: no text that a person writes is longer,
LINE_MOST = 8192  # nor a line of it, nor a key of many parts, for which tomllib takes time by the square of them
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"]*"|'[^']*')[ \t]*\.[ \t]*){32}""")


class BadCase(Exception):
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
        with path.open("rb") as stream:
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
    except ValueError as error:  # a TOMLDecodeError, or an integer of thousands of digits
        raise BadCase(f"{name}: {error}") from error
    except RecursionError as error:
        raise BadCase(f"{name}: nested too deep") from error
    try:
        return from_table(table)
    except Bad as bad:
        raise BadCase(f"{name}:{_line(text, bad.within)}: {_spelled(bad.within)}{bad}") from bad


def from_table(table: dict[str, Any]) -> Case:
    """The case that a table of TOML's values describes. Raises Bad."""
    _expect_keys_on_top(table)
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


def _line(text: str, within: tuple[str | int, ...]) -> int:
    """The line of the value, or of the nearest that holds it and has a line."""
    found = places.lines(text)
    while within and within not in found:
        within = within[:-1]
    return found.get(within, 1)


def _spelled(within: tuple[str | int, ...]) -> str:
    text = ""
    for part in within:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if part.isidentifier() else f".{ascii(part)}"
    return f"{text.lstrip('.')}: " if text else ""
