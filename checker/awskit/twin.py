"""A process forked from this one that answers questions: for work that is to go on side by side.

Python runs one thread at a time. Threads that look at a server thousands of times in a second hand that right to each
other at every look, which cost half of a grading's CPU time (measured: 13 s by three threads, 9 s by one). Processes do
not, and each has a CPU to itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from .model import Trouble

PR_SET_PDEATHSIG = 1  # prctl(2)
END_S = 10.0  # for a twin that was asked to end: it ends its boxes first

_FORK = multiprocessing.get_context("fork")  # it knows all that this process has loaded and decided


class Twin:
    """Answers each question by `answer(question)`, in a process of its own, until `end`. Questions and answers are
    pickled; `answer` is not, and must raise nothing. It ends with the thread that made it."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self._connection, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=_serve, args=(theirs, answer, os.getpid()), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, question: Any) -> Any:
        """The answer to this question. Trouble if the process has ended."""
        try:
            self._connection.send(question)
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise Trouble(f"the checker's own process for this has ended: {error or 'nobody knows why'}") from error

    def interrupt(self) -> None:
        """Ask it to end, whatever it does now."""
        self._process.terminate()

    def end(self) -> None:
        """Let it end, and wait for it. Idempotent."""
        self._connection.close()
        self._process.terminate()
        self._process.join(END_S)
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, answer: Callable[[Any], Any], parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return  # it was over before
    os.setpgid(0, 0)  # a ^C at the terminal is for the first process to act on
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # boxes are ended on the way out
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError):
        while True:
            connection.send(answer(connection.recv()))
