"""The memory checks of a grading share a server where that is the same, and only there."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from awskit import memory
from awskit.model import Check, Failure
from awskit.valgrind import NamedCheck

BENCH: Any = None  # the watchers here look at none


def _nothing(_: Any) -> None:
    pass


def _check(name: str) -> Check:
    return Check(f"memory.{name}", name, ("S9",), memory.Watching([(name, _nothing)]))


CHECKS = [_check("a"), _check("b"), _check("c")]


class _Watcher:
    """Notes what it is given, and finds something if one of `bad` is among it."""

    def __init__(self, *bad: str) -> None:
        self.given: list[list[str]] = []
        self._bad = bad

    def __call__(self, _: Any, runs: Sequence[NamedCheck]) -> None:
        self.given.append([name for name, _ in runs])
        if {name for name, _ in runs} & set(self._bad):
            raise Failure("found")


def _watched_by(monkeypatch: pytest.MonkeyPatch, *watchers: Any) -> None:
    monkeypatch.setattr(memory, "WATCHERS", watchers)


def test_where_nothing_is_found_all_have_passed_by_one_run_of_each_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _Watcher(), _Watcher()
    _watched_by(monkeypatch, first, second)
    together = memory.Together(CHECKS, lambda _: True)
    assert all(together.has_passed(check, BENCH) for check in CHECKS)
    assert first.given == second.given == [["a", "b", "c"]]


@pytest.mark.parametrize("finders", [("b", ""), ("", "b")])
def test_where_one_watcher_finds_anything_none_has_passed(
    finders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _watched_by(monkeypatch, *map(_Watcher, finders))
    together = memory.Together(CHECKS, lambda _: True)
    assert not any(together.has_passed(check, BENCH) for check in CHECKS)


def test_a_check_whose_needs_have_not_passed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = _Watcher("c")
    _watched_by(monkeypatch, watcher)
    together = memory.Together(CHECKS, lambda check: check.id != "memory.c")
    assert [together.has_passed(check, BENCH) for check in CHECKS] == [True, True, False]
    assert watcher.given == [["a", "b"]]


def test_one_alone_is_not_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = _Watcher()
    _watched_by(monkeypatch, watcher)
    together = memory.Together(CHECKS[:1], lambda _: True)
    assert not together.has_passed(CHECKS[0], BENCH)
    assert watcher.given == []


def test_two_who_ask_at_once_take_a_watcher_each(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=10)
    _watched_by(monkeypatch, lambda *_: both.wait(), lambda *_: both.wait())
    together = memory.Together(CHECKS, lambda _: True)
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda check: together.has_passed(check, BENCH), CHECKS[:2]))


def test_a_mistake_of_ours_in_a_watcher_is_told_and_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("ours")

    _watched_by(monkeypatch, broken)
    together = memory.Together(CHECKS, lambda _: True)
    with pytest.raises(KeyError):
        together.has_passed(CHECKS[0], BENCH)
    assert not together.has_passed(CHECKS[1], BENCH)
