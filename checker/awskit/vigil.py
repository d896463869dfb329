"""How long is waited for a server: not by the clock, but until what the server itself does shows that it is in vain.

Silence is no verdict: the server may be slow because the machine is busy. So while a check waits, the server's whole
family of processes is looked at, from outside, and waiting ends for one of these reasons, which is then told:

    gone      no process is left
    asleep    for STILL_S no thread ran, none was ready to run, none waited for the disk: nothing will wake it any more
    busy      it had BUSY_S of CPU time, and nothing came of it: a loop
    neither   for the patience of the check it did some of both, and nothing came of it

A wait is for one event, such as the next byte; the next wait begins anew. What a server sleeps or computes while it is
waited for is also counted up, so that one which lets a byte through now and then comes to an end too.

Time counts less while the machine is short of CPU or has the disk at work, or a thread is in the kernel's hands (state
D: io_destroy(2) waits for all CPUs, 30 ms on an idle machine, a second on a busy one), and not at all while the checker
did not run or the server had no CPU to run on: an idle and a busy machine come to the same verdict, the busy one later.
Sources: proc(5), sched-stats.rst and psi.rst of the kernel's documentation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import procfs
from .model import Trouble
from .process import Process
from .server import Server

# Longer than timers that an honest server may have on the way to an answer (a tick of a second), than TCP's delayed
# acknowledgement (40 ms) and than a kernel thread waits for its turn on a busy machine.
STILL_S = 2.0
BUSY_S = 2.0  # of CPU time; a right server needs microseconds for the next byte
GONE_S = 0.2  # for what the kernel still has to deliver
SLEPT_S = 8.0  # in all, in one check
WORKED_S = 10.0  # of CPU time for one answer: the largest file takes a right server under one
DRAGS_S = 12.0  # of an idle machine, for one answer: it comes in small pieces, and between them the server naps
PATIENCE_S = 10.0  # what the bounds of CPU time above hold for; they grow with a check's patience (valgrind)

FIRST_LOOK_S = 0.02  # most waits are over by then and cost nothing
LOOK_S = 0.05
LATE_S = 2 * LOOK_S  # more than that between two looks: the checker did not run, and time did not count
IN_KERNEL = 0.25  # how much time counts that a thread spends in state D
BUSY_MACHINE = 0.5  # the least that time counts
OVERTIME = 6  # patiences; then the machine is to blame if it let the server wait for a CPU half of the time
TICK = 0.01  # a thread that runs for less than this part of the time only looks at its clock

ASLEEP = frozenset("STI")  # asleep, or stopped: a check that stops it waits for nothing meanwhile


@dataclass
class Tally:
    """What a check's servers took, in seconds."""

    slept: float = 0.0  # while they were waited for
    worked: float = 0.0  # of CPU time; filled in when a server has ended

    @property
    def cost(self) -> float:
        """Both together."""
        return self.slept + self.worked


@dataclass(frozen=True)
class _Sight:
    """One look at a server and its machine. Times in seconds."""

    at: float
    states: frozenset[str]
    ran: float  # all its CPU time so far
    stalled: float  # how long something on this machine has waited for a CPU or a disk so far
    disk_works: bool

    @classmethod
    def take(cls, server: Server | Process) -> _Sight:
        states = states_of(server) - {"Z"}
        return cls(time.monotonic(), states, _ran(server), procfs.stalled_seconds(), procfs.disk_works())

    def calm_since(self, before: _Sight) -> float:
        """How much the time between the two looks counts."""
        elapsed = self.at - before.at
        share = 1.0 if self.disk_works else (self.stalled - before.stalled) / elapsed
        return min(elapsed, LATE_S) * max(BUSY_MACHINE, 1.0 - share)


def states_of(server: Server | Process) -> frozenset[str]:
    """The states of the server's threads (proc(5)), and its warden's where that is at work: a call of the server's may
    be in its hands."""
    warden = procfs.states(server.warden.pid) if server.warden else ""
    return frozenset(procfs.states(server.pid)) | frozenset(warden) & {"R", "D"}


def _ran(server: Server | Process) -> float:
    """All its CPU time so far, in seconds, with what its warden had: one that makes a call again and again that a fault
    hits leaves most of the work to that."""
    warden = procfs.run_time_ns(server.warden.pid) if server.warden else 0
    return (procfs.run_time_ns(server.pid) + warden) / 1e9


class Vigil:
    """A wait for one event that `server` should bring about. `patience` in seconds is the last bound. The one who waits
    calls `look` when `pause` is over and nothing has come. `still`: seconds of sleep that show that it is in vain."""

    def __init__(
        self,
        server: Server | Process,
        patience: float = PATIENCE_S,
        tally: Tally | None = None,
        still: float | None = None,
    ) -> None:
        self._server = server
        self._patience = patience
        self._long = STILL_S if still is None else still
        self._tally = tally or Tally()
        self._begin = time.monotonic()
        self._next = self._begin + FIRST_LOOK_S
        self._last: _Sight | None = None
        self._ran_first: float | None = None
        self._clock: CalmClock | None = None
        self._still = self._calm = self._worked = self._starved = self._in_kernel = 0.0

    def pause(self) -> float:
        """Seconds until the next look is due."""
        return max(0.0, self._next - time.monotonic())

    def look(self, under_way: Callable[[], bool] = lambda: False) -> str:
        """Why it is in vain to wait longer, or "". `under_way`: whether the kernel has what is waited for in its hands.
        Trouble if the machine is too busy to tell. Before the pause is over it does nothing."""
        if self.pause():
            return ""
        sight = _Sight.take(self._server)
        self._next = time.monotonic() + LOOK_S
        if self._last is not None:
            self._count(self._last, sight)
        self._last = sight
        return self._verdict(sight, under_way)

    def drags(self) -> str:
        """For one who does not wait for the next byte but for the last: why this takes too long, or ""."""
        if self.pause():
            return ""
        self._next = time.monotonic() + LOOK_S
        ran = _ran(self._server)
        self._ran_first = ran if self._ran_first is None else self._ran_first
        if ran - self._ran_first >= WORKED_S * self._scale:
            return f"the server has taken {WORKED_S * self._scale:g} s of CPU time and is not done"
        self._clock = self._clock or CalmClock()
        if self._clock.seconds() >= DRAGS_S * self._scale:
            return f"the server was given {DRAGS_S * self._scale:g} s of an idle machine and is not done"
        return self.dawdles()

    def dawdles(self) -> str:
        """Why the server is too slow for this check as a whole, or ""."""
        if self._tally.slept >= SLEPT_S:
            return f"in this check the server slept for {SLEPT_S:g} s in all while it was waited for"
        return ""

    @property
    def _scale(self) -> float:
        return self._patience / PATIENCE_S

    def _count(self, before: _Sight, now: _Sight) -> None:
        elapsed, calm = now.at - before.at, now.calm_since(before)
        ran = max(0.0, now.ran - before.ran)  # a thread that ends takes its time with it
        self._worked += ran
        if "R" in before.states & now.states and ran < elapsed / 2:
            self._starved += elapsed
        elif "D" in before.states & now.states:
            self._calm += calm * IN_KERNEL
            self._in_kernel += elapsed
        else:
            self._calm += calm
        if (before.states | now.states) <= ASLEEP and ran <= TICK * elapsed:
            self._still += calm
            self._tally.slept += calm
        else:
            self._still = 0.0

    def _verdict(self, now: _Sight, under_way: Callable[[], bool]) -> str:
        if not now.states and self._still >= GONE_S:
            return "the server's process is gone"
        if self._still >= self._long and not under_way():
            return f"the server sleeps, and has for {self._long:g} s: it waits for something that does not come"
        if self._worked >= BUSY_S * self._scale:
            return f"the server was busy for {BUSY_S * self._scale:g} s of CPU time, and nothing came of it"
        waited = now.at - self._begin
        overtime = waited - self._in_kernel * (1 - IN_KERNEL) >= OVERTIME * self._patience
        if overtime and self._starved > waited / 2:
            raise Trouble(f"in {waited:.0f} s this machine gave the server {self._worked:.1f} s of CPU time")
        if overtime or self._calm >= self._patience:
            return f"nothing came of it for {waited:.0f} s, in which the server ran for {self._worked:.2f} s"
        return self.dawdles()


class CalmClock:
    """A clock that goes only while nothing on this machine waits for a CPU or a disk. Where the kernel does not tell
    that, it stands."""

    def __init__(self) -> None:
        self._begin, self._stalled = time.monotonic(), procfs.stalled_seconds()

    def seconds(self) -> float:
        """How long it went so far."""
        stalled = procfs.stalled_seconds()
        return time.monotonic() - self._begin - (stalled - self._stalled) if stalled else 0.0


class Pace:
    """How long a server has slept since, while it was asked again and again and nobody looked at it.

    It is the time in which neither it nor the checker ran, or waited for a CPU: less than it slept, where the checker
    was at work on something else. So a busy machine is not taken for a slow server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._begin = time.monotonic()
        self._first = self._awake()

    def slept(self) -> float:
        """In seconds."""
        return max(0.0, time.monotonic() - self._begin - (self._awake() - self._first))

    def _awake(self) -> float:
        return procfs.awake_ns(os.getpid(), *procfs.family(self._server.pid)) / 1e9
