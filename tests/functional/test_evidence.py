"""What the kernel saw of served requests (strace): no waiting but in epoll_wait, static bytes by sendfile only, dynamic
bytes by io_submit only, and few calls."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Station, Watched

from awskit.bench import HUGE, LARGE, MIB, SMALL, Bench, request_bytes

pytestmark = [
    pytest.mark.usefixtures("unsanitized"),
    pytest.mark.skipif(not shutil.which("strace"), reason="strace is missing"),
]

CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\d+|\?|0x[0-9a-f]+)(.*)")
# What a served request may call, and why none of it can wait: sockets and the eventfd are O_NONBLOCK (asserted below),
# a document is opened with O_NONBLOCK and read by sendfile(2) or AIO, io_getevents(2) is told not to wait.
ALLOWED = set(
    "epoll_wait epoll_pwait epoll_ctl accept4 recvfrom sendto sendfile shutdown close ioctl setsockopt getsockopt"
    " openat2 fstat newfstatat statx fadvise64 readahead fcntl io_submit io_getevents read clock_gettime"
    " brk mmap munmap mremap madvise".split()
)
BUDGET = 8  # system calls of a small static GET from accept to close, epoll's own not counted


@dataclass(frozen=True)
class Call:
    """One system call: its name, its arguments as strace writes them, its result."""

    name: str
    args: str
    result: int


@dataclass(frozen=True)
class Evidence:
    """All calls of a run, from the accept(2) of its first connection on, in order."""

    calls: list[Call]

    def request(self, path: str) -> list[Call]:
        """The calls from the accept(2) of the connection that got the file `path` to the close(2) of its socket."""
        opened = next(i for i, call in enumerate(self.calls) if "open" in call.name and Path(path).name in call.args)
        first = max(i for i in range(opened) if self.calls[i].name == "accept4" and self.calls[i].result >= 0)
        number = self.calls[first].result
        rest = enumerate(self.calls[first:], first)
        last = next(i for i, call in rest if call.name == "close" and re.match(rf"{number}(?:\D|$)", call.args))
        return self.calls[first : last + 1]

    def of(self, name: str) -> list[Call]:
        """The calls of one name."""
        return [call for call in self.calls if call.name == name]


@pytest.fixture
def observe(plain: Station) -> Callable[[Callable[[Bench], None]], Evidence]:
    """Run a server under strace, let `work` ask it for things, and return what the kernel saw."""
    folder = plain.launcher.scratch / "strace"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    log = folder / "calls"

    def run(work: Callable[[Bench], None]) -> Evidence:
        log.unlink(missing_ok=True)
        # -D: the server is our child and strace its, so that our server's pid is the server's.
        wrapper = ("strace", "-D", "-f", "-yy", "-s", "64", "-o", str(log), "--")
        launcher = Watched(plain.launcher.binary, folder, uid=plain.launcher.uid, wrapper=wrapper)
        bench = Bench(launcher, plain.tree, plain.server)
        with bench.start() as own:
            work(own)
        launcher.assert_left_well()
        lines = log.read_text(errors="replace").splitlines()
        accepted = [i for i, line in enumerate(lines) if re.search(r"accept4\(.*\) = \d", line)]
        calls = []
        for line in lines[accepted[0] :]:
            if match := CALL.fullmatch(line):
                result = int(match[3], 0) if match[3] != "?" else -1
                calls.append(Call(match[1], match[2], result))
        assert any("+++ exited with 0 +++" in line for line in lines), "strace did not see the end"
        return Evidence(calls)

    return run


def test_a_small_static_get_takes_few_calls(observe: Callable[[Callable[[Bench], None]], Evidence]) -> None:
    def work(bench: Bench) -> None:
        for number in (0, 11):  # the first one warms up what is made once
            target = bench.small("static", number)
            bench.expect_file(bench.get(target), target)

    calls = [call for call in observe(work).request("/static/small11.dat") if not call.name.startswith("epoll")]
    listed = "\n".join(f"{call.name}({call.args}) = {call.result}" for call in calls)
    assert len(calls) <= BUDGET, f"{len(calls)} system calls:\n{listed}"
    # In one packet, or the head would travel alone.
    assert any(call.name == "sendto" and "MSG_MORE" in call.args for call in calls), listed


def test_static_bytes_leave_by_sendfile_only(observe: Callable[[Callable[[Bench], None]], Evidence]) -> None:
    def work(bench: Bench) -> None:
        target = bench.huge("static")
        with bench.stalled(target) as [(client, begun)]:
            bench.expect_file(bench.finish(client, begun, target), target)

    evidence = observe(work)
    name = "/static/huge00.dat"
    sent = [call for call in evidence.of("sendfile") if name in call.args]
    assert sum(max(0, call.result) for call in sent) == HUGE
    assert len(sent) > 2, "the client was slow: no single call can have moved it all"
    assert not [call for call in evidence.of("io_submit") if name in call.args]
    assert not [
        call for call in evidence.calls if call.name in ("read", "pread64", "readv", "mmap") and name in call.args
    ]
    head = sum(max(0, call.result) for call in evidence.of("sendto"))
    assert head < 1024, f"{head:,} bytes were sent by send(2): more than a head"


def test_dynamic_bytes_come_by_io_submit_only(observe: Callable[[Callable[[Bench], None]], Evidence]) -> None:
    def work(bench: Bench) -> None:
        for target in (bench.small("dynamic", 12), bench.large("dynamic", 4)):
            bench.expect_file(bench.get(target), target)

    evidence = observe(work)
    for name, size in (("/dynamic/small12.dat", SMALL), ("/dynamic/large04.dat", LARGE)):
        submitted = [call for call in evidence.of("io_submit") if name in call.args]
        asked = sum(int(n) for call in submitted for n in re.findall(r"aio_nbytes=(\d+)", call.args))
        assert asked >= size, f"{asked:,} bytes of {name} were asked for by io_submit(2)"
        by = {call.name for call in evidence.calls if name in call.args}
        assert not by & {"read", "pread64", "readv", "preadv2", "mmap", "sendfile"}, by
    body = sum(max(0, call.result) for call in evidence.of("sendto"))
    assert SMALL + LARGE < body < SMALL + LARGE + 1024, f"{body:,} bytes left by send(2): two bodies and two heads"


def test_one_wake_up_moves_a_bounded_number_of_bytes(observe: Callable[[Callable[[Bench], None]], Evidence]) -> None:
    """To a client that reads faster than the server sends (strace slows it), no EAGAIN ends the turn."""
    size = 32 * MIB

    def work(bench: Bench) -> None:
        for target in bench.tree.pair("turns.dat", size).values():
            with bench.connect() as client:
                client.send(request_bytes(target))
                while client.receive():  # thrown away: comparing would make a slow reader of us
                    pass

    evidence = observe(work)
    turns = [0]
    for call in evidence.calls:
        if call.name in ("epoll_wait", "epoll_pwait"):
            turns.append(0)
        elif call.name in ("sendfile", "sendto"):
            turns[-1] += max(0, call.result)
    assert sum(turns) > 2 * size
    assert max(turns) <= size // 4, f"{max(turns):,} bytes between two calls of epoll_wait"


def test_nothing_waits_but_epoll_wait(observe: Callable[[Callable[[Bench], None]], Evidence]) -> None:
    def work(bench: Bench) -> None:
        for kind in ("static", "dynamic"):
            for target in (bench.small(kind), bench.large(kind), f"/{kind}/none"):
                bench.get(target)
            request = request_bytes(bench.small(kind))
            with bench.connect() as client:
                bench.send_pieces(client, [request[:5], request[5:]])
                bench.read(client)
            with bench.stalled(bench.huge(kind)) as [(client, begun)]:
                bench.finish(client, begun, bench.huge(kind))
            bench.tree.fifo(f"/{kind}/pipe")
            bench.get(f"/{kind}/pipe")
        # Each socket that the server has now is O_NONBLOCK, the eventfd too (proc(5), fdinfo: flags are octal).
        with bench.connect() as client:
            bench.wait_accepted([client])
            for number, link in sorted_descriptors(bench.server.pid):
                if link.startswith("socket:") or "eventfd" in link:
                    flags = int(re.search(r"flags:\s+(\d+)", fdinfo(bench.server.pid, number))[1], 8)
                    assert flags & os.O_NONBLOCK, f"descriptor {number} ({link}) is blocking"

    evidence = observe(work)
    # The handler of the stop writes to the eventfd: there the serving ends.
    stop = next(i for i, call in enumerate(evidence.calls) if call.name == "write" and "eventfd" in call.args)
    used = {call.name for call in evidence.calls[:stop]}
    assert used <= ALLOWED, f"calls that may wait, or that nobody expected: {sorted(used - ALLOWED)}"
    assert {"sendfile", "io_submit", "io_getevents", "accept4"} <= used
    assert used & {"epoll_wait", "epoll_pwait"}
    for call in evidence.of("accept4"):
        assert "SOCK_NONBLOCK" in call.args or call.result < 0, call
    for call in evidence.of("io_getevents"):
        assert re.match(r"0x[0-9a-f]+, 0, ", call.args) or "tv_sec=0, tv_nsec=0" in call.args, call
    for call in evidence.of("openat2"):
        assert "O_NONBLOCK" in call.args and "RESOLVE_BENEATH" in call.args, call
    for call in evidence.of("read"):
        assert "eventfd" in call.args, call


def sorted_descriptors(pid: int) -> list[tuple[int, str]]:
    """Each open descriptor and what it leads to."""
    folder = f"/proc/{pid}/fd"
    return sorted((int(number), os.readlink(f"{folder}/{number}")) for number in os.listdir(folder))


def fdinfo(pid: int, number: int) -> str:
    """What /proc says of one descriptor."""
    return Path(f"/proc/{pid}/fdinfo/{number}").read_text()
