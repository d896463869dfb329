"""What a case asks of the means: by which calls the files of its answers were read and sent, as the kernel saw it."""

from __future__ import annotations

from dataclasses import dataclass

from ..evidence import Call, Ledger, Trace
from ..mechanism import expect_waiting_in_epoll
from ..model import Failure
from ..witness import Witness


@dataclass(frozen=True)
class Delivered:
    """A file that came whole: its target, the file that a link there leads to, its size, the client's port."""

    target: str
    file: str
    size: int
    port: int


def expect_evidence(
    wanted: tuple[str, ...], trace: Trace, waiting: list[Call], witness: Witness, delivered: list[Delivered]
) -> None:
    """Failure if the calls of the server do not show what is `wanted` of the files `delivered`, or if those in which it
    was `waiting` at the end are not epoll's where it should wait there."""
    for one in delivered:
        ledger = trace.ledger(witness.path(one.file), one.port)
        for word in wanted:
            if not _shows(word, one, ledger, trace):
                raise Failure(
                    f"GET {one.target} ({one.size:,} bytes): {_EXPECTED[word][0]}",
                    got=f"sent: {ledger.sendings()}; asked for by io_submit: {ledger.asked:,}; read otherwise:"
                    f" {ledger.readings() or 'nothing'}",
                    expected=_EXPECTED[word][1],
                )
    if "epoll" in wanted:
        expect_waiting_in_epoll(waiting)
        if not trace.watched_listener(witness.server.port):
            raise Failure("the listening socket was never given to epoll", expected="epoll_ctl(…, EPOLL_CTL_ADD, …)")


_EXPECTED = {
    "sendfile": ("not all of it left by sendfile", "sendfile(2) of the whole file to this client's socket"),
    "aio": ("not all of it was read by io_submit alone", "every byte by io_submit(2), none in another way"),
    "nonblocking": ("the client's socket was used while it was blocking", "O_NONBLOCK before anything is received"),
    "read-only": ("the file was opened for more than reading", "O_RDONLY, and neither O_CREAT nor O_TRUNC"),
    "epoll": ("the client's socket was never given to epoll", "epoll_ctl(…, EPOLL_CTL_ADD, accepted socket, …)"),
}


def _shows(word: str, one: Delivered, ledger: Ledger, trace: Trace) -> bool:
    if word == "sendfile":
        return not one.target.startswith("/static/") or ledger.sent_of_file >= one.size
    if word == "aio":
        return not one.target.startswith("/dynamic/") or ledger.asked >= one.size and not ledger.read
    if word == "nonblocking":
        return ledger.blocking is None
    if word == "read-only":
        return not any(call.writing_flags for call in ledger.opened)
    return trace.watched(one.port)
