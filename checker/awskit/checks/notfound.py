"""What is not there, or not below the two folders, is 404."""

from __future__ import annotations

from ..bench import Bench
from ..model import check


@check("notfound.static", "a static file that is not there is 404", "S2", needs=("connect.one",))
def notfound_static(bench: Bench) -> None:
    _expect_missing(bench, "/static/no-such-file.dat")


@check("notfound.dynamic", "a dynamic file that is not there is 404", "S2", needs=("connect.one",))
def notfound_dynamic(bench: Bench) -> None:
    _expect_missing(bench, "/dynamic/no-such-file.dat")


@check("notfound.outside", "a path outside of both folders is 404", "S2", needs=("connect.one",))
def notfound_outside(bench: Bench) -> None:
    _expect_missing(bench, "/no-such-folder/small00.dat")


def _expect_missing(bench: Bench, target: str) -> None:
    bench.expect_404(bench.get(target), f"GET {target}, which is not there")
    bench.expect_alive(f"GET {target}")
