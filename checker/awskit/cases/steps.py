"""What happens in a case: one list of steps, each with the client that does it. So the file says what happens before
what, and needs no clock.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass
from typing import Any

from .entries import FILE_MOST
from .kinds import MIB, SENT_MOST, Bad, Data, Either, Errno, Flag, Integer, List, Pairs, Pattern, Target, Text, Word
from .kinds import key

CLIENTS_MOST = 300  # connections of one client's name

NAME = Pattern(re.compile("[a-z][a-z0-9-]{0,30}"), "a name of small letters, digits and dashes")
FIELD = Pattern(re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,60}"), "the name of a header field")


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
    byte but those of the file, then the end), "either" (the file, or refused). A 200 brings the file of the target that
    was asked for, or `file`.
    `ends`: "fin" (the default; a client that has all may end first), "server" (it must close first), "any"."""

    expected: int | str = key("answer", Either(Integer(100, 599), Word(("refused", "any", "part", "either"))))
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


def step_of(table: dict[str, Any]) -> type:
    found = [name for name in table if name in VERBS]
    if len(found) == 1:
        return VERBS[found[0]]
    if found:
        raise Bad(f"a step does one thing, and this one has {' and '.join(found)}")
    known = {one.metadata["key"] for cls in Step.__args__ for one in dataclasses.fields(cls)}
    strange = [name for name in table if name not in known]
    meant = difflib.get_close_matches(strange[0], VERBS, 1) if strange else []
    said = f"`{strange[0]}` is none{f': is {meant[0]} meant?' if meant else ''}" if strange else "this one has none"
    raise Bad(f"a step has one of the keys {', '.join(VERBS)}, and {said}", tuple(strange[:1]))
