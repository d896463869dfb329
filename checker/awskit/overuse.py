"""Bounds that no single limit of the kernel sets: memory of a whole box, and room on the disk.

There is no memory control group to be counted on, and a limit of a process counts for that process alone. So one thread
of the checker looks at all boxes every tenth of a second, and ends the one that has too much, with a reason.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import procfs

ROOM_SHARE = 50  # a folder with many files is looked at less often: for a fiftieth of the time at most
LOOK_S = 0.1  # a process that fills memory at 3 GB/s is 300 MB above its bound by then

MAX_DEPTH = 64  # folders within folders; Python's own ways to remove or copy a tree recurse
MAX_ENTRIES = 20_000


@dataclass
class Room:
    """A folder in which a box may write, and how many bytes may be in it."""

    folder: Path
    max_bytes: int

    def overuse(self) -> str:
        """What is too much in it, or "". Links are not followed."""
        used = entries = 0
        waiting = [(os.fspath(self.folder), 0)]
        while waiting:
            path, depth = waiting.pop()
            if depth > MAX_DEPTH:
                return f"nested folders more than {MAX_DEPTH} deep"
            with contextlib.suppress(OSError), os.scandir(path) as found:
                for entry in found:  # the box goes on meanwhile: what is gone does not count
                    entries += 1
                    about = entry.stat(follow_symlinks=False)
                    used += about.st_blocks * 512  # a hole takes no room
                    if used > self.max_bytes:
                        return f"wrote more than {self.max_bytes >> 20} MiB"
                    if entries > MAX_ENTRIES:
                        return f"made more than {MAX_ENTRIES:,} files"
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
        return ""


@dataclass(eq=False)
class Watched:
    """A box that is looked at: the processes below `root` may have `max_memory` bytes in all, and write in `room`.
    `end` ends them; `reason` says then what they did."""

    root: int
    max_memory: int
    room: Room | None
    end: Callable[[], None]
    reason: str = field(default="", init=False)
    _next_room: float = field(default=0.0, init=False)

    def look(self) -> None:
        """End it if it has too much."""
        reason = self._memory() or self._room()
        if reason and not self.reason:
            self.reason = reason
            self.end()

    def _room(self) -> str:
        begin = time.monotonic()
        if self.room is None or begin < self._next_room:
            return ""
        reason = self.room.overuse()
        end = time.monotonic()
        self._next_room = end + ROOM_SHARE * (end - begin)
        return reason

    def _memory(self) -> str:
        # What is shared is counted often in the first figure, which is cheap, and once in the second, which is not.
        for figure in (procfs.resident, procfs.proportional):
            if figure(self.root) <= self.max_memory:
                return ""
        return f"used more than {self.max_memory >> 20} MiB of memory"


_watched: set[Watched] = set()
_changed = threading.Condition()
_thread: threading.Thread | None = None


def watch(one: Watched) -> None:
    """Look at it from now on, until `leave`."""
    global _thread
    with _changed:
        _watched.add(one)
        if _thread is None:
            _thread = threading.Thread(target=_run, name="overuse", daemon=True)
            _thread.start()
        _changed.notify()


def leave(one: Watched) -> None:
    """Look at it no more. Idempotent; when it returns, `end` is not running and will not be called."""
    with _changed:
        _watched.discard(one)


def _run() -> None:
    with _changed:
        while True:
            _changed.wait_for(lambda: bool(_watched))
            for one in _watched:
                one.look()
            _changed.wait(LOOK_S)
