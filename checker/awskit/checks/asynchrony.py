"""Asynchronous in fact: whoever is slow, a client or the disk, delays nobody else (contract S1).

No clock judges here. A fast client is served while the slow one is provably unfinished: it has sent a part of its
request only, its socket is full, or the reads for it are held (a disk that does not answer, faults.py).
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from .. import procfs
from ..bench import KINDS, Bench, request_bytes
from ..client import Client
from ..faults import HoldReads
from ..model import Failure, check
from ..reply import Ending, Reply

CROWD = 20


@check(
    "async.no_thread_each",
    "a client costs no thread or process of its own",
    "S1",
    needs=("connect.several", "static.small_equal"),
)
def no_thread_each(bench: Bench) -> None:
    request = request_bytes(bench.small("static"))
    bench.ask(request)  # what is made once, for the first request, is there now
    bench.deeds.add("remember", value="threads")
    before = len(procfs.states(bench.server.pid))
    with bench.several(CROWD) as clients:
        for client in clients:
            client.send(request[: len(request) // 2])
        with contextlib.suppress(Failure):  # who is held up by one that keeps silent is for async.writers to judge
            for client in clients:
                bench.wait_consumed(client)
        bench.deeds.add("compare", value=("threads", CROWD // 2))
        more = len(procfs.states(bench.server.pid)) - before
        if more > CROWD // 2:  # one that is just ending may have been counted before
            raise bench.failure(
                f"{CROWD} clients had sent half a request: {more} threads and processes more than the {before} before",
                got=f"{before + more} threads and processes",
                expected="a number that does not grow with the clients",
            )


@check("async.writers", "a client that stops in mid-request holds up nobody", "S1", needs=("async.no_thread_each",))
def writers(bench: Bench) -> None:
    with bench.connect() as slow:
        slow.send(request_bytes(bench.small("static"))[:20])
        bench.wait_consumed(slow)
        target = bench.small("static", 1)
        reply = bench.get(target)
        _expect_not_blocked(
            bench,
            reply,
            f"while a client has sent 20 bytes of a request and keeps silent, GET {target}",
        )
        bench.expect_answer(reply, f"GET {target} while another client has sent a part of its request")


def _register(kind: str) -> None:
    @check(
        f"async.{kind}_reader",
        f"a client that does not read its {kind} file holds up nobody",
        "S1",
        needs=("async.no_thread_each", f"{kind}.large_equal"),
    )
    def reader(bench: Bench) -> None:
        with bench.stalled(bench.huge(kind)):
            _expect_others_served(
                bench,
                [bench.small(kind), bench.large(kind)],
                f"while a client has a {kind} file under way and does not read",
            )


for _kind in KINDS:
    _register(_kind)


HELD = ("dynamic.large_equal", "mechanism.aio")  # who does not read by AIO has no reads to hold


@check(
    "async.slow_disk",
    "a dynamic read that the disk holds back holds up nobody",
    "S1",
    "S7",
    needs=(*HELD, "mixed.two_at_once"),
    own_server=True,
)
def slow_disk(bench: Bench) -> None:
    target = bench.small("dynamic")
    with _reads_held(bench, target) as (own, [client]):
        _expect_others_served(
            own,
            [own.small("static", 1), own.small("static", 2)],
            f"while the disk has not answered the reads for {target}",
        )
        own.release()
        own.expect_file(own.read(client, target), target)


@check(
    "async.left_meanwhile",
    "clients leave while the reads for them are under way",
    "S1",
    "S7",
    needs=("dynamic.four_in_flight",),
    own_server=True,
)
def left_meanwhile(bench: Bench) -> None:
    left, stays = bench.large("dynamic", 0), [bench.large("dynamic", number) for number in (1, 2)]
    with _reads_held(bench, left, left) as (own, gone):
        for client in gone:
            client.abort()
        _expect_others_served(
            own,
            [own.small("static"), own.small("static", 1)],
            "clients left while the reads for them were under way, and",
        )
        _expect_buffers_kept(own, stays)


def _expect_buffers_kept(own: Bench, targets: list[str]) -> None:
    """The reads that are held complete after those for other clients, who get the right bytes."""
    with contextlib.ExitStack() as stack:
        clients = [_ask(own, stack, target) for target in targets]
        own.expect_answering("clients asked for dynamic files, and the disk has not answered")
        own.release(last_first=True)
        for client, target in zip(clients, targets):
            own.expect_file(own.read(client, target), target)
    own.expect_well("reads completed for clients that had left")


@check(
    "async.read_error",
    "a read that fails (EIO): the end of the connection, and no filling up",
    "S7",
    needs=("async.slow_disk",),
    own_server=True,
)
def read_error(bench: Bench) -> None:
    target = bench.large("dynamic")
    with _reads_held(bench, target) as (own, [client]):
        own.release(error=errno.EIO)
        reply = own.read(client, target)
        reply.should(answer="part")
        done = f"the reads for {target} failed (EIO)"
        if reply.difference is not None:
            own.fail(
                reply,
                f"{done}: {reply.outline()}",
                expected="no byte that was not read",
            )
        if reply.status != 200 or reply.ending is Ending.SILENCE:
            own.expect_refusal(reply, done)
        own.expect_well(done)
        own.expect_file(own.get(target), target)


@contextlib.contextmanager
def _reads_held(bench: Bench, *targets: str) -> Iterator[tuple[Bench, list[Client]]]:
    """A server of its own on a disk that does not answer, and clients who have asked for these files."""
    with bench.start(faults=(HoldReads(),)) as own, contextlib.ExitStack() as stack:
        clients = [_ask(own, stack, target) for target in targets]
        own.deeds.add("server", value="reading")
        own.wait(own.faults.held, "the server asks for a read")
        yield own, clients


def _ask(own: Bench, stack: contextlib.ExitStack, target: str) -> Client:
    """A client whose request for `target` has been received; closed with `stack`."""
    client = stack.enter_context(own.connect())
    client.send(request_bytes(target))
    own.wait_consumed(client)
    return client


def _expect_others_served(bench: Bench, targets: list[str], meanwhile: str) -> None:
    """These files come to others now."""
    for target in targets:
        reply = bench.get(target)
        _expect_not_blocked(bench, reply, f"{meanwhile}, GET {target}")
        bench.expect_file(reply, target)


def _expect_not_blocked(bench: Bench, reply: Reply, done: str) -> None:
    """Something came: an answer that stays out as long as somebody else is slow is a blocked server."""
    if reply.empty and reply.ending is Ending.SILENCE:
        bench.fail(reply, f"{done}: {reply.outline()}", expected="an answer, whatever the other client does")
