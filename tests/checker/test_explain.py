"""awscheck explain: every check is explained, in every language, with its rule, its points and how to run it."""

from __future__ import annotations

import re

import pytest

from awskit import misconceptions
from awskit.explain import Unknown, contents, explain
from awskit.grade import CHECKS
from awskit.rubric import RUBRICS, load as load_rubric
from awskit.texts import LANGUAGES, load
from grading import called

CAUSES = [one.cause for one in misconceptions.table()]
JUDGED = [check for check in CHECKS.values() if check.submission]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_check_of_a_submission_is_explained_and_nothing_else(language: str) -> None:
    texts = load(language)
    assert set(texts.data["explained"]) == {check.id for check in JUDGED} | {"memory.item"}
    for check in JUDGED:
        does, why = texts.explained(check.id)
        assert does.endswith(".") and why.endswith("."), check.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_that_a_check_names_has_its_text(language: str) -> None:
    texts = load(language)
    assert {rule for check in CHECKS.values() for rule in check.rules} <= set(texts.data["rules"])
    assert set(texts.data["rules"]) == set(load("en").data["rules"])


def test_romanian_has_the_titles_of_all_checks_and_the_names_of_the_rubrics_and_no_other() -> None:
    rubrics = [load_rubric(path.stem, CHECKS) for path in RUBRICS.glob("*.toml")]
    titles = {check.title for check in CHECKS.values()}
    names = {name for rubric in rubrics
             for name in (rubric.title, *rubric.groups, *(item.name for item in rubric.items))}  # fmt: skip
    data = load("ro").data
    assert set(data["checks"]) == {check.id for check in JUDGED}
    # What an item shares with a check may be translated with either.
    assert names - titles <= set(data["names"]) <= names


@pytest.mark.parametrize("check", JUDGED, ids=lambda check: check.id)
def test_an_explanation_says_rule_needs_points_and_command(check: object) -> None:
    found = CHECKS[check.id]  # type: ignore[attr-defined]
    text = explain(found.id, load("en"))
    assert text.startswith(f"{found.id}: {found.title}\n")
    for rule in found.rules:
        assert f"  Rule {rule}\n" in text
    for need in found.needs:
        assert f"    {need}: {CHECKS[need].title}\n" in text
    assert re.search(r"rubric full, item \d+, .*: [0-9.]+ points?", text)
    assert f"checker/awscheck grade PATH --rubric full --only {found.id}\n" in text


def test_points_are_those_of_the_rubrics() -> None:
    text = explain("static.large_equal", load("en"))
    assert "rubric assignment, item 19, a large static file is byte-equal: 4 points\n" in text
    assert "rubric full, item 13, a large static file is equal byte for byte: 2 points\n" in text
    shared = explain("process.runs", load("en"))
    assert "rubric full, item 1, an executable aws is built, runs, and listens: 1 point, if 2 more pass" in shared


def test_the_check_behind_a_memory_point_is_explained_by_its_items_number() -> None:
    text = explain("memory.17", load("en"))
    assert text.startswith("memory.17: a small static file is byte-equal: no memory error\n")
    assert "watched by valgrind" in text
    assert "item 17, a small static file is byte-equal: 1 point\n" in text
    assert "checker/awscheck grade PATH --only 17\n" in text


def test_a_rule_is_explained_and_listed() -> None:
    """A case file names one, whoever writes it."""
    assert "down to one byte" in explain("S4", load())
    rules = load("ro").data["rules"]
    listed = contents(load("ro")).splitlines()[-len(rules) :]
    assert [line.split()[0] for line in listed] == list(rules) and "S15" in rules
    assert all(load("ro").rule(line.split()[0]).startswith(line.partition("  ")[2].strip()) for line in listed)


def test_a_misconception_is_explained_with_what_to_read() -> None:
    for cause in CAUSES:
        text = explain(cause.id, load("en"))
        assert text.startswith(f"{cause.id}: {cause.name}\n")
        for part in (*cause.sentences, *cause.read):
            assert part in re.sub(r"\s+", " ", text)


def test_romanian_has_every_misconception_with_as_many_sentences_and_no_other() -> None:
    causes = load("ro").data["causes"]
    assert set(causes) == {cause.id for cause in CAUSES}
    for cause in CAUSES:
        name, sentences = load("ro").cause(cause.id, cause.name, cause.sentences)
        assert len(sentences) == len(cause.sentences), cause.id
        assert name != cause.name and not set(sentences) & set(cause.sentences), cause.id


def test_no_misconception_has_the_id_of_a_check() -> None:
    assert not {cause.id for cause in CAUSES} & set(CHECKS)


def test_what_only_the_reference_promises_is_said_to_be_so() -> None:
    text = explain("head.method_head", load("en"))
    assert "no submission is judged by it" in text
    assert "awscheck grade" not in text


@pytest.mark.parametrize(
    "id, near",
    [
        ("static.lage_equal", "near it: static.large_equal"),
        ("mechanism", "near it: mechanism.epoll, mechanism.nonblocking, mechanism.sendfile"),
        ("qqq", "awscheck explain lists all"),
        ("", "awscheck explain lists all"),
    ],
)
def test_an_unknown_id_is_told_with_what_is_near(id: str, near: str) -> None:
    with pytest.raises(Unknown) as caught:
        explain(id, load("en"))
    assert near in str(caught.value)


def test_the_list_has_every_check_in_the_readers_language() -> None:
    text = contents(load("ro"))
    assert len(text.splitlines()) == 2 + len(JUDGED) + 3 + len(CAUSES) + 3 + len(load("ro").data["rules"])
    assert re.search(r"^static\.large_equal +un fișier static mare este identic, octet cu octet$", text, re.MULTILINE)


def test_on_the_command_line() -> None:
    done = called("explain", "pieces.two", "--lang", "ro")
    assert done.code == 0
    assert done.text == explain("pieces.two", load("ro"))
    assert called("explain").text == contents(load("en"))
    wrong = called("explain", "\x1b[2Jpieces.tow")
    assert wrong.code == 2 and wrong.text == ""
    assert wrong.errors.startswith("awscheck: there is no \\x1b[2Jpieces.tow")
    assert called("explain", "--lang", "xx").code == 2
