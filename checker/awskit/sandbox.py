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
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import namespace, procfs
from .bench import wait_until
from .bwrap import ENVIRONMENT, INFO, MIB, Access, Mount, bwrap_line
from .entry import Entry
from .faults import Fault
from .isolation import Isolation
from .model import Failure, Trouble
from .overuse import Room
from .process import Process, becomes_readable

SPAWN_SECONDS = 30.0  # for bwrap to make its namespaces (10 ms measured): bounds a machine that hangs


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
            popen = self._popen(line, cwd, inherited, network, environment, entry)
        except OSError as error:
            os.close(receive)
            entry.close()
            raise Trouble(f"cannot start {line[0]}: {error}") from error
        finally:
            os.close(send)
        try:
            init, pid = self._find(popen, receive, bool(tracer))
            entry.wait_entered_by(popen)
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
        return bwrap_line(mounts, cwd, environment, info=True) if self.isolation.box else []

    def _popen(
        self,
        line: list[str],
        cwd: str,
        inherited: tuple[int, ...],
        network: namespace.NetworkNamespace | None,
        environment: dict[str, str],
        entry: Entry,
    ) -> subprocess.Popen[bytes]:
        """Start the whole line of programs. Its environment is empty in a box: bwrap's own can be read inside."""
        # A ^C at the terminal is for the checker to act on. And should the checker be killed, the warden ends what is
        # of its group: bwrap's --die-with-parent does not hold yet while it makes the box.
        group = entry.warden.pid if entry.warden and self.isolation.box else None
        with network.entered() if network else contextlib.nullcontext():
            return subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={} if self.isolation.box else environment,
                cwd=None if self.isolation.box else cwd,
                pass_fds=inherited,
                start_new_session=group is None,
                process_group=group,
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
