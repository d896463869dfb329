"""Known submissions get the marks that are known for them: good ones all, defective ones less just for their defects,
and servers that do nothing get nothing that they did not earn (contract K1)."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from grading import ROOT, Graded

KNOWN = sorted(path.parent for path in (ROOT / "fixtures" / "submissions").glob("*/*/expected.toml"))

RUNNING = {1, 2}  # what any program earns that does not end
LISTENING = RUNNING | {3, 4}  # and by listening at the right port
ANSWERING = LISTENING | {5, 6, 8, 9, 10, 11, 12, 13, 14}  # and by saying something in HTTP to each of them
NULLS = {
    "PAUSE": RUNNING,
    "WRONG_PORT": RUNNING | {3},
    "SILENT": LISTENING,
    "CLOSE": LISTENING,
    "RESET": LISTENING,
    "ECHO": LISTENING,
    "EMPTY_200": ANSWERING,
    "ALWAYS_404": ANSWERING,
    "EPOLL_FOR_SHOW": ANSWERING,
}

Gradings = dict[Any, "Future[Graded]"]


@pytest.fixture(scope="module")
def known(submit: Callable[..., Future[Graded]]) -> Gradings:
    return {path: submit(path, "--seed", 1) for path in KNOWN}


@pytest.fixture(scope="module")
def nulls(submit: Callable[..., Future[Graded]], submission: Callable[..., Path], known: Gradings) -> Gradings:
    servers = {mode: submission("null.c", f"-DMODE={mode}", "-pthread") for mode in NULLS}
    return {mode: submit(path, "--seed", 1, "--patience", 4) for mode, path in servers.items()}


@pytest.mark.parametrize("mode", NULLS)
def test_a_null_server_earns_nothing_else(mode: str, nulls: Gradings) -> None:
    graded = nulls[mode].result()
    assert graded.code == 1, graded.text + graded.errors
    assert graded.scored <= NULLS[mode], graded.text
    assert "build.executable failed" not in graded.text


@pytest.mark.parametrize("mode", ["PAUSE", "WRONG_PORT", "SILENT", "ALWAYS_404"])
def test_what_a_null_server_did_earn_is_given(mode: str, nulls: Gradings) -> None:
    assert nulls[mode].result().scored == NULLS[mode]


def test_a_wrong_port_is_named(nulls: Gradings) -> None:
    assert "the server listens at another port than 8888" in nulls["WRONG_PORT"].result().item(4)["output"]


def test_epoll_for_show_is_told_from_epoll(nulls: Gradings) -> None:
    output = nulls["EPOLL_FOR_SHOW"].result().item(7)["output"]
    assert "the server waits for the rest in recvfrom, not in epoll" in output


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.name)
def test_a_known_submission_gets_its_marks(path: Path, known: Gradings) -> None:
    expected = tomllib.loads((path / "expected.toml").read_text())
    graded = known[path].result()
    assert sorted(set(range(1, 36)) - graded.earned) == expected["lost"], graded.text
    assert graded.results["score"] == expected["score"], graded.text
    assert graded.code == (0 if expected["score"] == 90 else 1)
    assert f"{expected['score']} of 90 points" in graded.text
    for text in expected.get("message", []):
        assert text in graded.text
        assert text in graded.item(1)["output"]


def test_an_unusual_honest_design_gets_all_marks(
    submit: Callable[..., Future[Graded]], submission: Callable[..., Path]
) -> None:
    """Edge-triggered, dual-stack, vectored RWF_NOWAIT reads, completions from the ring in user space, static binary."""
    items = ("mechanism.epoll", "mechanism.sendfile", "mechanism.aio", 13, 17, 18, 24, 26, 29, 33, 35)
    graded = submit(submission("ring.c", "-static", "-laio"), "--seed", 1, "--only", *items).result()
    assert graded.code == 0, graded.text
    assert graded.results["score"] == 1 + 2 + 2 + 3 + 5 + 2 + 5 + 2 + 5 + 6 + 5


def test_calls_for_show_earn_nothing(submit: Callable[..., Future[Graded]], submission: Callable[..., Path]) -> None:
    graded = submit(submission("ring.c", "-DFOR_SHOW", "-laio"), "--seed", 1, "--only", 7, 15, 25, 28, 29).result()
    assert graded.earned == {7, 28, 29}, graded.text
    assert "of 2,048 bytes of body, 0 left by sendfile" in graded.item(15)["output"]
    assert "pread64 2,048 bytes" in graded.item(25)["output"]
