"""The museum in short: every case holds on the reference, and some fail on their samples. `make bugs` has all."""

from __future__ import annotations

import re
import tomllib

import pytest

from bugs import BUGS, SAMPLES, cases, differences, shown

SHORT = ("D01-broken-pipe", "D02", "D03-folder-without", "D07-head", "D11-target-in-two", "D15", "D16", "D24", "D27",
         "D36-results", "D39", "course-stress")  # fmt: skip
NEVER_SHOWN = {"D25", "D32"}  # legal, or asked for by the assignment: told, and no failure


def test_every_case_holds_on_the_reference() -> None:
    assert differences(cases(), "passed") == []


@pytest.mark.parametrize("sample", sorted(shown(cases(SHORT))))
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
