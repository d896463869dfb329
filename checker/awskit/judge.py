"""What a right answer is, and what is said of a wrong one: one sentence, both sides, and what was observed.

What each check says when its server does otherwise is written here, once. Which misconception it shows is not said
here: the evidence is passed on (whose bytes came, how the server's end of the connection was), and a table knows.
"""

from __future__ import annotations

import contextlib
from typing import NoReturn

from . import procfs, stack
from .deeds import Deeds
from .model import Failure
from .reply import Ending, Reply
from .server import Server
from .tree import MIB, Tree

ENDED = "the server's process has ended"


class Judge:
    """Judges replies of `server` about files of `tree`; every `expect_` method returns if right, else raises Failure.
    `done` and `what` are the beginning of its sentence: what was done. `patience` in seconds is how long was waited."""

    tree: Tree
    server: Server
    patience: float
    deeds: Deeds

    def expect_answer(self, reply: Reply, what: str) -> None:
        """Any HTTP response at all."""
        reply.should(answer="any")
        if reply.head is None:
            self.fail(
                reply, f"{what}: {reply.outline()}", expected="a response that begins with HTTP/1.1 and a status code"
            )

    def expect_received(self, reply: Reply, target: str) -> None:
        """200, the file's length delivered and nothing else announced, then the end. The bytes are not looked at, and
        that the length is announced at all is another check's: the end of the connection tells it, too."""
        content = self.tree.content(target)
        assert content is not None, f"the tree has no {target}"
        reply.should(answer=200, file=target, ends="fin")
        size = content.size
        done = f"GET {target} ({size:,} bytes)"
        if reply.status != 200 or reply.head is None:
            self.fail(reply, f"{done}: {reply.outline()}", expected=f"status 200 and {size:,} bytes of body")
        got = reply.head.field("content-length")
        if got is not None and got != str(size):
            self.fail(
                reply, f"{done}: Content-Length is {got}, and should be {size}", expected=f"Content-Length: {size}"
            )
        if reply.length != size:
            self.fail(
                reply,
                f"{done}: {reply.length:,} bytes of body came, and {size:,} should; {reply.end}",
                expected=f"{size:,} bytes of body",
            )
        self.expect_closed(reply, done)

    def expect_closed(self, reply: Reply, done: str) -> None:
        """The server closed after its answer, by FIN."""
        if reply.ending is Ending.FIN:
            return
        self.fail(reply, f"{done}: after the answer, {reply.end}", expected=Ending.FIN.value)

    def expect_equal(self, reply: Reply, target: str) -> None:
        """A 200 whose body is the file, byte for byte."""
        content = self.tree.content(target)
        assert content is not None, f"the tree has no {target}"
        reply.should(answer=200, file=target, ends="any")
        if reply.status != 200:
            self.fail(
                reply, f"GET {target}: {reply.outline()}", expected=f"status 200 and {content.size:,} bytes of body"
            )
        if reply.difference is not None:
            at = reply.difference
            self.fail(
                reply,
                f"GET {target}: the body differs from the file from byte {at.offset:,} on"
                + (" (the file ends there)" if not at.expected else ""),
                got=f"at {at.offset:,}: {at.got.hex(' ')}",
                expected=f"at {at.offset:,}: {at.expected.hex(' ') or 'the end'}",
            )
        if reply.length != content.size:
            self.fail(
                reply,
                f"GET {target}: the body ends after {reply.length:,} of {content.size:,} bytes; {reply.end}",
                expected=f"{content.size:,} bytes of body",
            )

    def expect_file(self, reply: Reply, target: str) -> None:
        """All of it: 200, right length, right bytes, closed by FIN."""
        reply.should(answer=200, file=target, ends="fin")
        if reply.difference is not None:
            self.expect_equal(reply, target)
        self.expect_received(reply, target)
        self.expect_equal(reply, target)

    def expect_404(self, reply: Reply, done: str) -> None:
        """404, then the end. Its body and Content-Length are another check's (it may have neither: it is closed)."""
        reply.should(answer=404)
        if reply.status != 404:
            self.fail(reply, f"{done}: {reply.outline()}", expected="status 404")
        self.expect_closed(reply, done)

    def expect_whole(self, reply: Reply, done: str) -> None:
        """The body is as long as its Content-Length, where there is one."""
        announced = reply.head.content_length if reply.head else None
        if announced is not None and announced != reply.length:
            self.fail(
                reply,
                f"{done}: Content-Length is {announced:,} and {reply.length:,} bytes of body came",
                expected=f"{announced:,} bytes of body",
            )

    def expect_refusal(self, reply: Reply, done: str) -> None:
        """A safe refusal: 4xx or 5xx, or the end without a byte; never a 200, never silence. The end may be RST: bytes
        of a request that is refused may be left unread."""
        reply.should(answer="refused")
        if reply.head is None and not reply.empty:
            self.fail(reply, f"{done}: {reply.outline()}", expected="404, another refusal, or a closed connection")
        if reply.status is not None and not 400 <= reply.status <= 599:
            self.fail(reply, f"{done}: {reply.outline()}", expected="404, another refusal, or a closed connection")
        if reply.ending not in (Ending.FIN, Ending.RST):
            self.fail(
                reply,
                f"{done}: {reply.outline()}",
                expected="404, another refusal, or a closed connection",
            )

    def expect_nothing_of(self, reply: Reply, secret: bytes, done: str) -> None:
        """No byte of a file that is none of the client's business."""
        if (owner := self.tree.owner(secret, 0)) is not None:
            reply.should(never=owner)
        if secret in reply.raw_head + reply.start:
            self.fail(
                reply,
                f"{done}: the answer holds a file from outside the two folders",
                expected="status 404",
            )

    def expect_alive(self, after: str) -> None:
        """The very process that was started still runs."""
        self.deeds.add("server", value="alive")
        if self._over():
            raise Failure(
                f"{after}: {ENDED}",
                got=self.server.log()[-2000:] or "it ended without a word",
                expected="a running server",
            )

    # -- saying so -----------------------------------------------------------------------------------------------------

    def fail(self, reply: Reply, reason: str, *, got: str = "", expected: str = "") -> NoReturn:
        """Raise Failure about this reply; what came is put in where not given."""
        failure = self.failure(
            reason,
            got=got or reply.outline(),
            expected=expected,
            exchange=reply.exchange,
        )
        failure.evidence.reply = reply
        with contextlib.suppress(Exception):  # it explains: a mistake of ours in it must not become the verdict
            failure.evidence.side = self._side_of(reply)
            if reply.difference is not None and (target := self._target_of(reply)):
                failure.evidence.mixed_with = self.origin(reply, target)
        raise failure

    def failure(self, reason: str, *, got: str, expected: str, exchange: str = "") -> Failure:
        """The Failure to raise, which says so where the process has ended."""
        if self._over():
            reason += f"; and {ENDED}"
        failure = Failure(reason, got=got, expected=expected, exchange=exchange)
        self.look_where_it_waits(self.server, failure)
        return failure

    @staticmethod
    def look_where_it_waits(server: Server, failure: Failure) -> None:
        """Put into the failure's evidence in which calls the server waits, and where in its program it stands, unless
        somebody has looked before."""
        if not failure.evidence.asleep:
            failure.evidence.asleep = asleep = procfs.sleeping_in(server.pid)
            failure.evidence.stack = (stack.spins_at if "running" in asleep else stack.stopped_at)(server.pid)

    def _side_of(self, reply: Reply) -> str:
        """How the server's end of its connection is, in a word."""
        port = reply.transcript.port if reply.transcript else 0
        row = next(iter(procfs.connections(self.server.pid, remote_port=port)), None) if port else None
        if row is None:
            return "closed"
        if not row.inode:
            return "not accepted" if row.state == procfs.ESTABLISHED or row.unread else "closed"
        return "not received" if row.unread else "open"

    def _target_of(self, reply: Reply) -> str:
        """The target of the file that its body was compared with."""
        return next((name for name in self.tree.targets() if self.tree.content(name) is reply.wanted), "")

    def _over(self) -> bool:
        """Whether the server has ended, or does so now: a reset connection may be the first sign of it."""
        return not self.server.alive() or procfs.ending(self.server.pid)

    def origin(self, reply: Reply, target: str) -> str:
        """Whose bytes stand where the body first differs from the file: of the file of the same name in the "other
        folder", of "another file", of this one from before ("again", "beginning") or from further on ("skipped"),
        "zeros", those of a "head"; "too long" where the file has ended; "" where that cannot be told."""
        at, content = reply.difference, self.tree.content(target)
        assert at is not None and content is not None
        owner = self.tree.owner(at.got[:16], at.offset)
        if owner is not None and owner != target:
            return "other folder" if self.tree.other(target) is self.tree.content(owner) else "another file"
        if not at.expected:
            return "too long"
        if at.got.startswith(b"HTTP/"):
            return "head"
        if len(at.got) < 8:
            return ""
        if not at.got.strip(b"\0"):
            return "zeros"
        if content.read(0, 16).startswith(at.got[:16]):
            return "beginning"
        near = content.read(max(0, at.offset - MIB), 2 * MIB)
        place = near.find(at.got[:16])
        if place >= 0:
            return "skipped" if place > min(at.offset, MIB) else "again"
        start = self.tree.owner(at.got[:16], 0)
        return "another file" if start is not None else ""
