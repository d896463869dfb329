"""What a server does decides how long it is waited for: asleep, busy, gone, or slow because the machine is."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from awskit import procfs, vigil
from awskit.events import ASLEEP_LOOKS, AT_WORK_NS, Events, _Rest, wait_until
from awskit.model import Failure, Trouble
from awskit.server import Server
from awskit.vigil import Tally, Vigil


class Process(Server):
    """A process that is no server; the vigil looks at its pid only."""

    def __init__(self, program: str) -> None:
        self.popen = subprocess.Popen(["/usr/bin/python3", "-c", program], stdout=subprocess.PIPE)
        self.pid = self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    new_socket = stop = log = stderr = None  # type: ignore[assignment]


# Each says a line when it has begun.
SLEEPS = "import signal; print(flush=True); signal.pause()"
SLEEPS_IN_A_CHILD = "import os; os.fork() and os.wait(); import signal; print(flush=True); signal.pause()"
SPINS = "print(flush=True)\nwhile True: pass"
SPINS_IN_A_CHILD = "import os; os.fork() and os.wait(); print(flush=True)\nwhile True: pass"
ENDS = "import os, time; print(flush=True)\nuntil = time.process_time() + 0.02\nwhile time.process_time() < until: pass"
CLOSES_LATER = """
import os, signal, time
held = [os.open("/", os.O_RDONLY) for _ in range(9)]
print(flush=True)
until = time.process_time() + 0.04
while time.process_time() < until: pass
for one in held: os.close(one)
signal.pause()
"""
IN_VFORK = "import ctypes; c = ctypes.PyDLL(None); print(flush=True); c.vfork() or c.pause()"
TICKS = "import time; print(flush=True)\nwhile True: time.sleep(0.2)"
WORKS_NOW_AND_THEN = """
import time
print(flush=True)
while True:
    time.sleep(0.1)
    until = time.process_time() + 0.01
    while time.process_time() < until: pass
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, with shorter times."""
    monkeypatch.setattr(vigil, "STILL_S", 0.6)
    monkeypatch.setattr(vigil, "BUSY_S", 0.4)
    monkeypatch.setattr(vigil, "SLEPT_S", 1.5)


@pytest.fixture
def process() -> Iterator[Callable[[str], Process]]:
    """Start a program and return when it has begun."""
    started: list[Process] = []

    def start(program: str) -> Process:
        started.append(one := Process(program))
        assert one.popen.stdout and one.popen.stdout.readline()
        return one

    yield start
    for one in started:
        for pid in procfs.family(one.pid) if one.alive() else []:
            os.kill(pid, signal.SIGKILL)
        one.popen.wait()
        if one.popen.stdout:
            one.popen.stdout.close()


def _why(server: Process, **more: object) -> str:
    """What a wait in vain for this process is told."""
    with pytest.raises(Failure) as caught:
        wait_until(lambda: False, Vigil(server, **more), "nothing")  # type: ignore[arg-type]
    assert caught.value.reason == f"waited in vain: nothing; {caught.value.got}"
    return caught.value.got


@pytest.mark.parametrize("program", [SLEEPS, SLEEPS_IN_A_CHILD, TICKS])
def test_a_server_that_sleeps_is_not_waited_for(program: str, process: Callable[[str], Process]) -> None:
    tally = Tally()
    assert _why(process(program), tally=tally).startswith("the server sleeps, and has for 0.6 s")
    assert tally.slept >= vigil.STILL_S


@pytest.mark.parametrize("program", [SPINS, SPINS_IN_A_CHILD])
def test_a_server_that_spins_is_not_waited_for(program: str, process: Callable[[str], Process]) -> None:
    server = process(program)
    before = procfs.run_time_ns(server.pid)
    assert _why(server).startswith("the server was busy for 0.4 s of CPU time")
    assert procfs.run_time_ns(server.pid) - before >= vigil.BUSY_S * 1e9


def test_who_leaves_its_spinning_to_the_warden_is_not_waited_for(process: Callable[[str], Process]) -> None:
    """A call that a fault hits is made by the warden: a server that makes it for ever is asleep most of the time."""
    server = process(SLEEPS)
    server.warden = process(SPINS)  # type: ignore[assignment]
    assert _why(server).startswith("the server was busy for 0.4 s of CPU time")


def test_a_server_does_not_rest_while_the_warden_has_its_call(process: Callable[[str], Process]) -> None:
    for warden, rests in ((SLEEPS, True), (SPINS, False)):
        server = process(SLEEPS)
        server.warden = process(warden)  # type: ignore[assignment]
        rest = _Rest(server, vigil.PATIENCE_S)
        if rests:
            wait_until(lambda: rest.has_come(None), 10.0, "it rests")
        else:
            assert not any(rest.has_come(None) for _ in range(4 * ASLEEP_LOOKS))


def test_a_server_that_spins_is_told_from_a_starved_one_by_its_own_cpu_time(process: Callable[[str], Process]) -> None:
    """Ten compete for its CPU: the clock says nothing, its CPU time does."""
    servers = [process(SPINS) for _ in range(5)]
    for server in servers:
        os.sched_setaffinity(server.pid, {min(os.sched_getaffinity(0))})
    begin = time.monotonic()
    assert "busy for 0.4 s of CPU time" in _why(servers[0])
    assert time.monotonic() - begin > 2 * vigil.BUSY_S


def test_a_server_without_a_cpu_is_the_machines_fault(
    process: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vigil, "BUSY_S", 100.0)  # of the little that it gets, none is to look like a loop
    server, *others = (process(SPINS) for _ in range(4))
    for one in (server, *others):
        os.sched_setaffinity(one.pid, {min(os.sched_getaffinity(0))})
    os.setpriority(os.PRIO_PROCESS, server.pid, 19)
    with pytest.raises(Trouble, match="this machine gave the server"):
        wait_until(lambda: False, Vigil(server, patience=0.3), "nothing")


def test_a_server_that_works_now_and_then_has_all_its_patience(
    process: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vigil, "BUSY_S", 100.0)
    begin = time.monotonic()
    assert "nothing came of it for" in _why(process(WORKS_NOW_AND_THEN), patience=3.0)
    assert time.monotonic() - begin >= 3.0


def test_a_server_that_is_gone_is_not_waited_for(process: Callable[[str], Process]) -> None:
    server = process(SLEEPS)
    server.popen.kill()
    server.popen.wait()
    assert _why(server) == "the server's process is gone"


def test_what_the_kernel_has_in_its_hands_is_waited_for(process: Callable[[str], Process]) -> None:
    watch = Vigil(process(SLEEPS), patience=1.0)
    why = ""
    while not why:
        time.sleep(watch.pause())
        why = watch.look(lambda: True)
    assert why.startswith("nothing came of it")


def test_a_check_ends_that_a_server_sleeps_through_by_and_by(process: Callable[[str], Process]) -> None:
    """A byte now and then begins each wait anew; all of them together are counted."""
    server, tally, waits, why = process(SLEEPS), Tally(), 0, ""
    while not why:
        watch, waits, begin = Vigil(server, tally=tally), waits + 1, time.monotonic()
        while not why and time.monotonic() < begin + vigil.STILL_S / 2:
            time.sleep(watch.pause())
            why = watch.look()
    assert why == "in this check the server slept for 1.5 s in all while it was waited for"
    assert waits > 3


def test_a_server_in_the_kernels_hands_has_more_patience(process: Callable[[str], Process]) -> None:
    """A parent of vfork(2) is in state D until its child ends or becomes another program."""
    server = process(IN_VFORK)
    wait_until(lambda: "D" in procfs.states(server.pid), 30, "the parent is in state D")
    begin = time.monotonic()
    assert "nothing came of it for" in _why(server, patience=0.5)
    assert time.monotonic() - begin >= 0.5 / vigil.IN_KERNEL


def test_the_machines_pressure_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel counts is its own business: two that spin on one CPU stall for 4 ms in 2 s (6.18, measured)."""
    told = {
        "/proc/pressure/cpu": "some avg10=0.00 avg60=6.91 avg300=26.77 total=1500000\nfull avg10=0.00 total=9000000\n",
        "/proc/pressure/io": "some avg10=0.00 avg60=0.00 avg300=0.00 total=250000\nfull avg10=0.00 total=7000000\n",
    }
    monkeypatch.setattr(procfs, "_read", lambda path: told.get(path, ""))
    assert procfs.stalled_seconds() == 1.75
    told.clear()  # a kernel that does not say
    assert procfs.stalled_seconds() == 0


@pytest.mark.parametrize(
    "program, alive", [(ENDS, False), (SLEEPS, True), (SPINS, True)], ids=["ends", "sleeps", "spins"]
)
def test_who_rests_has_ended_or_sleeps_or_goes_on_computing(
    program: str, alive: bool, process: Callable[[str], Process]
) -> None:
    """One that is about to end has not ended while it waits for a CPU."""
    events = Events()
    events.server, events.patience = process(program), vigil.PATIENCE_S
    events.wait_rest()
    assert events.server.alive() == alive


def test_descriptors_have_settled_when_their_server_has_done_all_that_it_will_about_them(
    process: Callable[[str], Process],
) -> None:
    """Not while it is still on its way to close some, however often one looks meanwhile."""
    events = Events()
    events.server, events.patience, events.tally = process(CLOSES_LATER), vigil.PATIENCE_S, Tally()
    before = len(procfs.descriptors(events.server.pid))
    assert len(events.settled_descriptors()) == before - 9


def test_nothing_is_at_rest_that_changes_though_its_server_sleeps(process: Callable[[str], Process]) -> None:
    rest = _Rest(process(SLEEPS), vigil.PATIENCE_S)
    assert not any(rest.has_come(number) for number in range(5 * ASLEEP_LOOKS))
    assert not any(rest.has_come("full") for _ in range(ASLEEP_LOOKS))
    wait_until(lambda: rest.has_come("full"), 60.0, "rest")


@pytest.mark.parametrize("patience", [vigil.PATIENCE_S, 3 * vigil.PATIENCE_S])
def test_a_server_that_never_sleeps_has_had_time_enough_when_it_has_had_a_cpu_for_so_long(
    patience: float, process: Callable[[str], Process]
) -> None:
    server = process(SPINS)
    rest, begin = _Rest(server, patience), procfs.run_time_ns(server.pid)
    wait_until(lambda: rest.has_come("full"), 60.0, "rest")
    assert procfs.run_time_ns(server.pid) - begin > AT_WORK_NS * patience / vigil.PATIENCE_S


def test_an_answer_that_drags_on_an_idle_machine_is_given_up(
    process: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([vigil.DRAGS_S - 1, vigil.DRAGS_S])
    monkeypatch.setattr(vigil.CalmClock, "seconds", lambda _: next(seconds))
    monkeypatch.setattr(vigil.Vigil, "pause", lambda _: 0.0)
    pace = Vigil(process(TICKS))  # type: ignore[arg-type]
    assert pace.drags() == ""
    assert "s of an idle machine and is not done" in pace.drags()


def _slept_of(program: str, process: Callable[[str], Process]) -> tuple[float, float]:
    """What the pace tells of a server that is not looked at until the machine has had half a second for it."""
    server = process(program)
    pace, begin = vigil.Pace(server), time.monotonic()  # type: ignore[arg-type]
    time.sleep(0.5)
    return pace.slept(), time.monotonic() - begin


def test_the_pace_counts_sleep_and_no_work(process: Callable[[str], Process]) -> None:
    slept, elapsed = _slept_of(SLEEPS, process)
    assert 0.6 * elapsed < slept <= elapsed
    slept, elapsed = _slept_of(SPINS, process)
    assert slept < 0.4 * elapsed


def test_the_clock_of_an_idle_machine_stands_while_something_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    stalled = iter([5.0, 5.0, 1005.0, 0.0])
    monkeypatch.setattr(procfs, "stalled_seconds", lambda: next(stalled))
    clock = vigil.CalmClock()
    time.sleep(0.01)
    assert 0.01 <= clock.seconds() < 60
    assert clock.seconds() < 0
    assert clock.seconds() == 0  # the kernel does not say
