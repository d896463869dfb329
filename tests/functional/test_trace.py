"""The trace: one line for each change of state, along the edges of the contract's table, and no other."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from awskit.bench import KINDS, Bench, request_bytes

LINE = re.compile(r"(\d+\.\d{6}) conn=(\d+) fd=(\d+) (\w+) -> (\w+)")

# The contract's table. "new" is where a connection comes from.
EDGES = {
    "new": {"CONN_INIT"},
    "CONN_INIT": {"CONN_READING", "CONN_WREADY", "CONN_CLOSED"},
    "CONN_READING": {"CONN_WREADY", "CONN_CLOSED"},
    "CONN_WREADY": {"CONN_SENDING", "CONN_READING_ASYNC", "CONN_LINGERING", "CONN_CLOSED"},
    "CONN_READING_ASYNC": {"CONN_SENDING", "CONN_CLOSED"},
    "CONN_SENDING": {"CONN_READING_ASYNC", "CONN_LINGERING", "CONN_CLOSED"},
    "CONN_LINGERING": {"CONN_CLOSED"},
}
STATIC = ["CONN_INIT", "CONN_WREADY", "CONN_SENDING", "CONN_CLOSED"]
DYNAMIC = ["CONN_INIT", "CONN_WREADY", "CONN_READING_ASYNC", "CONN_SENDING", "CONN_CLOSED"]
MISSING = ["CONN_INIT", "CONN_WREADY", "CONN_CLOSED"]


def new_trace(bench: Bench) -> Path:
    """An empty file that the server may write."""
    path = bench.launcher.scratch / "trace"  # type: ignore[attr-defined]
    path.unlink(missing_ok=True)
    path.touch()
    if os.geteuid() == 0:
        os.chown(path, bench.launcher.uid, -1)  # type: ignore[attr-defined]
    return path


@contextmanager
def traced(bench: Bench, *args: str) -> Iterator[tuple[Bench, list[list[str]]]]:
    """A server that traces; after the block the list holds the states of each connection, in the order of coming."""
    path = new_trace(bench)
    ways: list[list[str]] = []
    with bench.start(args=("--trace", str(path), *args)) as own:
        yield own, ways
    ways += read_trace(path)


def read_trace(path: Path) -> list[list[str]]:
    """The states that each connection went through; asserts the grammar, the clock, the numbering and every edge."""
    ways: dict[int, list[str]] = {}
    clock = 0.0
    for line in path.read_text().splitlines():
        match = LINE.fullmatch(line)
        assert match, f"no line of a trace: {line!r}"
        time, number, before, after = float(match[1]), int(match[2]), match[4], match[5]
        assert time >= clock, f"the clock goes backwards at {line!r}"
        assert after in EDGES.get(before, set()), f"no edge of the table: {line!r}"
        if before == "new":
            assert number == len(ways) + 1, f"connections are counted from 1: {line!r}"
            ways[number] = []
        else:
            assert ways[number][-1] == before, f"{line!r} after {ways[number]}"
        ways[number].append(after)
        clock = time
    return list(ways.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_way_of_a_whole_request(plain_bench: Bench, kind: str) -> None:
    with traced(plain_bench) as (own, ways):
        for target in (own.small(kind), own.tree.pair("empty", 0)[kind]):
            own.expect_file(own.get(target), target)
        own.get(f"/{kind}/none")
    way = STATIC if kind == "static" else DYNAMIC
    assert ways == [way, ways[1], MISSING]
    assert ways[1] in (way, MISSING), "an empty file"


def test_the_way_of_a_request_in_pieces(plain_bench: Bench) -> None:
    with traced(plain_bench) as (own, ways):
        request = request_bytes(own.small("static"))
        with own.connect() as client:
            own.send_pieces(client, [request[:3], request[3:9], request[9:]])
            own.read(client)
    assert ways == [["CONN_INIT", "CONN_READING", *STATIC[1:]]]


def test_a_file_larger_than_the_window_goes_back_for_the_next(plain_bench: Bench) -> None:
    with traced(plain_bench, "--window=1M") as (own, ways):
        target = own.huge("dynamic")
        own.expect_file(own.get(target), target)
    assert ways[0].count("CONN_READING_ASYNC") == 8, ways


def test_the_ways_of_those_who_leave(plain_bench: Bench) -> None:
    with traced(plain_bench) as (own, ways):
        with own.connect() as client:
            own.wait_accepted([client])
        own.wait_released([client])
        with own.connect() as client:
            client.send(b"GET")
            own.wait_consumed(client)
            client.abort()
        own.wait_released([client])
        with own.stalled(own.huge("static")) as [(client, _begun)]:
            client.abort()
        own.wait_released([client])
        # What follows the request is read away before the end.
        own.ask(request_bytes("/static/none") * 2)
    assert ways == [
        ["CONN_INIT", "CONN_CLOSED"],
        ["CONN_INIT", "CONN_READING", "CONN_CLOSED"],
        ["CONN_INIT", "CONN_WREADY", "CONN_SENDING", "CONN_CLOSED"],
        ["CONN_INIT", "CONN_WREADY", "CONN_LINGERING", "CONN_CLOSED"],
    ]


def test_every_edge_taken_in_a_crowd_is_in_the_table(bench: Bench) -> None:
    """All kinds of clients at once: `read_trace` asserts each line."""
    with traced(bench, "--window=256K", "--dynamic-memory=1M") as (own, ways):
        with own.several(40) as clients:
            for number, client in enumerate(clients):
                target = own.large(KINDS[number % 2], number % 4)
                request = (request_bytes(target) * 2, request_bytes(target), b"nonsense\r\n\r\n", b"GET /")[
                    number // 2 % 4
                ]
                client.send(request)
            for number, client in enumerate(clients):
                if number % 5 == 0 or number // 2 % 4 == 3:
                    client.abort()
                else:
                    own.read(client)
    assert len(ways) == 40
    assert {way[-1] for way in ways} == {"CONN_CLOSED"}


def test_a_trace_that_cannot_be_written_stops_nobody(plain_bench: Bench) -> None:
    """The limit of a file's size comes with a signal that kills, SIGXFSZ."""
    launcher = copy.copy(plain_bench.launcher)
    launcher.wrapper = ("prlimit", "--fsize=64", "--")  # type: ignore[attr-defined]
    path = new_trace(plain_bench)
    with replace(plain_bench, launcher=launcher).start(args=("--trace", str(path))) as own:
        own.expect_file(own.get(own.small("static")), own.small("static"))
        own.expect_well("its trace had reached the limit of a file's size")
    assert path.stat().st_size == 64
