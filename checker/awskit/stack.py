"""Where in the program a thread stands that sleeps in a system call: the return addresses on its stack.

The addresses are read from the thread's stack while it sleeps (proc(5): syscall, maps, mem). There is no unwinding:
what lies on the stack, leads into the program's own code and follows a call instruction is taken for a return address.
It may be a stale one; so it explains and proves nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from pathlib import Path

from .procfs import family

DEPTH = 16 * 1024  # bytes of a stack that are looked at
MOST = 8  # addresses of one thread
# Calls in which a thread may sleep (x86-64): epoll_wait and its like; futex, rt_sigtimedwait, rt_sigsuspend and wait4,
# by which threads and processes wait for each other.
WAITS = frozenset({232, 281, 441, 202, 128, 130, 61})
_MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+ +(\S.*)")
_ET_EXEC = 2  # e_type of a program that is not position-independent (elf(5))


def stopped_at(pid: int) -> tuple[int, ...]:
    """Addresses in the program, as its symbols count them, on the stack of the first of its threads that sleeps in a
    call in which none should; the innermost first. () where none does, or where this may not be read."""
    for member in family(pid):
        with contextlib.suppress(OSError, ValueError, struct.error):
            for task in os.listdir(f"/proc/{member}/task"):
                words = Path(f"/proc/{member}/task/{task}/syscall").read_text(encoding="ascii").split()
                if len(words) == 9 and int(words[0]) not in WAITS:
                    return _return_addresses(member, int(words[7], 16))
    return ()


def _return_addresses(pid: int, pointer: int) -> tuple[int, ...]:
    executable = os.readlink(f"/proc/{pid}/exe")
    maps = [found.groups() for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
            if (found := _MAP.fullmatch(line)) and found[5] == executable]  # fmt: skip
    code = [(int(start, 16), int(end, 16)) for start, end, rights, _, _ in maps if "x" in rights]
    base = min((int(start, 16) for start, *_ in maps), default=0)
    found: list[int] = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        kind = struct.unpack("<H", _read(memory.fileno(), base + 16, 2))[0]
        words = _read(memory.fileno(), pointer, DEPTH)
        for (value,) in struct.iter_unpack("<Q", words[: len(words) // 8 * 8]):
            if any(start + 8 <= value < end for start, end in code) and _follows_call(memory.fileno(), value):
                found.append(value if kind == _ET_EXEC else value - base)
            if len(found) == MOST:
                break
    return tuple(found)


def _read(memory: int, address: int, count: int) -> bytes:
    """As much as there is: a stack ends somewhere."""
    try:
        return os.pread(memory, count, address)
    except OSError:
        return os.pread(memory, 4096 - address % 4096, address)


def _follows_call(memory: int, address: int) -> bool:
    """Whether the instruction before is a call: direct (e8), through a register, or through memory (ff /2)."""
    before = _read(memory, address - 6, 6)
    return len(before) == 6 and (before[1] == 0xE8 or before[:2] == b"\xff\x15" or 0xFF in before[3:5])
