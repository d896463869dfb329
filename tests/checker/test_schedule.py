"""Which check is judged when: needs first, memory last, and none after a server has had its time, whatever the workers
do in the meantime."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from awskit import schedule, vigil
from awskit.grade import BUILD, CHECKS, Grader
from awskit.model import Outcome
from awskit.rubric import load
from awskit.sandbox import Isolation
from awskit.schedule import BUDGET_S, MOST_S, WORKERS, Schedule, in_order
from awskit.vigil import STILL_S
from awskit.workplace import working_folder

NEEDS = {"a": (), "b": ("a",), "c": ("a",), "d": ("c", "b"), "e": (), "memory.x": ("a",), "f": ("memory.x",)}


def _needs(name: str) -> Sequence[str]:
    return NEEDS[name]


def test_needs_come_first_and_memory_last() -> None:
    assert in_order(["d", "memory.x", "e", "a"], _needs) == ["a", "c", "b", "d", "e", "memory.x"]


def test_the_kits_own_checks_can_be_ordered_and_none_waits_for_one_about_memory() -> None:
    def all_needs(name: str) -> Sequence[str]:
        return CHECKS[name].needs or ((BUILD.id,) if name != BUILD.id else ())

    order = in_order(CHECKS, all_needs)
    for name in order:
        assert all(order.index(need) < order.index(name) for need in all_needs(name)), name


def test_side_by_side_none_begins_before_what_it_needs() -> None:
    plan = Schedule(["a", "b", "c", "d", "memory.x"], _needs)
    assert plan.take() == "a"
    plan.done("a", 0)
    assert [plan.take(), plan.take()] == ["b", "c"]
    plan.done("c", 0)
    assert plan._next() is None
    plan.done("b", 0)
    assert plan.take() == "d"
    assert plan._next() is None
    plan.done("d", 0)
    assert plan.take() == "memory.x"
    assert plan.take() is None


def test_stopped_it_hands_out_no_more() -> None:
    plan = Schedule(["a", "b"], _needs)
    plan.take()
    plan.stop()
    assert plan.take() is None


NEEDED = {f"check.{number:02}": (f"check.{number - 1 - number % 3:02}",) for number in range(10, 60)}


def _left_out(order: Sequence[str], costs: Mapping[str, float], luck: random.Random, workers: int) -> set[str]:
    """Which checks have no time left, if the workers finish in a sequence that luck decides."""
    plan = Schedule(order, lambda name: NEEDED.get(name, ()))
    running: list[str] = []
    left_out = set()
    while True:
        while len(running) < workers and plan._next():
            name = plan.take()
            assert name
            if plan.is_spent(name):
                left_out.add(name)
            running.append(name)
        if not running:
            return left_out
        name = running.pop(luck.randrange(len(running)))
        plan.done(name, 0 if name in left_out else costs[name])


@pytest.mark.parametrize("each", [0.0, 1.0, 4.0, 100.0])
def test_what_is_left_out_is_the_same_for_one_and_for_several_and_whoever_is_first(each: float) -> None:
    order = [f"check.{number:02}" for number in range(60)]
    for seed in range(50):
        luck = random.Random(seed)
        costs = {name: luck.choice([0.0, each]) for name in order}
        expected = _left_out(order, costs, luck, 1)
        assert bool(expected) == (sum(min(costs[name], MOST_S) for name in order[:-1]) >= BUDGET_S)
        for _ in range(10):
            assert _left_out(order, costs, luck, WORKERS) == expected


def test_a_server_that_has_had_its_time_is_not_judged_any_further(
    monkeypatch: pytest.MonkeyPatch, submission: Callable[..., Path]
) -> None:
    """It listens at a wrong port: each check that starts it waits in vain for the right one."""
    monkeypatch.setattr(schedule, "BUDGET_S", 1.0)
    monkeypatch.setattr(schedule, "MOST_S", 0.5)
    rubric = load("assignment", CHECKS).only(["process.runs", "process.listens", "process.port"])
    path = submission("null.c", "-DMODE=WRONG_PORT", "-pthread")
    with working_folder(None) as folder:
        report = Grader(path, rubric, 1, Isolation.probe(), folder).run()
    verdicts = {verdict.check.id: verdict for result in report.results for verdict in result.verdicts}
    runs, listens, port = (verdicts[f"process.{name}"] for name in ("runs", "listens", "port"))
    assert (runs.outcome, listens.outcome, port.outcome) == (Outcome.PASSED, Outcome.PASSED, Outcome.SKIPPED)
    assert runs.cost >= STILL_S
    assert "not tried, because the server has slept and computed" in port.reason


def test_a_server_that_naps_where_nobody_looks_is_not_judged_for_ever(
    monkeypatch: pytest.MonkeyPatch, submission: Callable[..., Path]
) -> None:
    """On an idle machine; on a busy one its clock goes slower, and stands where the kernel has no such figure."""
    monkeypatch.setattr(vigil.CalmClock, "seconds", lambda _: schedule.CALM_S + 1)
    rubric = load("assignment", CHECKS).only(["process.runs"])
    with working_folder(None) as folder:
        report = Grader(submission("null.c", "-DMODE=PAUSE", "-pthread"), rubric, 1, Isolation.probe(), folder).run()
    verdicts = {verdict.check.id: verdict for result in report.results for verdict in result.verdicts}
    assert verdicts["process.runs"].outcome is Outcome.SKIPPED
    assert "of an idle machine" in verdicts["process.runs"].reason
