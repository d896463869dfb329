"""The known submissions in short; `make known` grades them all, whole.

Every check is shown to fail at a defect that it alone catches, null servers to earn nothing that they did not, and a
correct server to lose nothing (contract K1).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import known
import shapes
from everyday import examples
from grading import Graded
from known import Sample

from awskit.grade import CHECKS

KILLERS = known.killers()
# Of each kind of check one; that of memory which needs the fewest others before it.
FIRST = {check.split(".")[0]: check for check in reversed(KILLERS)} | {"memory": "memory.static"}
NULLS = [sample for sample in known.samples() if sample.kind == "null"]
GOOD = [sample for sample in known.samples() if sample.name == "good/plain"]
BY_THE_LIST = [sample for sample in known.samples() if sample.kind == "defect" and "assignment" in sample.expected]

Gradings = dict[Any, "Future[Graded]"]


@pytest.fixture(scope="module")
def gradings(
    submit: Callable[..., Future[Graded]], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Gradings:
    """All that the tests here need, started at once: (name, rubric or check) → grading."""
    chosen = [item.callspec.params for item in request.session.items if item.path == request.path
              and hasattr(item, "callspec")]  # fmt: skip
    wanted = {getattr(value, "name", value) for parameters in chosen for value in parameters.values()}
    folder = tmp_path_factory.mktemp("known")
    unfolded: dict[str, Path] = {}

    def started(sample: Sample, *options: object) -> Future[Graded]:
        if sample.name not in unfolded:
            unfolded[sample.name] = sample.unfold(folder)
        return submit(unfolded[sample.name], "--seed", 1, *options)

    found: Gradings = {}
    good, listed = ([one for one in some if one.name in wanted] for some in (GOOD, [*NULLS, *BY_THE_LIST]))
    for sample in good:
        found |= {(sample.name, name): started(sample, "--rubric", name) for name in sample.rubrics()}
    for sample in listed:
        found[sample.name, "assignment"] = started(sample)
    for check, sample in KILLERS.items():
        if check in wanted:
            found[sample.name, check] = started(sample, "--rubric", "full", "--only", check)
    return found


def test_what_a_check_needs_is_there_and_does_not_need_it_in_turn() -> None:
    def walk(name: str, *path: str) -> None:
        assert name in CHECKS, f"{path[-1]} needs {name}, and there is no such check"
        assert name not in path, f"these checks need each other: {' -> '.join((*path, name))}"
        for need in CHECKS[name].needs:
            walk(need, *path, name)

    for name in CHECKS:
        walk(name)


@pytest.mark.parametrize("check", examples(KILLERS, lambda check: check in FIRST.values()))
def test_a_check_fails_at_its_defect(check: str, gradings: Gradings) -> None:
    sample = KILLERS[check]
    graded = gradings[sample.name, check].result()
    assert sample.differences("full", graded) == [], graded.text


@pytest.mark.parametrize("sample", examples(NULLS, lambda sample: sample in NULLS[:3]), ids=lambda sample: sample.name)
def test_a_null_server_earns_nothing_else(sample: Sample, gradings: Gradings) -> None:
    graded = gradings[sample.name, "assignment"].result()
    assert sample.differences("assignment", graded) == [], graded.text
    assert "build.executable failed" not in graded.text


@pytest.mark.parametrize("sample", GOOD, ids=lambda sample: sample.name)
@pytest.mark.parametrize("name", ["full", "assignment"])
def test_a_good_server_gets_full_marks(sample: Sample, name: str, gradings: Gradings) -> None:
    graded = gradings[sample.name, name].result()
    assert sample.differences(name, graded) == [], graded.text
    assert graded.code == 0


@pytest.mark.parametrize("sample", BY_THE_LIST, ids=lambda sample: sample.name)
def test_a_defect_costs_its_points_of_the_published_list(sample: Sample, gradings: Gradings) -> None:
    graded = gradings[sample.name, "assignment"].result()
    assert sample.differences("assignment", graded) == [], graded.text


def test_what_is_written_of_each_has_gradescopes_shape(gradings: Gradings) -> None:
    breaches = {name: shapes.breaches(grading.result().results, "gradescope") for name, grading in gradings.items()}
    assert {name: found for name, found in breaches.items() if found} == {}


def test_a_sample_that_is_not_as_known_is_told() -> None:
    """The comparison can fail, in each of its ways."""
    verdict = {"check": "static.small_equal", "outcome": "passed", "reason": "", "told": None}
    test = {"number": "1", "score": 1, "max_score": 1, "extra_data": {"checks": [verdict]}}
    graded = Graded(0, "text", "", {"score": 1, "tests": [test]})

    def told(kind: str, rubric: str, **expected: Any) -> list[str]:
        return Sample(Path(kind) / "x", expected).differences(rubric, graded)

    assert told("good", "full", full=1) == []
    assert told("good", "full", full=2) == ["full: 1 points, and it has 2"]
    assert "passes, and must fail: static.small_equal (passed)" in told("defect", "full", fails=["static.small_equal"])
    assert told("null", "full", passes=["static.small_equal"]) == []
    assert told("null", "full", passes=[]) == ["full: passes, and did not earn it: static.small_equal"]
    assert told("null", "assignment", earns=[]) == ["assignment: points that were not earned: items [1]"]
    assert told("hostile", "assignment", at_most=0) == ["assignment: 1 points, and at most 0 are earned"]
    assert told("hostile", "assignment", at_most=1, forbidden=["text"]) == ["the report contains 'text'"]
    verdict["outcome"] = "failed"
    assert told("good", "full", full=1) == ["full: failed: static.small_equal"]
    assert "fails besides: static.small_equal: " in told("defect", "full", fails=[])
    told_wrongly = "static.small_equal: the cause that is told is {!r}, and it is {!r}"
    for cause, expected, wrong in (("x", "x", False), ("x", ["y", "x"], False), ("x", "y", True), (None, "y", True)):
        verdict["told"] = {"cause": {"id": cause} if cause else None}
        text = told_wrongly.format(cause or "not recognised", expected)
        assert (text in told("defect", "full", fails=["static.small_equal"], cause=expected)) == wrong
    verdict["outcome"] = "error"
    assert told("good", "full", full=1) == ["full: could not be judged: static.small_equal"]


def test_who_tries_io_setup_at_its_start_loses_nothing(submit: Callable[..., Future[Graded]], tmp_path: Path) -> None:
    """Its contexts are one fewer than its calls, and the one that is to fail for a client would fail there."""
    folder = GOOD[0].unfold(tmp_path)
    source = folder / "aws.c"
    start = "\tsignals = watch_signals();\n"
    before, found, after = source.read_text().partition(start)
    assert found
    tried = '\tio_context_t tried = NULL;\n\tif (io_setup(1, &tried) < 0)\n\t\tdie("io_setup");\n\tio_destroy(tried);\n'
    source.write_text(before + tried + start + after)
    graded = submit(folder, "--rubric", "full", "--only", "cuts.setup").result()
    assert graded.code == 0, graded.text


def test_what_there_is_no_time_for_is_counted_and_not_taken_for_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["known.py", "null", "--within", "0"])
    assert known.main() == 0
    said = capsys.readouterr().out
    assert said.startswith(f"0 known submissions, 0 not as known, {len(NULLS)} more left out for want of time")
