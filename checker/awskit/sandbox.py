"""The box in which a submission is built and run: what it can see, what it can use up, and what ends with it.

As a picture, from the outside to the inside:

    [strace]            only for evidence: outside of the box, so that the box cannot touch what it writes
    setpriv             an unprivileged real user id, where the checker is root
    bwrap               own user, pid, mount, IPC and UTS namespaces; nested user namespaces forbidden
    enter               limits, filters and Landlock: see checker/box/enter.c
    [valgrind]          only for the memory points
    the command

The network namespace is made before and entered by the thread that starts all this (namespace.py). Traps that the
recipe avoids: bwrap started by root runs the command as root whatever `--uid` says; its own environment can be read
inside as /proc/1/environ; a symbolic link in the submission must never be followed by the checker's own user.

What a machine cannot give is left out and listed in `Isolation.missing`, which the report shows.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import namespace, procfs
from .bench import wait_until
from .entry import Entry
from .faults import Fault
from .model import Failure, Trouble
from .overuse import Room
from .process import Process, becomes_readable

MIB = 1 << 20

NOBODY = 65534  # the real user and group id of a submission where the checker is root
INFO = "{info}"  # stands for the number of a descriptor that is known later
LANDLOCK_CREATE_RULESET = 444  # the system call's number, the same on every architecture
SPAWN_SECONDS = 30.0  # for bwrap to make its namespaces (10 ms measured): bounds a machine that hangs

# What a command finds in the box besides its own folders: the compiler's world, read-only. Debian's compiler is found
# through /etc/alternatives, and valgrind replaces functions of the dynamic loader by the names in /usr/lib/debug.
SYSTEM = ("/usr", "/etc/alternatives", "/etc/ld.so.cache")
LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Limits:
    """What one command may use: seconds on a CPU, processes and threads, bytes of one file, bytes of private memory
    that a process reserves (None: unlimited, as sanitizers and valgrind reserve terabytes), bytes of memory that the
    whole box really has, open files (None: this machine's custom), requests that Linux AIO contexts reserve (None: not
    bounded)."""

    cpu_seconds: int
    processes: int = 256
    file_bytes: int = 256 * MIB
    memory_bytes: int | None = 2048 * MIB
    memory_in_all: int = 1024 * MIB
    open_files: int | None = None
    aio_requests: int | None = None


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
        warden = _try_warden()
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


def _try_bwrap(user: int | None) -> str:
    """Why bwrap does not work here, or "" if it does."""
    if not Path("/usr/bin/bwrap").exists():
        return "bubblewrap is not installed"
    line = [*_bwrap((), "/", {}, info=False), "/usr/bin/true"]
    if user is not None:
        line = ["/usr/bin/setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *line]
    process = subprocess.run(line, env={}, capture_output=True, timeout=SPAWN_SECONDS, check=False)
    return process.stderr.decode(errors="replace").strip() if process.returncode else ""


def _has_landlock() -> bool:
    """Whether this kernel has Landlock, and it is switched on (landlock_create_ruleset(2), the version)."""
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1) > 0


def _try_warden() -> str:
    """Why no warden can answer a command's calls here, or "" if one can."""
    entry = Entry(contexts=1)
    try:
        line = [*entry.line, "/usr/bin/true"]
        popen = subprocess.Popen(line, env={}, stderr=subprocess.PIPE, pass_fds=entry.descriptors)
        try:
            _enter(entry, popen)
        finally:
            popen.communicate()
    except Trouble as trouble:
        return str(trouble)
    finally:
        entry.close()
    return ""


def _bwrap(mounts: tuple[Mount, ...], cwd: str, environment: dict[str, str], *, info: bool) -> list[str]:
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


class Sandbox:
    """Starts commands in boxes, as well as the machine's `isolation` allows it."""

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation

    def mount(self, outside: Path, inside: str, access: Access = Access.READ) -> Mount:
        """Where a folder will be seen: without a box, at its own path."""
        if access is Access.KEEP and not (self.isolation.box and self.isolation.landlock):
            access = Access.READ
        return Mount(outside, inside if self.isolation.box else str(outside), access)

    def own(self, folder: Path) -> None:
        """Give `folder` and all below to the user that commands run as. Links are not followed."""
        if self.isolation.user is None:
            return
        for parent, directories, files in os.walk(folder):
            for name in (".", *directories, *files):
                os.chown(os.path.join(parent, name), self.isolation.user, self.isolation.user, follow_symlinks=False)

    def spawn(
        self,
        command: list[str],
        mounts: tuple[Mount, ...],
        cwd: str,
        limits: Limits,
        network: namespace.NetworkNamespace | None,
        tracer: tuple[str, ...] = (),
        tools: str = "",
        faults: tuple[Fault, ...] = (),
        room: Room | None = None,
    ) -> Process:
        """Start `command` and return when its bounds are in force. `tracer` is a command line to put before all;
        `tools` a folder in the box whose programs are found before the system's; `faults` hit the command from its
        start on. It is ended when it overuses `room`, or memory.

        Raises Trouble if the box could not be made, or faults are not to be had. The caller's thread must outlive the
        process: it is killed when the thread that started it ends (prctl(2) PR_SET_PDEATHSIG), which is wanted when
        the checker itself dies.
        """
        environment = {**ENVIRONMENT, "PATH": f"{tools}:{ENVIRONMENT['PATH']}"} if tools else ENVIRONMENT
        entry = Entry(self._bounds(limits, mounts), faults, limits.aio_requests if self.isolation.warden else None)
        line = [*self._setpriv(), *self._box(mounts, cwd, environment), *entry.line, *command]
        receive, send = os.pipe()
        inherited = (send, *entry.descriptors)
        if tracer:  # as bwrap does by --die-with-parent: a tracer without its checker ends, and so does what it traces
            line = ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", *tracer, *line]
        line = [str(send) if word == INFO else word for word in line]
        try:
            popen = self._popen(line, cwd, inherited, network, environment)
        except OSError as error:
            os.close(receive)
            entry.close()
            raise Trouble(f"cannot start {line[0]}: {error}") from error
        finally:
            os.close(send)
        try:
            init, pid = self._find(popen, receive, bool(tracer))
            _enter(entry, popen)
            return Process(
                popen, init, pid, entry, group=not self.isolation.box, max_memory=limits.memory_in_all, room=room
            )
        except BaseException:
            popen.kill()
            popen.wait()
            entry.close()
            raise
        finally:
            os.close(receive)

    def _setpriv(self) -> list[str]:
        """Drop to the unprivileged user; in a box the dying of the parent is bwrap's business."""
        line = ["/usr/bin/setpriv", "--no-new-privs"]
        if self.isolation.user is not None:
            user = str(self.isolation.user)
            line += ["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps", "-all"]
        return line if self.isolation.box else [*line, "--pdeathsig", "KILL"]

    def _bounds(self, limits: Limits, mounts: tuple[Mount, ...]) -> tuple[str, ...]:
        """What `enter` sets, in the new user namespace: so processes are counted for this box alone."""
        # Should the machine's memory run out all the same, the kernel is to kill this first (proc(5), oom_score_adj).
        words = ["oom:1000", "limit:core:0", f"limit:cpu:{limits.cpu_seconds}", f"limit:fsize:{limits.file_bytes}"]
        # Outside of a box an ordinary user's own processes would be counted, too.
        if self.isolation.box or self.isolation.user is not None:
            words.append(f"limit:nproc:{limits.processes}")
        if limits.open_files is not None:
            words.append(f"limit:nofile:{limits.open_files}")
        if limits.memory_bytes is not None:
            # Not the address space: every thread of a program reserves some of that, and uses little.
            words.append(f"limit:data:{limits.memory_bytes}")
        kept = [f"keep:{mount.inside}" for mount in mounts if mount.access is Access.KEEP]
        if kept:
            words += ["write:/tmp", "write:/dev", "write:/proc", *kept]
        return tuple(words)

    def _box(self, mounts: tuple[Mount, ...], cwd: str, environment: dict[str, str]) -> list[str]:
        return _bwrap(mounts, cwd, environment, info=True) if self.isolation.box else []

    def _popen(
        self,
        line: list[str],
        cwd: str,
        inherited: tuple[int, ...],
        network: namespace.NetworkNamespace | None,
        environment: dict[str, str],
    ) -> subprocess.Popen[bytes]:
        """Start the whole line of programs. Its environment is empty in a box: bwrap's own can be read inside."""
        with network.entered() if network else contextlib.nullcontext():
            return subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={} if self.isolation.box else environment,
                cwd=None if self.isolation.box else cwd,
                pass_fds=inherited,
                start_new_session=True,  # a ^C at the terminal is for the checker to act on
            )

    def _find(self, popen: subprocess.Popen[bytes], info: int, traced: bool) -> tuple[int, int]:
        """The pid of the box's first process and that of the command, once they are there."""
        if not self.isolation.box:
            pid = self._child(popen, popen.pid) if traced else popen.pid
            return pid, pid
        text = b""
        while b"}" not in text:  # it comes in pieces, and no end of file follows while a tracer has the pipe, too
            piece = os.read(info, 4096) if becomes_readable(info, SPAWN_SECONDS) else b""
            if not piece:
                popen.kill()
                raise Trouble(f"no box could be made: {popen.communicate()[1].decode(errors='replace').strip()}")
            text += piece
        init = int(json.loads(text)["child-pid"])
        return init, self._child(popen, init)

    def _child(self, popen: subprocess.Popen[bytes], parent: int) -> int:
        """The child of `parent` that runs another program, once it is there; 0 where it has come and gone. (strace
        tries out the kernel by children that are copies of itself.)"""

        def found() -> int:
            own = procfs.executable(parent)
            children = (pid for pid in procfs.family(parent)[1:] if procfs.executable(pid) not in ("", own))
            return next(children, 0) or (-1 if popen.poll() is not None else 0)

        try:
            return max(0, wait_until(found, SPAWN_SECONDS, "the command's process"))
        except Failure as failure:
            raise Trouble(failure.reason) from failure


def _enter(entry: Entry, popen: subprocess.Popen[bytes]) -> None:
    """Wait until the command's bounds are in force; Trouble that says what was in the way."""
    try:
        entry.wait_entered()
    except Trouble as trouble:
        popen.kill()
        said = popen.communicate()[1].decode(errors="replace").strip()
        raise Trouble(f"{trouble}: {said}" if said else str(trouble)) from trouble
