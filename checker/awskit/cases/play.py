"""Does what a case says, step by step, and judges. One thread, one order: what happens before what is the case's.

Nothing here waits for a clock: a step ends when what it waits for has happened, or when what the server itself does
shows that it is in vain (vigil.py).
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .. import plain, procfs
from ..bench import Bench, request_bytes
from ..client import Client
from ..model import Failure, Trouble
from ..reply import Reply
from ..tree import Content
from .answers import Line, expect_end, expect_none_of, is_served, judge, judge_head
from .case import (
    Answer, Case, Change, ClientStep, Close, Compare, Connect, Get, HalfClose, Receive, Release, Remember, Reset, Send,
    ServerStep, Silence, Step, Wait, errno_of
)  # fmt: skip
from .contents import Longer, Watch, Zeros, file_behind
from .kinds import write_fields
from .played import Moment, Played
from .proof import Delivered, expect_evidence
from .target import Target
from .write import inline, step_text

CLOSE_WAIT = 0x08  # of include/net/tcp_states.h: the client has closed, the server has not
SHORT = 64 * 1024  # bytes of an answer that is no file: the text of a 404
_MISSED = "the server made no call that it could change (if a right server need not, say may_miss = true)"
LONGEST_S = 1800.0  # of a replay: a case may ask for a million waits, and for answers that come byte by byte
STEP_SHOWN = 160  # characters of the step that a reason begins with: its end must be read, too
LOOKS = 8  # a figure that stays for so many looks has settled


def play(case: Case, target: Target) -> Played:
    """Replay the case. Raises Trouble where it cannot be told, and Unfit."""
    played = Played(case)
    try:
        with target.bench(case) as (bench, witness), contextlib.ExitStack() as stack:
            player = Player(case, bench, stack)
            try:
                player.run(played)
            finally:
                played.hits = player.hits()
                played.transcripts = tuple(line.client.transcript for line in player.lines())
            waiting = witness.waiting() if witness and "epoll" in case.evidence else []
            trace = witness.finish() if witness else None
        if trace:  # judged when the server has been ended: how it ended is no part of that
            expect_evidence(case.evidence, trace, waiting, witness, player.delivered)
    except Failure as failure:
        played.failure = failure
    return played


@dataclass
class Player:
    """Plays one case on one server. `stack` ends what is open at the end."""

    case: Case
    bench: Bench
    stack: contextlib.ExitStack
    delivered: list[Delivered] = field(default_factory=list)
    _clients: dict[str, list[Line]] = field(default_factory=dict)
    _figures: dict[str, int] = field(default_factory=dict)
    _changed: dict[str, Content | None] = field(default_factory=dict)  # files that are not as they were made, or gone
    _unserved: int = 0  # answers that may be a part, and are
    _stopped: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _begun: float = field(default_factory=time.monotonic)

    def run(self, played: Played) -> None:
        """All steps, and what holds for every case: the server lives, and the faults have hit it. Raises Failure with
        the step in `played`, or Trouble."""
        self.stack.enter_context(self._stopped)
        for number, step in enumerate(self.case.steps):
            played.step = number
            self._expect_time()
            try:
                _DO[type(step)](self, step)
            except Failure as failure:
                failure.reason = f"steps[{number}] ({plain.line(step_text(step), STEP_SHOWN)}): {failure.reason}"
                raise
            finally:
                played.moments += self._moments(number)
        played.step = None
        self.bench.wait_rest()  # what kills it may have come this very moment, and what the faults are to hit
        self.bench.expect_alive("all steps were done")
        if self.case.all_faults and not self.case.may_miss:
            self._expect_hits()

    def _expect_time(self) -> None:
        """Trouble when it has gone on for longer than anybody waits for a verdict."""
        if time.monotonic() - self._begun > LONGEST_S:
            raise Trouble(f"after {LONGEST_S:g} s the case was not over")

    def hits(self) -> tuple[int, ...]:
        """How often each fault of the case has hit; () where that cannot be told any more."""
        with contextlib.suppress(Trouble):
            return self.bench.faults.hits() if self.case.all_faults else ()
        return ()

    def _expect_hits(self) -> None:
        """Trouble if a fault of the case has changed no call: what the server did then says nothing of it. Of a set one
        is enough: it is for servers of any design."""
        hits = self.bench.faults.hits()
        of_set = len(self.case.all_faults) - len(self.case.faults)
        if of_set and not any(hits[:of_set]):
            raise Trouble(f"no fault of the set {self.case.fault_set} hit anything: {_MISSED}")
        for fault, count in zip(self.case.faults, hits[of_set:], strict=True):
            if not count:
                raise Trouble(f"the fault {inline(write_fields(fault))} hit nothing: {_MISSED}")

    def _moments(self, step: int) -> Iterator[Moment]:
        """What went both ways since the step before."""
        for name, lines in self._clients.items():
            for line in lines:
                parts = line.client.transcript.parts()
                if parts > line.told:
                    yield Moment(step, name, line.client.transcript, line.told, parts)
                    line.told = parts

    def lines(self) -> Iterator[Line]:
        """All connections, in the order of the clients."""
        for lines in self._clients.values():
            yield from lines

    # -- clients ------------------------------------------------------------------------------------------------------

    def _of(self, step: ClientStep) -> Iterator[Line]:
        """The connections of the step's client, made if it has none yet; of many, as long as there is time."""
        if step.client not in self._clients:
            self._open(step.client, 1, 0)
        for line in self._clients[step.client]:
            self._expect_time()
            yield line

    def _open(self, name: str, count: int, receive_buffer: int) -> None:
        lines = self._clients[name] = []
        for _ in range(count):
            client = self.stack.enter_context(self.bench.connect(rcvbuf=receive_buffer or None))
            lines.append(Line(client, bool(receive_buffer)))

    def _connect(self, step: Connect) -> None:
        self._open(step.client, step.count, step.receive_buffer)

    def _send(self, step: Send | Get) -> None:
        data = step.data if isinstance(step, Send) else request_bytes(step.target)
        cuts = range(1, len(data)) if step.each else step.split
        for line in self._of(step):
            if isinstance(step, Get):
                line.asked, line.content = step.target, self._content(step.target)
            line.by_get = line.by_get or data.startswith(b"GET ")
            self.bench.send_pieces(line.client, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])])

    def _receive(self, step: Receive) -> None:
        for line in self._of(step):
            came = line.client.receive_exactly(step.count)
            line.ahead.append(came)
            if len(came) < step.count:
                raise self.bench.failure(
                    f"{len(came):,} bytes came, and {step.count:,} should have",
                    got=f"{len(came):,} bytes; {line.client.ending.value}",
                    expected=f"{step.count:,} bytes of an answer",
                )

    def _content(self, target: str) -> Content | None:
        """What a 200 for this target brings now: the file that is there, or that a link leads to. None where there is
        none."""
        name = file_behind(self.case, target)
        if not name or name in self._changed:
            return self._changed.get(name)
        entry = self.case.file(name)
        return Zeros(entry.size or 0) if entry and entry.sparse else self.bench.tree.content(name)

    def _answer(self, step: Answer) -> None:
        for line in self._of(step):
            target = step.file or line.asked
            content = self._content(step.file) if step.file else line.content
            if line.narrow:
                line.client.widen()
            line.client.push_back(b"".join(line.ahead))
            line.ahead.clear()
            secret = self._content(step.never) if step.never else None
            watch = line.client.watch = Watch(secret) if secret and secret.size else None
            reply = line.client.read_head()
            if step.head_only:
                judge_head(self.bench, step, line, reply)
                continue
            if step.ends == "server":
                expect_end(self.bench, line.client, reply, content.size if content else SHORT)
            line.client.read_body(reply, content if reply.status == 200 else None)
            if watch:
                expect_none_of(self.bench, step, line, reply, watch)
            tree = self.bench.tree.as_it_was(target, content) if content else self.bench.tree
            judge(replace(self.bench, tree=tree), step, line, reply, target if content else "")
            if step.expected == "part" and not is_served(reply, content):
                self._expect_few_unserved(reply)
            if content and reply.status == 200 and step.expected == 200:
                self.delivered.append(Delivered(target, file_behind(self.case, target), content.size, line.client.port))

    def _expect_few_unserved(self, reply: Reply) -> None:
        """Count it, as one of those that a fault has hit, or that had no room."""
        self._unserved += 1
        if self.case.unserved is not None and self._unserved > self.case.unserved:
            reason = f"{self._unserved} answers are less than all, and {self.case.unserved} may be: {reply.outline()}"
            self.bench.fail(reply, reason, expected="whoever is not hit gets all")

    def _silence(self, step: Silence) -> None:
        for line in self._of(step):
            self.bench.wait_consumed(line.client)
        self.bench.wait_idle("nothing is to be answered")
        for line in self._of(step):
            if line.client.has_answer():
                reply = line.client.reply()
                self.bench.fail(reply, f"nothing should have come: {reply.outline()}", expected="silence")

    def _wait(self, step: Wait) -> None:
        clients = [line.client for line in self._of(step)]
        if step.event == "received":
            for line in self._of(step):
                self.bench.wait_consumed(line.client)
        elif step.event == "accepted":
            self.bench.wait_accepted(clients)
        elif step.event == "released":
            self._wait_met(clients)
            self.bench.wait_released(clients)
        else:
            self.bench.wait_stalled(clients)
            self._expect_stalled(clients)

    def _expect_stalled(self, clients: list[Client]) -> None:
        """That the server has more for each than its socket takes: one that it has let go is not stalled."""
        for client in clients:
            if not self.bench.unsent(client):
                raise self.bench.failure(
                    "the server's socket to a client that does not read is not full: it has let the client go",
                    got="the connection's end on the server's side is closed, or everything has left it",
                    expected="an answer larger than what a socket takes",
                )

    def _wait_met(self, clients: list[Client]) -> None:
        """Wait until none of them is in the listener's queue: one that was never accepted was not let go either."""
        ports = {client.port for client in clients}

        def met() -> bool:
            rows = [row for row in self.bench.sides() if row.remote_port in ports and not row.inode]
            return not any(row.state in (procfs.ESTABLISHED, CLOSE_WAIT) for row in rows)

        self.bench.wait(met, "the server accepts the clients")

    def _leave(self, step: HalfClose | Reset | Close) -> None:
        for line in self._of(step):
            {HalfClose: line.client.half_close, Reset: line.client.abort, Close: line.client.close}[type(step)]()

    # -- the server and its files --------------------------------------------------------------------------------------

    def _server(self, step: ServerStep) -> None:
        if step.what == "stop":
            self._stopped.enter_context(self.bench.paused())
        elif step.what == "continue":
            self._stopped.close()
        elif step.what == "idle":
            self.bench.wait_idle("the server has nothing to do")
        elif step.what == "full":
            self.bench.wait_full()
        elif step.what == "reading":
            self._wait_reading()
        else:
            self.bench.wait_rest()
            self.bench.expect_alive("so far")

    def _wait_reading(self) -> None:
        """Wait until all reads that it asks for now are held: it sleeps, and their number stays."""
        looks, held = 0, -1

        def settled() -> bool:
            nonlocal looks, held
            now = self.bench.faults.held() if set(procfs.states(self.bench.server.pid)) <= {"S"} else -1
            looks, held = (looks + 1 if now == held and now > 0 else 0), now
            return looks > LOOKS

        self.bench.wait(settled, "the server asks for a read, by io_submit")

    def _change(self, step: Change) -> None:
        tree = self.bench.tree
        path = tree.path(step.file)
        now: Content | None = None
        if step.how == "empty":
            os.close(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW))
            now = Content(step.file, 0, b"")
        elif step.how == "append":
            before, more = self._content(step.file), random.Random(f"{self.case.seed}/more").randbytes(step.size)
            with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW), "wb") as stream:
                stream.write(more)
            now = Longer(before, more) if before else None
        elif step.how == "replace":
            now = tree.text(step.file, random.Random(f"{self.case.seed}/new").randbytes(step.size))
        else:
            path.unlink(missing_ok=True)
        if step.how != "replace":
            tree.forget(step.file)
        self._changed[step.file] = now

    def _release(self, step: Release) -> None:
        count = None if isinstance(step.count, str) else step.count
        self.bench.faults.release(count, error=errno_of(step.error), last_first=step.last_first)

    def _figure(self, name: str) -> int:
        pid = self.bench.server.pid
        looks: dict[str, Callable[[], int]] = {
            "descriptors": lambda: len(procfs.descriptors(pid)),
            "contexts": lambda: procfs.aio_contexts(pid),
            "memory": lambda: procfs.memory(pid, "RssAnon"),
            "threads": lambda: len(procfs.states(pid)),
        }
        return looks[name]()

    def _remember(self, step: Remember) -> None:
        self.bench.settled_descriptors()
        self._figures[step.figure] = self._figure(step.figure)

    def _compare(self, step: Compare) -> None:
        self.bench.settled_descriptors()  # it may not have met yet what makes more
        most = self._figures[step.figure] + step.more
        try:
            self.bench.wait(lambda: self._figure(step.figure) <= most, f"at most {most:,} {step.figure}")
        except Failure as failure:
            raise self.bench.failure(
                f"the server has {self._figure(step.figure):,} {step.figure}, and should have {most:,} at most",
                got=f"{self._figure(step.figure):,}",
                expected=f"at most {most:,}",
            ) from failure


_DO: dict[type[Step], Callable[[Player, Any], None]] = {
    Connect: Player._connect,
    Send: Player._send,
    Get: Player._send,
    Receive: Player._receive,
    Answer: Player._answer,
    Silence: Player._silence,
    Wait: Player._wait,
    HalfClose: Player._leave,
    Reset: Player._leave,
    Close: Player._leave,
    ServerStep: Player._server,
    Change: Player._change,
    Release: Player._release,
    Remember: Player._remember,
    Compare: Player._compare,
}
