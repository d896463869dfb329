"""The server that a case is about: the reference or a submission in its box, or what listens at a port of 127.0.0.1.

In a box every replay has a document root of its own. A server at a port serves a folder that its owner names; the files
of the case are put there, where nothing of these names may be yet, and are gone afterwards.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import socket
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .. import handed_in, procfs, samples, submission
from ..bench import Bench, wait_until
from ..boxed import BoxedLauncher, Program, expect_free_port
from ..evidence import STRACE
from ..faults import Fault
from ..isolation import Isolation
from ..model import Failure, Trouble, WrongUsage
from ..sandbox import Sandbox
from ..server import Exit, Launcher, Server
from ..tree import Tree
from ..vigil import PATIENCE_S
from ..witness import Witness
from ..workplace import remove
from .case import Case, File, Link, ServerStep, Special

PROJECT = Path(__file__).resolve().parents[3]
REFERENCE = PROJECT / "aws"
HASTY_S = 2.0  # patience with a server that is known to be waited for in vain: 0.4 s of CPU time are a loop
STILL_HASTY_S = 0.3  # of sleep: more than TCP takes, and than a kernel thread mostly does
DYING_S = 0.5  # no verdict hangs on it: it only makes what is said of one that dies the same each time


class Unfit(WrongUsage):
    """This case cannot be replayed on this kind of server; the text says why."""


class Target(ABC):
    """A server that cases are replayed on, one after another."""

    name: str  # for a report

    def hasty(self) -> Target:
        """The same, whose server is waited for more briefly: for one that is known to be waited for in vain."""
        return self

    @abstractmethod
    def bench(self, case: Case) -> contextlib.AbstractContextManager[tuple[Bench, Witness | None]]:
        """A running server on the case's tree, under its faults; under strace where it asks for evidence. Raises
        Unfit, Trouble, and Failure if the server does not start."""


def furnish(tree: Tree, case: Case) -> None:
    """Make the case's files. The order is no matter but for links: a link is never written through."""
    for target, entry in case.files:
        if isinstance(entry, Special):
            {"fifo": tree.fifo, "socket": tree.unix_socket, "directory": tree.directory}[entry.what](target)
        elif isinstance(entry, Link):
            tree.symlink(target, entry.to)
        else:
            _make_file(tree, target, entry)


def _make_file(tree: Tree, target: str, entry: File) -> None:
    if entry.text is not None:
        tree.text(target, entry.text)
    elif entry.sparse:
        tree.sparse(target, entry.size or 0)
    else:
        tree.file(target, entry.size or 0)
    if entry.unreadable:
        tree.path(target).chmod(0)


# -- in a box ----------------------------------------------------------------------------------------------------------


@dataclass
class BoxedTarget(Target):
    """A program in a box. `folder` is a working folder, which the box's user must be able to reach."""

    name: str
    sandbox: Sandbox
    program: Program
    folder: Path
    patience: float = PATIENCE_S  # see Bench
    still: float | None = None

    def hasty(self) -> BoxedTarget:
        return replace(self, patience=HASTY_S, still=STILL_HASTY_S)

    def launcher(self) -> BoxedLauncher:
        """What starts a server for a case."""
        return BoxedLauncher(self.sandbox, self.program)

    @contextlib.contextmanager
    def bench(self, case: Case) -> Iterator[tuple[Bench, Witness | None]]:
        site = Path(tempfile.mkdtemp(prefix="site-", dir=self.folder))
        launcher = self.launcher()
        try:
            tree = Tree(site, case.seed)
            furnish(tree, case)
            log = self.folder / f"{site.name}.strace" if case.evidence else None
            traced = launcher.traced(*STRACE, "-o", str(log)) if log else launcher
            faults = tuple(fault.made() for fault in case.all_faults)
            server = traced.start(tree, nofile=case.descriptors or None, faults=faults)
            bench = Bench(launcher, tree, server, case.seed, case.title, self.patience, still=self.still)
            try:
                yield bench, Witness(bench, server, log) if log else None
            except Failure as failure:
                # One that dies of what it did may do so a moment after the client has seen it: that is told, too.
                with contextlib.suppress(Failure):
                    wait_until(lambda: not server.alive() or procfs.states(server.pid).strip("S") == "", DYING_S, "end")
                bench.look_at(server, failure)
                raise
            finally:
                server.stop(signal.SIGKILL)
        finally:
            remove(site)


@functools.cache
def _isolation() -> Isolation:
    """Asked for once: an ordinary user's process moves into a namespace by that, and to two servers it is the same."""
    return Isolation.probe()


@contextlib.contextmanager
def boxed(server: Path | None, folder: Path) -> Iterator[BoxedTarget]:
    """The reference (None), an executable file, a submission, or a defect sample, made ready in the working folder
    `folder`. Raises Trouble, and Failure if a submission does not build."""
    isolation = _isolation()
    if not isolation.network:
        expect_free_port()
    sandbox = Sandbox(isolation)
    place = folder / "submission"
    if server is None and not REFERENCE.exists():
        raise Trouble(f"{REFERENCE} is not built yet: make")
    binary = REFERENCE if server is None else server
    if binary.is_file() and not handed_in.is_submission(binary):
        place.mkdir()
        place.chmod(0o755)
        shutil.copyfile(binary, place / "aws")
        (place / "aws").chmod(0o755)
        program = Program(place, "aws")
    else:
        handed_in.take(samples.whole(binary, folder / "whole"), place)
        program, _ = submission.build(sandbox, place)
    yield BoxedTarget("the reference" if server is None else str(server), sandbox, program, folder)


# -- at a port ---------------------------------------------------------------------------------------------------------


class PortServer(Server):
    """A server that somebody else has started at a port of 127.0.0.1, in our own network namespace. Its process is
    found by its listening socket: how long to wait is told by what that does. Trouble if it cannot be seen."""

    def __init__(self, port: int, tree: Tree) -> None:
        self.port = port
        self.tree = tree
        self.pid = _listener(port)

    def new_socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def alive(self) -> bool:
        return bool(procfs.states(self.pid))

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 10.0) -> Exit:
        raise ValueError("this server is not ours to end")

    def log(self) -> str:
        return ""

    def stderr(self) -> str:
        return ""


class _NoLauncher(Launcher):
    """There is one server, which runs."""

    def start(
        self, tree: Tree, *, args: tuple[str, ...] = (), nofile: int | None = None, faults: tuple[Fault, ...] = ()
    ) -> Server:
        raise ValueError("this server is not ours to start")


def _listener(port: int) -> int:
    """The process that listens at this port: of several that share the socket, the first to be there."""
    found = [row.inode for row in procfs.connections(os.getpid())
             if row.state == procfs.LISTEN and row.local_port == port]  # fmt: skip
    if not found:
        raise Trouble(f"nobody listens at port {port} of this machine")
    links = {f"socket:[{inode}]" for inode in found}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        if links & set(procfs.own_descriptors(pid).values()):
            return pid
    raise Trouble(f"the process that listens at port {port} cannot be seen: replay as its user, or as root")


@dataclass
class PortTarget(Target):
    """The server at `port`. `root` is the folder that it serves; None: the case needs no file."""

    port: int
    root: Path | None = None

    @property
    def name(self) -> str:
        return f"the server at port {self.port}"

    @contextlib.contextmanager
    def bench(self, case: Case) -> Iterator[tuple[Bench, Witness | None]]:
        self.expect_fit(case)
        with contextlib.ExitStack() as stack:
            root = self.root or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="awscheck-none-")))
            tree = _GuestTree(root, case)
            stack.callback(tree.leave)
            furnish(tree, case)
            yield Bench(_NoLauncher(), tree, PortServer(self.port, tree), case.seed, case.title), None

    def expect_fit(self, case: Case) -> None:
        """Unfit if the case asks for what only a server that we start can have."""
        stops = any(isinstance(step, ServerStep) and step.what in ("stop", "continue") for step in case.steps)
        for needed, what in (
            (case.all_faults, "it has faults, which a server meets from its start on"),
            (case.evidence, "it asks for evidence, which is taken from its start on"),
            (case.descriptors, "it limits the server's descriptors"),
            (stops, "it stops the server, which is not ours"),
        ):
            if needed:
                raise Unfit(f"{case.title}: not on a server that runs already: {what}")
        if case.files and self.root is None:
            raise Unfit(f"{case.title}: it needs files; say with --root which folder the server serves")


class _GuestTree(Tree):
    """The case's files in a folder that is somebody else's: nothing that is there is touched, and all is gone again."""

    def __init__(self, root: Path, case: Case) -> None:
        self._made: list[Path] = []
        self._files = [root / target.lstrip("/") for target, _ in case.files]
        for path in self._files:
            if os.path.lexists(path):
                raise Unfit(f"{path} is there already, and the case would make it")
        try:
            super().__init__(root, case.seed)
        except Unfit:
            self.leave()
            raise

    def _make_directory(self, path: Path) -> None:
        inside = path.relative_to(self.root)
        for count in range(len(inside.parts) + 1):
            folder = self.root.joinpath(*inside.parts[:count])
            if folder != self.root and folder.is_symlink():
                raise Unfit(f"{folder} is a link: the case's files would be made elsewhere")
            if not folder.exists():
                folder.mkdir()
                folder.chmod(0o755)
                self._made.append(folder)

    def leave(self) -> None:
        """Remove what was made. A folder in which somebody else has put something stays."""
        for path in self._files:
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()
