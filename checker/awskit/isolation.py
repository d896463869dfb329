"""What this machine lets the checker do to keep a submission apart: found out by trying it, and said in the report."""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import namespace
from .bwrap import bwrap_line
from .entry import ENTER_SECONDS, Entry
from .faults import Cut
from .model import Trouble

NOBODY = 65534  # the real user and group id of a submission where the checker is root
LANDLOCK_CREATE_RULESET = 444  # the system call's number, the same on every architecture


@dataclass(frozen=True)
class Isolation:
    """What this machine lets us do. `user` is the id to drop to, None where the checker is not root itself."""

    network: bool
    box: bool
    landlock: bool
    warden: bool
    user: int | None
    missing: tuple[str, ...]

    @classmethod
    def probe(cls) -> Isolation:
        """Try it. An ordinary user's process moves into a user namespace of its own and needs to have one thread."""
        missing = []
        is_root = os.geteuid() == 0
        network = True
        try:
            if not is_root:
                namespace.enter_user_namespace()
            namespace.NetworkNamespace().close()
        except OSError as error:
            network = False
            missing.append(
                f"no network namespace of its own ({error}): port 8888 of this machine is used, network access is open"
            )
        user = NOBODY if is_root and _is_mapped(NOBODY) else None
        if is_root and user is None:
            missing.append(f"no other user than root: there is no user {NOBODY} in this user namespace")
        trouble = _try_bwrap(user)
        if trouble:
            missing.append(f"no box ({trouble}): files of this machine can be read, processes can be left behind")
        landlock = _has_landlock()
        if not landlock:
            missing.append("no Landlock: the document root is read-only for the server, not as a student has it")
        warden = _try_warden(user)
        if warden:
            missing.append(f"no faults, no bound for Linux AIO contexts ({warden})")
        return cls(network, not trouble, landlock, not warden, user, tuple(missing))


def _is_mapped(number: int) -> bool:
    """Whether a user and a group of this number exist in this user namespace (a container may have root alone)."""
    for name in ("uid_map", "gid_map"):
        rows = [list(map(int, line.split())) for line in Path(f"/proc/self/{name}").read_text().splitlines()]
        if not any(first <= number < first + count for first, _, count in rows):
            return False
    return True


def _as_user(user: int | None) -> list[str]:
    if user is None:
        return []
    return ["/usr/bin/setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]


def _try_bwrap(user: int | None) -> str:
    """Why bwrap does not work here, or "" if it does."""
    if not Path("/usr/bin/bwrap").exists():
        return "bubblewrap is not installed"
    line = [*_as_user(user), *bwrap_line((), "/", {}, info=False), "/usr/bin/true"]
    process = subprocess.run(line, env={}, capture_output=True, timeout=ENTER_SECONDS, check=False)
    return process.stderr.decode(errors="replace").strip() if process.returncode else ""


def _has_landlock() -> bool:
    """Whether this kernel has Landlock, and it is switched on (landlock_create_ruleset(2), the version)."""
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1) > 0


def _try_warden(user: int | None) -> str:
    """Why no warden can answer a command's calls here, or "" if one can. The command's first reads are of libraries:
    the warden looks at their descriptors."""
    entry = Entry(faults=(Cut("receive", 1),))
    try:
        line = [*_as_user(user), *entry.line, "/usr/bin/true"]
        popen = subprocess.Popen(line, env={}, stderr=subprocess.PIPE, pass_fds=entry.descriptors)
        try:
            entry.wait_entered_by(popen)
        finally:
            popen.communicate()
        assert entry.warden is not None
        entry.warden.delivered()
    except Trouble as trouble:
        return str(trouble)
    finally:
        entry.close()
    return ""
