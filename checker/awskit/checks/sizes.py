"""Files of every size at which some buffer, block, list of buffers or counter ends."""

from __future__ import annotations

from .. import procfs
from ..bench import KIB, KINDS, MIB, Bench, request_bytes
from ..model import check

# The sizes of which programmers make buffers (512, a page, BUFSIZ of 8192, 64 KiB, …), each with both neighbours.
BUFFERS = tuple(KIB // 2 << shift for shift in range(9))
# Some that are near none and a multiple of nothing.
ODD = (1, 3, 1009, 10007, 99991)
AROUND = tuple(sorted({*ODD, *(size + near for size in BUFFERS for near in (-1, 0, 1))}))
# More than a list of buffers of a fixed length holds, or one read, or what anybody should have in memory at once.
LARGE = 64 * MIB
# The reference's default window, at its end and beside it; and more than it may have in memory for all in all.
WINDOW = 4 * MIB
WHOLE_WINDOWS = (WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 100 * MIB)
SPARSE = 3 * 1024 * MIB  # more than an int holds


def _serve(bench: Bench, kind: str, *sizes: int) -> None:
    """A file of each size, one after another, from the same server."""
    for size in sizes:
        target = f"/{kind}/size-{size}.dat"
        if size < MIB:
            bench.tree.pair(f"size-{size}.dat", size)
        else:  # whether the folders are mixed up is seen in small ones
            bench.tree.file(target, size)
        bench.expect_file(bench.get(target), target)


def _register(kind: str) -> None:
    rule = "S6" if kind == "static" else "S7"
    needs = (f"{kind}.one_then_another",)

    @check(f"size.{kind}_around", f"{kind} files around every size of which buffers are made", rule, needs=needs)
    def around(bench: Bench) -> None:
        _serve(bench, kind, *AROUND)

    @check(f"size.{kind}_empty", f"an empty {kind} file", rule, needs=(f"{kind}.small_equal",))
    def empty(bench: Bench) -> None:
        _serve(bench, kind, 0)
        bench.expect_alive(f"GET of an empty {kind} file")
        target = bench.small(kind)
        bench.expect_file(bench.get(target), target)

    @check(f"size.{kind}_large", f"a {kind} file of {LARGE // MIB} MiB", rule, needs=(f"pieces.{kind}_slow_reader",))
    def large(bench: Bench) -> None:
        before = procfs.memory(bench.server.pid, "VmHWM")
        _serve(bench, kind, LARGE)
        grown = procfs.memory(bench.server.pid, "VmHWM") - before
        if grown > LARGE // 2:
            bench.note(
                f"a {kind} file of {LARGE // MIB} MiB took {grown // MIB} MiB of memory: it is read whole before it is"
                " sent, which the assignment allows; a list of buffers with a bound would do"
            )

    @check(f"size.{kind}_windows", f"{kind} files of whole windows of the reference's", rule, submission=False)
    def windows(bench: Bench) -> None:
        _serve(bench, kind, *WHOLE_WINDOWS)


for _kind in KINDS:
    _register(_kind)


@check("size.static_3g_head", "Content-Length of a file of 3 GiB", "S5", needs=("size.static_large", "head.length"))
def static_3g_head(bench: Bench) -> None:
    target = "/static/sparse-3g.dat"
    bench.tree.sparse(target, SPARSE)
    with bench.connect() as client:
        client.send(request_bytes(target))
        reply = client.read_head()
        reply.should(answer=200, head_only=True, fields={"Content-Length": str(SPARSE)})
        length = reply.head.content_length if reply.head else None
        if reply.status != 200 or length != SPARSE:
            bench.fail(
                reply,
                f"GET {target}: status {reply.status}, Content-Length {length}",
                expected=f"status 200, Content-Length: {SPARSE}",
            )
        client.abort()
    bench.expect_well(f"the head of {target} was read and the client left")
