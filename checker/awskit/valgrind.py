"""A server under valgrind: leaks, and errors of the heap and of values that were never set, by valgrind's own report.

The report comes through a socket, as XML, while the server runs: valgrind connects before the first instruction of the
submission, only the first connection is taken, and valgrind keeps its descriptor out of its client's reach. It counts
only when it is complete, whatever the exit code says: a server that is killed has no report, and no report is no pass.
So the server is asked to end by a signal, and by another if it does not heed the first. One that sees to it that there
is no report has failed, where it can be told from a machine that ran out of memory.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from . import namespace, procfs
from .bench import Bench, wait_until
from .boxed import BoxedLauncher, BoxedServer, Program
from .model import Failure, Trouble
from .server import HOST
from .tree import Tree
from .vigil import Tally

VALGRIND = "/usr/bin/valgrind"
# Seconds; twice that of other checks, and so twice the CPU time that a server may take for the next byte. valgrind
# makes it about 20 times slower (measured), and it needs microseconds without.
PATIENCE = 20.0
MAX_REPORT = 32 << 20  # bytes; valgrind stops by itself after 1,000 different errors
JOIN_SECONDS = 10.0  # for the rest of a report after the process has gone
END_SECONDS = 20.0  # for a server to heed a signal, and for the leak search then
END_CPU_NS = 2_000_000_000  # of CPU time: the leak search of a server takes a quarter of that
# How a server is asked to end. One that heeds neither gets SIGABRT, after which valgrind still reports.
END_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# The instructions by which a program speaks to valgrind (valgrind.h, amd64): to have its errors not reported, say.
CLIENT_REQUEST = bytes.fromhex("48c1c703 48c1c70d 48c1c73d 48c1c733")

# Our word for an InvalidRead or InvalidWrite in a block that was freed, which valgrind tells by its address alone.
USED_AFTER_FREE = "UsedAfterFree"
_FREED = re.compile(r" inside a block of size [\d,]+ free'd$")

_HARMLESS_KINDS = ("Leak_StillReachable", "Leak_PossiblyLost", "Leak_IndirectlyLost")
# Uninitialised bytes that valgrind sees handed to the kernel and that are none, or no harm: half of the union in struct
# epoll_event, which the kernel only hands back; and what is sent to a client: valgrind learns from io_getevents(2) only
# that asynchronous reads have filled a buffer, and an honest server may take completions from the ring in memory.
# Whether the right bytes are sent is judged by comparing them.
_HARMLESS_PARAMETER = re.compile(
    r"Syscall param (epoll_ctl\(event\)|(socketcall\.)?send|p?writev?2?\().* uninitialised byte\(s\)"
)

# The report of several processes is no single XML document; what is of interest in it are these.
_ELEMENT = re.compile(r"<(error|fatal_signal)>.*?</\1>", re.DOTALL)

NamedCheck = tuple[str, Callable[[Bench], None]]  # the id of a check and its function


class _Incomplete(Exception):
    """There is no complete report; the text says what there is."""


@dataclass(frozen=True)
class Finding:
    """One finding: valgrind's sentence, and where in the submission: function, file and line, or "". `kind` is its word
    for it, `at` the same place as file, line and function, where the program has them."""

    text: str
    place: str
    stack: tuple[str, ...]
    kind: str = ""
    at: tuple[str, int, str] | None = None


class _Listener:
    """Takes valgrind's report: one connection, in the server's own network namespace."""

    def __init__(self, network: namespace.NetworkNamespace | None) -> None:
        with network.entered() if network else contextlib.nullcontext():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind((HOST, 0))
        self._socket.listen(1)
        self.address = "{}:{}".format(*self._socket.getsockname())
        self._report = bytearray()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:  # closed by `finish`: valgrind never came
            return
        self._socket.close()
        with connection:
            while len(self._report) < MAX_REPORT and (piece := connection.recv(1 << 16)):
                self._report += piece

    def ends(self) -> int:
        """How many processes have written all that they had to write."""
        return self._report.count(b"</valgrindoutput>")

    def closed(self) -> bool:
        """Whether no more can come: all who could have written to it have closed it."""
        return not self._thread.is_alive()

    def finish(self) -> bytes:
        """The whole report. To be called when the server has ended."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept(2)
        self._thread.join(JOIN_SECONDS)
        self._socket.close()
        return bytes(self._report)


def judge(launcher: BoxedLauncher, bench: Bench, checks: Iterable[NamedCheck]) -> None:
    """Run the checks (id and function) as by `bench`, on a server of `launcher` under valgrind. Returns if they pass
    and valgrind has nothing to say; Failure if not, or if the program has kept it from saying it; Trouble if the
    machine has."""
    if not Path(VALGRIND).exists():
        raise Trouble("valgrind is not installed")
    if why := launcher.program.hides_memory():
        raise Failure(f"the program is {why}, also when our compiler is told otherwise: valgrind cannot look into it",
                      expected="a Makefile that calls the compiler by its name alone", got=why)  # fmt: skip
    _refuse_requests(launcher.program)
    killed = _memory_kills()
    for last in (False, True):
        try:
            return _judge_once(launcher, bench, list(checks))
        except _Incomplete as incomplete:
            if _memory_kills() != killed:
                raise Trouble(f"the machine ran out of memory: {incomplete}") from incomplete
            if last:  # twice the same: it is the program's doing
                raise Failure(
                    f"under valgrind: {incomplete}",
                    got="no complete report of valgrind's, twice",
                    expected="a program that ends by SIGTERM, by SIGINT, or at least by SIGABRT",
                ) from incomplete


def _judge_once(launcher: BoxedLauncher, bench: Bench, checks: list[NamedCheck]) -> None:
    with _started(launcher, bench.tree) as (server, listener):
        bench = replace(bench, launcher=launcher, server=server, patience=PATIENCE)
        if not server.ready():
            how = "ended" if not server.alive() else "did not listen"
            errors = _errors(_end(server, listener, bench.tally), server)
            raise Failure(f"under valgrind the server {how} at its start", got=_show(errors) or server.log()[-2000:])
        failure = _run(bench, checks)
        for pid in procfs.family(server.pid):
            executable = _executable(pid)
            if executable and "memcheck" not in executable:
                who = "replaced itself by" if pid == server.pid else "started"
                raise Failure(f"the program {who} another (execve), out of valgrind's sight", got=executable,
                              expected="one program")  # fmt: skip
        errors = _errors(_end(server, listener, bench.tally), server)
    if errors:
        first = errors[0]
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        found = Failure(f"valgrind: {first.text}{first.place and ' in ' + first.place}{more}", got=_show(errors))
        found.evidence.finding, found.evidence.place = first.kind, first.at
        raise found
    if failure:
        raise Failure(f"under valgrind: {failure.reason}", got=failure.got, expected=failure.expected,
                      exchange=failure.exchange) from failure  # fmt: skip


def _refuse_requests(program: Program) -> None:
    """Failure if the program, or a library that it brought, has instructions for valgrind in it."""
    for parent, _, names in os.walk(program.folder):
        for path in (Path(parent, name) for name in names):
            if path.is_file() and not path.is_symlink() and CLIENT_REQUEST in path.read_bytes():
                raise Failure(
                    "the program speaks to valgrind, which could make it say nothing: it is not run under it",
                    got=f"a client request of valgrind.h in {path.relative_to(program.folder)}",
                    expected="a program that is the same under valgrind as elsewhere",
                )


def _memory_kills() -> int:
    """How often the kernel has killed a process of this machine because memory ran out (proc(5), vmstat)."""
    found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) if found else 0


@contextlib.contextmanager
def _started(launcher: BoxedLauncher, tree: Tree) -> Iterator[tuple[BoxedServer, _Listener]]:
    network = namespace.NetworkNamespace() if launcher.sandbox.isolation.network else None
    listener = _Listener(network)
    wrapped = launcher.wrapped(
        VALGRIND, "--tool=memcheck", "--leak-check=full", "--show-leak-kinds=definite", "--num-callers=24",
        "--child-silent-after-fork=no", "--vgdb=no", "--xml=yes", f"--xml-socket={listener.address}",
    ).patient(PATIENCE)  # fmt: skip
    try:
        server = wrapped.launch(tree, network=network)
    except BaseException:
        listener.finish()
        raise
    try:
        yield server, listener
    finally:
        server.stop(signal.SIGKILL)
        listener.finish()


def _run(bench: Bench, checks: Iterable[NamedCheck]) -> Failure | None:
    """Run the checks up to the first failure, then let the server finish with all clients: a connection that only
    epoll still knows would look lost."""
    failure = None
    for name, run in checks:
        try:
            with bench.once_more(name) as own:
                run(own)
        except Failure as caught:
            failure = caught
            break
    bench.tally.worked += procfs.run_time_ns(bench.server.pid) / 1e9
    # A server that keeps them and sleeps has a leak, which valgrind will tell.
    unmoved = _Unmoved(bench.server, bench.tally)
    with contextlib.suppress(Failure):
        wait_until(lambda: not _clients(bench.server) or unmoved(), bench.patience, "the server lets all clients go")
    return failure


def _clients(server: BoxedServer) -> list[procfs.Connection]:
    """The connections that the server still holds."""
    rows = procfs.connections(server.pid, server.port)
    return [row for row in rows if row.inode and row.state != procfs.LISTEN]


def _executable(pid: int) -> str:
    """What the process runs, "" where it is gone: for valgrind that is its tool, not the submission."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _end(server: BoxedServer, listener: _Listener, tally: Tally) -> bytes:
    """Make the server end so that valgrind can report; the report. Its children end first, and one after another,
    because all write to the one report. Failure if a process outlasts all signals,
    _Incomplete if one is silent."""
    members = [pid for pid in procfs.family(server.pid) if not procfs.ending(pid)]
    silent = 0
    for pid in (*members[1:], *members[:1]):
        ends = listener.ends()
        _end_process(server, pid, tally)
        with contextlib.suppress(Failure):
            wait_until(
                lambda: listener.ends() > ends or listener.closed(),
                JOIN_SECONDS,
                "the report of a process that has ended",
            )
        silent += listener.ends() == ends
    ended = server.stop(signal.SIGKILL)
    report = listener.finish()
    if silent or not listener.ends() or ended.signal == signal.SIGKILL:
        raise _Incomplete(
            f"valgrind's report is not complete ({len(report):,} bytes); the server ended by {ended.told()};"
            f" its last words: {server.stderr()[-400:].strip() or 'none'}"
        )
    return report


def _end_process(server: BoxedServer, pid: int, tally: Tally) -> None:
    for number in (*END_SIGNALS, signal.SIGABRT):
        done = _Unmoved(server, tally)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        with contextlib.suppress(Failure):
            wait_until(
                lambda: procfs.ending(pid) or done(),
                END_SECONDS,
                "the server ends, or sleeps again, or has had enough of the CPU for it",
            )
        if procfs.ending(pid):
            return
    if done():
        raise Failure("under valgrind the server does not end: not by SIGTERM, not by SIGINT, not by SIGABRT",
                      expected="a server that a signal ends")  # fmt: skip


class _Unmoved:
    """Is true when the server has ended, or will not: it slept at 50 looks in a row, in waits that an event must end
    (S), or ran for END_CPU_NS. io_destroy(2) and the end of a process also wait, 30 ms and more, but in state D. The
    CPU time that it takes meanwhile is added to the tally."""

    def __init__(self, server: BoxedServer, tally: Tally) -> None:
        self._server = server
        self._tally = tally
        self._looks = 0
        self._began = self._ran = procfs.run_time_ns(server.pid)

    def __call__(self) -> bool:
        ran = procfs.run_time_ns(self._server.pid)
        asleep = set(procfs.states(self._server.pid)) == {"S"} and ran == self._ran
        self._looks = self._looks + 1 if asleep else 0
        self._tally.worked += max(0, ran - self._ran) / 1e9  # a thread that ends takes its time with it
        self._ran = ran
        return self._looks >= 50 or ran - self._began > END_CPU_NS or not self._server.alive()


def _errors(report: bytes, server: BoxedServer) -> list[Finding]:
    """What valgrind found, in its order; _Incomplete if that cannot be read."""
    text = report.decode(errors="replace")
    try:
        elements = [ElementTree.fromstring(match[0]) for match in _ELEMENT.finditer(text)]
    except ElementTree.ParseError as error:
        raise _Incomplete(f"valgrind's report cannot be read: {error}") from error
    folder = server.command.rpartition("/")[0]
    errors = [element for element in elements if element.tag == "error" and not _is_harmless(element)]
    # Its memory errors come before a crash and explain it; a crash by itself is told where there are none.
    ours = {number.name for number in (*END_SIGNALS, signal.SIGABRT)}
    crashes = [element for element in elements if element.tag != "error" and element.findtext("signame") not in ours]
    return [_read(element, folder) for element in errors or crashes[:1]]


def _is_harmless(error: ElementTree.Element) -> bool:
    text = error.findtext("what") or ""
    return error.findtext("kind") in _HARMLESS_KINDS or _HARMLESS_PARAMETER.match(text) is not None


def _read(error: ElementTree.Element, folder: str) -> Finding:
    text = error.findtext("what") or error.findtext("xwhat/text") or f"ended by {error.findtext('signame')}"
    stack, place, at = [], "", None
    for frame in error.iterfind("stack[1]/frame"):
        where = f"{frame.findtext('fn') or frame.findtext('ip')}"
        if file := frame.findtext("file"):
            where += f" ({file}:{frame.findtext('line')})"
        stack.append(where)
        if not place and (frame.findtext("obj") or "").startswith(folder):
            place = where
            at = _place(frame, folder)
    kind = error.findtext("kind") or f"fatal signal {error.findtext('signame')}"
    if kind in ("InvalidRead", "InvalidWrite") and _FREED.search(error.findtext("auxwhat") or ""):
        kind = USED_AFTER_FREE
    return Finding(text, place, tuple(stack), kind, at)


def _place(frame: ElementTree.Element, folder: str) -> tuple[str, int, str] | None:
    """File (relative to the submission), line and function of a frame; None where the program does not say."""
    file, line = frame.findtext("file"), frame.findtext("line") or ""
    if not file or not line.isdecimal():
        return None
    path = os.path.normpath(os.path.join(frame.findtext("dir") or "", file))
    return path.removeprefix(f"{folder}/"), int(line), frame.findtext("fn") or ""


def _show(errors: list[Finding]) -> str:
    """The first few findings with their stacks."""
    blocks = ["\n  ".join((error.text, *(f"by {frame}" for frame in error.stack))) for error in errors[:3]]
    if len(errors) > 3:
        blocks.append(f"[… {len(errors) - 3} more, not shown]")
    return "\n".join(blocks)
