"""The smallest case that still fails in the same way: fewer clients, steps, faults, split points and bytes.

A candidate is taken if it fails on the server just as the case did (played.py, `way`), twice, and holds on right
servers: else half a request that nobody answers would be the smallest case of everything. Large parts are tried first
(smaller.py). It ends when a whole round takes nothing, or when the time is over: the case is then as small as it has
become.

That the server is waited for in vain is known here, so candidates are played by servers that are waited for more
briefly. What is left is played once more with all patience, and several times so, and given back only if all that says
the same: a smaller case is easily one that fails by chance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..model import Outcome, Trouble
from ..plain import line
from .case import Case, File, Get, Send
from .kinds import Bad
from .play import play
from .smaller import PARTS, VALUES, Candidate, crowds, data_of
from .sound import expect_sound
from .target import Target

TAKEN = 2  # times that a candidate must fail: what fails by chance is not the same
SURE_LEAST = 6  # times that what is left must
SURE_MOST = 20  # and so often while there is time
LAST = 0.2  # of the time is kept for that


class NothingToShrink(Exception):
    """The case does not fail on this server, or fails on the reference, too; the text says which."""


@dataclass(frozen=True)
class Size:
    """How large a case is: its steps, and the bytes that it sends and that its files have."""

    steps: int
    bytes: int

    @classmethod
    def of(cls, case: Case) -> Size:
        sent = sum(len(data_of(step)) for step in case.steps if isinstance(step, Send | Get))
        kept = sum(entry.size or len(entry.text or b"") for _, entry in case.files if isinstance(entry, File))
        return cls(len(case.steps), sent + kept)


@dataclass
class Shrinking:
    """Makes `case`, which fails on `target`, smaller, for at most `seconds`."""

    case: Case
    target: Target
    reference: Target
    seconds: float
    others: tuple[Target, ...] = ()  # right servers of another design: what they fail is no bug
    removed: list[str] = field(default_factory=list)  # what it could do without, in words
    tried: int = 0
    in_time: bool = True  # the end was reached before the time was over
    _taken: list[Case] = field(default_factory=list)  # all that it was, one after another

    def run(self) -> Case:
        """The smallest case found. Raises NothingToShrink, and Trouble."""
        self._end = time.monotonic() + self.seconds
        first = play(self.case, self.target)
        if first.failure is None:
            raise NothingToShrink(f"it holds on {self.target.name}")
        if (wrong := play(self.case, self.reference).failure) is not None:
            raise NothingToShrink(f"it fails on {self.reference.name}, too; is the case wrong? {wrong.reason}")
        self._way = first.way
        self._taken = [self.case]
        self._seen = {hash(self.case)}
        self._right = [self.reference, *(one for one in self.others if play(self.case, one).outcome is Outcome.PASSED)]
        self._hasty = [one.hasty() for one in (self.target, *self._right)]
        while self._round(self._hasty):
            pass
        self._expect_the_same()
        return self.case

    def _round(self, servers: Sequence[Target]) -> bool:
        """Go through all parts and values once; whether one could go, or become less."""
        before = len(self._taken)
        while any(self._take(candidate, servers) for candidate in crowds(self.case)):
            pass
        for parts, without in PARTS:
            self._take_runs(parts, without, servers)
        for values in VALUES:
            while any(self._take(candidate, servers) for candidate in values(self.case)):
                pass
        return len(self._taken) > before

    def _take_runs(
        self, parts: Callable[[Case], int], without: Callable[[Case, int, int], Candidate], servers: Sequence[Target]
    ) -> None:
        """Take away runs of parts, from half of all down to single ones; from the end, on which less depends. What was
        looked at once is not looked at again by a run of the same length."""
        length = (parts(self.case) + 1) // 2
        while length:
            end = parts(self.case)
            while end > 0:
                begin = max(0, end - length)
                self._take(without(self.case, begin, end), servers)
                end = begin
            length //= 2

    def _take(self, candidate: Candidate, servers: Sequence[Target]) -> bool:
        """Whether the candidate is as good a case; then it is the case from here on."""
        words, case = candidate
        number = hash(case)  # of those that were tried not more is kept: each may have megabytes of its own
        if number in self._seen or not self.in_time:
            return False
        self._seen.add(number)
        try:
            expect_sound(case)
        except Bad:
            return False
        if time.monotonic() >= self._end - self.seconds * LAST:
            self.in_time = False
            return False
        self.tried += 1
        if not self._fails_alike(case, servers, TAKEN):
            return False
        self.case = case
        self._taken.append(case)
        self.removed.append(words)
        return True

    def _fails_alike(self, case: Case, servers: Sequence[Target], least: int, most: int | None = None) -> bool:
        """Whether it fails in the known way on the first, `least` times, and then up to `most` times while there is
        time; and holds on the others."""
        target, *right = servers
        try:
            for number in range(most or least):
                if number >= least and time.monotonic() >= self._end:
                    break
                if play(case, target).way != self._way:
                    return False
            return all(play(case, one).outcome is Outcome.PASSED for one in right)
        except Trouble:  # such as a fault that hits nothing any more
            return False

    def _expect_the_same(self) -> None:
        """Go back to what says the same with all patience, and each time, if the end does not."""
        patient = (self.target, *self._right)
        while len(self._taken) > 1 and not (
            self._fails_alike(self._taken[-1], patient, 1)
            and self._fails_alike(self._taken[-1], self._hasty, SURE_LEAST, SURE_MOST)
        ):
            del self._taken[len(self._taken) // 2 :]
        self.case = self._taken[-1]
        del self.removed[len(self._taken) - 1 :]


def told(before: Case, shrinking: Shrinking) -> str:
    """What came of it, for a terminal."""
    was, now = Size.of(before), Size.of(shrinking.case)
    lines = [f"removed: {line(words)}" for words in shrinking.removed]
    end = "no part of it can go" if shrinking.in_time else "the time is over"
    lines.append(f"steps {was.steps} -> {now.steps}, bytes {was.bytes:,} -> {now.bytes:,}; {shrinking.tried} smaller"
                 f" cases were tried, and {end}")  # fmt: skip
    return "\n".join(lines) + "\n"
