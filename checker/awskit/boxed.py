"""A submission's server in its box: started with the document root as its working directory, no arguments, port 8888.

It is ready when the kernel shows its own socket listening at the port; no connection is made to find out.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import namespace, procfs
from .bench import wait_until
from .faults import Fault
from .model import Failure, Trouble
from .overuse import Room
from .process import Process
from .sandbox import MIB, Access, Limits, Sandbox
from .server import HOST, Exit, Launcher, Server
from .tree import Tree
from .vigil import PATIENCE_S, Vigil

if TYPE_CHECKING:
    from .builds import Builds
    from .leaving import Leaving

PORT = 8888  # contract U2
# What the document root may take on the disk, holes left out: our files have 0.4 GiB, and a server may write in them.
MAX_BYTES_OF_SITE = 2048 * MIB

# Sanitizers reserve terabytes for their shadow memory. A binary that names one gets no limit of memory.
SANITIZERS = (b"__asan_init", b"__tsan_init", b"__msan_init", b"__hwasan_init")
PT_INTERP = 3


@dataclass(frozen=True)
class Program:
    """What is started: the folder with the built submission, and the path of the binary relative to it."""

    folder: Path
    binary: str

    def sanitized(self) -> bool:
        """Whether the binary names a sanitizer that has memory of its own."""
        data = (self.folder / self.binary).read_bytes()
        return any(name in data for name in SANITIZERS)

    def hides_memory(self) -> str:
        """Why valgrind cannot see what the program allocates, or "" if it can."""
        if self.sanitized():
            return "built with a sanitizer"
        return "linked statically" if self._is_static() else ""

    def _is_static(self) -> bool:
        """Whether it is an ELF file that asks for no dynamic loader (elf(5), PT_INTERP), of 64 bits."""
        data = (self.folder / self.binary).read_bytes()
        if data[:5] != b"\x7fELF\x02":
            return False
        start, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
        return all(struct.unpack_from("<I", data, start + at * size)[0] != PT_INTERP for at in range(count))


def _half_of_all_requests() -> int:
    """fs.aio-max-nr is one figure for the machine: one submission is not to take what its neighbours need."""
    return int(Path("/proc/sys/fs/aio-max-nr").read_text()) // 2


def expect_free_port() -> None:
    """Without a network of its own a submission needs port 8888 of this machine. Trouble if somebody else has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, PORT))
        except OSError as error:
            raise Trouble(f"port {PORT} is taken, and this machine allows no network namespace: {error}") from error


class BoxedServer(Server):
    """One run of a submission. `command` and `site`: the paths of program and document root as the box has them."""

    def __init__(
        self, process: Process, network: namespace.NetworkNamespace | None, tree: Tree, command: str, site: str
    ) -> None:
        self.tree = tree
        self.command = command
        self.site = site
        self.port = PORT
        self.pid = process.pid
        self.warden = process.warden
        self._process = process
        self._network = network
        self._exit: Exit | None = None
        self._stopping = threading.Lock()

    def new_socket(self) -> socket.socket:
        return self.new_sockets(1)[0]

    def new_sockets(self, count: int) -> list[socket.socket]:
        with self._network.entered() if self._network else contextlib.nullcontext():
            return [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]

    def alive(self) -> bool:
        return self._exit is None and self._process.alive()

    def ready(self) -> bool:
        """Whether it listens at its port."""
        return self.alive() and self.port in procfs.listening_ports(self.pid)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 10.0) -> Exit:
        with self._stopping:
            if self._exit is None:
                self._process.signal(how)
                code = self._process.wait(timeout)
                self._process.destroy()
                if self._network:
                    self._network.close()
                if code is None:
                    self._exit = Exit(None, signal.SIGKILL)
                else:
                    self._exit = Exit(code, None) if code >= 0 else Exit(None, -code)
            return self._exit

    def signal(self, number: signal.Signals) -> None:
        """Send a signal and do not wait. Nothing happens if it has ended."""
        self._process.signal(number)

    def kill(self) -> None:
        """End it, and all in its box, and do not wait for it. Nothing happens if it has ended."""
        self._process.kill()

    def log(self) -> str:
        ended = f"\n[ended by the checker: it {self._process.overuse}]\n" if self._process.overuse else ""
        return self._process.stdout.text() + self._process.stderr.text() + ended

    def stderr(self) -> str:
        return self._process.stderr.text()


@dataclass(frozen=True)
class BoxedLauncher(Launcher):
    """Starts `program` in boxes. `wrapper` is put before it inside of the box (valgrind), `tracer` outside (strace).
    `patience` in seconds bounds the wait for readiness."""

    sandbox: Sandbox
    program: Program
    patience: float = PATIENCE_S
    wrapper: tuple[str, ...] = ()
    tracer: tuple[str, ...] = ()
    builds: Builds | None = None  # the same submission built otherwise, for checks of its memory
    arguments: tuple[str, ...] = ()  # a submission has none where it is judged
    only_explains: bool = False  # what is seen is no evidence: it may be the warden's work
    leaving: Leaving | None = None  # where servers go that have done their part

    def start(
        self, tree: Tree, *, args: tuple[str, ...] = (), nofile: int | None = None, faults: tuple[Fault, ...] = ()
    ) -> BoxedServer:
        server = self.launch(tree, args=args, nofile=nofile, faults=faults)
        if server.ready():
            return server
        ended = not server.alive()
        exit_status = server.stop(signal.SIGKILL)
        what = f"ended at start ({exit_status.told()})" if ended else f"did not listen on port {PORT} in time"
        raise Failure(f"the server {what}", got=server.log()[-2000:], expected=f"a server listening on port {PORT}")

    def launch(
        self,
        tree: Tree,
        *,
        args: tuple[str, ...] = (),
        nofile: int | None = None,
        faults: tuple[Fault, ...] = (),
        network: namespace.NetworkNamespace | None = None,
    ) -> BoxedServer:
        """Start it and return when it listens, has ended, or has had its time: whatever came of it. `network` is the
        namespace to use, which then belongs to the server; a new one is made by default."""
        if args:
            raise ValueError(f"a submission takes no arguments: {args}")
        if faults and (self.wrapper or self.tracer) and not self.only_explains:
            raise ValueError("no faults under valgrind or strace: both would see the warden's work as the server's")
        if self.sandbox.isolation.network:
            network = network or namespace.NetworkNamespace()
        else:
            expect_free_port()
        try:
            server = self._spawn(tree, nofile, faults, network)
        except BaseException:
            if network:
                network.close()
            raise
        with contextlib.suppress(Failure):
            ready = Vigil(server, self.patience)
            wait_until(lambda: server.ready() or not server.alive(), ready, "the server listens")
        if network is None and not server.alive() and self._port_rests():  # its bind(2) may have failed for that
            server.stop(signal.SIGKILL)
            raise Trouble(f"port {PORT} still holds closed connections of an earlier run (TIME_WAIT): try again later")
        return server

    def see_off(self, server: Server) -> None:
        """End it by SIGKILL: how a server ends is judged by the checks of memory alone. Does not wait for it if there
        is somebody who does."""
        if self.leaving is not None:
            assert isinstance(server, BoxedServer)
            self.leaving.add(server)
        else:
            server.stop(signal.SIGKILL)

    def of(self, program: Program) -> BoxedLauncher:
        """The same for another program."""
        return replace(self, program=program)

    def wrapped(self, *wrapper: str) -> BoxedLauncher:
        """The same with `wrapper` before the program, inside of the box."""
        return replace(self, wrapper=wrapper)

    def patient(self, seconds: float) -> BoxedLauncher:
        """The same with another bound for readiness."""
        return replace(self, patience=seconds)

    def traced(self, *tracer: str) -> BoxedLauncher:
        """The same with `tracer` before all, outside of the box."""
        return replace(self, tracer=tracer)

    def asking(self, *arguments: str) -> BoxedLauncher:
        """The same with arguments for the program: only for a run that explains."""
        assert self.only_explains, "a submission is judged without arguments"
        return replace(self, arguments=arguments)

    def _spawn(
        self,
        tree: Tree,
        nofile: int | None,
        faults: tuple[Fault, ...],
        network: namespace.NetworkNamespace | None,
    ) -> BoxedServer:
        folder = self.sandbox.mount(self.program.folder, "/submission")
        site = self.sandbox.mount(tree.root, "/site", Access.KEEP)
        limits = Limits(cpu_seconds=300, file_bytes=8 * MIB, open_files=nofile, aio_requests=_half_of_all_requests())
        if self.wrapper or self.program.sanitized():
            limits = replace(limits, memory_bytes=None, memory_in_all=3072 * MIB)
        command = f"{folder.inside}/{self.program.binary}"
        process = self.sandbox.spawn(
            [*self.wrapper, command, *self.arguments],
            (folder, site),
            site.inside,
            limits,
            network,
            self.tracer,
            faults=faults,
            room=Room(tree.root, MAX_BYTES_OF_SITE),
        )
        return BoxedServer(process, network, tree, command, site.inside)

    @staticmethod
    def _port_rests() -> bool:
        """Whether bind(2) without SO_REUSEADDR is refused because of connections that are over."""
        return any(row.state == procfs.TIME_WAIT for row in procfs.connections(os.getpid(), PORT, over=True))
