"""Files of every size at which some buffer, block or window ends, one check for each, static and dynamic."""

from __future__ import annotations

from ..bench import KIB, KINDS, MIB, Bench, request_bytes
from ..model import check

# BUFSIZ (8192), a page, 64 KiB, the reference's buffer of 128 KiB and its default window of 4 MiB, each with both
# neighbours; empty; and files that nobody should load whole, of which counts in int and single reads go wrong.
SIZES = (
    0,
    1,
    511,
    *(base + near for base in (4 * KIB, 8 * KIB, 64 * KIB, 128 * KIB, 4 * MIB) for near in (-1, 0, 1)),
    100 * MIB,
)
SPARSE = 3 * 1024 * MIB  # more than an int holds


def _register(kind: str, size: int) -> None:
    # An empty dynamic file needs no read, so it needs none of what the others do.
    @check(
        f"size.{kind}_{size}",
        f"a {kind} file of {size:,} bytes",
        "S6" if kind == "static" else "S7",
        needs=(f"{kind}.small_equal",),
    )
    def of_size(bench: Bench) -> None:
        target = bench.tree.pair(f"size-{size}.dat", size)[kind]
        bench.expect_file(bench.get(target), target)
        if size == 0:
            bench.expect_well(f"GET {target}, an empty file")


for _kind in KINDS:
    for _size in SIZES:
        _register(_kind, _size)


@check("size.static_3g_head", "Content-Length of a file of 3 GiB", "S5", needs=("static.small_equal",))
def static_3g_head(bench: Bench) -> None:
    target = "/static/sparse-3g.dat"
    bench.tree.sparse(target, SPARSE)
    with bench.connect() as client:
        client.send(request_bytes(target))
        reply = client.read_head()
        length = reply.head.content_length if reply.head else None
        if reply.status != 200 or length != SPARSE:
            bench.fail(
                reply,
                f"GET {target}: status {reply.status}, Content-Length {length}",
                expected=f"status 200, Content-Length: {SPARSE}",
                likely="the size is kept in an int, or printed by %d",
            )
        client.abort()
    bench.expect_well(f"the head of {target} was read and the client left")
