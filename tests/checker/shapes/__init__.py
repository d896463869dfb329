"""The shapes that other programs expect of what we write: Gradescope's results.json, JUnit's XML, GitLab's report; and
pages that a browser shows as we mean them."""

from __future__ import annotations

import base64
import hashlib
import html.parser
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


def page_breaches(text: str) -> list[str]:
    """What is wrong with a page: elements that do not nest, scripts or styles that are not the policy's, and whatever
    acts or loads from elsewhere."""
    reader = _Page()
    reader.feed(text)
    reader.close()
    return [*reader.breaches, *(f"<{name}> does not end" for name in reader.open)]


class _Page(html.parser.HTMLParser):
    VOID = frozenset({"meta", "br", "hr", "col", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.breaches: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"] or ""
        for name, value in attributes.items():
            if name.startswith("on") or name in ("style", "srcdoc", "action", "formaction", "ping"):
                self.breaches.append(f"<{tag} {name}={value!r}>")
            if name in ("href", "src", "xlink:href") and (":" in (value or "") or (value or "").startswith("//")):
                self.breaches.append(f"<{tag} {name}={value!r}>")
        if tag in ("img", "iframe", "object", "embed", "link", "base", "form"):
            self.breaches.append(f"<{tag}>")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.breaches.append(f"</{tag}> ends what it did not begin")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            digest = "sha256-" + base64.b64encode(hashlib.sha256(data.encode()).digest()).decode()
            if f"{self.open[-1]}-src '{digest}'" not in self.policy:
                self.breaches.append(f"a <{self.open[-1]}> that the policy does not know")
