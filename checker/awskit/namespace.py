"""Network namespaces: each server under test has port 8888 to itself, and no way out of the machine.

A namespace here is made *before* the process that will live in it, by one thread that goes in, starts it and comes
back (setns(2) is per thread). So there is no moment at which the process is still in the namespace of the checker, and
the process has no power over the one that it is in. A socket stays in the namespace in which it was created: a client
thread goes in for socket(2) only (measured: 4 us more a connection than without).

An ordinary user may do the same inside a user namespace of the checker's own: see `enter_user_namespace`.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

# The kernel's tables show the connections of a namespace (/proc/PID/net/tcp) by a walk over all buckets of a hash
# table. The machine's has 262,144 of them (measured: 4.4 ms a look), one of this size 0.05 ms; it may fill up.
BUCKETS = 1024

# Python 3.11 has neither os.unshare nor os.setns.
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int) -> None:
    """Call a libc function that returns -1 and sets errno; OSError then."""
    if getattr(_LIBC, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _here() -> int:
    """A descriptor of the network namespace that the calling thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter_user_namespace() -> None:
    """Move this process, which must have one thread, into a user and a network namespace of its own.

    For an ordinary user: in there the checker may make network namespaces for its servers. The user keeps her number,
    so that nothing in the checker takes her for root. The network is left behind too, because setns(2) back into one
    that another user namespace owns is forbidden; the checker needs none. Raises OSError where the machine says no.
    """
    user, group = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
            stream.write(text)


@functools.cache
def _parent() -> int | None:
    """A descriptor of the namespace, made once, in which all others are made: it gives its children a small table of
    connections. None where the kernel has no such setting (before 6.1)."""
    home = _here()
    try:
        _call("unshare", CLONE_NEWNET)
        try:
            Path("/proc/sys/net/ipv4/tcp_child_ehash_entries").write_text(str(BUCKETS), encoding="ascii")
            return _here()
        except OSError:
            return None
        finally:
            _call("setns", home, CLONE_NEWNET)
    finally:
        os.close(home)


class NetworkNamespace:
    """A new network namespace with its loopback interface up. It lives until `close` and its last process."""

    def __init__(self) -> None:
        self._home = _here()
        self._descriptor = -1
        try:
            parent = _parent()
            try:
                if parent is not None:
                    _call("setns", parent, CLONE_NEWNET)
                _call("unshare", CLONE_NEWNET)
                self._descriptor = _here()
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
            finally:
                _call("setns", self._home, CLONE_NEWNET)
        except OSError:
            self.close()
            raise

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside for the length of the block: its sockets and children belong there."""
        _call("setns", self._descriptor, CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", self._home, CLONE_NEWNET)

    def close(self) -> None:
        """Let go of it. Idempotent."""
        for descriptor in (self._descriptor, self._home):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._home = -1
