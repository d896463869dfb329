"""Servers that are started directly on this machine: the reference, or any binary that takes its options.

`aws -p 0 -r ROOT` says `listening on port N` on standard output when it listens: that line is the readiness.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from .bench import wait_until
from .entry import Entry
from .faults import Fault
from .model import Failure, Trouble
from .server import Exit, Launcher, Server
from .tree import Tree

START_S = 20.0  # a server under a tool on a loaded machine may take its time
_READY = re.compile(r"^listening on port (\d+)$", re.MULTILINE)


class LocalServer(Server):
    """A child process. Its standard output and error are files in `logs`, kept as long as that directory is."""

    def __init__(self, process: subprocess.Popen[bytes], tree: Tree, logs: Path, entry: Entry | None) -> None:
        self.process = process
        self.warden = entry.warden if entry else None
        self._entry = entry
        self.tree = tree
        self.logs = logs
        self.pid = process.pid
        self.port = 0  # set once it is known

    def new_socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 10.0) -> Exit:
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._entry:
            self._entry.close()
        code = self.process.returncode
        return Exit(code, None) if code >= 0 else Exit(None, -code)

    def log(self) -> str:
        return self._read("stdout") + self.stderr()

    def stderr(self) -> str:
        return self._read("stderr")

    def wait_ready(self) -> None:
        """Return when it has said its port; Failure if it ends or keeps silent."""

        def said() -> re.Match[str] | bool | None:
            return _READY.search(self._read("stdout")) or not self.alive()

        wait_until(said, START_S, "the server says `listening on port N` on standard output")
        line = _READY.search(self._read("stdout"))
        if line is None:
            ended = self.stop()
            raise Failure(
                f"the server ended at start ({ended})", got=self.log()[-2000:], expected="listening on port N"
            )
        self.port = int(line[1])

    def _read(self, name: str) -> str:
        return (self.logs / name).read_text(errors="replace")


class LocalLauncher(Launcher):
    """Starts `binary`. `uid` (root only) is the user and group that it runs as: it must be able to reach the binary.
    `wrapper` is put in front of the command line and must become the server in the same process, as `prlimit` and
    `strace -D` do. `environment` is all the environment that the server gets. Logs go to directories below `scratch`.
    """

    def __init__(
        self,
        binary: Path,
        scratch: Path,
        *,
        uid: int | None = None,
        wrapper: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.binary = binary.resolve()
        self.scratch = scratch
        self.uid = uid
        self.wrapper = wrapper
        self.environment = environment or {}

    def command(self, tree: Tree, args: tuple[str, ...]) -> list[str]:
        """The server's own command line."""
        return [str(self.binary), "-p", "0", "-r", str(tree.root), *args]

    def start(
        self, tree: Tree, *, args: tuple[str, ...] = (), nofile: int | None = None, faults: tuple[Fault, ...] = ()
    ) -> LocalServer:
        entry = Entry(faults=faults) if faults else None
        try:
            server = self._spawn(tree, args, nofile, entry)
        except BaseException:
            if entry:
                entry.close()
            raise
        try:
            if entry:
                entry.wait_entered()
            server.wait_ready()
        except BaseException:
            server.stop(signal.SIGKILL)
            raise
        return server

    def _spawn(self, tree: Tree, args: tuple[str, ...], nofile: int | None, entry: Entry | None) -> LocalServer:
        limit = () if nofile is None else ("prlimit", f"--nofile={nofile}:{nofile}", "--")
        logs = Path(tempfile.mkdtemp(prefix="server-", dir=self.scratch))
        identity = {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}
        with (logs / "stdout").open("wb") as stdout, (logs / "stderr").open("wb") as stderr:
            try:
                process = subprocess.Popen(
                    [*self.wrapper, *limit, *(entry.line if entry else ()), *self.command(tree, args)],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=tree.root,
                    env={"PATH": os.defpath, **self.environment},
                    pass_fds=entry.descriptors if entry else (),
                    **identity,
                )
            except OSError as error:
                raise Trouble(f"cannot start {self.binary}: {error}") from error
        return LocalServer(process, tree, logs, entry)
