"""What a box sees: the command line of bubblewrap (bwrap(1)).

Traps that it avoids: nested user namespaces would give back what is taken away here; a symbolic link at the top, such
as /bin, must stay one; what is left of / and /dev is read-only.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20

INFO = "{info}"  # stands for the number of a descriptor that is known later

# What a command finds in the box besides its own folders: the compiler's world, read-only. Debian's compiler is found
# through /etc/alternatives, and valgrind replaces functions of the dynamic loader by the names in /usr/lib/debug.
SYSTEM = ("/usr", "/etc/alternatives", "/etc/ld.so.cache")
LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}


class Access(enum.Enum):
    """What a box may do with a folder. KEEP: what file permissions allow, but no file is made, removed or renamed; as
    far as the machine has Landlock, else it is READ."""

    READ = "read"
    KEEP = "keep"
    WRITE = "write"


@dataclass(frozen=True)
class Mount:
    """A folder of the checker's, and the path by which the box sees it."""

    outside: Path
    inside: str
    access: Access = Access.READ


def bwrap_line(mounts: tuple[Mount, ...], cwd: str, environment: dict[str, str], *, info: bool) -> list[str]:
    """The command line of bwrap up to the command. `info`: it writes the pid of its inner process to INFO."""
    line = ["/usr/bin/bwrap", "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if info:
        line += ["--info-fd", INFO]
    for path in SYSTEM:
        line += ["--ro-bind-try", path, path]
    for path in LINKS:
        if os.path.islink(path):
            line += ["--symlink", os.readlink(path), path]
        else:
            line += ["--ro-bind-try", path, path]
    line += ["--proc", "/proc", "--dev", "/dev"]
    line += ["--size", str(256 * MIB), "--tmpfs", "/tmp", "--size", str(64 * MIB), "--tmpfs", "/dev/shm"]
    for mount in mounts:
        line += ["--ro-bind" if mount.access is Access.READ else "--bind", str(mount.outside), mount.inside]
    for name, value in environment.items():
        line += ["--setenv", name, value]
    return [*line, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", cwd, "--"]
