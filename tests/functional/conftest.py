"""What the functional tests share: servers, benches, and what must hold after every one of them.

Each test runs on the server as it is shipped (`plain`); those that concern reading and sending run again on the server
in which every receive, send, sendfile and AIO result is cut short (`short`). After each test the server must be as it
was: its descriptors back at the idle count, its memory given back, no zombie, not a word on standard error.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "checker"))

from awskit import procfs  # noqa: E402
from awskit.bench import Bench, wait_until  # noqa: E402
from awskit.faults import Fault  # noqa: E402
from awskit.local import LocalLauncher, LocalServer  # noqa: E402
from awskit.model import Failure  # noqa: E402
from awskit.server import Exit  # noqa: E402
from awskit.tree import MIB, Tree  # noqa: E402

NOBODY = 65534
# The allocator may keep some of what it had; a connection's or a window's worth for good would be more in the sum.
MEMORY_SLACK = 8 * MIB
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--aws", type=Path, default=ROOT / "aws", help="the server under test (default: ./aws)")
    parser.addoption(
        "--short-aws",
        type=Path,
        default=ROOT / "build" / "short" / "aws",
        help="the same server with every transfer cut short (default: build/short/aws)",
    )
    parser.addoption("--seed", type=int, default=None, help="of all contents and choices (default: a new one)")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--seed") is None:
        config.option.seed = random.SystemRandom().randrange(10**6)
    for option in ("--aws", "--short-aws"):
        path: Path = config.getoption(option)
        if not os.access(path, os.X_OK):
            raise pytest.UsageError(f"{option}: {path} is no program; `make functional` builds it")
    # A client and the server's side of 10,000 connections: as many descriptors as we may have.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ten thousand connections that are over stay in the kernel's table for a minute, and make each look at it slow."""
    items.sort(key=lambda item: "ten_thousand" in item.name or "10000" in item.name)


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [
        f"aws: {config.getoption('--aws')}, cut short: {config.getoption('--short-aws')}",
        f"seed: {config.getoption('--seed')} (the same again: --seed={config.getoption('--seed')})",
    ]


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:  # noqa: ANN001
    """Say the seed where it is needed, in a quiet run too."""
    if exitstatus:
        terminalreporter.write_line(f"to have the same contents again: --seed={config.getoption('--seed')}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A Failure is told in its own words; where in our code it was found matters less."""
    outcome = yield
    failure = call.excinfo.value if call.excinfo else None
    if isinstance(failure, Failure):
        parts = [failure.reason]
        parts += [f"  {name:9} {text}" for name in ("got", "expected") if (text := getattr(failure, name))]
        outcome.get_result().longrepr = "\n".join([*parts, failure.exchange])


class Watched(LocalLauncher):
    """Starts servers and remembers them, so that what they left can be looked at after the test."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self.started: list[LocalServer] = []

    def start(
        self, tree: Tree, *, args: tuple[str, ...] = (), nofile: int | None = None, faults: tuple[Fault, ...] = ()
    ) -> LocalServer:
        server = super().start(tree, args=args, nofile=nofile, faults=faults)
        self.started.append(server)
        return server

    def assert_left_well(self) -> None:
        """Every server started since the last time has ended by itself, in order, and silently."""
        started, self.started = self.started, []
        for server in started:
            ended = server.stop()
            assert server.stderr() == "", f"the server wrote to standard error:\n{server.stderr()}"
            assert ended == Exit(0, None), f"a server of the test's own ended by {ended}"


@dataclass
class Station:
    """A binary, how to start it, and one running server that most tests share."""

    name: str
    launcher: Watched
    tree: Tree
    server: LocalServer
    idle_descriptors: int = field(init=False)
    idle_memory: int = field(init=False)

    def __post_init__(self) -> None:
        # Idle is after a first request of each kind: code is paged in and the allocator has its arena.
        bench = Bench(self.launcher, self.tree, self.server)
        for kind in ("static", "dynamic"):
            for target in (bench.large(kind), bench.small(kind)):
                bench.expect_file(bench.get(target), target)
        bench.wait_idle("the first requests")
        self.idle_descriptors = len(procfs.descriptors(self.server.pid))
        self.idle_memory = procfs.memory(self.server.pid, "RssAnon")

    def assert_idle_again(self) -> None:
        """All that a test made the server hold is given back."""
        assert self.server.alive(), f"the server has ended: {self.server.log()}"
        pid = self.server.pid
        wait_until(
            lambda: len(procfs.descriptors(pid)) == self.idle_descriptors,
            10,
            f"the server is back at {self.idle_descriptors} descriptors from {procfs.descriptors(pid)}",
        )
        assert "Z" not in procfs.states(pid), "the server has a child that nobody waits for"
        assert self.server.stderr() == "", f"the server wrote to standard error:\n{self.server.stderr()}"
        if not sanitized(self.launcher.binary):  # a sanitizer keeps what was freed, on purpose
            memory = procfs.memory(pid, "RssAnon")
            assert memory <= self.idle_memory + MEMORY_SLACK, f"{memory:,} bytes; {self.idle_memory:,} when idle"


def sanitized(binary: Path) -> bool:
    """Whether AddressSanitizer is linked in: figures of memory mean nothing then."""
    return b"__asan_init" in binary.read_bytes()


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory that any user can reach, for trees, logs and copies of the binaries."""
    path = Path(tempfile.mkdtemp(prefix="aws-functional-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def tree(scratch: Path, pytestconfig: pytest.Config) -> Tree:
    """The document root that all servers of the run share."""
    return Tree(scratch / "root", pytestconfig.getoption("--seed"))


def _launcher(scratch: Path, binary: Path, name: str) -> Watched:
    """As an unprivileged user where we are root: the server needs no rights, and unreadable files are so for it. The
    user may not reach our build directory, so the binary is copied."""
    logs = scratch / name
    logs.mkdir()
    copy = logs / "aws"
    shutil.copy(binary, copy)
    copy.chmod(0o755)
    logs.chmod(0o755)
    return Watched(copy, logs, uid=NOBODY if os.geteuid() == 0 else None, environment=SANITIZERS)


def _station(scratch: Path, tree: Tree, binary: Path, name: str) -> Iterator[Station]:
    launcher = _launcher(scratch, binary, name)
    server = launcher.start(tree)
    launcher.started.clear()  # this one stays
    yield Station(name, launcher, tree, server)
    ended = server.stop(signal.SIGTERM)
    assert server.stderr() == "", f"the server wrote to standard error at its end:\n{server.stderr()}"
    assert ended == Exit(0, None), f"the shared server ended by {ended}"


@pytest.fixture(scope="session")
def plain(scratch: Path, tree: Tree, pytestconfig: pytest.Config) -> Iterator[Station]:
    """The server as it is shipped."""
    yield from _station(scratch, tree, pytestconfig.getoption("--aws"), "plain")


@pytest.fixture(scope="session")
def short(scratch: Path, tree: Tree, pytestconfig: pytest.Config) -> Iterator[Station]:
    """The server in which every transfer is cut short."""
    yield from _station(scratch, tree, pytestconfig.getoption("--short-aws"), "short")


@pytest.fixture(params=["plain", "short"])
def station(request: pytest.FixtureRequest) -> Station:
    """Each of the two servers in turn."""
    return request.getfixturevalue(request.param)


def _bench(station: Station, request: pytest.FixtureRequest) -> Iterator[Bench]:
    name = (
        request.node.callspec.params.get("check_id", request.node.name)
        if hasattr(request.node, "callspec")
        else request.node.name
    )
    yield Bench(station.launcher, station.tree, station.server, request.config.getoption("--seed"), name)
    station.launcher.assert_left_well()
    station.assert_idle_again()


@pytest.fixture
def bench(station: Station, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench on each of the two servers in turn."""
    yield from _bench(station, request)


@pytest.fixture
def plain_bench(plain: Station, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench on the server as it is shipped."""
    yield from _bench(plain, request)


@pytest.fixture
def unsanitized(plain: Station) -> None:
    """For tests that weigh memory or count system calls."""
    if sanitized(plain.launcher.binary):
        pytest.skip("a sanitizer's own memory and system calls are in the figures")
