"""The words that a reader sees, in the language that was asked for: `awscheck grade --lang ro`.

Each language is one table, `texts/LANGUAGE.toml`. English has what stands nowhere else; the titles of checks and the
names of items stand with them in English (in the code, in the rubrics), and another language translates them:

    [language]           name = "română"
    [page] [report] …    labels: key = "text with {placeholders}"; a number decides the form where a label has forms
    [rules]              the contract's rules in a sentence, by id
    [explained]          what a check does, and why it matters, by id
    [checks]             titles by the check's id                        (not in English)
    [names]              names of items, groups and rubrics by the English name   (not in English)
    [causes]             name and sentences of a misconception, by its id         (not in English)

What a rubric of one's own says is shown as it is, unless it uses the names of the rubrics that come with the checker.
"""

from __future__ import annotations

import argparse
import functools
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .model import REGISTRY, Check

FOLDER = Path(__file__).with_name("texts")
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
DEFAULT = "en"
NO_MEMORY_ERROR = ": no memory error"  # ends the title of the check behind an item's memory point
_MARKS = {"ro": {",": "\u00a0", ".": ","}}  # thousands and decimals, where English's are not used


@dataclass(frozen=True)
class Texts:
    """All texts of one language. `language` is its code (BCP 47), for HTML's `lang` too."""

    language: str
    data: Mapping[str, Any] = field(repr=False)

    def __call__(self, key: str, **values: object) -> str:
        """The label `section.key`, its placeholders filled in. Where it has forms (`one`, `few`, `other`), the value
        `n` chooses. KeyError for a label that there is not: a mistake of ours."""
        section, _, name = key.partition(".")
        text = self.data[section][name]
        if isinstance(text, Mapping):
            text = text[_form(self.language, values["n"])]
        return str(text).format(
            **{name: self.number(value) if isinstance(value, int | float) else value for name, value in values.items()}
        )

    def check(self, check: Check) -> str:
        """The title of a check."""
        titles = self.data.get("checks", {})
        if _is_of_item(check.id):
            return self("report.no_memory_error", item=self.name(check.title.removesuffix(NO_MEMORY_ERROR)))
        return str(titles.get(check.id, check.title))

    def name(self, english: str) -> str:
        """The name of an item, a group or a rubric in this language; as it is where it is the staff's own. An item that
        is called like a check is translated like it."""
        names = self.data.get("names", {})
        if english in names:
            return str(names[english])
        same = next((one for one in REGISTRY.values() if one.title == english), None)
        return self.check(same) if same else english

    def number(self, value: float) -> str:
        """A number as people write it: 3 and not 3.0, thousands apart, a comma for Romanian's decimals."""
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.6f}".rstrip("0").rstrip(".")
        return self._marked(text)

    def _marked(self, text: str) -> str:
        """A number written in English, with this language's marks."""
        return text.translate(str.maketrans(_MARKS.get(self.language, {})))

    def seconds(self, value: float) -> str:
        """A duration to a tenth, as in a table."""
        return self._marked(f"{value:.1f}")

    def rule(self, id: str) -> str:
        """What a rule of the contract says. KeyError for one that there is not."""
        return str(self.data["rules"][id])

    def has_rule(self, id: str) -> bool:
        """Whether it is a rule of the contract."""
        return id in self.data["rules"]

    def explained(self, id: str) -> tuple[str, str]:
        """What a check does, and why it matters; twice "" where nothing is said of it."""
        does, why = self.data["explained"].get("memory.item" if _is_of_item(id) else id, ("", ""))
        return does, why

    def cause(self, id: str, name: str, sentences: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """Name and sentences of a misconception, which are given in English."""
        own_name, *own_sentences = self.data.get("causes", {}).get(id, (name, *sentences))
        return own_name, tuple(own_sentences)


def _is_of_item(id: str) -> bool:
    """Whether it is the check behind an item's memory point: `memory.17`."""
    return id.removeprefix("memory.").isdecimal()


@functools.cache
def load(language: str = DEFAULT) -> Texts:
    """The texts of one of LANGUAGES."""
    return Texts(language, tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8")))


def add_option(parser: argparse.ArgumentParser) -> None:
    """The option that chooses one of LANGUAGES."""
    parser.add_argument("--lang", choices=LANGUAGES, default=DEFAULT, help="of titles, labels and texts")


def placeholders(text: str) -> frozenset[str]:
    """The names in a label's curly brackets."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def _form(language: str, number: object) -> str:
    """Which form a number asks for, by the rules of CLDR."""
    assert isinstance(number, int | float)
    if number == 1:
        return "one"
    if language == "ro" and (number != int(number) or number == 0 or 1 <= number % 100 <= 19):
        return "few"
    return "other"
