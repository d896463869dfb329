"""A command that runs in a box, from its start to the end of all that it started; and what it says, bounded."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from .overuse import Room, Watched, leave, watch

if TYPE_CHECKING:
    from .entry import Entry

LOG_HEAD = 64 * 1024  # bytes of a log that are kept from its start, and as many from its end


class BoundedLog:
    """Takes all that comes from a descriptor, in a thread, so that the writer never waits; keeps start and end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while piece := os.read(self._descriptor, LOG_HEAD):
            with self._lock:
                room = LOG_HEAD - len(self._head)
                self._head += piece[:room]
                self._tail += piece[room:]
                excess = len(self._tail) - LOG_HEAD
                if excess > 0:
                    del self._tail[:excess]
                    self._left_out += excess
        os.close(self._descriptor)

    def finish(self, seconds: float) -> None:
        """Wait until all writers have closed, at most `seconds`."""
        self._thread.join(seconds)

    def text(self) -> str:
        """What has come so far, as UTF-8, and in the middle how much was left out, if any."""
        with self._lock:
            gap = f"\n[... {self._left_out} bytes left out ...]\n".encode() if self._left_out else b""
            return bytes(self._head + gap + self._tail).decode(errors="replace")


class Process:
    """A command that runs in a box. `pid` is its own, as this machine numbers it; `init` that of the box's pid 1."""

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        init: int,
        pid: int,
        entry: Entry,
        *,
        group: bool,
        max_memory: int,
        room: Room | None = None,
    ) -> None:
        assert popen.stdout is not None and popen.stderr is not None
        self._popen = popen
        self.warden = entry.warden
        self._entry = entry
        self._group = group  # no box whose end ends all: kill the process group
        self.pid = pid
        self._init = _pidfd(init)
        self._own = _pidfd(pid)
        self._first = _pidfd(popen.pid)  # of the whole line of programs
        # Descriptors of their own: the threads own and close them.
        self.stdout = BoundedLog(os.dup(popen.stdout.fileno()))
        self.stderr = BoundedLog(os.dup(popen.stderr.fileno()))
        popen.stdout.close()
        popen.stderr.close()
        self._watched = Watched(init, max_memory, room, self.kill)
        watch(self._watched)

    def alive(self) -> bool:
        """Whether the command itself still runs (a zombie does not)."""
        return self._own >= 0 and not _is_over(self._own)

    @property
    def overuse(self) -> str:
        """What it used too much of, and was ended for; or ""."""
        return self._watched.reason

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command itself; nothing happens if it is over."""
        send_signal(self._own, number)

    def wait(self, seconds: float) -> int | None:
        """Exit code once all is over: 0..255, or minus the signal's number; None if it still runs after `seconds`."""
        if self._popen.returncode is None and not _is_over(self._first, seconds):
            return None
        code = self._popen.wait()
        # bwrap reports a signal as a shell does. A program that really exits with 128+n is taken for killed.
        return 128 - code if 128 < code < 192 else code

    def destroy(self) -> None:
        """Kill what is left, in the box and of the box, and let go of everything. Idempotent."""
        leave(self._watched)
        self.kill()
        if self.wait(5.0) is None:
            self._popen.kill()
            self._popen.wait()
        for log in (self.stdout, self.stderr):
            log.finish(5.0)
        for descriptor in (self._init, self._own, self._first):
            if descriptor >= 0:
                os.close(descriptor)
        self._init = self._own = self._first = -1
        self._entry.close()

    def kill(self) -> None:
        """Kill it and all in its box, and do not wait. Nothing happens if all is over."""
        if self._group and self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        for descriptor in (self._init, self._own):
            send_signal(descriptor, signal.SIGKILL)


def _pidfd(pid: int) -> int:
    """A descriptor of the process, which unlike a number is never another's; -1 where it is gone already (or 0)."""
    try:
        return os.pidfd_open(pid) if pid else -1
    except ProcessLookupError:
        return -1


def send_signal(pidfd: int, number: signal.Signals) -> None:
    """Send a signal; nothing happens if the process is over, also if it ends this very moment, or was none (-1)."""
    if pidfd >= 0:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, number)


def _is_over(pidfd: int, seconds: float = 0) -> bool:
    """Whether the process has ended, waited for at most `seconds`."""
    return becomes_readable(pidfd, seconds)


def becomes_readable(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read (of a pidfd: the process is over) within `seconds`. Any number of descriptor,
    unlike select(2)."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
