"""HTML that no text can get out of."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from awskit.markup import Markup, document, element, escape, join
from awskit.texts import load


@pytest.mark.parametrize(
    "text, shown",
    [
        ("<script>&\"'", "&lt;script&gt;&amp;&quot;&#x27;"),
        ("a\x00\x1b[31m\r", r"a\x00\x1b[31m\x0d"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\ud800\ufdd0\ufffe", r"\ud800\ufdd0\ufffe"),
        ("ăș→ 中", "ăș→ 中"),
    ],
)
def test_text_does_nothing_in_an_element_or_an_attribute(text: str, shown: str) -> None:
    assert escape(text) == shown
    assert element("p", text, title=text) == f'<p title="{shown}">{shown}</p>'


def test_elements_are_put_together_and_only_text_is_escaped() -> None:
    inner = element("b", "1 < 2")
    assert element("p", "a&", None, [inner, "z"], class_="x", aria_label="y") == (
        '<p class="x" aria-label="y">a&amp;<b>1 &lt; 2</b>z</p>')  # fmt: skip
    assert join("<", Markup("<br>")) == "&lt;<br>"


def test_an_attribute_may_be_bare_left_out_or_a_number() -> None:
    assert element("line", open=True, hidden=False, id=None, x=0, y=0.5) == '<line open x="0" y="0.5"></line>'
    assert element("meta", name="a", charset="b") == '<meta name="a" charset="b">'


@pytest.mark.parametrize("href", ["javascript:alert(1)", " JavaScript:x", "https://example.org", "//host", "data:,x"])
def test_a_link_stays_in_the_page_or_its_folder(href: str) -> None:
    with pytest.raises(ValueError):
        element("a", "x", href=href)
    assert element("a", "x", href="#there") == '<a href="#there">x</a>'
    assert element("a", "x", href="folder/page.html") == '<a href="folder/page.html">x</a>'


def test_a_document_fetches_nothing_and_names_its_own_style_and_script_by_hash() -> None:
    text = document("a <title>", element("main", "ț"), load(), script="let x = 1 < 2;")
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert "<title>a &lt;title&gt;</title>" in text
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src &#x27;none&#x27;;")
    for name in ("style", "script"):
        (code,) = re.findall(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{name}-src &#x27;sha256-{digest}&#x27;" in policy
    assert "let x = 1 < 2;" in text
    style = text.split("</style>")[0]
    assert "://" not in style and "@import" not in style
    assert set(re.findall(r"url\((.)", style)) <= {"#"}
