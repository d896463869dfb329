"""What a server holds: descriptors and AIO contexts come back after every kind of request; running out is survived."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from .. import procfs
from ..bench import KINDS, Bench, request_bytes, wait_until
from ..model import Failure, check

ROUNDS = 20
NOFILE = 40


def _register(name: str, title: str, needs: tuple[str, ...], visit: Callable[[Bench], object]) -> None:
    """`visit` is what one client does, `title` its name in a sentence."""

    @check(f"leak.{name}", f"nothing is left open after {title}", "S9", needs=needs)
    def leak(bench: Bench) -> None:
        for _ in range(3):
            visit(bench)
        before = bench.settled_descriptors()
        contexts = procfs.aio_contexts(bench.server.pid)
        for _ in range(ROUNDS):
            visit(bench)
        bench.expect_alive(f"{ROUNDS} times {title}")

        def back() -> bool:
            return (
                len(procfs.descriptors(bench.server.pid)) <= len(before)
                and procfs.aio_contexts(bench.server.pid) <= contexts
            )

        try:
            wait_until(back, bench.patience, "as many descriptors and AIO contexts as before")
        except Failure as failure:
            now = procfs.descriptors(bench.server.pid)
            extra = sorted(link for key, link in now.items() if key not in before)
            raise Failure(
                f"{ROUNDS} times {title}: {len(before)} descriptors were open before and {len(now)} after,"
                f" {contexts} AIO contexts before and {procfs.aio_contexts(bench.server.pid)} after",
                got=", ".join(extra[:20]),
                expected="as many as before",
                likely="the file, the socket or the eventfd is not closed on one path, or io_destroy is missing",
            ) from failure


_register("static", "a static file", ("static.small_equal",), lambda bench: bench.get(bench.small("static")))
_register("dynamic", "a dynamic file", ("dynamic.small_equal",), lambda bench: bench.get(bench.small("dynamic")))
_register("notfound", "a 404", ("notfound.static",), lambda bench: bench.get("/static/no-such-file.dat"))
_register("connect", "connect and close", ("connect.one",), lambda bench: bench.connect().close())
_register("malformed", "a malformed request", ("connect.one",), lambda bench: bench.ask(b"what\r\n\r\n"))
_register(
    "empty",
    "an empty dynamic file",
    ("dynamic.small_equal",),
    lambda bench: bench.get(bench.tree.pair("empty", 0)["dynamic"]),
)


@check(
    "descriptors.exhausted",
    "more clients than descriptors: it lives, and serves when some have left",
    "S15",
    needs=("static.small_equal", "disconnect.several"),
    own_server=True,
)
def exhausted(bench: Bench) -> None:
    bench.small("static")
    with bench.start(nofile=NOFILE) as own:
        with own.several(2 * NOFILE) as clients:
            for client in clients:
                client.send(request_bytes(own.small("static"))[:5])
            with contextlib.suppress(Failure):  # a server that died accepts nothing: the next line says that better
                own.wait_full()
            own.expect_alive(f"{2 * NOFILE} clients with at most {NOFILE} descriptors")
        own.expect_well(f"{2 * NOFILE} clients with at most {NOFILE} descriptors came, and left")


@check(
    "descriptors.no_spin",
    "more clients than descriptors cost no CPU",
    "S15",
    needs=("descriptors.exhausted",),
    own_server=True,
)
def no_spin(bench: Bench) -> None:
    with bench.start(nofile=NOFILE) as own:
        with own.several(2 * NOFILE):
            own.wait_full()
            own.wait_idle(f"{2 * NOFILE} silent clients with at most {NOFILE} descriptors")


@check(
    "descriptors.for_files",
    "no descriptor left for the file: refused or served later, and alive",
    "S15",
    needs=("descriptors.exhausted",),
    own_server=True,
)
def for_files(bench: Bench) -> None:
    for kind in KINDS:
        bench.small(kind)
    with bench.start(nofile=NOFILE) as own:
        with own.several(2 * NOFILE) as clients:
            for number, client in enumerate(clients):
                client.send(request_bytes(own.small(KINDS[number % 2])))
            for number, client in enumerate(clients):
                reply = own.read(client, own.small(KINDS[number % 2]))
                client.close()  # a server that lingers waits for that, with a descriptor in its hand
                if reply.status == 200:
                    own.expect_file(reply, own.small(KINDS[number % 2]))
                else:
                    own.expect_refusal(reply, "a request with no descriptor left for its file")
        own.expect_well(f"{2 * NOFILE} requests at once with at most {NOFILE} descriptors")
