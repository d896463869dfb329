"""Writing a case file: what `read` reads again as the same case, and a person reads, too. A step is a line."""

from __future__ import annotations

import re
from typing import Any

from .case import Case, verb
from .kinds import write_fields

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def to_text(case: Case) -> str:
    """The case as TOML."""
    lines = []
    table = write_fields(case)
    for name, value in table.items():
        if name == "files":
            rows = [f"{_key(path)} = {inline(entry)}" for path, entry in value.items()]
            lines += ["", "[files]", *rows]  # a table ends the keys on top: it comes last
        elif name in ("steps", "faults"):
            lines += ["", f"{name} = [", *(f"    {inline(row)}," for row in value), "]"]
        else:
            lines.append(f"{name} = {inline(value)}")
    at = lines.index("[files]") - 1 if "files" in table else len(lines)
    end = at + 2 + len(table.get("files", ()))
    return "\n".join([*lines[:at], *lines[end:], *lines[at:end]]) + "\n"


def step_text(step: object) -> str:
    """A step as its file spells it, its verb first: for a report."""
    table = write_fields(step)
    first = verb(type(step))
    return ", ".join(f"{name} = {inline(table[name])}" for name in sorted(table, key=lambda name: name != first))


def inline(value: Any) -> str:
    """A value of TOML in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(one) or (one if one.isprintable() else _escape(one)) for one in value) + '"'
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(name)} = {inline(item)}" for name, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return "[" + ", ".join(inline(item) for item in value) + "]"


def _escape(character: str) -> str:
    return f"\\u{ord(character):04X}" if ord(character) < 0x10000 else f"\\U{ord(character):08X}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else inline(name)
