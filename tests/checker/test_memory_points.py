"""The memory points can be lost, and cannot be had by keeping valgrind or a sanitizer from its report."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from awskit import memory
from awskit.deeds import Deeds
from awskit.model import Failure
from awskit.valgrind import _is_harmless, _read
from grading import Graded

# Item 13: answers an HTTP/1.0 request, 2 points and 1 for memory.
MODES = (
    *("ALWAYS_404", "LEAKY", "DEAF", "ESCAPED", "OVERRUN", "CRASH", "SHY"),
    *("SUICIDE", "HUSHED", "FORKED", "FORKED_LEAKY"),
)
Gradings = dict[str, "Future[Graded]"]


@pytest.fixture(scope="module")
def gradings(submit: Callable[..., Future[Graded]], submission: Callable[..., Path]) -> Gradings:
    return {
        mode: submit(submission("null.c", f"-DMODE={mode}", "-pthread"), "--seed", 1, "--only", 13) for mode in MODES
    }


def _output(graded: Graded) -> str:
    return graded.item(13)["output"]


@pytest.mark.parametrize("mode", ["ALWAYS_404", "DEAF", "FORKED"])
def test_a_clean_server_gets_the_point_whether_it_heeds_sigterm_or_forks_or_not(mode: str, gradings: Gradings) -> None:
    graded = gradings[mode].result()
    assert graded.code == 0, graded.text
    assert graded.item(13)["score"] == 3


@pytest.mark.parametrize(
    "mode, says",
    [
        ("LEAKY", "77 bytes in 1 blocks are definitely lost in loss record"),
        ("FORKED_LEAKY", "77 bytes in 1 blocks are definitely lost in loss record"),
        ("OVERRUN", "heap-buffer-overflow: WRITE of size 1 in write_beyond (null.c:"),
        ("HUSHED", "stack-buffer-overflow: WRITE of size 1 in write_beyond_the_stack (null.c:"),
        ("SUICIDE", "the server ended by SIGKILL"),
        ("ESCAPED", "the program replaced itself by another (execve)"),
    ],
)
def test_an_error_costs_the_point_and_is_told_with_its_place(mode: str, says: str, gradings: Gradings) -> None:
    graded = gradings[mode].result()
    assert graded.code == 1, graded.text
    assert graded.item(13)["score"] == 2
    assert says in _output(graded)


def test_the_place_of_a_leak_is_the_submissions_own_line(gradings: Gradings) -> None:
    assert "in keep_nothing_of (null.c:" in _output(gradings["LEAKY"].result())


def test_a_server_that_only_crashes_under_valgrind_loses_the_point(gradings: Gradings) -> None:
    """It has no memory error before, and still did not serve."""
    graded = gradings["CRASH"].result()
    assert graded.item(13)["score"] == 2, graded.text
    assert "ended by SIGILL in crash (null.c:" in _output(graded)


def test_a_server_that_fails_the_check_under_valgrind_loses_the_point(gradings: Gradings) -> None:
    """Without a memory error: a point is for what was done under valgrind, not for keeping still there."""
    graded = gradings["SHY"].result()
    assert graded.item(13)["score"] == 2, graded.text
    assert "under valgrind: GET /static/small00.dat HTTP/1.0: no byte of an answer" in _output(graded)


@pytest.mark.parametrize("option", ["-static", "-fsanitize=address,undefined"])
def test_a_program_that_valgrind_cannot_look_into_is_built_again(
    option: str, submit: Callable[..., Future[Graded]], submission: Callable[..., Path]
) -> None:
    graded = submit(submission("null.c", "-DMODE=LEAKY", "-pthread", option), "--seed", 1, "--only", 13).result()
    assert graded.item(13)["score"] == 2, graded.text
    assert "in keep_nothing_of (null.c:" in _output(graded)


@pytest.mark.parametrize("mode, says", [("LEAKY", "in keep_nothing_of (null.c:"), ("HUSHED", "stack-buffer-overflow")])
def test_a_compiler_called_by_its_full_path_is_ours_too(
    mode: str, says: str, submit: Callable[..., Future[Graded]], submission: Callable[..., Path]
) -> None:
    path = submission("null.c", f"-DMODE={mode}", "-pthread", "-static", compiler="/usr/bin/gcc")
    graded = submit(path, "--seed", 1, "--only", 13).result()
    assert graded.item(13)["score"] == 2, graded.text
    assert says in _output(graded)


@pytest.mark.skipif(not Path("/usr/bin/clang").exists(), reason="needs a compiler that the kit does not cover: clang")
def test_a_program_that_cannot_be_looked_into_loses_the_point(
    submit: Callable[..., Future[Graded]], submission: Callable[..., Path], tmp_path: Path
) -> None:
    """Or hiding would be worth a point: here by a compiler of another name, which is linked statically."""
    path = shutil.copytree(submission("null.c", "-DMODE=LEAKY", "-pthread"), tmp_path / "hidden")
    (path / "Makefile").write_text(
        "aws: null.c\n\tln -s /usr/bin/clang hidden\n\t./hidden -DMODE=LEAKY -pthread -static -o aws null.c\n"
    )
    graded = submit(path, "--seed", 1, "--only", 13).result()
    assert graded.item(13)["score"] == 2, graded.text
    assert "linked statically" in _output(graded)


@pytest.mark.parametrize(
    "text, harmless",
    [
        ("Syscall param epoll_ctl(event) points to uninitialised byte(s)", True),
        ("Syscall param socketcall.sendto(msg) points to uninitialised byte(s)", True),
        ("Syscall param sendmsg(msg.msg_iov[0]) points to uninitialised byte(s)", True),
        ("Syscall param writev(vector[0]) points to uninitialised byte(s)", True),
        ("Syscall param write(buf) points to unaddressable byte(s)", False),
        ("Syscall param socketcall.sendto(msg) points to unaddressable byte(s)", False),
        ("Syscall param io_submit(PREAD) points to uninitialised byte(s)", False),
        ("Syscall param openat(filename) points to uninitialised byte(s)", False),
        ("Conditional jump or move depends on uninitialised value(s)", False),
    ],
)
def test_which_uninitialised_bytes_are_no_error(text: str, harmless: bool) -> None:
    report = f"<valgrindoutput><error><kind>SyscallParam</kind><what>{text}</what></error></valgrindoutput>"
    assert _is_harmless(ElementTree.fromstring(report)[0]) == harmless


@pytest.mark.parametrize(
    "address, kind",
    [
        ("Address 0x4a42043 is 3 bytes inside a block of size 8,520 free'd", "UsedAfterFree"),
        ("Address 0x4a420a4 is 0 bytes after a block of size 100 alloc'd", "InvalidRead"),
        ("Address 0x8 is not stack'd, malloc'd or (recently) free'd", "InvalidRead"),
    ],
)
def test_what_was_freed_is_told_from_what_was_never_there(address: str, kind: str) -> None:
    report = f"<error><kind>InvalidRead</kind><what>Invalid read</what><auxwhat>{address}</auxwhat></error>"
    assert _read(ElementTree.fromstring(report), "/submission").kind == kind


@pytest.mark.parametrize(("grown", "more"), [
    ([4_000_000] * 3, 6_000_000), ([2 << 20, 2 << 20, 4 << 20], 4 << 20), ([2 << 20] * 3, None), ([32_768] * 3, None)
])  # fmt: skip
def test_what_grows_has_a_case_if_a_replay_can_tell_it_from_chance(
    grown: list[int], more: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    deeds = grow(grown, monkeypatch, f"3 bursts of 240 static files, .* by {grown[0]:,}, ")
    assert deeds == [("remember", "memory"), *([("compare", ("memory", more))] if more else [])]


@pytest.mark.parametrize("grown", [[32_767], [4_000_000, 32_767], [1 << 19] * 2 + [0]])
def test_one_burst_that_loses_nothing_is_enough(grown: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert grow(grown, monkeypatch) == [("remember", "memory")]


def grow(grown: list[int], monkeypatch: pytest.MonkeyPatch, reason: str = "") -> list[tuple[str, object]]:
    """What the check has written down, on a server that grows by so much in each burst; all of them have to be made.
    `reason` is what it fails for, if it is to."""
    weights = itertools.accumulate([1_000_000, *grown])
    monkeypatch.setattr(memory, "_weight_after_burst", lambda _: next(weights))
    bench = SimpleNamespace(deeds=Deeds())
    with pytest.raises(Failure, match=reason) if reason else contextlib.nullcontext():
        memory.growth(bench)
    assert not list(weights)
    compared = any(deed.what == "compare" for deed in bench.deeds.done)
    assert bool(bench.deeds.unsaid) == (bool(reason) and not compared)
    return [(deed.what, deed.value) for deed in bench.deeds.done]
