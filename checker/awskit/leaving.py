"""Servers that end while others begin.

The kernel takes 30 ms for the end of a process that has an AIO context (it waits for an RCU grace period), and hardly
any of it on a CPU: two thirds of the time of a short check, for which nobody has to wait.
"""

from __future__ import annotations

import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .boxed import BoxedServer


class Leaving:
    """At most `most` servers are on their way at once, so that those whose end takes long do not pile up."""

    def __init__(self, most: int) -> None:
        self._room = threading.BoundedSemaphore(most)
        self._pool = ThreadPoolExecutor(most)
        self._ends: list[Future[None]] = []

    def add(self, server: BoxedServer) -> None:
        """Kill it, and let another thread wait for its end; wait for an earlier one's if there are `most` of them."""
        server.kill()
        self._room.acquire()
        self._ends.append(self._pool.submit(self._wait, server))

    def close(self) -> None:
        """Return when all have ended. Raises what the end of one has raised."""
        self._pool.shutdown()
        for end in self._ends:
            end.result()

    def _wait(self, server: BoxedServer) -> None:
        try:
            server.stop(signal.SIGKILL)
        finally:
            self._room.release()
