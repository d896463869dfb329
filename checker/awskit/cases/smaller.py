"""What may go from a case: clients that live alike can be one crowd; of parts runs can be taken away (clients, steps,
files, faults); and values can become less. Each candidate says in words what was made smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..bench import request_bytes
from .case import Case, Change, ClientStep, Compare, Connect, File, Get, Receive, Send, verb
from .kinds import write_fields
from .steps import CLIENTS_MOST
from .write import inline, step_text

TOLD = 400  # bytes of what a step sends
Candidate = tuple[str, Case]  # what was made smaller, in words; the case then

# -- clients that live alike -------------------------------------------------------------------------------------------


def crowds(case: Case) -> Iterator[Candidate]:
    """Clients that do the same, each for itself, as one crowd that does it in turn; the largest first."""
    lives: dict[tuple[Any, ...], list[str]] = {}
    for name in _clients(case):
        steps = [step for step in case.steps if isinstance(step, ClientStep) and step.client == name]
        if not any(isinstance(step, Connect) and step.count > 1 for step in steps):
            lives.setdefault(tuple(replace(step, client="") for step in steps), []).append(name)
    for names in sorted(lives.values(), key=len, reverse=True):
        if 1 < len(names) <= CLIENTS_MOST:
            yield f"{len(names)} clients, one by one: a crowd", _as_crowd(case, names[0], names[1:])


def _as_crowd(case: Case, first: str, others: list[str]) -> Case:
    """The case in which the first client stands for the others, too."""
    steps: list[Any] = []
    connect: Any = Connect(count=1 + len(others), client=first)
    for step in case.steps:
        name = step.client if isinstance(step, ClientStep) else ""
        if name in others:
            continue
        if name == first and connect:
            steps.append(replace(connect, receive_buffer=getattr(step, "receive_buffer", 0)))
            connect = None
            if isinstance(step, Connect):
                continue
        steps.append(step)
    return replace(case, steps=tuple(steps))


# -- parts: how many there are, and the case without those from `begin` to `end` ---------------------------------------


def _clients(case: Case) -> list[str]:
    return list(dict.fromkeys(step.client for step in case.steps if isinstance(step, ClientStep)))


def _without_clients(case: Case, begin: int, end: int) -> Candidate:
    gone = _clients(case)[begin:end]
    steps = tuple(step for step in case.steps if not (isinstance(step, ClientStep) and step.client in gone))
    return f"client {', '.join(gone)}", replace(case, steps=steps)


def _without_steps(case: Case, begin: int, end: int) -> Candidate:
    gone = "; ".join(step_text(_beginning(step)) for step in case.steps[begin:end])
    return f"steps {gone}", replace(case, steps=case.steps[:begin] + case.steps[end:])


def _beginning(step: Any) -> Any:
    """The step as it is told of one that sends megabytes, which take a second to be spelled."""
    return replace(step, data=step.data[:TOLD]) if isinstance(step, Send) else step


def _without_files(case: Case, begin: int, end: int) -> Candidate:
    gone = ", ".join(target for target, _ in case.files[begin:end])
    return f"file {gone}", replace(case, files=case.files[:begin] + case.files[end:])


def _without_faults(case: Case, begin: int, end: int) -> Candidate:
    gone = ", ".join(inline(write_fields(fault)) for fault in case.faults[begin:end])
    return f"fault {gone}", replace(case, faults=case.faults[:begin] + case.faults[end:])


PARTS: tuple[tuple[Callable[[Case], int], Callable[[Case, int, int], Candidate]], ...] = (
    (lambda case: len(_clients(case)), _without_clients),
    (lambda case: len(case.files), _without_files),
    (lambda case: len(case.steps), _without_steps),
    (lambda case: len(case.faults), _without_faults),
)

# -- values, the largest difference first ------------------------------------------------------------------------------


def _fewer_conditions(case: Case) -> Iterator[Candidate]:
    """Of what holds for the case as a whole."""
    if case.fault_set:
        yield f"fault set {case.fault_set}", replace(case, fault_set="")
        for fault in case.all_faults:  # one of the set may do
            words = f"the other faults of the set {case.fault_set}"
            yield words, replace(case, fault_set="", faults=(*case.faults, fault))
    if case.may_miss:
        yield "may_miss", replace(case, may_miss=False)
    if case.unserved is not None:
        yield "unserved", replace(case, unserved=None)
    if case.descriptors:
        yield "the limit of descriptors", replace(case, descriptors=0)
    for number, word in enumerate(case.evidence):
        yield f"evidence {word}", replace(case, evidence=case.evidence[:number] + case.evidence[number + 1 :])


def _plainer_faults(case: Case) -> Iterator[Candidate]:
    """Without what says which of the calls a fault hits: then a refusal hits the first one, and a cut each."""
    for number, fault in enumerate(case.faults):
        for name in ("first", "every", "connection"):
            one = fault.__dataclass_fields__.get(name)
            if one and getattr(fault, name) != one.default:
                faults = (*case.faults[:number], replace(fault, **{name: one.default}), *case.faults[number + 1 :])
                yield f"{name} of {inline(write_fields(fault))}", replace(case, faults=faults)


def _smaller_files(case: Case) -> Iterator[Candidate]:
    for number, (target, entry) in enumerate(case.files):
        if isinstance(entry, File) and entry.size is not None:
            for smaller in _numbers(entry, "size", 0):
                files = (*case.files[:number], (target, smaller), *case.files[number + 1 :])
                yield f"of {target}: {entry.size:,} -> {smaller.size:,}", replace(case, files=files)


def _smaller_steps(case: Case) -> Iterator[Candidate]:
    for number, step in enumerate(case.steps):
        for smaller in _smaller(step):
            steps = (*case.steps[:number], smaller, *case.steps[number + 1 :])
            yield f"of {verb(type(step))}: {_change(step, smaller)}", replace(case, steps=steps)


VALUES = (_fewer_conditions, _smaller_files, _smaller_steps, _plainer_faults)


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
    """The object with a smaller number: the least; then such parts of it that one which is near the smallest that will
    do is found in a few rounds."""
    number = getattr(value, name)
    tried = {number}
    for smaller in (least, number // 256, number // 16, number // 4, number // 2, number - max(1, number // 8)):
        if smaller >= least and smaller not in tried:
            tried.add(smaller)
            yield replace(value, **{name: smaller})


def _fewer_pieces(step: Send | Get) -> Iterator[Send | Get]:
    if step.each:
        middle = len(data_of(step)) // 2
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
    if 2 < len(lines) < 20:
        begin = 0
        for line in lines[:-1]:
            yield from _without(step, begin, begin + len(line) + 2)
            begin += len(line) + 2
    length = len(step.data) // 2
    while length >= 8 and length * 64 >= len(step.data):
        for begin in range(0, len(step.data), length):
            yield from _without(step, begin, min(begin + length, len(step.data)))
        length //= 2


def _without(step: Send, begin: int, end: int) -> Iterator[Send]:
    data = step.data[:begin] + step.data[end:]
    if data:
        moved = {at if at <= begin else max(begin, at - (end - begin)) for at in step.split}
        yield replace(step, data=data, split=tuple(sorted(at for at in moved if 0 < at < len(data))))


def data_of(step: Send | Get) -> bytes:
    """The bytes that a step sends."""
    return step.data if isinstance(step, Send) else request_bytes(step.target)
