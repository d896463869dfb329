"""Checks of the means, not of the result: does epoll wait, does sendfile send, does io_submit read?

They judge what the kernel saw of requests that were really served (witness.py), in bytes: a call made once for show
earns nothing, and a binary that has no such symbol, being linked statically, loses nothing.
"""

from __future__ import annotations

from .bench import Bench
from .evidence import EPOLL_WAITS, SELECTS, SOCKET_WAITS, Call, Ledger
from .model import Failure, check
from .witness import Run, Served, observed

CROWD = 50  # clients that may well connect at one moment


# A server that is held up, or kept busy, by half a request waits in no epoll meanwhile: that is other checks' business.
@check("mechanism.epoll", "clients are waited for in epoll only", "S1", needs=("idle.half_request",), own_server=True)
def uses_epoll(bench: Bench) -> None:
    run = observed(bench)
    _note_short_backlog(bench, run.trace.backlog())
    expect_waiting_in_epoll(run.waiting)
    client = run.in_pieces
    assert client is not None
    if client.failure:
        raise client.failure
    if not run.trace.watched_listener(run.port):
        raise Failure(
            "the listening socket was never given to epoll",
            got="no epoll_ctl(2) with it",
            expected="epoll_ctl(…, EPOLL_CTL_ADD, listening socket, …)",
        )
    if not run.trace.watched(client.port):
        raise Failure(
            "the socket of a client that was served was never given to epoll",
            got="no epoll_ctl(2) with it",
            expected="epoll_ctl(…, EPOLL_CTL_ADD, accepted socket, …)",
        )


def _note_short_backlog(bench: Bench, backlog: int | None) -> None:
    """It costs nothing, because nothing promises how many may connect at one moment."""
    if backlog is not None and 0 <= backlog < CROWD:
        bench.note(
            f"listen(2) was given a backlog of {backlog}: of clients who connect at one moment {backlog + 1} are let"
            " in, and the others try again after a second; SOMAXCONN costs nothing"
        )


def expect_waiting_in_epoll(waiting: list[Call]) -> None:
    """Half a request has come. Some thread waits in epoll, and none in a call that waits for a socket, or for epoll's
    own descriptor."""
    elsewhere = [call for call in waiting if call.name in SOCKET_WAITS and _is_about_clients(call)]
    if elsewhere := sorted(elsewhere, key=lambda call: call.port is None):  # a client's socket tells most
        raise Failure(
            f"half a request was sent, and the server waits for the rest in {elsewhere[0].name}, not in epoll",
            got=_list(elsewhere),
            expected="no call but epoll_wait that waits for a client",
        )
    if not any(call.name in EPOLL_WAITS for call in waiting):
        raise Failure(
            "half a request was sent; the server should now wait in epoll_wait, and does not",
            got=_list(waiting) or "no thread waits: a busy loop",
            expected="epoll_wait, epoll_pwait or epoll_pwait2",
        )


def _is_about_clients(call: Call) -> bool:
    return "<TCP" in call.arguments or call.name in SELECTS and "<anon_inode:[eventpoll]>" in call.arguments


def _list(calls: list[Call]) -> str:
    return "; ".join(f"{call.name}({call.arguments}…" for call in calls)


def _books(run: Run, kind: str = "") -> list[tuple[Served, Ledger]]:
    """What was served below /`kind`, and its books. Failure if a file of that kind was not served at all."""
    books = []
    for served in run.served:
        if served.target.startswith(f"/{kind}"):
            if served.failure and kind:
                raise served.failure
            if not served.failure:
                books.append((served, run.ledger(served)))
    return books


@check(
    "mechanism.nonblocking",
    "the sockets of clients are non-blocking from their first byte on",
    "S1",
    needs=("static.small_received",),
    own_server=True,
)
def sockets_are_nonblocking(bench: Bench) -> None:
    run = observed(bench)
    for served, ledger in _books(run):
        if ledger.blocking:
            raise Failure(
                f"GET {served.target}: {ledger.blocking.name} was called on the client's socket while it was blocking",
                got=_list([ledger.blocking]),
                expected="accept4(…, SOCK_NONBLOCK), or fcntl(…, F_SETFL, … | O_NONBLOCK), before anything is received",
            ).shown(run.seen(served, ledger.blocking))


@check("mechanism.sendfile", "static files leave by sendfile", "S6", needs=("static.small_equal",), own_server=True)
def uses_sendfile(bench: Bench) -> None:
    run = observed(bench)
    for served, ledger in _books(run, "static"):
        if ledger.sent_of_file < served.length:
            raise Failure(
                f"GET {served.target}: of {served.length:,} bytes of body, {ledger.sent_of_file:,} left by sendfile",
                got=f"sent: {ledger.sendings()}; read: {ledger.readings() or 'nothing by a system call'}",
                expected="sendfile(2) of the whole file to this client's socket",
            ).shown(run.seen(served, run.reading(served, "sendfile")))


@check("mechanism.aio", "dynamic files are read by io_submit", "S7", needs=("dynamic.small_equal",), own_server=True)
def uses_aio(bench: Bench) -> None:
    run = observed(bench)
    for served, ledger in _books(run, "dynamic"):
        asked = min(ledger.asked, served.length)
        otherwise = sum(ledger.read.values())
        if asked < served.length or otherwise:
            seen = run.seen(served, run.reading(served))
            raise Failure(
                f"GET {served.target}: of {served.length:,} bytes of body, {asked:,} were read by io_submit, and"
                f" {otherwise:,} bytes of the file by other calls",
                got=ledger.readings() or "the file's bytes were never read by a system call",
                expected="every byte by io_submit(2), none in another way",
            ).shown(seen).seen(
                read_by=ledger.read, submitted="all" if asked == served.length else "some" if asked else "none"
            )


@check(
    "mechanism.open_flags",
    "files are opened for reading only",
    "S2",
    needs=("static.small_received",),
    own_server=True,
)
def opens_for_reading(bench: Bench) -> None:
    run = observed(bench)
    for served, ledger in _books(run):
        for call in ledger.opened:
            if call.writing_flags:
                raise Failure(
                    f"GET {served.target}: the file was opened with {'|'.join(call.writing_flags)}",
                    got=f"{call.name}({call.arguments}) = {call.result}",
                    expected="O_RDONLY, and neither O_CREAT nor O_TRUNC",
                ).shown(run.seen(served, call)).seen(flags=call.writing_flags)
