"""Static and dynamic files: received whole, equal byte for byte, one after another."""

from __future__ import annotations

from collections.abc import Callable

from ..bench import KIB, KINDS, Bench
from ..model import check

RULES = {"static": ("S2", "S6"), "dynamic": ("S2", "S7", "S8")}


def _register(kind: str, size: str, pick: Callable[[Bench], list[str]], *needs: str) -> None:
    """The two checks of one kind and size: received, and equal. `needs` are the kind's checks of what is simpler."""

    @check(
        f"{kind}.{size}_received",
        f"a {size} {kind} file is received: 200, length, end",
        *RULES[kind],
        needs=tuple(f"{kind}.{need}_received" for need in needs) or ("connect.one",),
    )
    def received(bench: Bench) -> None:
        for target in pick(bench):
            bench.expect_received(bench.get(target), target)

    @check(
        f"{kind}.{size}_equal",
        f"a {size} {kind} file is equal byte for byte",
        *RULES[kind],
        needs=(f"{kind}.{size}_received", *(f"{kind}.{need}_equal" for need in needs)),
    )
    def equal(bench: Bench) -> None:
        for target in pick(bench):
            bench.expect_equal(bench.get(target), target)


def _register_sequence(kind: str) -> None:
    @check(
        f"{kind}.one_then_another", f"one {kind} file, then another", *RULES[kind], "S9", needs=(f"{kind}.large_equal",)
    )
    def one_then_another(bench: Bench) -> None:
        # Small, large, small: what the first left behind in a connection's memory must not show in the second.
        for target in (bench.small(kind, 1), bench.large(kind, 1), bench.small(kind, 2)):
            bench.expect_file(bench.get(target), target)


def _small(bench: Bench, kind: str) -> list[str]:
    """Two sizes: a server that says the same to everybody may have guessed the length of one."""
    return [bench.small(kind), bench.tree.pair("smaller.dat", KIB)[kind]]


for _kind in KINDS:
    _register(_kind, "small", lambda bench, kind=_kind: _small(bench, kind))
    _register(_kind, "large", lambda bench, kind=_kind: [bench.large(kind)], "small")
    _register_sequence(_kind)


@check(
    "mixed.sequence",
    "files of both kinds and 404s, each after each other",
    "S9",
    needs=("static.one_then_another", "dynamic.one_then_another", "notfound.static", "notfound.dynamic"),
)
def mixed_sequence(bench: Bench) -> None:
    files = [pick(kind, 3) for kind in KINDS for pick in (bench.small, bench.large)]
    missing = iter(KINDS)
    for number, target in enumerate(_each_after_each(files)):
        if number % 6 == 5:
            gone = f"/{next(missing)}/gone.dat"
            bench.expect_404(bench.get(gone), f"GET {gone} after other files")
        bench.expect_file(bench.get(target), target)


def _each_after_each(things: list[str]) -> list[str]:
    """As short a sequence as can be in which each thing comes once right after each other, and once after itself."""
    order = []
    for first in range(len(things)):
        order.append(things[first])
        for second in range(first + 1, len(things)):
            order += [things[first], things[second]]
    return [*order, things[0]]
