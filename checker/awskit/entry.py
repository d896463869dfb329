"""The way into a box: what is put before a command so that it starts with its bounds in force (checker/box/enter.c).

The program is handed over as an open descriptor: no path leads to it inside of a box. It says through a socket, the
gate, when all is in force; from then on what becomes of the process is the command's own doing.
"""

from __future__ import annotations

import os
import socket
import subprocess

from .faults import Fault, Warden
from .model import Trouble
from .process import becomes_readable
from .programs import program

ENTER_SECONDS = 30.0  # for the whole line of programs to start (15 ms measured): bounds a machine that hangs


class Entry:
    """Make it; start `line` before the command, with `descriptors` passed on; `wait_entered`; `close` at the end.

    `bounds` are words of checker/box/bounds.h; `contexts` is how many Linux AIO requests may be reserved (None: not
    bounded). There is a `warden` where faults or contexts need one."""

    def __init__(
        self, bounds: tuple[str, ...] = (), faults: tuple[Fault, ...] = (), contexts: int | None = None
    ) -> None:
        words = [fault.word() for fault in faults]
        if contexts is not None:
            words.append(f"contexts:{contexts}")
        self._enter = os.open(program("enter"), os.O_RDONLY | os.O_CLOEXEC)
        self._inside, self._outside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.warden = Warden(words, self._outside) if words else None
        self.descriptors = (self._enter, self._inside.fileno())
        self.line = [f"/proc/self/fd/{self._enter}", str(self._inside.fileno()), *bounds, *words, "--"]

    def wait_entered(self) -> None:
        """Return when all is in force, once the line has been started. Raises Trouble if it cannot be."""
        self._let_go_inside()
        if self.warden:
            entered = self.warden.ready()
        else:
            entered = becomes_readable(self._outside.fileno(), ENTER_SECONDS) and self._outside.recv(1) != b""
        self._outside.close()
        if not entered:
            raise Trouble("the command could not be bounded as it must be")

    def wait_entered_by(self, popen: subprocess.Popen[bytes]) -> None:
        """The same; if it cannot be, it ends the process and tells what that wrote to its pipe of standard error."""
        try:
            self.wait_entered()
        except Trouble as trouble:
            popen.kill()
            said = popen.communicate()[1].decode(errors="replace").strip()
            raise Trouble(f"{trouble}: {said}" if said else str(trouble)) from trouble

    def close(self) -> None:
        """Let go of everything; the warden ends. Idempotent."""
        self._let_go_inside()
        self._outside.close()
        if self.warden:
            self.warden.close()

    def _let_go_inside(self) -> None:
        if self._enter >= 0:
            os.close(self._enter)
            self._enter = -1
        self._inside.close()
