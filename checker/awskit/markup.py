"""HTML and SVG that cannot be injected into: elements are made by a function, and every text in them is escaped.

`document` makes the whole file: it holds all that it needs, loads nothing from anywhere, and forbids the browser to. A
style or a script that is not one of ours would not be heeded even if it came to stand there: both are named in the
policy by their hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from .plain import clean
from .texts import Texts

STYLE = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("page.js")

_VOID = frozenset({"meta", "br", "hr", "col", "link", "wbr"})  # elements that have no end tag
_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


class Markup(str):
    """HTML that is right as it stands; any other text is escaped where it is put in."""


Content = str | None | Iterable["Content"]


def escape(text: str) -> Markup:
    """Text that does nothing in HTML, neither in an element nor in a quoted attribute; control characters and those
    that are none are spelled out. Markup stays as it is."""
    if isinstance(text, Markup):
        return text
    shown = clean(text)
    if not shown.isprintable():
        shown = "".join(f"\\u{ord(one):04x}" if unicodedata.category(one) == "Cn" else one for one in shown)
    return Markup(html.escape(shown))


def join(*children: Content) -> Markup:
    """Texts and elements one after another; None is nothing."""
    return Markup("".join(_flat(children)))


def element(name: str, /, *children: Content, **attributes: object) -> Markup:
    """An element. Attributes: `class_` is class, `aria_label` is aria-label; None and False leave one out, True is one
    without a value. ValueError for a link that leads out of the page's own folder."""
    given = {key: value for key, value in attributes.items() if value is not None and value is not False}
    shown = "".join(_attribute(key, value) for key, value in given.items())
    if name in _VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{join(children)}</{name}>")


def document(title: str, body: Markup, texts: Texts, *, script: str = "") -> str:
    """A whole HTML file with our style, our script and `script`: it fetches nothing and runs no other script."""
    style, code = STYLE.read_text(encoding="utf-8"), SCRIPT.read_text(encoding="utf-8") + script
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(code)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = join(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(style)),
    )
    whole = element("html", element("head", head), element("body", body, element("script", Markup(code))),
                    lang=texts.language)  # fmt: skip
    return f"<!doctype html>\n{whole}\n"


def _flat(children: Iterable[Content]) -> Iterable[str]:
    for child in children:
        if isinstance(child, str):
            yield escape(child)
        elif child is not None:
            yield from _flat(child)


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if name in ("href", "src") and _SCHEME.match(text):
        raise ValueError(f"a page of ours does not lead to {text!r}")
    return f' {name}="{escape(text)}"'


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
