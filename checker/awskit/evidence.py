"""What a server really did, from the kernel's side: the system calls of a run, read from strace's log.

strace stands outside of the box and writes where the submission cannot; it decodes descriptors to paths and to the
client's port, so that each call belongs to a file and to a connection. Strings are cut to nothing (`-s0`), so that no
byte that the submission chooses stands in the log. Works for static binaries, threads and children alike.

Cost: about 30 us for each traced call (measured): for evidence, never for timing. Only x86 names of calls are given to
strace; one that the machine does not have is skipped by the `?`.
"""

from __future__ import annotations

import contextlib
import re
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from . import procfs
from .bench import Bench, wait_until
from .boxed import BoxedLauncher, BoxedServer
from .model import Failure, Trouble

READS = ("read", "readv", "pread64", "preadv", "preadv2", "splice", "copy_file_range", "sendfile", "mmap")
EPOLL_WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")
SELECTS = ("poll", "ppoll", "select", "pselect6")
# Calls that may sleep until a client does something.
SOCKET_WAITS = (*SELECTS, "read", "readv", "recvfrom", "recvmsg", "recvmmsg", "accept", "accept4", "write", "writev",
                "sendto", "sendmsg", "sendfile")  # fmt: skip
_OTHERS = ("execve", "execveat", "epoll_ctl", "io_setup", "io_destroy", "io_submit", "io_getevents", "io_pgetevents")
_TRACED = sorted({*READS, *EPOLL_WAITS, *SOCKET_WAITS, *_OTHERS})
_STRACE = (
    "/usr/bin/strace", "-f", "-yy", "--seccomp-bpf", "-qq", "-s0", "-e", "signal=none",
    # An array is cut at the length of strings; io_submit's must be whole.
    "-e", "abbrev=!io_submit",
    "-e", "trace=" + ",".join("?" + name for name in _TRACED),
)  # fmt: skip

_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(.*)")
_BEGUN = re.compile(r"(\w+)\((.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_UNFINISHED = "<unfinished ...>"

_PEER = re.compile(r"<TCP(?:v6)?:\[[^<>]*->[^<>]*:(\d+)\]>")
_LISTENER = re.compile(r"<TCP(?:v6)?:\[(?![^<>]*->)[^<>]*:(\d+)\]>")
_NAMELESS = re.compile(r"<(?:TCP(?:v6)?|socket):\[?\d+\]?>")  # a socket whose two ends strace could not find
_PATH = re.compile(r"\d+<(/[^<>]*)>")
_IOCB = re.compile(r"aio_lio_opcode=IOCB_CMD_(PREADV?), .*?aio_fildes=\d+<(/[^<>]*)>(.*)", re.DOTALL)
_LENGTH = re.compile(r"(?:aio_nbytes|iov_len)=(\d+)")
_OFFSET = re.compile(r"aio_offset=(\d+)")


@dataclass(frozen=True)
class Call:
    """One system call. `arguments` is strace's text; `result` is None while it has not returned."""

    thread: int
    name: str
    arguments: str
    result: int | None

    @property
    def port(self) -> int | None:
        """The client's port, if the first descriptor in the arguments that is a connection belongs to one."""
        found = _PEER.search(self.arguments)
        return int(found[1]) if found else None

    @property
    def paths(self) -> list[str]:
        """The paths of the files that its descriptors lead to."""
        return _PATH.findall(self.arguments)


@dataclass(frozen=True)
class Trace:
    """The calls of a server from its start on, in the order in which they returned; then those still waiting."""

    calls: tuple[Call, ...]

    def bytes_read(self, path: str, *names: str) -> int:
        """Bytes of the file at `path` that these calls took; by default all that read. A mapping counts whole."""
        return sum(
            _mapped(call) if call.name == "mmap" else max(call.result or 0, 0)
            for call in self.calls
            if call.name in (names or READS) and path in call.paths
        )

    def bytes_sent_by_sendfile(self, path: str, port: int) -> int:
        """Bytes of the file at `path` that sendfile(2) moved to the client at `port`. Trouble if strace lost track."""
        total = 0
        for call in self.calls:
            if call.name == "sendfile" and path in call.paths and (call.result or 0) > 0:
                if call.port is None and _NAMELESS.search(call.arguments):
                    raise Trouble(f"strace could not tell whose socket this is: sendfile({call.arguments})")
                total += call.result if call.result and call.port == port else 0
        return total

    def read_by_aio(self, path: str, size: int) -> int:
        """How many of the first `size` bytes of the file at `path` were asked for by reads that io_submit(2) accepted.
        Bytes asked for twice count once, so that a piece may be tried first in one way and then in another."""
        parts: list[tuple[int, int]] = []
        for call in self.calls:
            if call.name == "io_submit" and (call.result or 0) > 0:
                for text in call.arguments.split("{aio_data=")[1:][: call.result]:
                    control_block = _IOCB.search(text)
                    offset = _OFFSET.search(text)
                    if control_block and offset and control_block[2] == path:
                        length = sum(map(int, _LENGTH.findall(control_block[3])))
                        parts.append((int(offset[1]), int(offset[1]) + length))
        covered = end = 0
        for start, stop in sorted(parts):
            covered += max(0, min(stop, size) - max(start, end))
            end = max(end, min(stop, size))
        return covered

    def watched(self, port: int) -> bool:
        """Whether the connection of the client at `port` was given to epoll."""
        return any(call.port == port for call in self._additions())

    def watched_listener(self, port: int) -> bool:
        """Whether a socket that listens at `port` was given to epoll."""
        found = [_LISTENER.search(call.arguments) for call in self._additions()]
        return any(int(listener[1]) == port for listener in found if listener)

    def _additions(self) -> list[Call]:
        return [
            call
            for call in self.calls
            if call.name == "epoll_ctl" and call.result == 0 and "EPOLL_CTL_ADD" in call.arguments
        ]

    def waiting(self) -> list[Call]:
        """The calls that had not returned."""
        return [call for call in self.calls if call.result is None]


def _mapped(call: Call) -> int:
    return int(call.arguments.split(", ")[1]) if call.result is not None else 0


def parse(text: str, program: str) -> Trace:
    """Read strace's log. What came before `program` was executed, and the threads that did it, are left out."""
    calls: list[Call] = []
    begun: dict[int, str] = {}
    outsiders: set[int] = set()
    started = False
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        thread, rest = int(found[1]), found[2]
        if not started:
            outsiders.add(thread)
            if rest.startswith(f'execve("{program}"') and rest.endswith("= 0"):
                started = True
                outsiders.discard(thread)
        elif thread not in outsiders:
            if resumed := _RESUMED.fullmatch(rest):
                rest = begun.pop(thread, "") + resumed[1]
            if call := _CALL.fullmatch(rest):
                begun.pop(thread, None)
                calls.append(Call(thread, call[1], call[2], _number(call[3])))
            elif _BEGUN.match(rest):
                begun[thread] = rest.removesuffix(_UNFINISHED)
            else:  # `+++ exited with 0 +++`
                begun.pop(thread, None)
    for thread, rest in begun.items():
        if call := _BEGUN.match(rest):
            calls.append(Call(thread, call[1], call[2], None))
    return Trace(tuple(calls))


def _number(text: str) -> int:
    return -1 if text == "?" else int(text, 0)  # "?": a call interrupted for good, by a signal or the end


@dataclass(frozen=True)
class Witness:
    """A traced server and its log."""

    bench: Bench
    server: BoxedServer
    log: Path

    def trace(self) -> Trace:
        """What it has done so far. The calls that just returned may be missing: strace writes them a moment later."""
        return parse(self.log.read_text(errors="replace"), self.server.command)

    def finish(self) -> Trace:
        """All that it has done, and its end. When every thread sleeps in a call, strace has written all before that; a
        thread that it still holds is in state t. (A signal that the server may handle as it likes would end it later or
        never: LeakSanitizer, for one, hangs under a tracer.)"""
        with contextlib.suppress(Failure):  # a server that never sleeps is ended without that
            wait_until(lambda: set(procfs.states(self.server.pid)) <= {"S"}, self.bench.patience, "the server sleeps")
        self.server.stop(signal.SIGKILL)
        return self.trace()

    def path(self, target: str) -> str:
        """The path under which the server sees the file of `target`."""
        return f"{self.server.site}{target}"


@contextlib.contextmanager
def witness(bench: Bench) -> Iterator[Witness]:
    """A server like the bench's, started anew under strace. Trouble where that cannot be done."""
    if not isinstance(bench.launcher, BoxedLauncher):
        raise Trouble("evidence is taken from a server in a box only")
    if not Path(_STRACE[0]).exists():
        raise Trouble("strace is not installed")
    with tempfile.TemporaryDirectory(prefix="awscheck-trace-") as folder:
        log = Path(folder) / "strace"
        server = bench.launcher.traced(*_STRACE, "-o", str(log)).start(bench.tree)
        try:
            yield Witness(replace(bench, server=server), server, log)
        finally:
            server.stop(signal.SIGKILL)
