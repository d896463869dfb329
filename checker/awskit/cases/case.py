"""A case as data: the tree (entries.py), the faults, and a script of steps in the order of time (steps.py). These
dataclasses are the schema of the file, too: `key` says how a field is spelled in TOML, and what it may hold.

Who works with cases finds all their words here.
"""

from __future__ import annotations

import dataclasses
import errno
import re
from dataclasses import dataclass
from typing import Any

from .. import faults
from .entries import Entry, EntryKind, File, Link, Special
from .kinds import MIB, Bad, Errno, Flag, Integer, List, Pairs, Pattern, Table, Target, Text, Word, key
from .steps import (
    FIGURES, VERBS, Answer, Change, ClientStep, Close, Compare, Connect, Get, HalfClose, Receive, Release, Remember,
    Reset, Send, ServerStep, Silence, Step, Wait, step_of, verb
)  # fmt: skip

STEPS_MOST = 2000

RULE = Pattern(re.compile(r"[A-Z]\d{1,2}"), "a rule's id such as S4")
SAMPLE = Pattern(re.compile(r"[a-z]{1,30}/[a-z0-9-]{1,60}"), "the name of a sample such as defect/sendfile-once")


def errno_of(name: str) -> int:
    """The number of an error's name, 0 of ""."""
    return int(getattr(errno, name)) if name else 0


# -- faults ------------------------------------------------------------------------------------------------------------

FIRST = Integer(1, 1 << 30)
EVERY = Integer(0, 1 << 30)
CONNECTION = Integer(1, faults.CONNECTIONS)
HELP = "fixtures/bugs/README.md says under Faults what each does, and why none delays a call"


@dataclass(frozen=True)
class Cut:
    """See faults.Cut."""

    calls: str = key("cut", Word(("receive", "send", "sendfile", "aio", "submit")))
    most: int = key("most", Integer(1, 1 << 30), 0)
    share: str = key("share", Word(("half", "all-but-one")), "")
    first: int = key("first", FIRST, 1)
    every: int = key("every", EVERY, 1)
    connection: int = key("connection", CONNECTION, 0)

    def made(self) -> faults.Fault:
        return faults.Cut(self.calls, self.most, self.share, self.first, self.every, self.connection)


@dataclass(frozen=True)
class Refuse:
    """See faults.Refuse."""

    calls: str = key("refuse", Word(("receive", "send", "sendfile", "accept", "setup", "submit", "wait", "getevents")))
    error: str = key("error", Errno())
    first: int = key("first", FIRST, 1)
    every: int = key("every", EVERY, 0)
    connection: int = key("connection", CONNECTION, 0)

    def made(self) -> faults.Fault:
        return faults.Refuse(self.calls, errno_of(self.error), self.first, self.every, self.connection)


@dataclass(frozen=True)
class Hold:
    """See faults.HoldReads: nothing is read from the disk until a step releases it."""

    what: str = key("hold", Word(("reads",)))
    first: int = key("first", FIRST, 1)

    def made(self) -> faults.Fault:
        return faults.HoldReads(self.first)


Fault = Cut | Refuse | Hold

# Faults that have a name. `course`: what the course's own preload library did while it graded, to the same calls.
FAULT_SETS: dict[str, tuple[Fault, ...]] = {
    "course": (Cut("receive", most=20), Cut("send", share="half"), Cut("sendfile", share="half")),
}


def _fault(table: dict[str, Any]) -> type:
    for cls, name in ((Cut, "cut"), (Refuse, "refuse"), (Hold, "hold")):
        if name in table:
            _expect_known(cls, table)
            return cls
    raise Bad(f"must have one of the keys cut, refuse and hold; {HELP}")


def _expect_known(cls: type, table: dict[str, Any]) -> None:
    known = [field.metadata["key"] for field in dataclasses.fields(cls)]
    for name in table:
        if name not in known:
            raise Bad(f"there is no such key here; known are {', '.join(known)}; {HELP}", (name,))


# -- the case ----------------------------------------------------------------------------------------------------------

EVIDENCE = ("sendfile", "aio", "nonblocking", "read-only", "epoll")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case. It holds on a server that does all that the steps expect, lives, and shows the `evidence`; it fails on
    the samples that it `shows`."""

    title: str = key("title", Text(120))
    about: str = key("about", Text(600))  # two sentences: what is done; what a wrong server does with it
    rule: str = key("rule", RULE)
    shows: tuple[str, ...] = key("shows", List(SAMPLE, 50), ())
    seed: int = key("seed", Integer(0, 2**63 - 1), 1)
    files: tuple[tuple[str, Entry], ...] = key("files", Pairs(Target(), EntryKind(), 200), ())
    fault_set: str = key("fault_set", Word(tuple(FAULT_SETS)), "")
    faults: tuple[Fault, ...] = key("faults", List(Table(_fault, "a table such as { cut = \"send\" }"), 16), ())
    may_miss: bool = key("may_miss", Flag(), False)  # an honest design may do without the calls that the faults hit
    unserved: int | None = key("unserved", Integer(0, 1000), None)  # of answers that may be a part: so many at most are
    descriptors: int = key("descriptors", Integer(16, 4096), 0)  # that the server may have open; 0: as is custom
    evidence: tuple[str, ...] = key("evidence", List(Word(EVIDENCE), 5), ())
    steps: tuple[Step, ...] = key("steps", List(Table(step_of, "a table such as { get = \"/static/a.dat\" }"),
                                                STEPS_MOST, 1))  # fmt: skip

    @property
    def all_faults(self) -> tuple[Fault, ...]:
        """Those with a name, and those that are told one by one."""
        return FAULT_SETS.get(self.fault_set, ()) + self.faults

    def file(self, target: str) -> File | None:
        """The regular file of the tree, or None."""
        entry = dict(self.files).get(target)
        return entry if isinstance(entry, File) else None


__all__ = [
    "EVIDENCE", "FAULT_SETS", "FIGURES", "MIB", "VERBS", "Answer", "Case", "Change", "ClientStep", "Close", "Compare",
    "Connect", "Cut", "Entry", "Fault", "File", "Get", "HalfClose", "Hold", "Link", "Receive", "Refuse", "Release",
    "Remember", "Reset", "Send", "ServerStep", "Silence", "Special", "Step", "Wait", "errno_of", "verb",
]  # fmt: skip
