"""From a failed check to a case: what was done to the server (deeds.py) becomes its steps (retold.py).

So the case does what the check did, up to its failure, and no template has to be kept beside each check. Where a check
looked at what a case cannot look at, `NotSaid` tells why.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

from .. import faults
from ..deeds import Deeds
from ..facts import gathered
from ..model import Check, Evidence, Failure
from ..plain import line
from .case import (
    Answer, Case, Close, Connect, Cut, Entry, Fault, File, Get, Hold, Link, Refuse, Send, ServerStep, Special, Wait
)  # fmt: skip
from .kinds import Bad
from .retold import steps_of
from .sound import expect_inside, expect_sound

# What these checks look at is the evidence of a case.
EVIDENCE = {"mechanism.sendfile": "sendfile", "mechanism.aio": "aio", "mechanism.nonblocking": "nonblocking",
            "mechanism.open_flags": "read-only", "mechanism.epoll": "epoll"}  # fmt: skip
AT_START = 4  # AIO contexts that no server makes before it has clients
SIZES = {"small": 2048, "large": 2 << 20}


class NotSaid(Exception):
    """No case can say this failure; the text says why."""


def case_of(check: Check, failure: Failure, seed: int) -> Case:
    """The case that fails as this check did. Raises NotSaid."""
    evidence = gathered(failure)
    if check.id.startswith("memory.") and check.id != "memory.growth":
        raise NotSaid("what valgrind or a sanitizer sees of the memory, no client sees")
    if check.id in EVIDENCE:
        made = _of_evidence(check, seed)
    elif evidence.deeds is None or not evidence.deeds.done:
        made = _of_start(check, seed)
    elif evidence.deeds.unsaid:
        raise NotSaid(evidence.deeds.unsaid)
    elif evidence.deeds.left_out:
        raise NotSaid("more was done than a case can hold")
    else:
        made = _later(_of_deeds(check, evidence, evidence.deeds, seed))
    made = replace(made, about=_about(check, failure))
    try:
        expect_sound(made)
    except Bad as bad:
        raise NotSaid(f"a case cannot say it: {bad}") from bad
    return made


def _about(check: Check, failure: Failure) -> str:
    return line(f"What the check {check.id} did when it failed: {failure.reason}", 560)


def _plain(check: Check, seed: int, **more: Any) -> Case:
    return Case(title=line(check.title, 120), about="-", rule=check.rules[0], seed=seed, **more)


def _of_start(check: Check, seed: int) -> Case:
    """Nobody came so far as to do anything: any answer shows that it was built, runs and listens."""
    steps = (Get(target="/static/small.dat"), Answer(expected="any"))
    return _plain(check, seed, steps=steps, files=(("/static/small.dat", File(size=SIZES["small"])),))


def _of_evidence(check: Check, seed: int) -> Case:
    """The files of which the checks of the means look at the calls (witness.py)."""
    targets = {f"/{kind}/{name}.dat": size for kind in ("static", "dynamic") for name, size in SIZES.items()}
    steps = []
    for number, target in enumerate(targets, 1):
        steps += [Get(target=target, client=f"c{number}"), Answer(expected=200, client=f"c{number}", ends="any")]
    if check.id == "mechanism.epoll":  # it is about where the server waits for the rest of a request
        steps += [Send(data=b"GET /", client="half"), Wait(event="received", client="half")]
    files = tuple((target, File(size=size)) for target, size in targets.items())
    return _plain(check, seed, steps=tuple(steps), files=files, evidence=(EVIDENCE[check.id],))


def _of_deeds(check: Check, evidence: Evidence, deeds: Deeds, seed: int) -> Case:
    sent = b" ".join(deed.value for deed in deeds.done if deed.what == "send")
    files = {target: entry for target, made in evidence.files.items()
             if _may_be(target, entry := _entry(*made)) or target.encode() in sent}  # fmt: skip
    steps = steps_of(deeds.done, files, evidence.reply)
    if evidence.ended:
        steps.append(ServerStep(what="idle"))  # it may die a moment after the last step
    return _plain(
        check,
        seed,
        steps=tuple(steps),
        files=tuple((target, entry) for target, entry in files.items()),
        faults=tuple(_fault(fault) for fault in deeds.faults),
        may_miss=deeds.may_miss and bool(deeds.faults),
        descriptors=deeds.descriptors,
    )


def _later(case: Case) -> Case:
    """Which io_setup is refused was counted from those that this server makes at its start. Others make more of them
    there, and cannot start without: so as many come first that it is none of these."""
    asked = next((step for step in case.steps if isinstance(step, Get)), None)
    if asked is None or not any(_is_of_setup(fault) for fault in case.faults):
        return case
    name = "before"
    before = (Connect(count=AT_START, client=name), Get(target=asked.target, client=name),
              Answer(expected="any", client=name), Close(flag=True, client=name))  # fmt: skip
    later = (replace(fault, first=fault.first + AT_START) if _is_of_setup(fault) else fault for fault in case.faults)
    return replace(case, steps=before + case.steps, faults=tuple(later))


def _is_of_setup(fault: Fault) -> bool:
    return isinstance(fault, Refuse) and fault.calls == "setup"


def _may_be(target: str, entry: Entry) -> bool:
    """Whether a case may hold it: a link that leads out of the tree it may not, and need not if nobody asked for it."""
    try:
        if isinstance(entry, Link):
            expect_inside(target, entry.to)
    except Bad:
        return False
    return True


def _entry(how: str, what: Any) -> Entry:
    """An entry of the tree, as Tree.made has it."""
    if how == "link":
        return Link(to=what)
    if how == "special":
        return Special(what=what)
    if how == "text":
        return File(text=what) if what else File(size=0)
    return File(size=what, sparse=how == "sparse", unreadable=how == "unreadable")


def _fault(fault: faults.Fault) -> Fault:
    if isinstance(fault, faults.Cut):
        return Cut(fault.calls, fault.most, fault.share, fault.first, fault.every, fault.connection)
    if isinstance(fault, faults.Refuse):
        return Refuse(fault.calls, errno.errorcode[fault.error], fault.first, fault.every, fault.connection)
    return Hold("reads", fault.first)
