"""The fault matrix as data: a call that is hit, a fault that hits it, and the case that tells what comes of it.

    row     a call, as faults.py groups them
    column  what becomes of it: it moves less, has to be made again, ends the connection, or the disk takes its time
    cell    a case: the exchanges that make the call, one after another, under that one fault

What a right server owes to each is the column's: whole answers, or, where the connection ends, no byte but the file's.
And in every cell it owes to those who are not hit all that they asked for: to clients who were under way before the
fault, beside the ones that it hits, and to those who come when it has run out, or when it only means more calls.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..bench import HUGE, NARROW, request_bytes
from .case import (
    Answer, Case, Close, Connect, Cut, Fault, File, Get, Hold, Receive, Refuse, Release, Send, ServerStep, Silence,
    Step, Wait
)  # fmt: skip

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

# Clients that are under way before all others, and go on after them. One has a file that no socket holds, of which it
# reads nothing yet; one has sent half of its request. APART is the same as the first where its body is known to take
# another call than the one that is hit: static by sendfile, dynamic without.
STALLED = {"stalled-static": "/static/huge.dat", "stalled-dynamic": "/dynamic/huge.dat"}
HALFWAY = {"halfway-static": "/static/small.dat", "halfway-dynamic": "/dynamic/small.dat"}
APART = {"apart-static": "stalled-static", "apart-dynamic": "stalled-dynamic"}

# A call that is refused so that its connection ends: four in a row and then every second, so that with any number of
# calls for an answer the first of one is hit, and a later one, too. A refusal meets one call, the 1st of these the
# `first`: by then those who are under way have made their calls, and they must not be hit.
REFUSED = (0, 1, 2, 3, 5, 7, 9)
FIRST_SEND = 16  # after one head, by fifteen calls at most
FIRST_RECEIVE = 200  # after two requests, byte by byte
FIRST_SENDFILE = (1, 2, 4)  # of a small file, of a large one at its beginning, and on its way
FIRST_SUBMIT = (1, 3)
FIRST_SETUP = 20
CROWD = 24  # clients one after another, of whom one is refused a context
FAILED_READERS = 2  # clients for whom a read fails
TOGETHER = 4  # clients of whom each sends its request before one of them reads
BEGUN = 1000  # bytes of an answer, the first of its body among them: what was read for it is there
MANY = 1000  # reads, more than are held
REQUEST_CUT = 40  # in the middle of the Host field: both pieces of a request are received by a call of their own


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
    """One call under one fault, or under several that go together. `uses`: exchanges that the fault may hit, by
    STALLED's names those for a file that no socket takes at once; `needs`: those without which it says nothing; `then`:
    those that come afterwards, and must come whole; `beside`: clients that are under way meanwhile. Of all of them,
    those that are right without a fault. `script`: one of those below."""

    call: str
    column: str
    about: str  # what the fault does, the beginning of a sentence
    faults: tuple[Fault, ...]
    uses: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    script: str = "answered"
    then: tuple[str, ...] = tuple(EXCHANGES)
    beside: tuple[str, ...] = tuple(STALLED)

    @property
    def id(self) -> str:
        """As a report and a sample's expected.toml name it."""
        return f"{self.call} {self.column}"

    def case(self, sound: Iterable[str], seed: int) -> Case | None:
        """Its case, for a server that is right without a fault about the exchanges and the clients under way `sound`;
        None if too few are."""
        right = set(sound)
        uses = [name for name in self.uses if name in right]
        if not set(self.needs) <= right or not (uses or self.needs):
            return None
        then = [name for name in self.then if name in right]
        beside = [name for name in self.beside if name in right]
        steps = [*_under_way(beside), *_SCRIPTS[self.script](uses, self.faults), *_answered(then), *_gone_on(beside)]
        return Case(
            title=f"{self.about[0].upper()}{self.about[1:]}",
            about=f"{_OWED[self.script]} {_OTHERS} This is the cell '{self.id}' of the fault matrix.",
            rule="S16" if self.script in _ENDS else RULES.get(self.call, "S7"),
            seed=seed,
            files=_files(steps, seed),
            faults=self.faults,
            unserved=self._unserved(),
            steps=tuple(steps),
        )

    def _unserved(self) -> int | None:
        """How many of those who may be hit are at most: one for each call that is refused. None: nobody may be."""
        if self.script == "failed":
            return FAILED_READERS
        return len(self.faults) if self.script in (*_ENDS, "crowd", "queue_full") else None


def plain(names: Sequence[str], seed: int, beside: Sequence[str] = ()) -> Case:
    """These exchanges, and these clients under way beside them, without any fault: what the cells are compared with."""
    steps = [*_under_way(beside), *_answered(names), *_gone_on(beside)]
    return Case(title="No fault at all", about="Each exchange comes to what it should.", rule="S4", seed=seed,
                files=_files(steps, seed), steps=tuple(steps))  # fmt: skip


def without_faults(case: Case) -> Case:
    """The same without its faults: everybody gets all. Where it waits until reads are held, the server comes to
    rest."""
    steps = [ServerStep("idle") if step == ServerStep("reading") else step
             for step in case.steps if not isinstance(step, Release)]  # fmt: skip
    return replace(case, faults=(), unserved=None if case.unserved is None else 0, steps=tuple(steps))


def sendfiles(name: str, seed: int) -> Case:
    """One of STALLED while sendfile is cut, which harms nobody: it hits the server where the body goes by sendfile."""
    return replace(plain((), seed, (name,)), faults=(Cut("sendfile", share="all-but-one"),), may_miss=True)


def cells() -> tuple[Cell, ...]:
    """All that there are, row by row."""
    found = [_cut(call, column) for call in ("receive", "send", "sendfile", "submit", "aio")
             for column in ("1", "7", "half", "all-but-one")]  # fmt: skip
    again = [("accept", "EAGAIN"), ("accept", "EINTR"), ("accept", "ECONNABORTED"), ("receive", "EAGAIN"),
             ("receive", "EINTR"), ("send", "EAGAIN"), ("send", "EINTR"), ("sendfile", "EAGAIN"),
             ("sendfile", "EINTR"), ("getevents", "EINTR"), ("wait", "EINTR")]  # fmt: skip
    found += [_again(call, error) for call, error in again]
    found += [_ends("receive", "ECONNRESET")]
    found += [_ends("send", error) for error in ("ECONNRESET", "EPIPE")]
    found += [_ends("sendfile", error) for error in ("ECONNRESET", "EPIPE", "EIO")]
    for call in ("receive", "send", "sendfile"):  # a socket that is full, or empty, in the middle
        about = f"each {call} moves half of what it could, and every second fails with EAGAIN"
        faults = (Cut(call, share="half"), Refuse(call, "EAGAIN", first=2, every=2))
        found.append(_whole(call, "half-again", about, faults, _exchanges(call)))
    # A queue that is full: that file may be late or cut off; the next ones are none of it.
    found.append(Cell("submit", "EAGAIN", *_refused("submit", "EAGAIN", FIRST_SUBMIT),
                      ("stalled-dynamic", *DYNAMIC), script="queue_full",
                      beside=_beside("dynamic")))  # fmt: skip
    # A server that has what it needs from its start on asks for so many at no time.
    found.append(Cell("setup", "EAGAIN", *_refused("setup", "EAGAIN", (FIRST_SETUP,)), ("small-dynamic",),
                      ("small-dynamic",), "crowd", beside=_beside("dynamic")))  # fmt: skip
    held, beside = (Hold("reads"),), _beside("dynamic")
    found += [
        Cell("aio", "EIO", "asynchronous reads of two files fail with EIO, all of the one, and one of the other", held,
             ("small-dynamic",), ("large-dynamic",), "failed", beside=beside),
        Cell("aio", "late", "no asynchronous read is done until others were served", held,
             ("small-static", "missing"), ("large-dynamic",), "late", beside=beside),
        Cell("aio", "last-first", "of several asynchronous reads the last is done first", held, ("small-static",),
             DYNAMIC, "last_first", beside=beside),
    ]  # fmt: skip
    order = [column.id for column in COLUMNS]
    return tuple(sorted(found, key=lambda cell: (CALLS.index(cell.call), order.index(cell.column))))


def _exchanges(call: str) -> tuple[str, ...]:
    """Those that make the call."""
    return {"sendfile": STATIC, "submit": DYNAMIC, "aio": DYNAMIC, "getevents": DYNAMIC}.get(call, tuple(EXCHANGES))


def _beside(kind: str = "") -> tuple[str, ...]:
    """Clients under way. Where the calls of a `kind` of file are counted, or are as many as there are bytes, these have
    made none of them yet, or none that is needed for a body."""
    if not kind:
        return tuple(STALLED)
    return f"apart-{'static' if kind == 'dynamic' else 'dynamic'}", *HALFWAY


def _whole(call: str, column: str, about: str, faults: tuple[Fault, ...], uses: tuple[str, ...], *,
           bytewise: str = "") -> Cell:  # fmt: skip
    """A cell in which all comes whole: to those who make the call first, then to all others. `bytewise`: a kind of
    file of which each byte takes a call, and who knows of which other: a large one would take a million."""
    right = SMALL if bytewise else tuple(EXCHANGES)
    uses = tuple(name for name in right if name in uses)
    then = tuple(name for name in right if name not in uses)
    return Cell(call, column, about, faults, uses, then=then, beside=_beside(bytewise))


def _cut(call: str, column: str) -> Cell:
    bytewise = column in ("1", "7")
    if bytewise:
        unit = f"{'read' if call == 'submit' else 'byte'}{'' if column == '1' else 's'}"
        fault, much = Cut(call, most=int(column)), f"at most {column} {unit}"
    else:
        fault, much = Cut(call, share=column), column.replace("-", " ")
    verb = "takes" if call == "submit" else "moves"
    about = f"each {NAMES.get(call, call)} {verb} {much} of what it could"
    kind = {"send": "dynamic", "sendfile": "static", "aio": "dynamic"}.get(call, "") if bytewise else ""
    return _whole(call, column, about, (fault,), _exchanges(call), bytewise=kind)


def _again(call: str, error: str) -> Cell:
    """The call has to be made again."""
    about = f"every second {NAMES.get(call, call)}, from the first on, fails with {error}"
    return _whole(call, error, about, (Refuse(call, error, first=1, every=2),), _exchanges(call))


def _ends(call: str, error: str) -> Cell:
    """The call ends its connection."""
    uses: tuple[str, ...]
    if call == "receive":
        numbers, uses, script, kind = _numbers(FIRST_RECEIVE), ("small-static", "missing"), "pieces_ended", ""
    elif call == "send":
        numbers, uses, script, kind = _numbers(FIRST_SEND), _BY_TURNS, "ended", "dynamic"
    else:
        numbers, uses, script, kind = FIRST_SENDFILE, ("small-static", "stalled-static"), "file_ended", "static"
    return Cell(call, error, *_refused(call, error, numbers), uses, script=script, beside=_beside(kind))


def _numbers(first: int) -> tuple[int, ...]:
    return tuple(first + number for number in REFUSED)


def _refused(call: str, error: str, numbers: Sequence[int]) -> tuple[str, tuple[Fault, ...]]:
    """What the refusals of these calls do, and they themselves."""
    named = [f"{number}{_suffix(number)}" for number in numbers]
    which = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    about = f"the {which} {NAMES.get(call, call)} {'fail' if len(named) > 1 else 'fails'} with {error}"
    return about, tuple(Refuse(call, error, first=number) for number in numbers)


def _suffix(number: int) -> str:
    return "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _files(steps: Sequence[Step], seed: int) -> tuple[tuple[str, File], ...]:
    """The files that are asked for. A step that sends pieces of a request names none; one that answers it does."""
    asked = {step.target for step in steps if isinstance(step, Get)}
    asked |= {step.file for step in steps if isinstance(step, Answer)}
    rng = random.Random(f"matrix/{seed}")
    small, large = rng.randrange(1500, 3000, 2) + 1, rng.randrange(700_000, 1_100_000, 2) + 1
    sizes = {"small": small, "large": large, "huge": HUGE + small}
    targets = [*EXCHANGES.values(), *STALLED.values()]
    return tuple((target, File(size=sizes[name])) for target in targets
                 if target in asked and (name := target.split("/")[2].removesuffix(".dat")) in sizes)  # fmt: skip


# -- scripts: what the exchanges of a cell do --------------------------------------------------------------------------


def _under_way(names: Sequence[str]) -> list[Step]:
    """Clients that have got a part of the way."""
    steps: list[Step] = []
    for name in names:
        if name not in HALFWAY:
            target = STALLED[APART.get(name, name)]
            steps += [Connect(1, NARROW, client=name), Get(target, client=name), Receive(BEGUN, client=name),
                      Wait("stalled", client=name)]  # fmt: skip
        else:
            request = request_bytes(HALFWAY[name])
            steps += [Send(request[:REQUEST_CUT], client=name), Silence(True, client=name)]
    return steps


def _gone_on(names: Sequence[str]) -> list[Step]:
    """They go on, and get all."""
    steps: list[Step] = []
    for name in names:
        if name in HALFWAY:
            steps.append(Send(request_bytes(HALFWAY[name])[REQUEST_CUT:], client=name))
        steps.append(Answer(200, file=HALFWAY.get(name, ""), client=name))
    return steps


def _answered(names: Sequence[str], _: Sequence[Fault] = (), when: str = "") -> list[Step]:
    """One after another; each answer is whole, and its client leaves: else it would be a matter of time whether it or
    the server is the first to close, and so how many clients the server has. `when` tells these clients from others who
    ask for the same."""
    steps: list[Step] = []
    for name in names:
        client, expected = f"{when}{name}", 404 if name == "missing" else 200
        steps += [Get(EXCHANGES[name], client=client), Answer(expected, client=client), Close(True, client=client)]
    return steps


def _last(faults: Sequence[Fault]) -> int:
    """The number of the last call that is refused. Each exchange makes one such call at least: so after so many of
    them there is no fault any more, whatever the server does."""
    return max(fault.first for fault in faults if isinstance(fault, Refuse))


def _parts(targets: Iterable[str], split: Sequence[int] = (), together: int = 1) -> list[Step]:
    """Clients of whom each may be hit: its connection may end early; what comes of the answer until then is right."""
    steps: list[Step] = []
    for number, target in enumerate(targets, 1):
        name = f"one-{number}"
        steps += [Connect(together, client=name)] if together > 1 else []
        steps += [Get(target, tuple(split), client=name), Answer("part", client=name), Close(True, client=name)]
    return steps


def _turns(names: Sequence[str], count: int) -> list[str]:
    """So many targets: of these exchanges, one after another and again."""
    return [_target(names[number % len(names)]) for number in range(count)]


def _target(name: str) -> str:
    return EXCHANGES.get(name) or STALLED[name]


def _ended(names: Sequence[str], faults: Sequence[Fault]) -> list[Step]:
    return _parts(_turns(names, _last(faults)))


def _pieces_ended(names: Sequence[str], faults: Sequence[Fault]) -> list[Step]:
    """Requests in two pieces: either may be the one that is not received."""
    return _parts(_turns(names, -(-_last(faults) // TOGETHER)), (REQUEST_CUT,), TOGETHER)


def _file_ended(names: Sequence[str], faults: Sequence[Fault]) -> list[Step]:
    """A small file, and then such as no socket takes at once."""
    small, huge = _target(names[0]), _target(names[-1])
    return _parts([small, *[huge] * (_last(faults) - 2), small])


def _queue_full(names: Sequence[str], faults: Sequence[Fault]) -> list[Step]:
    """At first a file that is read by windows: the first of them is refused, and a later one."""
    return _parts([_target(names[0]), *_turns(names[1:] or names, _last(faults) - 1)])


def _crowd(names: Sequence[str], _: Sequence[Fault]) -> list[Step]:
    """Many clients for a dynamic file, of whom one may be refused."""
    return _parts(_turns(names, CROWD))


def _meanwhile(names: Sequence[str]) -> list[Step]:
    return _answered(names, when="meanwhile-")


def _late(names: Sequence[str], _: Sequence[Fault]) -> list[Step]:
    """A large dynamic file, whose reads are held; the others meanwhile; and how it goes on."""
    return [Get(EXCHANGES["large-dynamic"], client="reader"), ServerStep("reading"), *_meanwhile(names), Release("all"),
            Answer(200, client="reader")]  # fmt: skip


def _failed(names: Sequence[str], _: Sequence[Fault]) -> list[Step]:
    """All reads of one file fail, and of another the first one, while a third is read."""
    large = EXCHANGES["large-dynamic"]
    third = [(Get(EXCHANGES[name], client="third"), Answer(200, client="third")) for name in names]
    return [
        Get(large, client="first"), ServerStep("reading"), Release(MANY, error="EIO"),
        Get(large, client="second"), ServerStep("reading"),
        *[get for get, _ in third],
        *[ServerStep("reading") for _ in third],
        Release(1, error="EIO"), Release("all"),
        Answer("part", client="first"), Answer("part", client="second"),
        *[answer for _, answer in third],
    ]  # fmt: skip


def _last_first(names: Sequence[str], _: Sequence[Fault]) -> list[Step]:
    """The second client's read is done before any of the first one's, and of those the last one first."""
    first, second = "large-dynamic", "small-dynamic"
    return [
        Get(EXCHANGES[first], client="first"), Wait("received", client="first"),
        Get(EXCHANGES[second], client="second"), Wait("received", client="second"),
        ServerStep("reading"), Release(1, last_first=True), Release(1, last_first=True),
        *_meanwhile(names),
        Release("all", last_first=True), Answer(200, client="second"), Answer(200, client="first"),
    ]  # fmt: skip


_BY_TURNS = ("small-dynamic", "small-static", "missing")
_SCRIPTS = {"answered": _answered, "ended": _ended, "pieces_ended": _pieces_ended, "file_ended": _file_ended,
            "queue_full": _queue_full, "crowd": _crowd, "failed": _failed, "late": _late,
            "last_first": _last_first}  # fmt: skip
_ENDS = ("ended", "pieces_ended", "file_ended")
_ENDED = "That connection is over, and no other: what came of its answer is right."
_OTHERS = "Who was under way beside it gets all, and so does who comes afterwards."
_OWED = {
    "answered": "The call says what it has done, and the rest is to be done by another: every answer comes whole.",
    **dict.fromkeys(_ENDS, _ENDED),
    "queue_full": "That file is read later, or its connection ends.",
    "crowd": "Whom there is no room for is refused.",
    "failed": "Those two connections end, and no byte comes that was not read.",
    "late": "The others are served meanwhile, and the file comes whole when it has been read.",
    "last_first": "Completions come in the disk's order, and each names its request: both files come whole.",
}
