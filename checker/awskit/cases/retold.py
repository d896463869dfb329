"""Deeds as steps: what was done to a server, in the words of a case. What was expected of replies becomes answers."""

from __future__ import annotations

import errno
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..bench import request_bytes
from ..deeds import Deed
from ..reply import Reply
from .case import (
    Answer, Change, ClientStep, Close, Compare, Connect, Entry, File, Get, HalfClose, Receive, Release, Remember, Reset,
    Send, ServerStep, Silence, Step, Wait
)  # fmt: skip

ALONE = "client"  # the name of one that need not be named
CROWD = 250  # clients at once that stand for many one after another: fewer than a case may have
# The same where memory is compared: how many of a crowd a server has at once is chance, and so is what they take.
SMALL_CROWD = 40
PLAIN_GET = re.compile(rb"GET (/[\x21-\x7e]*) HTTP/1\.1\r\n")


def steps_of(done: Iterable[Deed], files: Mapping[str, Entry], wrong: Reply | None) -> list[Step]:
    """The steps for what was done, on a tree of these files. `wrong` is the reply that failed, if one did."""
    return _Steps(files, wrong).of(done)


@dataclass
class _Steps:
    """Makes them, one after another."""

    files: Mapping[str, Entry]
    wrong: Reply | None
    steps: list[Step] = field(default_factory=list)
    _asked: dict[int, bytes] = field(default_factory=dict)  # what each client has sent
    _got: dict[int, str] = field(default_factory=dict)  # for what it has asked by a plain request
    _crowds: int = 0

    def of(self, done: Iterable[Deed]) -> list[Step]:
        """The steps."""
        for deed in _to_the_failure(done):
            self.steps += _MAKE[deed.what](self, deed)
        pairs = itertools.zip_longest(self.steps, self.steps[1:])
        steps = [step for step, after in pairs if not _goes_without(step, after)]
        alone = len({step.client for step in steps if isinstance(step, ClientStep)}) == 1
        return [replace(step, client=ALONE) if alone and isinstance(step, ClientStep) else step for step in steps]

    def _connect(self, deed: Deed) -> Iterator[Step]:
        yield Connect(count=1, receive_buffer=deed.value, client=_name(deed))

    def _send(self, deed: Deed) -> Iterator[Step]:
        self._asked[deed.client] = self._asked.get(deed.client, b"") + deed.value
        before = self._take_back(deed)
        if before is None:
            step = _sent(_name(deed), deed.value, ())
        else:
            data = before.data if isinstance(before, Send) else request_bytes(before.target)
            step = _sent(_name(deed), data + deed.value, (*before.split, len(data)))
        self._got[deed.client] = step.target if isinstance(step, Get) else ""
        yield step

    def _take_back(self, deed: Deed) -> Send | Get | None:
        """The step by which the same client sent what this is one more piece of: it waited, and then this came."""
        if len(self.steps) < 2:
            return None
        before, waited = self.steps[-2:]
        pieces = waited == Wait(event="received", client=_name(deed)) and isinstance(before, Send | Get)
        if not pieces or before.client != _name(deed):
            return None
        del self.steps[-2:]
        return before

    def _receive(self, deed: Deed) -> Iterator[Step]:
        if deed.value:
            yield Receive(count=deed.value, client=_name(deed))

    def _answer(self, deed: Deed) -> Iterator[Step]:
        reply: Reply = deed.value
        said = dict(reply.judged_by)
        if said.get("answer") == "nothing":
            return
        if "answer" not in said:
            said["answer"] = self._right(deed) if reply is self.wrong or said else self._weak(reply)
        if said["answer"] == "silence":
            return
        target = said.get("file") or (self._target(deed) if said["answer"] in (200, "part") else "")
        if not isinstance(self.files.get(target), File):
            target = ""
        never = said.get("never", "")
        yield Answer(
            expected=said["answer"],
            file="" if target == self._got.get(deed.client) else target,  # what was asked for by `get` need not be said
            ends=said.get("ends", "fin"),
            fields=tuple(said.get("fields", {}).items()),
            head_only=said.get("head_only", False),
            grammar=said.get("grammar", False),
            never=never if isinstance(self.files.get(never), File) else "",
            client=_name(deed),
        )

    def _head(self, deed: Deed) -> Iterator[Step]:
        """A head alone counts where something was asked of it; else the answer was read later, or never."""
        if deed.value.judged_by.get("head_only"):
            yield from self._answer(deed)

    def _target(self, deed: Deed) -> str:
        """What the client has asked for by a plain GET."""
        found = PLAIN_GET.match(self._asked.get(deed.client, b""))
        return found[1].decode() if found else ""

    def _right(self, deed: Deed) -> int | str:
        """What is right where a check has looked at a reply in a way of its own."""
        entry = self.files.get(self._target(deed))
        return 200 if isinstance(entry, File) else 404 if self._target(deed) else "refused"

    @staticmethod
    def _weak(reply: Reply) -> str:
        """What can be asked of a reply that nobody has looked at."""
        return "any" if reply.head else "refused" if reply.empty and not reply.why else "silence"

    def _wait(self, deed: Deed) -> Iterator[Step]:
        yield Wait(event=deed.value, client=_name(deed))

    def _leave(self, deed: Deed) -> Iterator[Step]:
        yield {"half-close": HalfClose, "reset": Reset, "close": Close}[deed.what](flag=True, client=_name(deed))

    def _silence(self, deed: Deed) -> Iterator[Step]:
        yield Silence(flag=True, client=_name(deed))

    def _server(self, deed: Deed) -> Iterator[Step]:
        if deed.value != "alive":  # that is expected at the end of every case
            yield ServerStep(what=deed.value)

    def _change(self, deed: Deed) -> Iterator[Step]:
        target, how, size = deed.value
        yield Change(file=target, how=how, size=size)

    def _release(self, deed: Deed) -> Iterator[Step]:
        count, error, last_first = deed.value
        yield Release(count="all" if count is None else count, last_first=last_first,
                      error=errno.errorcode[error] if error else "")  # fmt: skip

    def _remember(self, deed: Deed) -> Iterator[Step]:
        yield Remember(figure=deed.value)

    def _compare(self, deed: Deed) -> Iterator[Step]:
        yield Compare(figure=deed.value[0], more=deed.value[1])

    def _crowd(self, deed: Deed) -> Iterator[Step]:
        request, count = deed.value
        self._crowds += 1
        name = f"crowd{self._crowds}"
        sent = _sent(name, request, ())
        found = isinstance(sent, Get) and isinstance(self.files.get(sent.target), File)
        expected = 200 if found else 404 if isinstance(sent, Get) else "any"
        yield from (Connect(count=count, client=name), sent, Answer(expected=expected, client=name),
                    Close(flag=True, client=name))  # fmt: skip


_MAKE = {
    "connect": _Steps._connect, "send": _Steps._send, "receive": _Steps._receive, "head": _Steps._head,
    "answer": _Steps._answer, "half-close": _Steps._leave, "reset": _Steps._leave, "close": _Steps._leave,
    "wait": _Steps._wait, "silence": _Steps._silence, "server": _Steps._server, "change": _Steps._change,
    "release": _Steps._release, "remember": _Steps._remember, "compare": _Steps._compare, "crowd": _Steps._crowd,
}  # fmt: skip


def _to_the_failure(done: Iterable[Deed]) -> Iterator[Deed]:
    """The deeds without the clients' leaving at the end, when all was over; crowds that came one after another are
    made as large as they may be."""
    deeds = list(done)
    weighed = any(deed.what == "compare" and deed.value[0] == "memory" for deed in deeds)
    largest = SMALL_CROWD if weighed else CROWD
    while deeds and deeds[-1].what == "close":
        deeds.pop()
    for crowd, group in itertools.groupby(deeds, lambda deed: deed.value[0] if deed.what == "crowd" else None):
        if crowd is None:
            yield from group
            continue
        left = sum(deed.value[1] for deed in group)
        while left > 0:
            yield Deed("crowd", 0, (crowd, min(left, largest)))
            left -= largest


def _name(deed: Deed) -> str:
    return f"c{deed.client}"


def _sent(name: str, data: bytes, split: tuple[int, ...]) -> Send | Get:
    found = PLAIN_GET.match(data)
    if found and request_bytes(found[1].decode()) == data:
        return Get(target=found[1].decode(), split=split, client=name)
    return Send(data=data, split=split, client=name)


def _goes_without(step: Step, after: Step | None) -> bool:
    """A client connects by sending, too, where that is what it does next."""
    plain = isinstance(step, Connect) and step == Connect(count=1, client=step.client)
    return plain and isinstance(after, Send | Get) and after.client == step.client
