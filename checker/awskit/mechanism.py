"""Checks of the means, not of the result: does epoll wait, does sendfile send, does io_submit read?

They judge what the kernel saw of requests that were really served (evidence.py), in bytes: a call made once for show
earns nothing, and a binary that has no such symbol, being linked statically, loses nothing.
"""

from __future__ import annotations

from .bench import Bench, request_bytes, wait_until
from .evidence import EPOLL_WAITS, SELECTS, SOCKET_WAITS, Call, Witness, witness
from .model import Failure, check


# A server that is held up, or kept busy, by half a request waits in no epoll meanwhile: that is other checks' business.
@check("mechanism.epoll", "clients are waited for in epoll only", "S1", needs=("idle.half_request",), own_server=True)
def uses_epoll(bench: Bench) -> None:
    with witness(bench) as seen:
        target = seen.bench.small("static")
        request = request_bytes(target)
        with seen.bench.connect() as client:
            client.send(request[: len(request) // 2])
            seen.bench.wait_consumed(client)
            # A client is in the middle of its request: now the server waits, and for certain for this client, too.
            _expect_waiting_in_epoll(seen)
            client.send(request[len(request) // 2 :])
            seen.bench.expect_answer(client.read_head(), f"GET {target} in two pieces")
        trace = seen.finish()
        if not trace.watched_listener(seen.server.port):
            raise Failure(
                "the listening socket was never given to epoll",
                got="no epoll_ctl(2) with it",
                expected="epoll_ctl(…, EPOLL_CTL_ADD, listening socket, …)",
            )
        if not trace.watched(client.port):
            raise Failure(
                "the socket of a client that was served was never given to epoll",
                got="no epoll_ctl(2) with it",
                expected="epoll_ctl(…, EPOLL_CTL_ADD, accepted socket, …)",
                likely="a thread or process for each client, and epoll for show",
            )


def _expect_waiting_in_epoll(seen: Witness) -> None:
    """Some thread waits in epoll, and none in a call that waits for a socket."""

    def waiting(names: tuple[str, ...]) -> list[Call]:
        return [call for call in seen.trace().waiting() if call.name in names]

    try:
        wait_until(lambda: waiting(EPOLL_WAITS), seen.bench.patience, "a thread of the server waits in epoll")
    except Failure as failure:
        raise Failure(
            "half a request was sent; the server should now wait in epoll_wait, and does not",
            got=_list(seen.trace().waiting()) or "no thread waits: a busy loop",
            expected="epoll_wait, epoll_pwait or epoll_pwait2",
        ) from failure
    elsewhere = [call for call in waiting(SOCKET_WAITS) if "<TCP" in call.arguments or call.name in SELECTS]
    if elsewhere := sorted(elsewhere, key=lambda call: call.port is None):  # a client's socket tells most
        raise Failure(
            f"half a request was sent, and the server waits for the rest in {elsewhere[0].name}, not in epoll",
            got=_list(elsewhere),
            expected="no call but epoll_wait that waits for a client",
            likely="the socket is blocking: accept4 without SOCK_NONBLOCK, or F_SETFD where F_SETFL was meant",
        )


def _list(calls: list[Call]) -> str:
    return "; ".join(f"{call.name}({call.arguments}…" for call in calls)


@check("mechanism.sendfile", "static files leave by sendfile", "S6", needs=("static.small_received",), own_server=True)
def uses_sendfile(bench: Bench) -> None:
    with witness(bench) as seen:
        served = [_serve(seen, target) for target in (seen.bench.small("static"), seen.bench.large("static"))]
        trace = seen.finish()
        for target, port, length in served:
            sent = trace.bytes_sent_by_sendfile(seen.path(target), port)
            if sent < length:
                raise Failure(
                    f"GET {target}: of {length:,} bytes of body, {sent:,} left by sendfile",
                    got=_readings(seen, target) or "the file's bytes were never read by a system call",
                    expected="sendfile(2) of the whole file to this client's socket",
                    likely="read and send, or a mapping, where the assignment wants sendfile",
                )


@check("mechanism.aio", "dynamic files are read by io_submit", "S7", needs=("dynamic.small_received",), own_server=True)
def uses_aio(bench: Bench) -> None:
    with witness(bench) as seen:
        served = [_serve(seen, target) for target in (seen.bench.small("dynamic"), seen.bench.large("dynamic"))]
        trace = seen.finish()
        for target, _, length in served:
            path = seen.path(target)
            asked = trace.read_by_aio(path, length)
            otherwise = trace.bytes_read(path)
            if asked < length or otherwise:
                raise Failure(
                    f"GET {target}: of {length:,} bytes of body, {asked:,} were read by io_submit, and {otherwise:,}"
                    " bytes of the file by other calls",
                    got=_readings(seen, target) or "the file's bytes were never read by a system call",
                    expected="every byte by io_submit(2), none in another way",
                    likely="sendfile for both kinds of file"
                    if trace.bytes_read(path, "sendfile")
                    else "io_submit for show only" if asked else "no asynchronous reading at all",
                )


def _serve(seen: Witness, target: str) -> tuple[str, int, int]:
    """Fetch `target`; it, the client's port and the bytes of body that came. All of a file is not asked for: how much
    comes is judged by other checks."""
    content = seen.bench.tree.content(target)
    assert content is not None
    with seen.bench.connect() as client:
        client.send(request_bytes(target))
        reply = client.read_head()
        if reply.status != 200:
            seen.bench.fail(reply, f"GET {target} under strace: {reply.outline()}", expected="status 200")
        return target, client.port, len(client.receive_exactly(content.size))


def _readings(seen: Witness, target: str) -> str:
    """How the file was read, by name of call: `pread64 2,048 bytes`."""
    trace, path = seen.trace(), seen.path(target)
    names = sorted({call.name for call in trace.calls if path in call.paths and call.result})
    return ", ".join(f"{name} {trace.bytes_read(path, name):,} bytes" for name in names if trace.bytes_read(path, name))
