"""Files that change under the server: truncated, grown or replaced while they are sent, and never by the server."""

from __future__ import annotations

from ..bench import HUGE, KINDS, Bench
from ..model import Failure, check
from ..reply import Ending


def _register(kind: str) -> None:
    @check(
        f"change.{kind}_truncated",
        f"a {kind} file that shrinks while it is sent: the end, and no filling up",
        "S6" if kind == "static" else "S7",
        needs=("static.small_equal", f"pieces.{kind}_slow_reader"),
    )
    def truncated(bench: Bench) -> None:
        target = f"/{kind}/shrinks.dat"
        bench.tree.file(target, HUGE)
        content = bench.tree.content(target)
        with bench.stalled(target) as [(client, begun)]:
            # To nothing, not to a part: the kernel would zero the rest of a page that is in a socket's queue by now.
            bench.change(target, "empty")
            client.widen()
            reply = client.read_body(begun, content)
        reply.should(answer="part")
        done = f"{target} was truncated while it was sent"
        if reply.ending not in (Ending.FIN, Ending.RST):
            bench.fail(
                reply,
                f"{done}: {reply.outline()}",
                expected="the end of the connection, so that the client sees that the length was not kept",
            )
        if reply.difference is not None:
            bench.fail(reply, f"{done}: other bytes were sent than the file had", expected="only bytes of the file")
        bench.expect_well(done)


_register("static")
_register("dynamic")


@check(
    "change.grown",
    "files that grow while they are sent: as many bytes as announced",
    "S6",
    "S7",
    needs=("head.length", *(f"pieces.{kind}_slow_reader" for kind in KINDS)),
)
def grown(bench: Bench) -> None:
    for kind in KINDS:
        target = f"/{kind}/grows.dat"
        bench.tree.file(target, HUGE)
        with bench.stalled(target) as [(client, begun)]:
            bench.change(target, "append", b"more" * 10000)
            reply = bench.finish(client, begun, target)
        bench.tree.forget(target)
        if reply.head is None or reply.length != reply.head.content_length:
            bench.fail(
                reply,
                f"{target} grew while it was sent: {reply.outline()}",
                expected=f"{HUGE:,} bytes of body, as Content-Length said",
            )


@check(
    "change.replaced",
    "files that are replaced while they are sent: the old one whole, and the next client gets the new one",
    "S6",
    "S7",
    needs=tuple(f"pieces.{kind}_slow_reader" for kind in KINDS),
)
def replaced(bench: Bench) -> None:
    for kind in KINDS:
        target = f"/{kind}/old.dat"
        bench.tree.file(target, HUGE)
        with bench.stalled(target) as [(client, begun)]:
            old = bench.tree.content(target)
            bench.change(target, "replace", b"new")
            client.widen()
            reply = client.read_body(begun, old)
        if reply.difference is not None or reply.length != HUGE:
            bench.fail(
                reply,
                f"{target} was replaced by rename(2) while it was sent: {reply.outline()}",
                expected="all of the old file",
            )
        bench.expect_file(bench.get(target), target)
        bench.tree.forget(target)


@check(
    "change.untouched",
    "serving changes nothing below the root",
    "U5",
    needs=("static.small_equal", "dynamic.small_equal"),
    submission=False,  # a submission's root is read-only; what it tries is seen by how it opens files
)
def untouched(bench: Bench) -> None:
    for kind in KINDS:
        bench.get(bench.small(kind))
        bench.get(f"/{kind}/not-to-be-made.dat")
    damaged = bench.tree.damaged()
    made = [kind for kind in KINDS if bench.tree.path(f"/{kind}/not-to-be-made.dat").exists()]
    if damaged or made:
        raise Failure(
            "requests have changed the files below the root",
            got=f"other than before: {damaged[:5]}; made by a GET: {made}",
            expected="files that are only read",
        )
