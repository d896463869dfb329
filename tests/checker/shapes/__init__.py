"""The shapes that other programs expect of what we write: Gradescope's results.json, JUnit's XML, GitLab's report."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
_KNOWN = {"$comment", "type", "enum", "required", "properties", "additionalProperties", "items", "minimum", "maxLength",
          "minLength", "maxItems"}  # fmt: skip


def breaches(data: Any, name: str) -> list[str]:
    """Where `data` is not as the schema `name` says, each a line; none where all is right."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    return list(_breaches(data, schema, "$"))


def _breaches(data: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
    """The words of JSON Schema that our schemas use. One that is not known here is a mistake, not a yes."""
    assert set(schema) <= _KNOWN, f"not understood: {set(schema) - _KNOWN}"
    if "enum" in schema and data not in schema["enum"]:
        yield f"{place}: {data!r} is none of {schema['enum']}"
    if "type" in schema and (not isinstance(data, _TYPES[schema["type"]]) or
                             isinstance(data, bool) and schema["type"] != "boolean"):  # fmt: skip
        yield f"{place}: no {schema['type']}: {data!r:.80}"
        return
    if isinstance(data, dict):
        properties = schema.get("properties", {})
        yield from (f"{place}: no {key!r}" for key in schema.get("required", ()) if key not in data)
        for key, value in data.items():
            if key in properties:
                yield from _breaches(value, properties[key], f"{place}.{key}")
            elif schema.get("additionalProperties") is False:
                yield f"{place}: unknown {key!r}"
    if isinstance(data, list):
        if len(data) > schema.get("maxItems", len(data)):
            yield f"{place}: {len(data)} of them"
        for number, value in enumerate(data):
            yield from _breaches(value, schema.get("items", {}), f"{place}[{number}]")
    if isinstance(data, str) and not schema.get("minLength", 0) <= len(data) <= schema.get("maxLength", len(data)):
        yield f"{place}: {len(data)} characters"
    if isinstance(data, int | float) and not schema.get("minimum", data) <= data:
        yield f"{place}: {data} is too small"


def junit_breaches(*paths: Path) -> str:
    """What xmllint has to say of these files; "" where they are right."""
    line = ["/usr/bin/xmllint", "--noout", "--nonet", "--schema", str(FOLDER / "junit.xsd"), *map(str, paths)]
    done = subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    return "" if done.returncode == 0 else done.stderr
