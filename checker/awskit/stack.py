"""Where in the program a thread stands that sleeps in a system call, or spins: the return addresses on its stack.

The addresses are read from the thread's stack while it sleeps (proc(5): syscall, maps, mem); one that spins is stopped
for the instant. There is no unwinding: what lies on the stack, leads into the program's own code and follows a call
instruction is taken for a return address. It may be a stale one; so it explains and proves nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .procfs import family, states

NAME = "aws"  # of the program (contract U1)
DEPTH = 16 * 1024  # bytes of a stack that are looked at
MOST = 8  # addresses of one thread
LOOKS = 50  # at a thread that spins: some of them meet it in the call that it makes again and again
BEFORE = 10  # of them, before it is stopped: to stop one that is about to sleep would wake it (signal(7), EINTR)
PAUSE_S = 0.0005  # between two of them
LOOKING_S = 1.5  # for all of them: 0.1 s where there is a CPU for each
STOP_S = 0.05  # for it to stand still
FUNCTION = 4096  # bytes of a function of the C library that makes a system call
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
                call, pointer, counter = _registers(member, task)
                if call not in WAITS and call >= 0:
                    return _return_addresses(member, pointer, counter)
    return ()


def spins_at(pid: int) -> tuple[int, ...]:
    """The same of a thread that does not sleep at all, which is stopped several times for an instant. Where it was met
    most often in a call counts; if it was in none, where it computed; where it asks for events last, because what it
    does about them is the fault."""
    met: dict[int, list[tuple[int, ...]]] = {}  # by how much such a place says
    end = time.monotonic() + LOOKING_S
    for look in range(LOOKS):
        time.sleep(PAUSE_S)
        with contextlib.suppress(OSError, ValueError, struct.error):
            thread = _running(pid)
            if thread is None or time.monotonic() > end:
                break
            if look < BEFORE:
                continue
            with _stopped(thread[0]):
                call, pointer, counter = _registers(*thread)
                place = _return_addresses(thread[0], pointer, counter)
                if place:
                    met.setdefault(0 if call in WAITS else 1 if call < 0 else 2, []).append(place)
    return Counter(met[max(met)]).most_common(1)[0][0] if met else ()


def _running(pid: int) -> tuple[int, str] | None:
    """The first thread that is on a CPU or waits for one: its process, and its own number."""
    for member in family(pid):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{member}/task"):
                if Path(f"/proc/{member}/task/{task}/syscall").read_bytes() == b"running\n":
                    return member, task
    return None


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """The process stands still meanwhile, as far as it does so in time."""
    os.kill(pid, signal.SIGSTOP)
    try:
        end = time.monotonic() + STOP_S
        while set(states(pid)) - set("TtZ") and time.monotonic() < end:
            time.sleep(PAUSE_S / 10)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _registers(pid: int, task: str) -> tuple[int, int, int]:
    """Of a thread that does not run: the number of the call that it is in, -1 for none; its stack pointer, and where in
    the program it is. ValueError where it runs (proc(5), syscall)."""
    words = Path(f"/proc/{pid}/task/{task}/syscall").read_text(encoding="ascii").split()
    return int(words[0]), int(words[-2], 16), int(words[-1], 16)


def _return_addresses(pid: int, pointer: int, counter: int) -> tuple[int, ...]:
    """Of the thread with this stack pointer, which is at `counter`: in the program itself, or in a function of a
    library. Then what lies before the call of that function is stale."""
    executable = os.readlink(f"/proc/{pid}/exe")
    if os.path.basename(executable) != NAME:  # valgrind, or what a script calls: no symbols of ours count its addresses
        return ()
    maps = [found.groups() for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
            if (found := _MAP.fullmatch(line)) and found[5] == executable]  # fmt: skip
    code = [(int(start, 16), int(end, 16)) for start, end, rights, _, _ in maps if "x" in rights]
    base = min((int(start, 16) for start, *_ in maps), default=0)

    def is_code(address: int) -> bool:
        return any(start + 8 <= address < end for start, end in code)

    with open(f"/proc/{pid}/mem", "rb", buffering=0) as stream:
        memory = stream.fileno()
        base = 0 if struct.unpack("<H", _read(memory, base + 16, 2))[0] == _ET_EXEC else base
        words = _read(memory, pointer, DEPTH)
        values = [value for (value,) in struct.iter_unpack("<Q", words[: len(words) // 8 * 8])]
        places = [at for at, value in enumerate(values) if is_code(value) and _follows_call(memory, value)][:MOST]
        found = [values[at] for at in places]
        if is_code(counter):
            found = [counter + 1, *found]  # as if it returned from the instruction that it is about to execute
        else:
            found = found[_first_in_force([_called(memory, value) for value in found], places, values, counter) :]
    return tuple(value - base for value in found)


def _first_in_force(called: list[int], places: list[int], values: list[int], counter: int) -> int:
    """Which of the return addresses is that of the library's function in which the thread is: of those at these places
    among the `values` on the stack, after calls of these functions. It is the one whose function holds `counter`, or
    called another one that does: then an address in it lies nearer to the top of the stack. 0 where none is."""
    depths = [counter - function for function in called]
    within = [depth for depth in depths if 0 <= depth < FUNCTION]
    if within:
        return depths.index(min(within))
    calls = (any(0 <= value - function < FUNCTION for value in values[:at]) for at, function in zip(places, called))
    return next((index for index, found in enumerate(calls) if found), 0)


def _called(memory: int, address: int) -> int:
    """Where the call before this address leads, through the procedure linkage table where it goes there (x86-64 psABI,
    section 5.2); 0 where that is not known."""
    with contextlib.suppress(OSError, struct.error):
        before = _read(memory, address - 6, 6)
        slot = address + struct.unpack("<i", before[2:])[0]
        if before[:2] != b"\xff\x15":  # call *slot(%rip)
            entry = slot
            jump = _read(memory, entry, 16).find(b"\xff\x25")  # jmp *slot(%rip)
            if before[1] != 0xE8 or jump < 0:
                return 0
            slot = entry + jump + 6 + struct.unpack("<i", _read(memory, entry + jump + 2, 4))[0]
        return int(struct.unpack("<Q", _read(memory, slot, 8))[0])
    return 0


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
