"""Several clients at once, and provably at once: each transfer is unfinished while the others go on."""

from __future__ import annotations

import contextlib

from .. import procfs
from ..bench import KIB, KINDS, Bench, request_bytes
from ..client import Client
from ..faults import HoldReads
from ..model import check
from ..reply import Ending, Reply

FIFTY = 50
MANY = 200
IN_FLIGHT = (256 * KIB, 2 * KIB, 128 * KIB, 64 * KIB)  # sizes that differ, in no order: whose bytes are whose is seen
SAMPLE = 64 * KIB  # so much is read of a transfer of which not all is


def _register(group: str, kinds: tuple[str, str]) -> None:
    """`kinds`: of the first file and of the second."""
    rules = ("S1", *(("S6",) if "static" in kinds else ()), *(("S7",) if "dynamic" in kinds else ()))
    # The slow one stays unfinished, and holds up nobody: without that there are no two at once.
    needs = (f"{kinds[0]}.one_then_another", f"pieces.{kinds[0]}_slow_reader", f"async.{kinds[0]}_reader")
    if group == "mixed":
        needs = ("static.two_at_once", "dynamic.two_at_once", "mixed.sequence")

    @check(f"{group}.two_at_once", f"two {group} files at once", *rules, needs=needs)
    def two_at_once(bench: Bench) -> None:
        first, second = bench.huge(kinds[0], 0), bench.huge(kinds[1], 1)
        with bench.stalled(first) as [(slow, begun)]:
            reply = bench.get(second)
            expect_not_blocked(bench, reply, f"while a client has {first} under way and does not read, GET {second}")
            bench.expect_file(reply, second)
            bench.expect_file(bench.finish(slow, begun, first), first)


_register("static", ("static", "static"))
_register("dynamic", ("dynamic", "dynamic"))
_register("mixed", KINDS)


def expect_not_blocked(bench: Bench, reply: Reply, done: str) -> None:
    """Something came: an answer that stays out until a slow client has finished is a blocked server."""
    if reply.ending is Ending.SILENCE and reply.empty:
        bench.fail(
            reply,
            f"{done}: no answer as long as the slow one did not read; {reply.why}",
            expected="200, whatever the other client does",
        )


@check(
    "static.fifty_at_once",
    "fifty static files at once",
    "S1",
    "S6",
    needs=("static.two_at_once", "connect.several"),
)
def static_fifty(bench: Bench) -> None:
    targets = [bench.huge("static", number % 4) for number in range(FIFTY)]
    with bench.stalled(*targets) as slow:
        readers = list(zip(slow, targets))
        bench.rng.shuffle(readers)
        for number, ((client, begun), target) in enumerate(readers):
            if number < 4:
                bench.expect_file(bench.finish(client, begun, target), target)
            else:
                _expect_beginning(bench, client, begun, target)


def _expect_beginning(bench: Bench, client: Client, begun: Reply, target: str) -> None:
    """What has come so far of a stalled transfer is the beginning of the file. The client leaves then."""
    content = bench.tree.content(target)
    assert content is not None
    beginning = client.receive_exactly(SAMPLE)
    if beginning != content.read(0, SAMPLE):
        client.push_back(beginning)  # all of it, to say what is wrong
        bench.expect_file(client.read_body(begun, content), target)
    client.close()


@check(
    "dynamic.fifty_at_once",
    "fifty dynamic files at once",
    "S1",
    "S7",
    needs=("dynamic.two_at_once", "connect.several", "pieces.two"),
)
def dynamic_fifty(bench: Bench) -> None:
    # One in five is large: fast ones and slow ones among each other.
    _serve_at_once(
        bench, [bench.large("dynamic", i // 5) if i % 5 == 0 else bench.small("dynamic", i) for i in range(FIFTY)]
    )


@check(
    "dynamic.four_in_flight",
    "four dynamic files are read at the same time, and the disk is done with the last one first",
    "S7",
    needs=("dynamic.two_at_once", "async.slow_disk"),
    own_server=True,
)
def dynamic_four_in_flight(bench: Bench) -> None:
    targets = [bench.tree.pair(f"flight{number}.dat", size)["dynamic"] for number, size in enumerate(IN_FLIGHT)]
    with bench.start(faults=(HoldReads(),)) as own, own.several(len(targets)) as clients:
        for client, target in zip(clients, targets):
            client.send(request_bytes(target))
            own.wait_consumed(client)
        _wait_reads_held(own)
        while own.faults.held():
            own.release(1, last_first=True)
            own.expect_answering("one of several reads that were held has completed")  # so it was looked at, by itself
        own.release()  # a server that reads one file after another has reads that come now
        own.expect_delivered()
        for client, target in zip(clients, targets):
            own.expect_file(own.read(client, target), target)


def _wait_reads_held(bench: Bench) -> None:
    """Wait until the server has begun all the reads that it begins now: it sleeps, and for eight looks their number has
    stayed. (It may read one file after another: then there is one.)"""
    bench.deeds.add("server", value="reading")
    looks, held = 0, -1

    def settled() -> bool:
        nonlocal looks, held
        now = bench.faults.held() if set(procfs.states(bench.server.pid)) <= {"S"} else -1
        looks, held = (looks + 1 if now == held and now > 0 else 0), now
        return looks > 8

    bench.wait(settled, "the server begins to read the files, by io_submit")


@check(
    "mixed.fifty_at_once",
    "fifty files at once, static and dynamic, some of one name in both folders",
    "S1",
    "S2",
    needs=("mixed.two_at_once", "static.fifty_at_once", "dynamic.fifty_at_once"),
)
def mixed_fifty(bench: Bench) -> None:
    names = [bench.huge("static", number % 2) for number in range(FIFTY - 10)]
    with bench.stalled(*names) as slow:
        # The twins of the two files that are open now, and others.
        twins = [bench.huge("dynamic", number) for number in range(2)]
        _serve_at_once(bench, [*twins, *(bench.small("dynamic", number) for number in range(8))])
        for (client, begun), target in list(zip(slow, names))[:2]:
            bench.expect_file(bench.finish(client, begun, target), target)


@check(
    "static.two_hundred_at_once",
    "two hundred clients at once, for one file",
    "S1",
    "S15",
    needs=("static.fifty_at_once", "disconnect.several", "pieces.two"),
)
def static_two_hundred(bench: Bench) -> None:
    _serve_at_once(bench, [bench.small("static")] * MANY)


def _serve_at_once(bench: Bench, targets: list[str]) -> None:
    """A client for each; all have sent the first half of their requests before any sends its second: all are under way
    at once. They read in another order than they asked."""
    with contextlib.ExitStack() as stack:
        clients = [(stack.enter_context(bench.connect()), target) for target in targets]
        halves = [(client, request_bytes(target)) for client, target in clients]
        for client, request in halves:
            client.send(request[: len(request) // 2])
        bench.wait_accepted(client for client, _ in clients)
        for client, request in halves:
            client.send(request[len(request) // 2 :])
        bench.rng.shuffle(clients)
        for client, target in clients:
            bench.expect_file(bench.read(client, target), target)
            client.close()
