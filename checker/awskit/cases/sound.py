"""What no case may say although each of its values may stand there: steps that cannot be done, more than a machine
should be asked for, and ways out of the tree.

A link is followed by the server, and what a server serves the replay reads: so a link leads to a place in the tree,
whatever else is there. Nothing of a case names an address: its clients can reach its server only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import texts
from ..bench import request_bytes
from .case import (
    MIB, Answer, Case, Change, ClientStep, Close, Compare, Connect, Cut, Entry, File, Get, HalfClose, Hold, Link,
    Receive, Refuse, Release, Remember, Reset, Send, ServerStep, Silence, Special, Wait
)  # fmt: skip
from .contents import file_behind
from .kinds import Bad

TREE_MOST = 1024 * MIB  # of all files, sparse ones left out
FOLDERS_MOST = 1000  # that hold them: each takes room on the disk,
DEEPEST = 50  # and of these in each other: in a box, whose room is counted, there are at most 64
SOCKET_NAME_MOST = 90  # bytes: its address, the name below /proc/self/fd, has 107 at most (unix(7))
OPEN_MOST = 1000  # connections at once
CONNECTIONS_MOST = 20_000  # and in all
SENT_IN_ALL = 16 * MIB
PIECES_IN_ALL = 20_000  # of what is sent: a millisecond each
READ_IN_ALL = 4096 * MIB  # bytes of answers
KEPT_IN_ALL = 256 * MIB  # bytes that are read ahead of them, or appended to files, and kept
WATCHED_IN_ALL = 16 * MIB  # bytes of files that may not come: each sixteen are kept, as long as an answer is read
SHOWN_BY = {"sendfile": "/static/", "aio": "/dynamic/"}  # evidence, and the folder whose files show it
ON_CONNECTIONS = ("receive", "send", "sendfile")  # calls that are made on a connection


def expect_sound(case: Case) -> None:
    """Bad if the case as a whole cannot be, with the place in it."""
    if not texts.load().has_rule(case.rule):
        raise Bad(f"there is no rule {case.rule}; awscheck explain lists them", ("rule",))
    if not case.steps:
        raise Bad("one step at least", ("steps",))
    _expect_tree(case)
    for number, fault in enumerate(case.faults):
        if isinstance(fault, Refuse) and fault.error == "EAGAIN" and fault.calls in ("getevents", "wait"):
            raise Bad(f"{fault.calls} never ends with EAGAIN", ("faults", number, "error"))
        if isinstance(fault, Cut) and not fault.most and not fault.share:
            raise Bad("a cut says how much is moved: most, share, or both", ("faults", number))
        if getattr(fault, "connection", 0) and fault.calls not in ON_CONNECTIONS:
            raise Bad("only receive, send and sendfile are calls on a connection; leave it out, or name one of these",
                      ("faults", number, "connection"))  # fmt: skip
        if isinstance(fault, Hold) and any(isinstance(other, Hold) for other in case.faults[:number]):
            raise Bad("reads are held by another fault already; leave one of them out", ("faults", number))
    if case.evidence and (case.all_faults or case.descriptors):
        raise Bad("evidence is taken without faults, and without a limit of descriptors", ("evidence",))
    if case.may_miss and not case.all_faults:
        raise Bad("there is no fault that could miss", ("may_miss",))
    parts = [step for step in case.steps if isinstance(step, Answer) and step.expected == "part"]
    if case.unserved is not None and not parts:
        raise Bad('there is no answer = "part", of which so many may be less than all', ("unserved",))
    _Script(case).check()


def _expect_tree(case: Case) -> None:
    folders = {"/": None}
    for target, entry in case.files:
        if isinstance(entry, Special) and entry.what == "directory":
            folders[target] = None
    paths, parents = dict(case.files), set[str]()
    for target, entry in case.files:
        if target in ("/static", "/dynamic"):
            raise Bad(f"{target} is a folder, and always there", ("files", target))
        if target.count("/") > DEEPEST:
            raise Bad(f"more than {DEEPEST} folders in each other", ("files", target))
        for parent in _parents(target):
            parents.add(parent)
            if parent in paths and parent not in folders:
                raise Bad(f"{parent} is a file or a link, so nothing can be below it", ("files", target))
        if len(parents) > FOLDERS_MOST:
            raise Bad(f"the files are in more than {FOLDERS_MOST:,} folders", ("files", target))
        if entry == Special("socket") and len(target.rpartition("/")[2].encode()) > SOCKET_NAME_MOST:
            raise Bad(f"the name of a socket has at most {SOCKET_NAME_MOST} bytes", ("files", target))
        if isinstance(entry, Link):
            expect_inside(target, entry.to)
    total = sum(entry.size or 0 for _, entry in case.files if hasattr(entry, "size") and not entry.sparse)
    total += sum(step.size for step in case.steps if isinstance(step, Change))
    if total > TREE_MOST:
        raise Bad(f"the files come to {total:,} bytes, and at most {TREE_MOST:,} may be", ("files",))


def _parents(target: str) -> Iterator[str]:
    names = target.split("/")
    for count in range(2, len(names)):
        yield "/".join(names[:count])


def expect_inside(target: str, text: str) -> None:
    """`..` may stand at the beginning of a link only: the folder that the link is in is none that a link leads to, so
    there they climb as written. Whatever follows may lead over other links, each of which stays inside itself."""
    names = text.split("/")
    ups = next((at for at, name in enumerate(names) if name != ".."), len(names))
    below_root = target.count("/") - 1
    if text.startswith("/") or ups > below_root or ".." in names[ups:] or "\0" in text:
        raise Bad("leads out of the tree, or might: `..` may stand at its beginning only", ("files", target, "link"))


@dataclass
class _Script:
    """Goes through the steps in their order, with what is known of the clients."""

    case: Case
    sizes: dict[str, int] = field(default_factory=dict)  # of the clients: connections
    open: int = 0  # connections now
    met: int = 0  # and in all so far
    asked: dict[str, str | None] = field(default_factory=dict)  # the file that each has asked for by `get`, "" for none
    brought: set[str] = field(default_factory=set)  # targets that a 200 must bring whole
    removed: dict[str, int] = field(default_factory=dict)  # files, by which step
    grown: dict[str, int] = field(default_factory=dict)  # files, by how many bytes at most
    gone: dict[str, int] = field(default_factory=dict)  # at which step
    ended: set[str] = field(default_factory=set)  # by half_close
    remembered: set[str] = field(default_factory=set)
    stopped: bool = False
    number: int = 0  # of the step
    pieces: int = 0
    sent: int = 0
    to_read: int = 0
    kept: int = 0
    watched: int = 0

    def check(self) -> None:
        """Bad at the first step that cannot be done."""
        for number, step in enumerate(self.case.steps):
            try:
                if isinstance(step, ClientStep):
                    self._client(number, step)
                self.number = number
                if look := _LOOKS.get(type(step)):
                    look(self, step)
            except Bad as bad:
                raise Bad(str(bad), ("steps", number, *bad.within)) from None
        if self.stopped:
            raise Bad("the server is stopped, and never goes on", ("steps",))
        for word in self.case.evidence:
            folder = SHOWN_BY.get(word, "/")
            if word != "epoll" and not any(target.startswith(folder) for target in self.brought):
                below = f" below {folder}" if word in SHOWN_BY else ""
                raise Bad(f"no step brings a file{below}, by answer = 200, that could show {word}", ("evidence",))

    def _client(self, number: int, step: ClientStep) -> None:
        name = step.client
        if name in self.gone and not (isinstance(step, Wait) and step.event == "released"):
            raise Bad(f"{name} has left by steps[{self.gone[name]}]", ("client",))
        if isinstance(step, Connect):
            if name in self.sizes:
                raise Bad(f"{name} is connected already")
        elif not isinstance(step, Send | Get) and name not in self.sizes:
            raise Bad(f"{name} is not connected: no step connects it, or sends", ("client",))
        self._come(name, step)
        if isinstance(step, Reset | Close):
            self.gone[name] = number
            self.open -= self.sizes[name]

    def _come(self, name: str, step: ClientStep) -> None:
        """The client is connected by this step, if it was not before."""
        if name in self.sizes:
            return
        self.sizes[name] = step.count if isinstance(step, Connect) else 1
        self.open += self.sizes[name]
        self.met += self.sizes[name]
        for now, most, when in ((self.open, OPEN_MOST, "at once"), (self.met, CONNECTIONS_MOST, "in all")):
            if now > most:
                raise Bad(f"these are more than {most:,} connections {when}")

    def _wait(self, step: Wait) -> None:
        self._running()
        if step.event == "released" and step.client not in self.gone.keys() | self.ended:
            raise Bad(f"{step.client} has not left, and a server may wait for it to do so", ("wait",))

    def _half_close(self, step: HalfClose) -> None:
        self.ended.add(step.client)

    def _send(self, step: Send | Get) -> None:
        data = step.data if isinstance(step, Send) else request_bytes(step.target)
        self.sent += len(data) * self.sizes[step.client]
        if self.sent > SENT_IN_ALL:
            raise Bad(f"more than {SENT_IN_ALL:,} bytes are sent in all")
        if isinstance(step, Get):
            file = file_behind(self.case, step.target)
            self.asked[step.client] = "" if not file or file in self.removed else step.target
        self.pieces += (len(data) if step.each else len(step.split) + 1) * self.sizes[step.client]
        if self.pieces > PIECES_IN_ALL:
            raise Bad(f"more than {PIECES_IN_ALL:,} pieces are sent in all, and the server receives each by itself")
        if step.each and step.split:
            raise Bad("either split or each", ("each",))
        if list(step.split) != sorted(set(step.split)) or step.split and step.split[-1] >= len(data):
            raise Bad(f"must be rising positions below {len(data)}, the number of bytes", ("split",))
        if self.stopped and (step.each or step.split):
            raise Bad("a server that is stopped receives no pieces", ("split",))

    def _answer(self, step: Answer) -> None:
        self._running()
        if step.head_only:
            self._head(step)
        for name in ("file", "never"):
            target = getattr(step, name)
            if target and self.case.file(target) is None:
                raise Bad(f"{target} is no file of the tree", (name,))
        if step.never and not self._has_bytes(step.never):
            raise Bad(f"{step.never} has no bytes of its own that could come", ("never",))
        if step.never:
            self.watched += self._size(step.never, self.case.file(step.never)) * self.sizes[step.client]
        if self.watched > WATCHED_IN_ALL:
            raise Bad(f"more than {WATCHED_IN_ALL:,} bytes in all are watched for", ("never",))
        asked = step.file or self.asked.get(step.client)
        if step.expected == 200 and asked and not step.head_only:
            self.brought.add(asked)
        no_file = step.expected == 200 and asked == "" and not step.head_only
        if no_file or step.expected == "part" and asked is None:
            raise Bad("what was asked for is no file of the tree: say by `file` whose bytes are to come", ("answer",))
        if not step.head_only:
            file = (step.file, self.case.file(step.file))
            largest = max((self._size(*one) for one in ([file] if step.file else self.case.files)), default=0)
            self.to_read += largest * self.sizes[step.client]
        if self.to_read > READ_IN_ALL:
            raise Bad(f"answers of more than {READ_IN_ALL:,} bytes in all may come; head_only, or smaller files")

    @staticmethod
    def _head(step: Answer) -> None:
        """Of a head alone not everything can be asked."""
        if isinstance(step.expected, str) and step.expected != "any":
            raise Bad("a head alone shows a status, or that any answer came", ("head_only",))
        if step.ends != "fin":
            raise Bad("who reads the head alone does not see how the connection ends", ("ends",))
        if step.never:
            raise Bad("who reads the head alone does not see what else comes", ("never",))

    def _size(self, target: str, entry: Entry | None) -> int:
        """The most that a file may have now: it may have grown."""
        return (entry.size or len(entry.text or b"")) + self.grown.get(target, 0) if isinstance(entry, File) else 0

    def _has_bytes(self, target: str) -> bool:
        """Whether this file has bytes by which it is known from others."""
        entry = self.case.file(target)
        return entry is not None and not entry.sparse and bool(entry.size or entry.text)

    def _receive(self, step: Receive) -> None:
        self._running()
        self._keep(step.count * self.sizes[step.client], "receive")

    def _keep(self, count: int, name: str) -> None:
        self.kept += count
        if self.kept > KEPT_IN_ALL:
            raise Bad(f"more than {KEPT_IN_ALL:,} bytes in all are read ahead, or appended", (name,))

    def _change(self, step: Change) -> None:
        if self.case.file(step.file) is None:
            raise Bad(f"{step.file} is no file of the tree", ("change",))
        if (step.how in ("append", "replace")) != (step.size > 0):
            raise Bad("append and replace have a size, the others have none", ("size",))
        if step.file in self.removed and step.how != "replace":
            raise Bad(f"{step.file} was removed by steps[{self.removed[step.file]}]", ("change",))
        self.removed.pop(step.file, None)
        if step.how == "append":
            self._keep(step.size, "size")
        self.grown[step.file] = self.grown.get(step.file, 0) + step.size
        if step.how == "remove":
            self.removed[step.file] = self.number

    def _release(self, _: Release) -> None:
        self._held()

    def _held(self) -> None:
        if not any(isinstance(fault, Hold) for fault in self.case.all_faults):
            raise Bad('no reads are held: the case has no fault { hold = "reads" }')

    def _server(self, step: ServerStep) -> None:
        if step.what == "reading":
            self._held()
        if step.what in ("stop", "continue"):
            if self.stopped == (step.what == "stop"):
                raise Bad("the server is stopped already" if self.stopped else "the server is not stopped")
            self.stopped = step.what == "stop"
        else:
            self._running()

    def _compare(self, step: Compare) -> None:
        self._running()
        if step.figure not in self.remembered:
            raise Bad(f"no step remembers {step.figure}", ("compare",))

    def _remember(self, step: Remember) -> None:
        self.remembered.add(step.figure)

    def _running(self, _: object = None) -> None:
        if self.stopped:
            raise Bad("the server is stopped: it can do nothing that could be waited for")


_LOOKS: dict[type, Callable[[_Script, Any], None]] = {
    Send: _Script._send,
    Get: _Script._send,
    Answer: _Script._answer,
    Change: _Script._change,
    Release: _Script._release,
    ServerStep: _Script._server,
    Compare: _Script._compare,
    Remember: _Script._remember,
    Receive: _Script._receive,
    Wait: _Script._wait,
    HalfClose: _Script._half_close,
    Silence: _Script._running,
}
