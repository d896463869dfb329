"""Static and dynamic files: received whole, equal byte for byte, one after another."""

from __future__ import annotations

from collections.abc import Callable

from ..bench import KINDS, Bench
from ..model import check

RULES = {"static": ("S2", "S6"), "dynamic": ("S2", "S7", "S8")}


def _register(kind: str, size: str, pick: Callable[[Bench], str]) -> None:
    """The two checks of one kind and size: received, and equal."""

    @check(
        f"{kind}.{size}_received",
        f"a {size} {kind} file is received: 200, length, end",
        *RULES[kind],
        needs=("connect.one",),
    )
    def received(bench: Bench) -> None:
        target = pick(bench)
        bench.expect_received(bench.get(target), target)

    @check(
        f"{kind}.{size}_equal",
        f"a {size} {kind} file is equal byte for byte",
        *RULES[kind],
        needs=(f"{kind}.{size}_received",),
    )
    def equal(bench: Bench) -> None:
        target = pick(bench)
        bench.expect_equal(bench.get(target), target)


def _register_sequence(kind: str) -> None:
    @check(
        f"{kind}.one_then_another", f"one {kind} file, then another", *RULES[kind], "S9", needs=(f"{kind}.small_equal",)
    )
    def one_then_another(bench: Bench) -> None:
        # Small, large, small: what the first left behind in a connection's memory must not show in the second.
        for target in (bench.small(kind, 1), bench.large(kind, 1), bench.small(kind, 2)):
            bench.expect_file(bench.get(target), target)


for _kind in KINDS:
    _register(_kind, "small", lambda bench, kind=_kind: bench.small(kind))
    _register(_kind, "large", lambda bench, kind=_kind: bench.large(kind))
    _register_sequence(_kind)
