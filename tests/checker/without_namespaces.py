"""Run a command, as root, where it can make no namespace: `without_namespaces.py [--take-port] COMMAND…`.

It runs in user and network namespaces of its own, in which the limits for further ones are zero (namespaces(7)), like
in a container that forbids them. The loopback interface is up. `--take-port`: somebody listens on port 8888 there.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWUSER_AND_NEWNET = 0x10000000 | 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def main() -> int:
    command = sys.argv[1:]
    child_ready, tell_parent = os.pipe()
    parent_done, tell_child = os.pipe()
    child = os.fork()
    if child == 0:
        if ctypes.CDLL(None).unshare(CLONE_NEWUSER_AND_NEWNET) != 0:
            os._exit(125)
        os.write(tell_parent, b".")
        os.read(parent_done, 1)
        os.setgid(0)
        os.setuid(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
        for kind in ("user", "net", "mnt", "pid", "uts", "ipc", "cgroup"):
            with open(f"/proc/sys/user/max_{kind}_namespaces", "w", encoding="ascii") as limit:
                limit.write("0")
        if command[0] == "--take-port":
            command = command[1:]
            listener = socket.create_server(("127.0.0.1", 8888))
            os.set_inheritable(listener.fileno(), True)
        os.execvp(command[0], command)
    os.close(tell_parent)
    os.read(child_ready, 1)
    for name in ("uid_map", "gid_map"):  # all users, so that the checker can still change to an unprivileged one
        with open(f"/proc/{child}/{name}", "w", encoding="ascii") as mapping:
            mapping.write("0 0 65536")
    os.write(tell_child, b".")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


sys.exit(main())
