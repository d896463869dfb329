"""The smallest case that still fails in the same way: fewer clients, steps, faults, split points and bytes.

A candidate is taken if it fails on the server just as the case did (play.py, `way`) and holds on the reference: else
half a request that nobody answers would be the smallest case of everything. Large parts are tried first; each one that
is taken begins a new round. It ends when a whole round takes nothing, or when the time is over: the case is then as
small as it has become.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..bench import request_bytes
from ..model import Outcome, Trouble
from .case import Case, Change, ClientStep, Compare, Connect, Cut, File, Get, Receive, Send, verb
from .kinds import Bad
from .play import play
from .sound import expect_sound
from .target import Target
from .write import step_text

Candidate = tuple[str, Case]  # what was made smaller, in words; the case then


class NothingToShrink(Exception):
    """The case does not fail on this server, or fails on the reference, too; the text says which."""


@dataclass(frozen=True)
class Size:
    """How large a case is: its steps, and the bytes that it sends and that its files have."""

    steps: int
    bytes: int

    @classmethod
    def of(cls, case: Case) -> Size:
        sent = sum(len(_data(step)) for step in case.steps if isinstance(step, Send | Get))
        kept = sum(entry.size or len(entry.text or b"") for _, entry in case.files if isinstance(entry, File))
        return cls(len(case.steps), sent + kept)


@dataclass
class Shrinking:
    """Makes `case`, which fails on `target`, smaller, for at most `seconds`."""

    case: Case
    target: Target
    reference: Target
    seconds: float
    removed: list[str] = field(default_factory=list)  # what it could do without, in words
    tried: int = 0
    in_time: bool = True  # the end was reached before the time was over

    def run(self) -> Case:
        """The smallest case found. Raises NothingToShrink, and Trouble."""
        self._end = time.monotonic() + self.seconds
        first = play(self.case, self.target)
        if first.failure is None:
            raise NothingToShrink(f"it holds on {self.target.name}")
        if (wrong := play(self.case, self.reference).failure) is not None:
            raise NothingToShrink(f"it fails on {self.reference.name}, too; is the case wrong? {wrong.reason}")
        self._way = first.way
        self._seen = {self.case}
        while self._round():
            pass
        return self.case

    def _round(self) -> bool:
        """Go through all candidates once; whether one was taken."""
        taken = False
        for candidates in _WAYS:
            again = True
            while again:
                again = any(self._take(words, case) for words, case in candidates(self.case))
                taken |= again
        return taken

    def _take(self, words: str, case: Case) -> bool:
        """Whether the candidate is as good a case; then it is the case from here on."""
        if case in self._seen or not self.in_time:
            return False
        self._seen.add(case)
        try:
            expect_sound(case)
        except Bad:
            return False
        if time.monotonic() >= self._end:
            self.in_time = False
            return False
        self.tried += 1
        if not self._fails_alike(case):
            return False
        self.case = case
        self.removed.append(words)
        return True

    def _fails_alike(self, case: Case) -> bool:
        try:
            if play(case, self.target).way != self._way:
                return False
            return play(case, self.reference).outcome is Outcome.PASSED
        except Trouble:  # such as a fault that hits nothing any more
            return False


# -- candidates, the largest first -------------------------------------------------------------------------------------


def _fewer_clients(case: Case) -> Iterator[Candidate]:
    names = dict.fromkeys(step.client for step in case.steps if isinstance(step, ClientStep))
    for name in names:
        steps = tuple(step for step in case.steps if not (isinstance(step, ClientStep) and step.client == name))
        yield f"client {name}", replace(case, steps=steps)


def _fewer_faults(case: Case) -> Iterator[Candidate]:
    if case.fault_set:
        yield f"fault set {case.fault_set}", replace(case, fault_set="")
        for fault in case.all_faults:  # one of the set may do
            words = f"the other faults of the set {case.fault_set}"
            yield words, replace(case, fault_set="", faults=(*case.faults, fault))
    for number, fault in enumerate(case.faults):
        yield f"fault {fault}", replace(case, faults=case.faults[:number] + case.faults[number + 1 :])
    if case.may_miss:
        yield "may_miss", replace(case, may_miss=False)
    if case.descriptors:
        yield "the limit of descriptors", replace(case, descriptors=0)
    for number, word in enumerate(case.evidence):
        yield f"evidence {word}", replace(case, evidence=case.evidence[:number] + case.evidence[number + 1 :])


def _fewer_steps(case: Case) -> Iterator[Candidate]:
    """Runs of steps, from half of all down to single ones; from the end, on which less depends."""
    length = len(case.steps) // 2
    while length:
        for begin in range(len(case.steps) - length, -1, -length):
            steps = case.steps[:begin] + case.steps[begin + length :]
            gone = case.steps[begin : begin + length]
            yield f"steps {'; '.join(step_text(step) for step in gone)}", replace(case, steps=steps)
        length //= 2


def _smaller_steps(case: Case) -> Iterator[Candidate]:
    for number, step in enumerate(case.steps):
        for smaller in _smaller(step):
            steps = (*case.steps[:number], smaller, *case.steps[number + 1 :])
            yield f"of {verb(type(step))}: {_change(step, smaller)}", replace(case, steps=steps)


def _change(before: Any, after: Any) -> str:
    """What is smaller, in words."""
    changed = [name for name in before.__dataclass_fields__ if getattr(before, name) != getattr(after, name)]
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in changed]
    return ", ".join(f"{name} {_size(was)} -> {_size(now)}" for name, was, now in pairs)


def _size(value: Any) -> str:
    if isinstance(value, bytes):
        return f"of {len(value):,} bytes"
    return f"{value:,}" if type(value) is int else str(value)


def _smaller(step: Any) -> Iterator[Any]:
    if isinstance(step, Connect):
        yield from _numbers(step, "count", 1)
        if step.receive_buffer:
            yield replace(step, receive_buffer=0)
    elif isinstance(step, Receive | Change):
        yield from _numbers(step, "count" if isinstance(step, Receive) else "size", 1)
    elif isinstance(step, Compare):
        yield from _numbers(step, "more", 0)
    elif isinstance(step, Send | Get):
        yield from _fewer_pieces(step)
        if isinstance(step, Send):
            yield from _fewer_bytes(step)
    for name in ("fields", "never", "grammar", "last_first"):
        one = step.__dataclass_fields__.get(name)
        if one and not one.metadata["needed"] and getattr(step, name) != one.default:
            yield replace(step, **{name: one.default})


def _numbers(value: Any, name: str, least: int) -> Iterator[Any]:
    """The object with a smaller number: the least, and then ever nearer to what it is."""
    number = getattr(value, name)
    if not number or number <= least:
        return
    distance = number - least
    while distance:
        yield replace(value, **{name: number - distance})
        distance //= 2


def _fewer_pieces(step: Send | Get) -> Iterator[Send | Get]:
    if step.each:
        middle = len(_data(step)) // 2
        yield replace(step, each=False)
        if middle:
            yield replace(step, each=False, split=(middle,))
    if step.split:
        yield replace(step, split=())
        length = len(step.split) // 2
        while length:
            for begin in range(0, len(step.split), length):
                yield replace(step, split=step.split[:begin] + step.split[begin + length :])
            length //= 2


def _fewer_bytes(step: Send) -> Iterator[Send]:
    """Parts of what is sent: lines of it, and then runs of bytes, the longest first. Split points stay where the bytes
    after which they come do."""
    lines = step.data.split(b"\r\n")
    if len(lines) > 2:
        begin = 0
        for line in lines[:-1]:
            yield from _without(step, begin, begin + len(line) + 2)
            begin += len(line) + 2
    length = len(step.data) // 2
    while length >= 8:
        for begin in range(0, len(step.data), length):
            yield from _without(step, begin, min(begin + length, len(step.data)))
        length //= 2


def _without(step: Send, begin: int, end: int) -> Iterator[Send]:
    data = step.data[:begin] + step.data[end:]
    if data:
        moved = {at if at <= begin else max(begin, at - (end - begin)) for at in step.split}
        yield replace(step, data=data, split=tuple(sorted(at for at in moved if 0 < at < len(data))))


def _smaller_files(case: Case) -> Iterator[Candidate]:
    for number, (target, entry) in enumerate(case.files):
        around = case.files[:number], case.files[number + 1 :]
        yield f"file {target}", replace(case, files=(*around[0], *around[1]))
        if isinstance(entry, File) and entry.size is not None:
            for smaller in _numbers(entry, "size", 0):
                files = (*around[0], (target, smaller), *around[1])
                yield f"of {target}: {entry.size:,} -> {smaller.size:,}", replace(case, files=files)


def _milder_faults(case: Case) -> Iterator[Candidate]:
    """A fault that hits once shows more than one that hits each call."""
    for number, fault in enumerate(case.faults):
        if not isinstance(fault, Cut) and getattr(fault, "every", 0):
            faults = (*case.faults[:number], replace(fault, every=0), *case.faults[number + 1 :])
            yield f"{fault} hits once", replace(case, faults=faults)


_WAYS = (_fewer_clients, _fewer_faults, _fewer_steps, _smaller_files, _smaller_steps, _milder_faults)


def _data(step: Send | Get) -> bytes:
    return step.data if isinstance(step, Send) else request_bytes(step.target)


def told(before: Case, shrinking: Shrinking) -> str:
    """What came of it, for a terminal."""
    was, now = Size.of(before), Size.of(shrinking.case)
    lines = [f"removed: {words}" for words in shrinking.removed]
    end = "no part of it can go" if shrinking.in_time else "the time is over"
    lines.append(f"steps {was.steps} -> {now.steps}, bytes {was.bytes:,} -> {now.bytes:,}; {shrinking.tried} smaller"
                 f" cases were tried, and {end}")  # fmt: skip
    return "\n".join(lines) + "\n"
