"""Events on the server's side, from /proc/net/tcp (proc(5)): an exported case runs on the server's machine."""

from __future__ import annotations

import fcntl
import glob
import os
import signal
import struct
import termios
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .place import CLOSE_WAIT, ESTABLISHED, FIN_UNCONFIRMED, LISTEN, LOOK, PATIENCE, SETTLED, Place, Wrong

if TYPE_CHECKING:
    from .client import Client


def wait(predicate: Callable[[], object], what: str) -> None:
    """Look until it is so; Wrong when it is in vain."""
    end = time.monotonic() + PATIENCE
    while not predicate():
        if time.monotonic() > end:
            raise Wrong(f"waited {PATIENCE:g} s in vain: {what}")
        time.sleep(LOOK)


def sockets() -> list[tuple[int, int, int, int, int, int]]:
    """All TCP sockets: own port, other port, state, bytes unsent, bytes unread, inode. A server that listens for IPv6,
    too, has all of its own among those of IPv6."""
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table) as stream:
            for line in stream.readlines()[1:]:
                word = line.split()
                own, other = (int(address.split(":")[1], 16) for address in word[1:3])
                state, (unsent, unread) = int(word[3], 16), (int(size, 16) for size in word[4].split(":"))
                unsent = max(0, unsent - (state in FIN_UNCONFIRMED))  # the two are not read at once
                rows.append((own, other, state, unsent, unread, int(word[9])))
    return rows


def server_side(client: Client) -> tuple[int, int, int, int] | None:
    """The server's end of this connection: state, bytes unsent, bytes unread, inode (0: not accepted, or closed)."""
    return next((row[2:] for row in sockets() if row[:2] == (Place.port, client.port)), None)


def wait_received(client: Client) -> None:
    """The server has received all that was sent."""

    def received() -> bool:
        unsent = struct.unpack("i", fcntl.ioctl(client.socket, termios.TIOCOUTQ, bytes(4)))[0]
        side = server_side(client)
        if side is None or side[3] == 0 and side[0] != ESTABLISHED:
            return True  # it has ended the connection
        return not unsent and side[3] != 0 and side[2] == 0

    wait(received, "the server receives what was sent")


def wait_accepted(client: Client) -> None:
    """The server has accepted this client."""
    wait(lambda: (server_side(client) or (0, 0, 0, 0))[3], "the server accepts the client")


def wait_released(client: Client) -> None:
    """The server has accepted this client, who has left, and has closed its end."""

    def released() -> bool:
        side = server_side(client)
        return side is None or side[3] == 0 and side[0] not in (ESTABLISHED, CLOSE_WAIT)

    wait(released, "the server closes its end")


def wait_stalled(client: Client) -> None:
    """The server's socket to this client, who does not read, is full, and stays so."""

    def unsent() -> int:
        side = server_side(client)
        return side[1] if side else -1

    if stays(unsent, "the server fills its socket to a client that does not read") < 0:
        raise Wrong("the server has let a client go that does not read")


def wait_full() -> None:
    """The server accepts no more."""
    stays(
        lambda: sum(1 for row in sockets() if row[0] == Place.port and row[5] and row[2] != LISTEN),
        "it accepts clients",
    )


def stays(figure: Callable[[], int], what: str) -> int:
    """Wait until the figure is not 0 and stays."""
    looks, last = 0, 0

    def settled() -> bool:
        nonlocal looks, last
        now = figure()
        looks, last = (looks + 1 if now and now == last else 0), now
        return looks > SETTLED

    wait(settled, what)
    return last


def server() -> int:
    """The process that listens at the port. Another user's cannot be seen, of which nothing can be told then."""
    inodes = {f"socket:[{row[5]}]" for row in sockets() if row[0] == Place.port and row[2] == LISTEN}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{name}") in inodes for name in os.listdir(f"/proc/{pid}/fd")):
                return pid
        except OSError:
            continue
    if inodes:
        raise PermissionError(f"the process that listens at port {Place.port} cannot be seen: be its user, or root")
    raise Wrong(f"nobody listens at port {Place.port} any more")


def told_of(pid: int, name: str) -> str:
    """What the kernel tells of the server's process in /proc (proc(5))."""
    try:
        with open(f"/proc/{pid}/{name}") as stream:
            return stream.read()
    except (FileNotFoundError, ProcessLookupError):
        raise Wrong("the server's process has ended") from None


def states(pid: int) -> str:
    """A letter for each thread of the process: R runs, or waits for a CPU; S sleeps; T stands still."""
    found = ""
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            with open(path) as stream:
                found += stream.read().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that has ended meanwhile
    return found


def wait_idle() -> None:
    """The server sleeps: for some looks one after another it used no CPU time, and no thread of it wanted any."""
    pid, looks, last, begin = server(), 0, 0, time.monotonic()
    while looks <= SETTLED:
        now = int(told_of(pid, "schedstat").split()[0])
        looks, last = (looks + 1 if now - last < 1_000_000 and "R" not in states(pid) else 0), now
        if time.monotonic() - begin > PATIENCE:
            raise Wrong("the server should sleep, and burns the CPU")
        time.sleep(LOOK)


class ServerStopped:
    """The server stands still meanwhile (SIGSTOP): what clients do, it finds all at once afterwards."""

    def __enter__(self) -> None:
        self.pid = server()
        os.kill(self.pid, signal.SIGSTOP)
        wait(lambda: set(states(self.pid)) == {"T"}, "the server stands still")

    def __exit__(self, *exception: object) -> None:
        os.kill(self.pid, signal.SIGCONT)


def expect_alive() -> None:
    """The server still listens."""
    if not any(row[0] == Place.port and row[2] == LISTEN for row in sockets()):
        raise Wrong(f"nobody listens at port {Place.port} any more")


def figure(name: str) -> int:
    """What the server has: descriptors, contexts (of AIO), memory (bytes of its own), threads."""
    pid = server()
    if name == "descriptors":
        return len(glob.glob(f"/proc/{pid}/fd/*"))
    if name == "contexts":
        return told_of(pid, "maps").count("/[aio]")
    word = {"memory": "RssAnon:", "threads": "Threads:"}[name]
    line = next((line for line in told_of(pid, "status").splitlines() if line.startswith(word)), f"{word} 0")
    return int(line.split()[1]) * (1024 if name == "memory" else 1)


def expect_figure(name: str, most: int) -> None:
    """It has no more, or comes to that."""
    try:
        wait(lambda: figure(name) <= most, name)
    except Wrong:
        raise Wrong(f"the server has {figure(name):,} {name}, and at most {most:,} were expected") from None
