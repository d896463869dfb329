"""What a server really did, from the kernel's side: the system calls of a run, read from strace's log.

strace stands outside of the box and writes where the submission cannot; it decodes descriptors to paths and to the
client's port, so that each call belongs to a file and to a connection. Strings are cut to nothing (`-s0`), so that no
byte that the submission chooses stands in the log. Works for static binaries, threads and children alike.

Cost: about 30 us for each traced call (measured): for evidence, never for timing. Only x86 names of calls are given to
strace; one that the machine does not have is skipped by the `?`.
"""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass, field

from .model import Trouble

READS = ("read", "readv", "pread64", "preadv", "preadv2", "splice", "copy_file_range", "sendfile", "mmap")
EPOLL_WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")
SELECTS = ("poll", "ppoll", "select", "pselect6")
# Calls that may sleep until a client does something.
SOCKET_WAITS = (*SELECTS, "read", "readv", "recvfrom", "recvmsg", "recvmmsg", "accept", "accept4", "write", "writev",
                "sendto", "sendmsg", "sendfile")  # fmt: skip
# Calls that send to a connection, or receive from it: the connection is their first descriptor.
SENDS = ("sendfile", "write", "writev", "pwritev2", "sendto", "sendmsg", "sendmmsg", "splice")
RECEIVES = ("read", "readv", "preadv2", "recvfrom", "recvmsg", "recvmmsg")
OPENS = ("open", "openat", "openat2", "creat")
_OTHERS = ("execve", "execveat", "listen", "epoll_ctl", "fcntl", "ioctl",
           "io_submit", "io_getevents", "io_pgetevents")  # fmt: skip
_TRACED = sorted({*READS, *EPOLL_WAITS, *SOCKET_WAITS, *SENDS, *RECEIVES, *OPENS, *_OTHERS})
STRACE = (
    "/usr/bin/strace", "-f", "-yy", "--seccomp-bpf", "-qq", "-s0", "-e", "signal=none",
    # An array is cut at the length of strings; whose descriptors stand in it must be seen.
    "-e", "abbrev=!io_submit,poll,ppoll,select,pselect6,openat2",
    "-e", "trace=" + ",".join("?" + name for name in _TRACED),
)  # fmt: skip

_LINE = re.compile(r"(\d+) +(?:(\d+\.\d+) )?(.*)")  # with -ttt the time stands before the call
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(.*)")
_BEGUN = re.compile(r"(\w+)\((.*)")
_MOVED_NOTHING = re.compile(r"= (-1 \w+ \(.*\)|0)$|^ *epoll_p?wait")
LOOP = 4  # calls: of a loop over epoll_wait and one that fails, and a little more
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_UNFINISHED = "<unfinished ...>"
_FRAME = re.compile(r" > (.*?)\(.*\) \[(0x[0-9a-f]{1,16})\]")

# The checker's clients are at 127.0.0.1: a server can make itself a client with the port of one at another address.
_PEER = re.compile(r"<TCP(?:v6)?:\[[^<>]*->\[?(?:::ffff:)?127\.0\.0\.1\]?:(\d+)\]>")
_LISTENER = re.compile(r"<TCP(?:v6)?:\[(?![^<>]*->)[^<>]*:(\d+)\]>")
_NAMELESS = re.compile(r"<(?:TCP(?:v6)?|socket):\[?\d+\]?>")  # a socket whose two ends strace could not find
_PATH = re.compile(r"\d+<(/[^<>]*)>")
_IOCB = re.compile(r"aio_lio_opcode=IOCB_CMD_(PREADV?), .*?aio_fildes=\d+<(/[^<>]*)>(.*)", re.DOTALL)
_LENGTH = re.compile(r"(?:aio_nbytes|iov_len)=(\d+)")
_NAME = re.compile(r'(?:(?:AT_FDCWD|\d+)(?:<(/[^<>]*)>)?, )?"((?:[^"\\]|\\.)*)"')  # of an open: directory and name
_FLAGS = re.compile(r"\bO_[A-Z_]+")
_WRITING = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")


@dataclass(frozen=True)
class Call:
    """One system call. `arguments` is strace's text; `result` is None while it has not returned; `returned` is what
    strace says of a result: what a descriptor leads to, or which error it is; `at` is when it began, or 0; `stack` are
    return addresses in the program, as its symbols count them, the innermost first, where strace was asked (-k)."""

    thread: int
    name: str
    arguments: str
    result: int | None
    returned: str = ""
    at: float = 0.0
    stack: list[int] = field(default_factory=list, compare=False, repr=False)

    @property
    def error(self) -> str:
        """The name of the error with which it failed, or ""."""
        found = re.match(r" (E[A-Z0-9]+)\b", self.returned) if self.result is not None and self.result < 0 else None
        return found[1] if found else ""

    @property
    def port(self) -> int | None:
        """The client's port, if the first descriptor in the arguments that is a connection belongs to one."""
        found = _PEER.search(self.arguments)
        return int(found[1]) if found else None

    @property
    def paths(self) -> list[str]:
        """The paths of the files that its descriptors lead to."""
        return _PATH.findall(self.arguments)

    @property
    def accepted(self) -> int | None:
        """The client's port, if this call accepted a connection."""
        found = _PEER.search(self.returned) if self.name in ("accept", "accept4") and (self.result or -1) >= 0 else None
        return int(found[1]) if found else None

    @property
    def opened(self) -> str | None:
        """The path that it opened, or tried to open."""
        if self.name not in OPENS:
            return None
        if found := re.match(r"<(/[^<>]*)>", self.returned):
            return found[1]
        found = _NAME.match(self.arguments)
        return os.path.normpath(os.path.join(found[1] or "/", found[2])) if found else None

    @property
    def writing_flags(self) -> list[str]:
        """The flags of an open that ask for more than to read."""
        if self.name == "creat":
            return ["O_WRONLY", "O_CREAT", "O_TRUNC"]
        return [flag for flag in _FLAGS.findall(self.arguments.rpartition('"')[2]) if flag in _WRITING]

    def leaves_blocking(self) -> bool | None:
        """Whether the descriptor that it accepts or changes is blocking afterwards; None if it is no such call."""
        if self.result is None or self.result < 0:
            return None
        if self.name in ("accept", "accept4"):
            return "SOCK_NONBLOCK" not in self.arguments
        if self.name == "fcntl" and ", F_SETFL, " in self.arguments:
            return "O_NONBLOCK" not in self.arguments
        if self.name == "ioctl" and ", FIONBIO, " in self.arguments:
            return self.arguments.endswith("[0]")
        return None


@dataclass(frozen=True)
class Ledger:
    """One request in bytes: for the file at `path`, of the client at `port`. What nobody can tell apart, reads into the
    server's memory, is of all requests for the file."""

    path: str
    port: int
    sent: dict[str, int]  # to the client, by name of call: head and body
    sent_of_file: int  # by sendfile(2), of this file and to this client
    asked: int  # of the file, by io_submit(2)
    read: dict[str, int]  # of the file, by name of call, io_submit(2) not among them; what left for others left out
    blocking: Call | None  # the first call that sent or received while the socket was blocking
    opened: tuple[Call, ...]  # how the file was opened

    def readings(self) -> str:
        """How the file was read otherwise than by io_submit, for a person: `pread64 2,048 bytes`."""
        return ", ".join(f"{name} {count:,} bytes" for name, count in sorted(self.read.items()))

    def sendings(self) -> str:
        """What left by which call, for a person."""
        return ", ".join(f"{name} {count:,} bytes" for name, count in sorted(self.sent.items()))


@dataclass(frozen=True)
class Trace:
    """The calls of a server from its start on, in the order in which they returned; then those still waiting.
    `started`: whether the log has that start; without it there are no calls."""

    calls: tuple[Call, ...]
    started: bool = True

    def bytes_read(self, path: str, *names: str, port: int | None = None) -> int:
        """Bytes of the file at `path` that these calls took; by default all that read. A mapping counts whole. With
        `port`, what went straight to another client is left out."""
        return sum(
            _mapped(call) if call.name == "mmap" else max(call.result or 0, 0)
            for call in self.calls
            if call.name in (names or READS) and path in call.paths and (not port or call.port in (None, port))
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

    def asked_by_aio(self, path: str) -> int:
        """How many bytes of the file at `path` were asked for by reads that io_submit(2) accepted. A read may ask for
        more than the file has, and a piece may be asked for again in another way: which bytes came is seen in them."""
        total = 0
        for call in self.calls:
            if call.name == "io_submit" and (call.result or 0) > 0:
                for text in call.arguments.split("{aio_data=")[1:][: call.result]:
                    control_block = _IOCB.search(text)
                    if control_block and control_block[2] == path:
                        total += sum(map(int, _LENGTH.findall(control_block[3])))
        return total

    def ledger(self, path: str, port: int) -> Ledger:
        """What became of the request of the client at `port` for the file at `path`. Trouble if strace lost track."""
        sent: dict[str, int] = {}
        for call in self.calls:
            if call.name in SENDS and call.port == port and (call.result or 0) > 0:
                sent[call.name] = sent.get(call.name, 0) + (call.result or 0)
        read = {name: self.bytes_read(path, name) for name in READS}
        read["sendfile"] = self.bytes_read(path, "sendfile", port=port)
        return Ledger(
            path, port, sent,
            self.bytes_sent_by_sendfile(path, port),
            self.asked_by_aio(path),
            {name: count for name, count in read.items() if count},
            self.first_blocking(port),
            tuple(call for call in self.calls if call.opened == path),
        )  # fmt: skip

    def first_blocking(self, port: int) -> Call | None:
        """The first call that sent to or received from the client at `port` while the socket was blocking and that was
        not told not to wait. Trouble if the socket was used and nobody saw it accepted."""
        blocking: bool | None = None
        for call in self.calls:
            if port not in (call.accepted, call.port):
                continue
            if (changed := call.leaves_blocking()) is not None:
                blocking = changed
            elif call.name in SENDS + RECEIVES:
                if blocking is None:
                    raise Trouble(f"strace did not see the connection of port {port} accepted before {call.name}")
                if blocking and "MSG_DONTWAIT" not in call.arguments:
                    return call
        return None

    def watched(self, port: int) -> bool:
        """Whether the connection of the client at `port` was given to epoll."""
        return any(call.port == port for call in self._additions())

    def watched_listener(self, port: int) -> bool:
        """Whether a socket that listens at `port` was given to epoll."""
        found = [_LISTENER.search(call.arguments) for call in self._additions()]
        return any(int(listener[1]) == port for listener in found if listener)

    def backlog(self) -> int | None:
        """What the last listen(2) that succeeded was given; None if nobody saw one."""
        calls = (call for call in self.calls if call.name == "listen" and call.result == 0)
        given = [call.arguments.rpartition(", ")[2] for call in calls]
        return int(given[-1]) if given else None

    def _additions(self) -> list[Call]:
        return [call for call in self.calls
                if call.name == "epoll_ctl" and call.result == 0 and "EPOLL_CTL_ADD" in call.arguments]  # fmt: skip

    def waiting(self) -> list[Call]:
        """The calls that had not returned."""
        return [call for call in self.calls if call.result is None]


def _mapped(call: Call) -> int:
    return int(call.arguments.split(", ")[1]) if call.result is not None else 0


def without_loops(text: str) -> str:
    """strace's log (without times) but for what its threads do again and again: a call that moved nothing, and that the
    same thread has made among its LOOP calls before, with the same result. A server that spins for two seconds writes
    a log that takes ten times as long to read, and its books are the same."""
    lasts: dict[str, deque[str]] = {}
    kept = []
    for line in text.splitlines(keepends=True):
        thread, _, call = line.partition(" ")
        last = lasts.setdefault(thread, deque(maxlen=LOOP))
        if call not in last:
            last.append(call)
        elif _MOVED_NOTHING.search(call):
            continue
        kept.append(line)
    return "".join(kept)


def parse(text: str, program: str) -> Trace:
    """Read strace's log. What came before `program` was executed, and the threads that did it, are left out."""
    calls: list[Call] = []
    begun: dict[int, tuple[float, str]] = {}
    outsiders: set[int] = set()
    started = False
    latest: Call | None = None
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            if latest and (frame := _FRAME.fullmatch(line)) and frame[1] == program:
                latest.stack.append(int(frame[2], 16))
            continue
        latest = None
        thread, at, rest = int(found[1]), float(found[2] or 0), found[3]
        if resumed := _RESUMED.fullmatch(rest):
            at, beginning = begun.pop(thread, (at, ""))
            rest = beginning + resumed[1]
        if call := _CALL.fullmatch(rest):
            begun.pop(thread, None)
            if started and thread not in outsiders:
                calls.append(latest := Call(thread, call[1], call[2], _number(call[3]), call[4], at))
        elif _BEGUN.match(rest):
            begun[thread] = at, rest.removesuffix(_UNFINISHED)
        else:  # `+++ exited with 0 +++`
            begun.pop(thread, None)
        if not started:
            outsiders.add(thread)
            if rest.startswith(f'execve("{program}"') and rest.endswith("= 0"):
                started = True
                outsiders.discard(thread)
    for thread, (at, rest) in begun.items():
        if thread not in outsiders and (call := _BEGUN.match(rest)):
            calls.append(Call(thread, call[1], call[2], None, at=at))
    return Trace(tuple(calls), started)


def _number(text: str) -> int:
    return -1 if text == "?" else int(text, 0)  # "?": a call interrupted for good, by a signal or the end
