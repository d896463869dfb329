"""Faults: they hit what they name, in any binary, and are counted; what is not hit is as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from awskit.entry import Entry
from awskit.faults import Cut
from awskit.model import Trouble
from grading import LIMIT_S

RUNNER = Path(__file__).with_name("run_with_faults.py")
SERVERS = Path(__file__).with_name("servers")

# The edge-triggered server in three ways: through the C library, without it being shared, without its functions.
KINDS = {
    "shared": ("ring.c", "-laio"),
    "static": ("ring.c", "-static", "-laio"),
    "raw": ("ring.c", f"-include {SERVERS}/raw.h", "-laio"),
    "probe": ("aio_probe.c",),
}


@pytest.fixture(scope="module", params=["shared", "static", "raw"])
def server(request: pytest.FixtureRequest, program: Callable[[str], Path]) -> Path:
    """A correct server, linked in one way or another."""
    return program(request.param)


@pytest.fixture(scope="module")
def program(submission: Callable[..., Path]) -> Callable[[str], Path]:
    """The built `aws` of a kind of KINDS, where a box can reach it."""

    def built(kind: str) -> Path:
        folder = submission(*KINDS[kind])
        subprocess.run(["make", "-s", "aws"], cwd=folder, check=True)
        return folder / "aws"

    return built


def run(program: Path, *words: str) -> None:
    """Run a scenario of run_with_faults.py and say what it said against the program."""
    line = [sys.executable, str(RUNNER), str(program), *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    if done.returncode == 77:
        pytest.skip(f"no box can be made here: {done.stderr}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_correct_server_serves_on_however_it_is_linked(server: Path) -> None:
    run(server, "serves")


def test_each_hit_is_counted_and_nothing_else(server: Path) -> None:
    run(server, "counts")


def test_a_fault_hits_the_calls_that_it_names_and_no_others(server: Path) -> None:
    run(server, "chooses")


def test_reads_are_held_until_they_are_released(server: Path) -> None:
    run(server, "holds")


def test_an_end_with_reads_held_leaves_nothing(program: Callable[[str], Path]) -> None:
    run(program("shared"), "ends")


def test_a_broken_pipe_ends_who_does_not_ignore_the_signal_and_not_the_warden(program: Callable[[str], Path]) -> None:
    run(program("shared"), "breaks")


def test_a_call_that_waits_is_one_call(program: Callable[[str], Path]) -> None:
    run(program("shared"), "blocks")


def test_reads_that_are_taken_over_are_answered_as_by_the_kernel(program: Callable[[str], Path]) -> None:
    run(program("probe"), "probes")


def test_calls_wait_for_a_read_that_is_held(program: Callable[[str], Path]) -> None:
    run(program("probe"), "waits")


def test_the_warden_cannot_be_seen_or_reached(program: Callable[[str], Path]) -> None:
    run(program("probe"), "hides")


def test_an_entry_that_nobody_takes_is_trouble() -> None:
    entry = Entry(faults=(Cut("receive", 1),))
    try:
        with pytest.raises(Trouble, match="could not be bounded"):
            entry.wait_entered()
    finally:
        entry.close()


def test_who_has_not_entered_yet_ends_with_the_checker() -> None:
    """Like one half of bwrap that waits for the other, which has been killed: it has the gate, and nobody ends it."""
    entry = Entry(faults=(Cut("receive", 1),))
    warden = entry.warden
    assert warden
    line = subprocess.Popen(["sleep", "100"], pass_fds=entry.descriptors, process_group=warden.pid)
    try:
        warden._control.close()  # as the kernel does when the checker is killed
        assert line.wait(10) == -signal.SIGKILL
        assert warden._process.wait(10) == -signal.SIGKILL
    finally:
        line.kill()
        entry.close()
