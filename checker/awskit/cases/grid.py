"""The fault matrix as data: a call that is hit, a fault that hits it, and the case that tells what comes of it.

    row     a call, as faults.py groups them
    column  what becomes of it: it moves less, has to be made again, ends the connection, or the disk takes its time
    cell    a case: the exchanges that make the call, one after another, under that one fault

What a right server owes to each is the column's: whole answers, or, where the connection ends, no byte but the file's.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .case import Answer, Case, Close, Cut, Fault, File, Get, Hold, Refuse, Release, ServerStep, Step, Wait

CALLS = ("accept", "receive", "send", "sendfile", "setup", "submit", "aio", "getevents", "wait")
NAMES = {"aio": "asynchronous read", "setup": "io_setup", "submit": "io_submit", "getevents": "io_getevents",
         "wait": "epoll_wait"}  # fmt: skip
RULES = {"accept": "S15", "receive": "S4", "send": "S8", "sendfile": "S6", "wait": "S1"}  # all others: S7

# What is asked for. The files' sizes are the seed's: no one is a multiple of a buffer.
EXCHANGES = {
    "small-static": "/static/small.dat",
    "large-static": "/static/large.dat",
    "small-dynamic": "/dynamic/small.dat",
    "large-dynamic": "/dynamic/large.dat",
    "missing": "/static/none.dat",
}
SMALL = ("small-static", "small-dynamic", "missing")  # each of their bytes may take a call of its own
STATIC = ("small-static", "large-static")
DYNAMIC = ("small-dynamic", "large-dynamic")
CROWD = 24  # clients one after another, of whom one is refused something


@dataclass(frozen=True)
class Column:
    """What becomes of a call. `head`: its name over two lines, as a table has it."""

    id: str
    head: tuple[str, str]
    group: str


COLUMNS = (
    Column("1", ("1", ""), "moves at most"),
    Column("7", ("7", ""), "moves at most"),
    Column("half", ("half", ""), "moves at most"),
    Column("all-but-one", ("all", "-1"), "moves at most"),
    Column("half-again", ("half", "again"), "is made again"),
    Column("EAGAIN", ("E", "AGAIN"), "is made again"),
    Column("EINTR", ("E", "INTR"), "is made again"),
    Column("ECONNABORTED", ("ECONN", "ABORTED"), "is made again"),
    Column("ECONNRESET", ("ECONN", "RESET"), "ends the connection"),
    Column("EPIPE", ("E", "PIPE"), "ends the connection"),
    Column("EIO", ("EIO", ""), "ends the connection"),
    Column("late", ("late", ""), "is done by the disk"),
    Column("last-first", ("last", "1st"), "is done by the disk"),
)


@dataclass(frozen=True)
class Cell:
    """One call under one fault, or under two that go together. `uses`: exchanges that are asked for under it, those of
    them that are right without a fault; `needs`: those without which it says nothing. `script`: one of those below."""

    call: str
    column: str
    about: str  # what the fault does, the beginning of a sentence
    faults: tuple[Fault, ...]
    uses: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    script: str = "answered"

    @property
    def id(self) -> str:
        """As a report and a sample's expected.toml name it."""
        return f"{self.call} {self.column}"

    def case(self, sound: Iterable[str], seed: int) -> Case | None:
        """Its case, for a server that answers the exchanges `sound` without a fault; None if too few are."""
        right = set(sound)
        uses = [name for name in self.uses if name in right]
        if not set(self.needs) <= right or not (uses or self.needs):
            return None
        steps = _SCRIPTS[self.script](uses)
        asked = {step.target for step in steps if isinstance(step, Get)}
        return Case(
            title=f"{self.about[0].upper()}{self.about[1:]}",
            about=f"{_OWED[self.script]} This is the cell '{self.id}' of the fault matrix.",
            rule="S16" if self.script == "ended" else RULES.get(self.call, "S7"),
            seed=seed,
            files=tuple((target, file) for target, file in _files(seed) if target in asked),
            faults=self.faults,
            steps=tuple(steps),
        )


def plain(names: Sequence[str], seed: int) -> Case:
    """These exchanges without any fault: what the cells are compared with."""
    return Case(title="No fault at all", about="Each exchange comes to what it should.", rule="S4", seed=seed,
                files=_files(seed), steps=tuple(_answered(names)))  # fmt: skip


def cells() -> tuple[Cell, ...]:
    """All that there are, row by row."""
    found = [_cut(call, column) for call in ("receive", "send", "sendfile", "submit", "aio")
             for column in ("1", "7", "half", "all-but-one")]  # fmt: skip
    again = [("accept", "EAGAIN"), ("accept", "EINTR"), ("accept", "ECONNABORTED"), ("receive", "EAGAIN"),
             ("receive", "EINTR"), ("send", "EAGAIN"), ("send", "EINTR"), ("sendfile", "EAGAIN"),
             ("sendfile", "EINTR"), ("getevents", "EINTR"), ("wait", "EINTR")]  # fmt: skip
    found += [_refuse(call, error, "answered") for call, error in again]
    ends = [("receive", "ECONNRESET"), ("send", "ECONNRESET"), ("sendfile", "ECONNRESET"), ("send", "EPIPE"),
            ("sendfile", "EPIPE"), ("sendfile", "EIO")]  # fmt: skip
    found += [_refuse(call, error, "ended") for call, error in ends]
    for call in ("receive", "send", "sendfile"):  # a socket that is full, or empty, in the middle
        about = f"each {call} moves half of what it could, and every second fails with EAGAIN"
        faults = (Cut(call, share="half"), Refuse(call, "EAGAIN", first=2, every=2))
        found.append(Cell(call, "half-again", about, faults, _exchanges(call)))
    # A queue that is full: that file may be late or cut off; the next ones are none of it.
    found.append(Cell("submit", "EAGAIN", "the first io_submit fails with EAGAIN", (Refuse("submit", "EAGAIN"),),
                      DYNAMIC, script="queue_full"))  # fmt: skip
    # A server that has what it needs from its start on asks for so many at no time.
    found.append(Cell("setup", "EAGAIN", "the 20th io_setup fails with EAGAIN", (Refuse("setup", "EAGAIN", first=20),),
                      DYNAMIC, ("small-dynamic",), "crowd"))  # fmt: skip
    others = ("small-static", "missing")
    held = (Hold("reads"),)
    found += [
        Cell("aio", "EIO", "each asynchronous read of a file fails with EIO", held, others, ("large-dynamic",),
             "failed"),
        Cell("aio", "late", "no asynchronous read is done until others were served", held, others, ("large-dynamic",),
             "late"),
        Cell("aio", "last-first", "of several asynchronous reads the last is done first", held, ("small-static",),
             DYNAMIC, "last_first"),
    ]  # fmt: skip
    order = [column.id for column in COLUMNS]
    return tuple(sorted(found, key=lambda cell: (CALLS.index(cell.call), order.index(cell.column))))


def _exchanges(call: str, *, bytewise: bool = False) -> tuple[str, ...]:
    """Those that make the call; `bytewise`: each byte may take one, so only small ones, but for requests."""
    made = {"sendfile": STATIC, "submit": DYNAMIC, "aio": DYNAMIC, "getevents": DYNAMIC}.get(call, tuple(EXCHANGES))
    return tuple(name for name in made if name in SMALL) if bytewise and call in ("send", "sendfile", "aio") else made


def _cut(call: str, column: str) -> Cell:
    if column in ("1", "7"):
        unit = f"{'read' if call == 'submit' else 'byte'}{'' if column == '1' else 's'}"
        fault, much = Cut(call, most=int(column)), f"at most {column} {unit}"
    else:
        fault, much = Cut(call, share=column), column.replace("-", " ")
    verb = "takes" if call == "submit" else "moves"
    about = f"each {NAMES.get(call, call)} {verb} {much} of what it could"
    return Cell(call, column, about, (fault,), _exchanges(call, bytewise=column in ("1", "7")))


def _refuse(call: str, error: str, script: str) -> Cell:
    about = f"every second {NAMES.get(call, call)}, from the first on, fails with {error}"
    return Cell(call, error, about, (Refuse(call, error, first=1, every=2),), _exchanges(call), script=script)


def _files(seed: int) -> tuple[tuple[str, File], ...]:
    rng = random.Random(f"matrix/{seed}")
    small, large = rng.randrange(1500, 3000, 2) + 1, rng.randrange(700_000, 1_100_000, 2) + 1
    return tuple((target, File(size=small if name.startswith("small") else large))
                 for name, target in EXCHANGES.items() if name != "missing")  # fmt: skip


# -- scripts: what the exchanges of a cell do --------------------------------------------------------------------------


def _answer(name: str) -> Answer:
    return Answer(404 if name == "missing" else 200, client=name)


def _answered(names: Sequence[str]) -> list[Step]:
    """One after another; each answer is whole."""
    return [step for name in names for step in (Get(EXCHANGES[name], client=name), _answer(name))]


def _ended(names: Sequence[str]) -> list[Step]:
    """Any of them may end early; what comes of it until then is right."""
    return [step for name in names for step in (Get(EXCHANGES[name], client=name), Answer("part", client=name))]


def _queue_full(names: Sequence[str]) -> list[Step]:
    return [Get(EXCHANGES[names[-1]], client="first"), Answer("part", client="first"), *_answered(names)]


def _crowd(names: Sequence[str]) -> list[Step]:
    """Many clients for a dynamic file, of whom one may be refused, and those after them."""
    crowd = [f"one-{number}" for number in range(1, CROWD + 1)]
    asked = [step for name in crowd for step in (Get(EXCHANGES["small-dynamic"], client=name),
                                                 Answer("part", client=name), Close(True, client=name))]  # fmt: skip
    return [*asked, *_answered(names)]


def _held(names: Sequence[str], end: Release, answer: Answer) -> list[Step]:
    """A large dynamic file, whose reads are held; the others meanwhile; and how it goes on."""
    return [Get(EXCHANGES["large-dynamic"], client="reader"), ServerStep("reading"), *_answered(names), end, answer]


def _late(names: Sequence[str]) -> list[Step]:
    return _held(names, Release("all"), Answer(200, client="reader"))


def _failed(names: Sequence[str]) -> list[Step]:
    return [*_held((), Release("all", error="EIO"), Answer("part", client="reader")), *_answered(names),
            *_answered(("large-dynamic",))]  # fmt: skip


def _last_first(names: Sequence[str]) -> list[Step]:
    """The second client's read is done before any of the first one's, and of those the last one first."""
    first, second = "large-dynamic", "small-dynamic"
    return [
        Get(EXCHANGES[first], client=first), Wait("received", client=first),
        Get(EXCHANGES[second], client=second), Wait("received", client=second),
        ServerStep("reading"), Release(1, last_first=True), Release(1, last_first=True),
        *_answered(names),
        Release("all", last_first=True), _answer(second), _answer(first),
    ]  # fmt: skip


_SCRIPTS = {"answered": _answered, "ended": _ended, "queue_full": _queue_full, "crowd": _crowd, "failed": _failed,
            "late": _late, "last_first": _last_first}  # fmt: skip
_WHOLE = "The call says what it has done, and the rest is to be done by another: every answer comes whole."
_OWED = {
    "answered": _WHOLE,
    "ended": "That connection is over, and no other: what came of each answer is right, and the server lives.",
    "queue_full": "That file is read later, or its connection ends; the next ones come whole.",
    "crowd": "Whom there is no room for is refused; the server lives, and the next answers come whole.",
    "failed": "That connection ends; no byte comes that was not read, and the next answers come whole.",
    "late": "The others are served meanwhile, and the file comes whole when it has been read.",
    "last_first": "Completions come in the disk's order, and each names its request: both files come whole.",
}
