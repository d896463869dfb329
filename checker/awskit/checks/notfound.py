"""What is not there, or not below the two folders, is 404."""

from __future__ import annotations

from ..bench import Bench
from ..model import check


@check("notfound.static", "a static file that is not there is 404", "S2", needs=("connect.one",))
def notfound_static(bench: Bench) -> None:
    _expect_missing(bench, "/static/no-such-file.dat")


@check("notfound.dynamic", "a dynamic file that is not there is 404", "S2", needs=("connect.one",))
def notfound_dynamic(bench: Bench) -> None:
    _expect_missing(bench, "/dynamic/no-such-file.dat", "dynamic")


@check("notfound.outside", "a path outside of both folders is 404", "S2", needs=("connect.one",))
def notfound_outside(bench: Bench) -> None:
    bench.small("static")  # of that name a file is there, in the right folder
    _expect_missing(bench, "/no-such-folder/small00.dat")
    # There, and yet not ours to give: the folders are looked at, not whether open(2) succeeds.
    bench.tree.text("/outside.txt", b"beside the two folders\n")
    bench.expect_404(bench.get("/outside.txt"), "GET /outside.txt, which is there, but outside of both folders")


def _expect_missing(bench: Bench, target: str, there: str = "static") -> None:
    """404 for `target`; and not for a file that is there, or 404 would be what this server says to everything."""
    bench.expect_404(bench.get(target), f"GET {target}, which is not there")
    present = bench.get(bench.small(there))
    # A file without a head is the business of another check; a 404 or nothing at all is this one's.
    if present.empty or present.status not in (None, 200):
        bench.fail(
            present,
            f"GET {target}, which is not there, is 404; but a file that is there is not 200: {present.outline()}",
            expected="404 for the one and 200 for the other",
        )
    bench.expect_alive(f"GET {target}")
