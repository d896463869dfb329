"""The words that a reader sees: nothing is missing in a language, nothing left over, and numbers choose their form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from awskit import texts
from awskit.grade import memory_check
from awskit.rubric import Item
from awskit.texts import DEFAULT, LANGUAGES, Texts, load, placeholders

FORMS = {"en": {"one", "other"}, "ro": {"one", "few", "other"}}
OTHERS = [language for language in LANGUAGES if language != DEFAULT]
LABELS = sorted(set(load(DEFAULT).data) - {"rules", "explained"})


def _labels(language: str) -> dict[str, set[frozenset[str]]]:
    """Of each label its placeholders, once for every way in which its forms differ in them."""
    data = load(language).data
    return {
        f"{section}.{key}": {placeholders(text) for text in _texts(value)}
        for section in LABELS
        for key, value in data[section].items()
    }


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    else:
        assert isinstance(value, str)
        yield value


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_label_with_the_same_placeholders_and_no_other(language: str) -> None:
    assert _labels(language) == _labels(DEFAULT)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_label_with_forms_has_those_of_its_language(language: str) -> None:
    for section in LABELS:
        for key, value in load(language).data[section].items():
            if isinstance(value, Mapping):
                assert set(value) == FORMS[language], f"{section}.{key}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_holds_what_is_not_shown(language: str) -> None:
    for text in _texts(load(language).data):
        assert text.strip() == text and text.isprintable(), text


def test_romanian_is_written_with_commas_below_and_its_own_quotation_marks() -> None:
    for text in _texts(load("ro").data):
        assert not set(text) & set("şţŞŢ"), text


def _made(**more: Any) -> Texts:
    points = {"one": "{n} point", "few": "{n} points, few", "other": "{n} points"}
    return Texts("ro", {"a": {"points": points, "plain": "{what}: {n}"}, **more})


@pytest.mark.parametrize(
    "number, shown",
    [(1, "1 point"), (2, "2 points, few"), (0, "0 points, few"), (19, "19 points, few"), (20, "20 points"),
     (101, "101 points, few"), (120, "120 points"), (0.5, "0,5 points, few"), (12345, "12\u00a0345 points"),
     (21.0, "21 points")],
)  # fmt: skip
def test_a_number_chooses_the_form_and_is_written_as_the_language_does(number: float, shown: str) -> None:
    assert _made()("a.points", n=number) == shown


def test_numbers_in_english() -> None:
    english = load("en")
    shown = [english.number(value) for value in (3.0, 0.25, 1234567, 100, 2.5)]
    assert shown == ["3", "0.25", "1,234,567", "100", "2.5"]


def test_what_a_value_holds_is_no_placeholder() -> None:
    assert _made()("a.plain", what="{n} {x}", n=1) == "{n} {x}: 1"


def test_a_label_that_there_is_not_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        load("ro")("report.nothing")


def test_names_of_ones_own_are_shown_as_they_are() -> None:
    assert load("ro").name("Săptămâna 3") == "Săptămâna 3"


def test_the_title_of_a_memory_check_is_made_of_the_items_name() -> None:
    check = memory_check(Item(17, "Own", 4, 1, ("static.small_equal",), "visible"))
    assert load("ro").check(check) == "Own: nicio eroare de memorie"
    assert load("en").check(check) == check.title


def test_the_languages_are_those_that_have_a_table() -> None:
    assert texts.LANGUAGES == ("en", "ro")
