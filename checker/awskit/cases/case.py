"""A case as data: the tree, the faults, and a script of steps in the order of time. These dataclasses are the schema of
the file, too: `key` says how a field is spelled in TOML, and what it may hold.

One list of steps, each with the client that does it: so the file says what happens before what, and needs no clock.
"""

from __future__ import annotations

import dataclasses
import errno
import re
from dataclasses import dataclass
from typing import Any

from .. import faults
from .kinds import Bad, Data, Either, Errno, Flag, Integer, Kind, List, Pairs, Pattern, Table, Target, Text, Word

MIB = 1 << 20
FILE_MOST = 256 * MIB
SPARSE_MOST = 8 << 30
SENT_MOST = MIB  # bytes of one step
CLIENTS_MOST = 300  # connections of one client's name
STEPS_MOST = 300

NAME = Pattern(re.compile("[a-z][a-z0-9-]{0,30}"), "a name of small letters, digits and dashes")
RULE = Pattern(re.compile(r"[A-Z]\d{1,2}"), "a rule's id such as S4")
SAMPLE = Pattern(re.compile(r"[a-z]+/[a-z0-9-]+"), "the name of a sample such as defect/sendfile-once")
FIELD = Pattern(re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,60}"), "the name of a header field")


def key(name: str, kind: Kind, default: Any = dataclasses.MISSING) -> Any:
    """A field that the file spells `name`; it must be there unless it has a default."""
    return dataclasses.field(
        default=default, metadata={"key": name, "kind": kind, "needed": default is dataclasses.MISSING}
    )


# -- the tree ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """A regular file: `size` bytes that the seed decides, or `text`. `sparse`: zeros that take no room on the disk.
    `unreadable`: nobody but root may open it."""

    size: int | None = key("size", Integer(0, SPARSE_MOST), None)
    text: bytes | None = key("text", Data(SENT_MOST), None)
    sparse: bool = key("sparse", Flag(), False)
    unreadable: bool = key("unreadable", Flag(), False)


@dataclass(frozen=True)
class Link:
    """A symbolic link that stays in the tree."""

    to: str = key("link", Text(1000))


@dataclass(frozen=True)
class Special:
    """Something that is no file: a FIFO without a writer, a socket, a directory."""

    what: str = key("special", Word(("fifo", "socket", "directory")))


Entry = File | Link | Special


class _FileKind:
    """A file may be told by its size alone, or by its text; all entries by a table."""

    _table = Table(
        lambda table: Link if "link" in table else Special if "special" in table else File,
        'a size, a text, or a table such as { link = "other" }',
    )

    def read(self, value: Any) -> Entry:
        if isinstance(value, str):
            return File(text=Data(SENT_MOST).read(value))
        if type(value) is int:
            return File(size=Integer(0, FILE_MOST).read(value))
        entry = self._table.read(value)
        if isinstance(entry, File):
            if (entry.size is None) == (entry.text is None):
                raise Bad("must have one of the keys size and text")
            if (entry.size or 0) > FILE_MOST and not entry.sparse:
                raise Bad(f"must be at most {FILE_MOST:,} unless it is sparse", ("size",))
        return entry

    def write(self, entry: Entry) -> Any:
        table = self._table.write(entry)
        return next(iter(table.values())) if set(table) in ({"size"}, {"text"}) else table


def errno_of(name: str) -> int:
    """The number of an error's name, 0 of ""."""
    return int(getattr(errno, name)) if name else 0


# -- faults ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """See faults.Cut."""

    calls: str = key("cut", Word(("receive", "send", "sendfile", "aio", "submit")))
    most: int = key("most", Integer(1, 1 << 30), 0)
    share: str = key("share", Word(("half", "all-but-one")), "")

    def made(self) -> faults.Fault:
        return faults.Cut(self.calls, self.most, self.share)


@dataclass(frozen=True)
class Refuse:
    """See faults.Refuse."""

    calls: str = key("refuse", Word(("receive", "send", "sendfile", "accept", "setup", "submit", "wait", "getevents")))
    error: str = key("error", Errno())
    first: int = key("first", Integer(1, 1 << 30), 1)
    every: int = key("every", Integer(1, 1 << 30), 0)

    def made(self) -> faults.Fault:
        return faults.Refuse(self.calls, errno_of(self.error), self.first, self.every)


@dataclass(frozen=True)
class Hold:
    """See faults.HoldReads: nothing is read from the disk until a step releases it."""

    what: str = key("hold", Word(("reads",)))

    def made(self) -> faults.Fault:
        return faults.HoldReads()


Fault = Cut | Refuse | Hold

# Faults that have a name. `course`: what the course's own preload library did while it graded, to the same calls.
FAULT_SETS: dict[str, tuple[Fault, ...]] = {
    "course": (Cut("receive", most=20), Cut("send", share="half"), Cut("sendfile", share="half")),
}


def _fault(table: dict[str, Any]) -> type:
    for cls, name in ((Cut, "cut"), (Refuse, "refuse"), (Hold, "hold")):
        if name in table:
            return cls
    raise Bad("must have one of the keys cut, refuse and hold")


# -- steps -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClientStep:
    """Something that a client does. A client is connected by its first step; its name may stand for several
    connections (`connect`), which then do each step one after another."""

    client: str = dataclasses.field(
        default="client", metadata={"key": "client", "kind": NAME, "needed": False}, kw_only=True
    )


@dataclass(frozen=True)
class Connect(ClientStep):
    """Make `count` connections; `receive_buffer` bounds what the kernel takes for a client that does not read."""

    count: int = key("connect", Integer(1, CLIENTS_MOST))
    receive_buffer: int = key("receive_buffer", Integer(1, 16 * MIB), 0)


@dataclass(frozen=True)
class Send(ClientStep):
    """Send these bytes. `split`: positions at which to cut them; a piece is sent when the server has received the one
    before. `each`: every byte is a piece."""

    data: bytes = key("send", Data(SENT_MOST))
    split: tuple[int, ...] = key("split", List(Integer(1, SENT_MOST), 1000), ())
    each: bool = key("each", Flag(), False)


@dataclass(frozen=True)
class Get(ClientStep):
    """Send a plain GET for a target, with Host and `Connection: close`. `split`, `each`: as for Send."""

    target: str = key("get", Pattern(re.compile(r"/[\x21-\x7e]{0,4000}"), "a target: printable ASCII after a slash"))
    split: tuple[int, ...] = key("split", List(Integer(1, SENT_MOST), 1000), ())
    each: bool = key("each", Flag(), False)


@dataclass(frozen=True)
class Receive(ClientStep):
    """Read this many bytes, or to the end; they still count for a later answer."""

    count: int = key("receive", Integer(1, FILE_MOST))


@dataclass(frozen=True)
class Answer(ClientStep):
    """Read all that comes, and judge it: a status; "refused" (4xx, 5xx or the end), "any" (any response), "part" (no
    byte but those of the file, then the end). A 200 brings the file of the target that was asked for, or `file`.
    `ends`: "fin" (the default; a client that has all may end first), "server" (it must close first), "any"."""

    expected: int | str = key("answer", Either(Integer(100, 599), Word(("refused", "any", "part"))))
    file: str = key("file", Target(), "")
    ends: str = key("ends", Word(("fin", "server", "any")), "fin")
    fields: tuple[tuple[str, str], ...] = key("fields", Pairs(FIELD, Text(1000), 20), ())
    head_only: bool = key("head_only", Flag(), False)  # the body is not read: for what is too large
    grammar: bool = key("grammar", Flag(), False)  # the head is right by RFC 9112's grammar
    never: str = key("never", Target(), "")  # the file of which no byte may come


@dataclass(frozen=True)
class Silence(ClientStep):
    """The server sleeps, and nothing has come, neither a byte nor the end."""

    flag: bool = key("silence", Flag())


@dataclass(frozen=True)
class Wait(ClientStep):
    """Wait until the server has received all, has accepted, has closed its end, or has filled its socket to this
    client, who does not read."""

    event: str = key("wait", Word(("received", "accepted", "released", "stalled")))


@dataclass(frozen=True)
class HalfClose(ClientStep):
    """Say that no more will be sent (FIN), and stay."""

    flag: bool = key("half_close", Flag())


@dataclass(frozen=True)
class Reset(ClientStep):
    """End the connection by RST."""

    flag: bool = key("reset", Flag())


@dataclass(frozen=True)
class Close(ClientStep):
    """Close the connection."""

    flag: bool = key("close", Flag())


@dataclass(frozen=True)
class ServerStep:
    """`stop`: SIGSTOP; what clients do now it finds all at once after `continue`. `idle`: it sleeps. `full`: it accepts
    no more. `reading`: it has asked for a read, which is held. `alive`: the process that was started still runs."""

    what: str = key("server", Word(("stop", "continue", "idle", "full", "reading", "alive")))


@dataclass(frozen=True)
class Change:
    """A file of the tree changes under the server: emptied in place, `size` bytes appended in place, replaced by
    another of `size` bytes (rename(2)), or removed."""

    file: str = key("change", Target())
    how: str = key("how", Word(("empty", "append", "replace", "remove")))
    size: int = key("size", Integer(1, 16 * MIB), 0)


@dataclass(frozen=True)
class Release:
    """Reads that are held complete: the first `count`, or "all", and nothing is held any more."""

    count: int | str = key("release", Either(Integer(1, 1000), Word(("all",))))
    last_first: bool = key("last_first", Flag(), False)
    error: str = key("error", Errno(), "")


FIGURES = ("descriptors", "contexts", "memory", "threads")


@dataclass(frozen=True)
class Remember:
    """Take down what the server has now: open descriptors, AIO contexts, bytes of its own memory, threads."""

    figure: str = key("remember", Word(FIGURES))


@dataclass(frozen=True)
class Compare:
    """It has at most `more` than remembered, or comes to that."""

    figure: str = key("compare", Word(FIGURES))
    more: int = key("more", Integer(0, 1 << 40), 0)


Step = (
    Connect | Send | Get | Receive | Answer | Silence | Wait | HalfClose | Reset | Close
    | ServerStep | Change | Release | Remember | Compare
)  # fmt: skip


def verb(cls: type) -> str:
    """The key that says which step it is: that of its first needed field."""
    return next(one.metadata["key"] for one in dataclasses.fields(cls) if one.metadata["needed"])


VERBS = {verb(cls): cls for cls in Step.__args__}


def _step(table: dict[str, Any]) -> type:
    found = [name for name in table if name in VERBS]
    if len(found) != 1:
        which = f"has {' and '.join(found)}" if found else f"has none of the keys {', '.join(VERBS)}"
        raise Bad(f"a step does one thing, and this one {which}")
    return VERBS[found[0]]


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
    files: tuple[tuple[str, Entry], ...] = key("files", Pairs(Target(), _FileKind(), 200), ())
    fault_set: str = key("fault_set", Word(tuple(FAULT_SETS)), "")
    faults: tuple[Fault, ...] = key("faults", List(Table(_fault, "a table such as { cut = \"send\" }"), 16), ())
    may_miss: bool = key("may_miss", Flag(), False)  # an honest design may do without the calls that the faults hit
    descriptors: int = key("descriptors", Integer(16, 4096), 0)  # that the server may have open; 0: as is custom
    evidence: tuple[str, ...] = key("evidence", List(Word(EVIDENCE), 5), ())
    steps: tuple[Step, ...] = key("steps", List(Table(_step, "a table such as { get = \"/static/a.dat\" }"),
                                                STEPS_MOST, 1))  # fmt: skip

    @property
    def all_faults(self) -> tuple[Fault, ...]:
        """Those with a name, and those that are told one by one."""
        return FAULT_SETS.get(self.fault_set, ()) + self.faults

    def file(self, target: str) -> File | None:
        """The regular file of the tree, or None."""
        entry = dict(self.files).get(target)
        return entry if isinstance(entry, File) else None
