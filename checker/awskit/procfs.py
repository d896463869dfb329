"""What /proc shows of a process under test: its descriptors, its TCP connections, its memory, whether it sleeps.

All of it is read from outside: nothing that the process writes is believed. A process means it and its descendants,
for a design with several (contract U4). A process that is gone has nothing. Source: proc(5).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

ESTABLISHED, TIME_WAIT, LISTEN = 0x01, 0x06, 0x0A  # include/net/tcp_states.h
FIN_UNCONFIRMED = (0x04, 0x09, 0x0B)  # FIN_WAIT1, LAST_ACK, CLOSING: the kernel counts the FIN as a byte unsent


def family(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    found = [pid]
    for member in found:
        for task in _entries(f"/proc/{member}/task"):
            found += [int(child) for child in _read(f"/proc/{member}/task/{task}/children").split()]
    return found


def executable(pid: int) -> str:
    """The path of the program that it runs, as its own mount namespace has it; "" when it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def descriptors(pid: int) -> dict[tuple[int, int], str]:
    """What each open descriptor leads to (`socket:[123]`, a path), by (process, descriptor)."""
    return {(member, number): link for member in family(pid) for number, link in own_descriptors(member).items()}


def own_descriptors(pid: int) -> dict[int, str]:
    """The same of this very process, without its descendants."""
    links = {}
    for number in _entries(f"/proc/{pid}/fd"):
        try:
            links[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except OSError:  # closed meanwhile
            continue
    return links


@dataclass(frozen=True)
class Connection:
    """One row of /proc/PID/net/tcp or tcp6. `inode` is 0 where no process has the socket: not accepted yet, or closed.
    `unread` is the number of bytes that have come and that the process has not yet received, `unsent` of those that it
    has sent and that the other side has not confirmed, without the FIN."""

    local_port: int
    remote_port: int
    state: int
    unsent: int
    unread: int
    inode: int


def connections(
    pid: int, local_port: int | None = None, remote_port: int | None = None, *, over: bool = False
) -> list[Connection]:
    """The TCP sockets of the network namespace that `pid` lives in: those with these ports, and if `over` those in
    TIME_WAIT, too. There may be ten thousand of these: only rows that may be asked for are taken apart."""
    marks = [f":{port:04X} " for port in (local_port, remote_port) if port is not None]
    closed = "" if over else f" {TIME_WAIT:02X} "  # no other column has two digits of which one is a leading zero
    rows = []
    # The kernel walks its whole table for each of the two (4 ms): not for IPv6 where none is in use.
    for table in ("tcp", *(() if "TCP6: inuse 0\n" in _read(f"/proc/{pid}/net/sockstat6") else ("tcp6",))):
        for line in _read(f"/proc/{pid}/net/{table}").splitlines()[1:]:
            if not all(mark in line for mark in marks) or closed and closed in line:
                continue
            field = line.split()
            local, remote = (int(address.rpartition(":")[2], 16) for address in field[1:3])
            if local_port in (None, local) and remote_port in (None, remote):
                state, (unsent, unread) = int(field[3], 16), (int(size, 16) for size in field[4].split(":"))
                unsent = max(0, unsent - (state in FIN_UNCONFIRMED))  # the two are not read at once
                rows.append(Connection(local, remote, state, unsent, unread, int(field[9])))
    return rows


def listening_ports(pid: int) -> set[int]:
    """The ports at which a socket of this very process (not of a neighbour) listens."""
    own = {link for link in descriptors(pid).values() if link.startswith("socket:")}
    return {row.local_port for row in connections(pid) if row.state == LISTEN and f"socket:[{row.inode}]" in own}


def states(pid: int) -> str:
    """The state letters of all threads (R running, S asleep, D in disk sleep, Z zombie), "" when it is gone."""
    letters = ""
    for member in family(pid):
        for task in _entries(f"/proc/{member}/task"):
            # The name stands in parentheses and may hold anything, parentheses too.
            letters += _read(f"/proc/{member}/task/{task}/stat").rpartition(")")[2].lstrip()[:1]
    return letters


# Calls in which a server is found asleep, by their numbers (x86-64: arch/x86/entry/syscalls/syscall_64.tbl).
_CALLS = {0: "read", 1: "write", 2: "open", 7: "poll", 20: "writev", 23: "select", 34: "pause", 35: "nanosleep",
          40: "sendfile", 43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 61: "wait4",
          202: "futex", 207: "io_destroy", 208: "io_getevents", 209: "io_submit", 230: "clock_nanosleep",
          232: "epoll_wait", 257: "openat", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4",
          333: "io_pgetevents", 441: "epoll_pwait2"}  # fmt: skip


def sleeping_in(pid: int) -> tuple[str, ...]:
    """The system calls in which its threads wait, each name once; `running` for a thread that waits in none. A call
    that is not in the table is named by its number. Nothing where this may not be read."""
    names = set()
    for member in family(pid):
        for task in _entries(f"/proc/{member}/task"):
            word = _read(f"/proc/{member}/task/{task}/syscall").strip().partition(" ")[0]
            if word.isdecimal():
                names.add(_CALLS.get(int(word), f"call {word}"))
            elif word == "running":
                names.add(word)
    return tuple(sorted(names))


def ending(pid: int) -> bool:
    """Whether the process, all threads of it, has begun to end: the kernel closes its sockets before it reports the
    end to anybody."""
    return all(_exiting(pid, task) for task in _entries(f"/proc/{pid}/task"))


def _exiting(pid: int, task: str) -> bool:
    # Flags are the ninth field, the seventh after the name; PF_EXITING of include/linux/sched.h.
    fields = _read(f"/proc/{pid}/task/{task}/stat").rpartition(")")[2].split()
    return len(fields) < 7 or bool(int(fields[6]) & 0x4)


def run_time_ns(pid: int) -> int:
    """Time on a CPU so far, all threads, in nanoseconds."""
    return sum(_scheduled(member)[0] for member in family(pid))


def awake_ns(*pids: int) -> int:
    """Time on a CPU or waiting for one so far, all threads of just these processes, in nanoseconds."""
    return sum(sum(_scheduled(pid)) for pid in pids)


def _scheduled(pid: int) -> tuple[int, int]:
    """Time on a CPU and time waiting for one, all threads of this process, in nanoseconds (sched-stats.rst)."""
    ran = waited = 0
    for task in _entries(f"/proc/{pid}/task"):
        figures = _read(f"/proc/{pid}/task/{task}/schedstat").split() or ["0", "0"]
        ran, waited = ran + int(figures[0]), waited + int(figures[1])
    return ran, waited


def stalled_seconds() -> float:
    """How long, so far, something on this machine has waited for a CPU or for a disk; 0 where the kernel does not say
    (pressure stall information, lines `some`)."""
    total = 0
    for resource in ("cpu", "io"):
        if found := re.search(r"^some .*total=(\d+)", _read(f"/proc/pressure/{resource}"), re.MULTILINE):
            total += int(found[1])
    return total / 1e6


def ready_to_run() -> int:
    """How many threads of this machine have a CPU or wait for one, this one among them (proc(5), procs_running)."""
    found = re.search(r"^procs_running (\d+)", _read("/proc/stat"), re.MULTILINE)
    return int(found[1]) if found else 1


def disk_works() -> bool:
    """Whether a disk of this machine has a transfer under way (iostats.rst, field 9)."""
    return any(line.split()[11] != "0" for line in _read("/proc/diskstats").splitlines())


def memory(pid: int, field: str = "VmRSS") -> int:
    """A memory field of /proc/PID/status (VmRSS, VmHWM, RssAnon …) in bytes, of the whole family."""
    total = 0
    for member in family(pid):
        for line in _read(f"/proc/{member}/status").splitlines():
            if line.startswith(f"{field}:"):
                total += int(line.split()[1]) * 1024
    return total


def resident(pid: int) -> int:
    """Bytes in memory of the whole family; what they share counts for each."""
    pages = sum(int((_read(f"/proc/{member}/statm").split() or ["0", "0"])[1]) for member in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE")


def proportional(pid: int) -> int:
    """Bytes in memory of the whole family; what they share counts once (Pss)."""
    total = 0
    for member in family(pid):
        for line in _read(f"/proc/{member}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def effective_uid(pid: int) -> int | None:
    """The user id by which file permissions are judged; None when the process is gone."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[2])
    return None


def aio_contexts(pid: int) -> int:
    """How many Linux AIO contexts are open: each maps one ring (io_setup(2))."""
    return sum(_read(f"/proc/{member}/maps").count("/[aio]") for member in family(pid))


def _read(path: str) -> str:
    # By bare calls: a check looks thousands of times, and Python's files take three times as long (measured).
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 16):  # the kernel gives a table in pieces of a page or so
            pieces.append(piece)
        return b"".join(pieces).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
