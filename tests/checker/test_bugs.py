"""The museum in short: every case holds on the reference, and some fail on their samples. `make bugs` has all."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from awskit.cases import case
from awskit.cases.read import parse
from bugs import BUGS, SAMPLES, cases, differences, shown
from everyday import examples
from grading import ROOT

SHORT = ("D01-broken-pipe", "D02", "D03-folder-without", "D07-head", "D11-target-in-two", "D15", "D16", "D24", "D27",
         "D36-results", "D39", "course-stress")  # fmt: skip
NEVER_SHOWN = {"D25", "D32"}  # legal, or asked for by the assignment: told, and no failure


def test_every_case_holds_on_the_reference() -> None:
    assert differences(cases(), "passed") == []


@pytest.mark.parametrize("sample", examples(sorted(shown(cases(SHORT))), shown(cases(SHORT[:4])).__contains__))
def test_a_case_fails_on_the_sample_that_it_names(sample: str) -> None:
    assert differences(shown(cases(SHORT))[sample], "failed", sample) == []


def test_every_case_names_samples_that_there_are() -> None:
    for path in cases():
        samples = tomllib.loads(path.read_text())["shows"]
        assert samples, f"{path.name} shows nothing"
        assert [name for name in samples if not (SAMPLES / name / "expected.toml").exists()] == [], path.name


def test_each_class_of_defect_has_its_case() -> None:
    """The samples name the real defects that they copy; a case that is named by one shows it on such a sample."""
    known = {defect for path in SAMPLES.glob("defect/*/expected.toml")
             for defect in tomllib.loads(path.read_text())["defects"]}  # fmt: skip
    assert {path.name[:3] for path in BUGS.glob("D??-*.toml")} == known - NEVER_SHOWN
    for path in BUGS.glob("D??-*.toml"):
        for sample in tomllib.loads(path.read_text())["shows"]:
            copied = tomllib.loads((SAMPLES / sample / "expected.toml").read_text())["defects"]
            assert not copied or path.name[:3] in copied, f"{path.name} names {sample}, which copies {copied}"


def test_the_cases_have_speaking_names_of_their_own() -> None:
    assert all(re.fullmatch(r"(D\d\d-)?[a-z0-9-]+", path.stem) for path in cases())
    titles = [tomllib.loads(path.read_text())["title"] for path in cases()]
    assert len(set(titles)) == len(titles)


def written(readme: Path) -> list[str]:
    """The case files in a README."""
    return [block for block in re.findall(r"```toml\n(.*?)```", readme.read_text(), re.DOTALL) if "steps" in block]


def test_the_case_in_the_readme_is_one(tmp_path: Path) -> None:
    """It holds on the reference and fails on the bug that it is about."""
    (text,) = written(ROOT / "README.md")
    path = tmp_path / "case.toml"
    path.write_text(text)
    assert differences([path], "passed") == []
    assert differences([path], "failed", "defect/first-receive-is-all") == []


def test_the_table_of_all_keys_is_complete_and_its_case_is_one() -> None:
    (text,) = written(BUGS / "README.md")
    parse(text, "README.md")
    told = (BUGS / "README.md").read_text()
    for one in (case.Case, *case.VERBS.values(), *case.Entry.__args__, *case.Fault.__args__):
        for field in dataclasses.fields(one):
            assert re.search(rf"\b{field.metadata['key']}\b", told), f"{one.__name__}: {field.metadata['key']}"
    for word in (*case.FAULT_SETS, *case.FIGURES, *case.EVIDENCE):
        assert re.search(rf"\b{word}\b", told), word
