"""What a server holds: descriptors and AIO contexts come back after every kind of request; running out is survived."""

from __future__ import annotations

from collections.abc import Callable

from .. import procfs
from ..bench import KINDS, Bench, request_bytes
from ..client import Client
from ..model import Failure, check

ROUNDS = 10
NOFILE = 40
BEGUN = b"GET /"
OPENED = 2 * NOFILE  # clients at most: the server has descriptors for fewer than half of them


def _register(name: str, title: str, needs: tuple[str, ...], visit: Callable[[Bench], object]) -> None:
    """`visit` is what one client does, `title` its name in a sentence."""

    @check(f"leak.{name}", f"nothing is left open after {title}", "S9", needs=needs)
    def leak(bench: Bench) -> None:
        for _ in range(3):
            visit(bench)
        bench.deeds.add("remember", value="descriptors")
        before = bench.settled_descriptors()
        for _ in range(ROUNDS):
            visit(bench)
        bench.expect_alive(f"{ROUNDS} times {title}")
        bench.deeds.add("compare", value=("descriptors", 0))
        now = procfs.descriptors(bench.server.pid)

        def back() -> bool:
            nonlocal now
            now = procfs.descriptors(bench.server.pid)
            return len(now) <= len(before)

        try:
            bench.wait(back, "as many descriptors as before")
        except Failure as failure:
            extra = sorted(link for key, link in now.items() if key not in before)
            raise Failure(
                f"{ROUNDS} times {title}: {len(before)} descriptors were open before and {len(now)} after",
                got=", ".join(extra[:20]),
                expected="as many as before",
            ).seen(left_open={_kind_of(link) for link in extra}) from failure


def _kind_of(link: str) -> str:
    """What a descriptor leads to, in a word: its link in /proc/PID/fd (proc(5))."""
    kinds = {"socket:": "socket", "/": "file", "anon_inode:[eventfd]": "eventfd"}
    return next((kind for start, kind in kinds.items() if link.startswith(start)), "other")


def _visit_missing(bench: Bench) -> None:
    bench.get("/static/no-such-file.dat")
    bench.get("/dynamic/no-such-file.dat")


def _visit_malformed(bench: Bench) -> None:
    bench.ask(b"what\r\n\r\n")
    bench.ask(b"GET\r\n\r\n")


def _leave(bench: Bench) -> None:
    """A client goes in mid-transfer, of a static and of a dynamic file."""
    for kind in KINDS:
        with bench.connect() as client:
            client.send(request_bytes(bench.huge(kind)))
            client.receive_exactly(1000)
            client.abort()


_register(
    "static",
    "a static file",
    ("static.small_equal",),
    lambda bench: bench.get(bench.small("static")),
)
_register(
    "dynamic",
    "a dynamic file",
    ("dynamic.small_equal",),
    lambda bench: bench.get(bench.small("dynamic")),
)
_register(
    "notfound",
    "a 404",
    ("notfound.static", "notfound.dynamic"),
    _visit_missing,
)
_register(
    "malformed",
    "a malformed request",
    ("request.malformed",),
    _visit_malformed,
)
_register(
    "empty",
    "an empty file",
    ("leak.static", "leak.dynamic", "size.static_empty", "size.dynamic_empty"),
    lambda bench: [bench.get(bench.tree.pair("empty.dat", 0)[kind]) for kind in KINDS],
)
_register(
    "aborted",
    "clients that left in mid-transfer",
    ("leak.static", "leak.dynamic", "abort.dynamic"),
    _leave,
)


@check(
    "leak.contexts",
    "no AIO context is left after dynamic files, delivered and aborted",
    "S9",
    needs=("leak.dynamic", "abort.dynamic"),
)
def leak_contexts(bench: Bench) -> None:
    def visit() -> None:
        bench.get(bench.small("dynamic"))
        _leave(bench)

    for _ in range(3):
        visit()
    bench.deeds.add("remember", value="contexts")
    bench.settled_descriptors()
    before = procfs.aio_contexts(bench.server.pid)
    for _ in range(ROUNDS):
        visit()
    bench.expect_alive("dynamic files, delivered and aborted")
    bench.deeds.add("compare", value=("contexts", 0))
    try:
        bench.wait(lambda: procfs.aio_contexts(bench.server.pid) <= before, "no more AIO contexts")
    except Failure as failure:
        raise Failure(
            f"{2 * ROUNDS} dynamic files, delivered and aborted: {before} AIO contexts were open before,"
            f" {procfs.aio_contexts(bench.server.pid)} after",
            got="contexts that nobody uses, out of a number that all programs of the machine share (fs.aio-max-nr)",
            expected="as many as before",
        ).seen(left_open="context") from failure


def _begin(bench: Bench, clients: list[Client]) -> None:
    """All begin a request, and the server accepts as many as it has room for."""
    for client in clients:
        client.send(BEGUN)  # a word, or a listener with TCP_DEFER_ACCEPT would not accept them
    bench.wait_full()


@check(
    "descriptors.exhausted",
    "more clients than descriptors: it lives, and serves when some have left",
    "S15",
    needs=("static.small_equal", "disconnect.several", "pieces.end_in_request"),
    own_server=True,
)
def exhausted(bench: Bench) -> None:
    bench.small("static")
    with bench.start(nofile=NOFILE) as own:
        with own.crowd(OPENED) as clients:
            _begin(own, clients)
            own.expect_alive(f"{len(clients)} clients with at most {NOFILE} descriptors")
        own.expect_well(f"{len(clients)} clients with at most {NOFILE} descriptors came, and left")


@check(
    "descriptors.no_spin",
    "more clients than descriptors cost no CPU",
    "S15",
    needs=("descriptors.exhausted", "idle.half_request"),
    own_server=True,
)
def no_spin(bench: Bench) -> None:
    with bench.start(nofile=NOFILE) as own:
        with own.crowd(OPENED) as clients:
            _begin(own, clients)
            own.wait_idle(f"{len(clients)} clients with at most {NOFILE} descriptors")


@check(
    "descriptors.for_files",
    "no descriptor left for the file: refused or served later, and alive",
    "S15",
    needs=("descriptors.no_spin", "mixed.fifty_at_once", "leak.static", "leak.dynamic", "leak.notfound"),
    own_server=True,
)
def for_files(bench: Bench) -> None:
    for kind in KINDS:
        bench.small(kind)
    with bench.start(nofile=NOFILE) as own:
        with own.crowd(OPENED) as clients:
            _begin(own, clients)
            for number, client in enumerate(clients):
                client.send(request_bytes(own.small(KINDS[number % 2]))[len(BEGUN) :])
            for number, client in enumerate(clients):
                reply = own.read(client, own.small(KINDS[number % 2]))
                reply.should(answer="either", file=own.small(KINDS[number % 2]))
                client.close()  # a server that lingers waits for that, with a descriptor in its hand
                if reply.status == 200:
                    own.expect_file(reply, own.small(KINDS[number % 2]))
                else:
                    own.expect_refusal(reply, "a request with no descriptor left for its file")
        own.expect_well(f"{len(clients)} requests at once with at most {NOFILE} descriptors")
