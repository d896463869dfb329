"""Grading: build the submission, judge every item of a rubric, and lose nothing on the way.

Each check gets a server of its own, started for it: what one check does to a server is no other check's business, and
two can be judged side by side. A check whose need did not pass is skipped, and so are those for which a server has left
no time; where the kit could not find out, it is an error, and an error costs nothing, neither there nor in what needed
it. Verdicts are handed to the caller (the journal) as they come.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import checks as _all_checks  # noqa: F401 (importing it fills the registry)
from . import mechanism as _mechanism_checks  # noqa: F401
from . import handed_in, memory, procfs, submission
from .bench import Bench
from .boxed import BoxedLauncher, Program, describe
from .builds import Builds
from .model import REGISTRY, Check, Failure, Outcome, Trouble, Verdict
from .rubric import Item, Rubric
from .sandbox import Isolation, Sandbox
from .schedule import BUDGET_S, WORKERS, Schedule, cost, in_order
from .server import Server
from .tree import Tree
from .vigil import PATIENCE_S, Tally


def _built_before(_: Bench) -> None:
    raise Trouble("the build is judged by the grader, before there is a server")


BUILD = Check("build.executable", "make builds an executable aws", ("U1",), _built_before, own_server=True)
CHECKS: dict[str, Check] = {BUILD.id: BUILD, **REGISTRY}


@dataclass
class ItemResult:
    """What came of one line of the list. `memory` is None where the item has no memory point."""

    item: Item
    verdicts: list[Verdict]
    memory: Verdict | None = None

    @property
    def score(self) -> float:
        """Points earned."""
        earned = self.item.points if all(_costs_nothing(verdict) for verdict in self.verdicts) else 0
        if self.memory is not None and _costs_nothing(self.memory):
            earned += self.item.memory
        return earned

    @property
    def max_score(self) -> float:
        """Points that there were to earn."""
        return self.item.points + self.item.memory

    @property
    def all_verdicts(self) -> list[Verdict]:
        """The checks' verdicts, and the memory's."""
        return self.verdicts + ([self.memory] if self.memory else [])

    @property
    def unknown(self) -> bool:
        """Whether the checker could not find out some of it."""
        return any(verdict.outcome is Outcome.ERROR for verdict in self.all_verdicts)


def _needs(check: Check) -> tuple[str, ...]:
    """The ids of the checks that must pass first: everything needs a program."""
    return check.needs or (() if check is BUILD else (BUILD.id,))


def _all_needs(name: str) -> tuple[str, ...]:
    return _needs(CHECKS[name])


def _no_time(check: Check) -> Verdict:
    reason = f"not tried, because the server has slept and computed for {BUDGET_S:g} s in the checks before"
    return Verdict(check, Outcome.SKIPPED, reason=reason)


def _costs_nothing(verdict: Verdict) -> bool:
    return verdict.outcome in (Outcome.PASSED, Outcome.ERROR)


@dataclass
class Report:
    """All that a grading brought. `seconds` is how long it took."""

    submission: str
    rubric: Rubric
    seed: int
    isolation: Isolation
    results: list[ItemResult] = field(default_factory=list)
    build_log: str = ""
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """Points earned in all."""
        return sum(result.score for result in self.results)

    @property
    def unknown(self) -> bool:
        """Whether the checker could not find out something."""
        return any(result.unknown for result in self.results)

    def of_group(self, group: str) -> list[ItemResult]:
        """The results of the items of one group."""
        return [result for result in self.results if result.item.group == group]

    @property
    def notes(self) -> list[str]:
        """What is told to the reader and costs nothing, each thing once."""
        verdicts = [verdict for result in self.results for verdict in result.all_verdicts]
        return list(dict.fromkeys(note for verdict in verdicts for note in verdict.notes))


class _NoServer(Server):
    """Stands where a check that starts its own servers must not look."""

    def _refuse(self, *_: object, **__: object) -> None:
        raise Trouble("this check starts servers of its own and used the shared one")

    new_socket = alive = stop = log = stderr = _refuse  # type: ignore[assignment]


@dataclass
class Grader:
    """Grades one submission by one rubric. `folder` is the working folder, which the box's user must be able to reach.
    `patience` in seconds is how long a check waits for what a right server does at once."""

    path: Path
    rubric: Rubric
    seed: int
    isolation: Isolation
    folder: Path
    journal: Callable[[Verdict], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda _done, _all: None
    patience: float = PATIENCE_S

    def __post_init__(self) -> None:
        self.sandbox = Sandbox(self.isolation)
        self.tree = Tree(self.folder / "site", self.seed)
        self.build_log = ""
        self._program: Program | None = None
        self._builds: Builds | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._journalling = threading.Lock()
        self._schedule = Schedule((), _all_needs)
        self._to_do = 0

    def run(self) -> Report:
        """Do it all. Raises nothing for what the submission does; Trouble if not even a build can be tried."""
        begin = time.monotonic()
        order = in_order([BUILD.id, *(name for item in self.rubric.items for name in item.checks)], _all_needs)
        with_memory = [item for item in self.rubric.items if item.memory]
        self._to_do = len(order) + len(with_memory)
        self._record(self._verdict(BUILD, self._build))
        if (built := self._verdicts[BUILD.id]).outcome is Outcome.ERROR:
            raise Trouble(f"cannot build here: {built.reason}")
        self._schedule = Schedule(order, _all_needs)
        workers = WORKERS if self.isolation.network else 1  # or else there is one port for all
        with ThreadPoolExecutor(workers) as pool:
            try:
                for worker in [pool.submit(self._work) for _ in range(workers)]:
                    worker.result()
            finally:
                self._schedule.stop()
        results = [ItemResult(item, [self._verdicts[name] for name in item.checks]) for item in self.rubric.items]
        with ThreadPoolExecutor(workers) as pool:
            memory = dict(zip((item.number for item in with_memory), pool.map(self._judge_memory, with_memory)))
        for result in results:
            result.memory = memory.get(result.item.number)
        seconds = time.monotonic() - begin
        return Report(str(self.path), self.rubric, self.seed, self.isolation, results, self.build_log, seconds)

    # -- the checks ---------------------------------------------------------------------------------------------------

    def _build(self, verdict: Verdict) -> None:
        folder = self.folder / "submission"
        handed_in.take(self.path, folder)
        self._program, self.build_log = submission.build(self.sandbox, folder)
        self._builds = Builds(self.path, self.sandbox, self.folder, self._program)

    def _work(self) -> None:
        """Judge checks as long as there are any. One thread of several."""
        try:
            while name := self._schedule.take():
                if name not in self._verdicts:
                    self._record(self._judge(CHECKS[name]))
                self._schedule.done(name, self._verdicts[name].cost)
        except BaseException:
            self._schedule.stop()
            raise

    def _judge(self, check: Check) -> Verdict:
        """The verdict of a check, when all that it needs has its own."""
        needed = [self._verdicts[name] for name in _needs(check)]
        if missing := [verdict for verdict in needed if verdict.outcome is not Outcome.PASSED]:
            return self._not_judged(check, missing)
        if self._schedule.is_spent(check.id):
            return _no_time(check)
        return self._verdict(check, self._run)

    def _run(self, verdict: Verdict) -> None:
        """Run a check on a server that is started for it."""
        check, launcher, tally = verdict.check, self._launcher(), Tally()
        bench = Bench(launcher, self.tree, _NoServer(), self.seed, check.id, self.patience, tally)
        self.tree.mend()
        try:
            if check.own_server:
                check.run(bench)
            else:
                self._run_on_one(verdict, bench)
        finally:
            verdict.notes, verdict.cost = tuple(bench.notes), cost(check.id, tally)

    def _run_on_one(self, verdict: Verdict, bench: Bench) -> None:
        """The same, with the one server for the whole check."""
        begin = time.monotonic()
        server = self._launcher().launch(self.tree)
        bench.server = server
        if server.alive() and not server.ready():
            bench.tally.slept += time.monotonic() - begin
        try:
            verdict.check.run(bench)
        except Failure as failure:
            if server.alive() and not server.ready():
                ports = ", ".join(map(str, sorted(procfs.listening_ports(server.pid)))) or "none"
                failure.likely = failure.likely or f"it does not listen on port {server.port}; its ports: {ports}"
            raise
        finally:
            alive = server.alive()
            bench.tally.worked += procfs.run_time_ns(server.pid) / 1e9
            status = server.stop(signal.SIGKILL)
            verdict.server_log = server.log() + ("" if alive else f"\n[the server's process ended: {describe(status)}]")

    def _judge_memory(self, item: Item) -> Verdict:
        """The verdict on an item's checks once more, under valgrind."""
        check = Check(f"memory.{item.number}", f"{item.name}: no memory error", ("K1",), _built_before)
        verdicts = [self._verdicts[name] for name in item.checks]
        if missing := [verdict for verdict in verdicts if verdict.outcome is not Outcome.PASSED]:
            verdict = self._not_judged(check, missing)
        elif self._schedule.is_spent():
            verdict = _no_time(check)
        else:
            runs = [(name, CHECKS[name].run) for name in item.checks if not CHECKS[name].own_server]
            verdict = self._verdict(check, lambda _: memory.judge(self._launcher(), self.tree, self.seed, runs))
        self._record(verdict)
        return verdict

    def _launcher(self) -> BoxedLauncher:
        assert self._program is not None, "a check ran though the build did not pass"
        return BoxedLauncher(self.sandbox, self._program, self.patience, builds=self._builds)

    # -- verdicts -----------------------------------------------------------------------------------------------------

    def _verdict(self, check: Check, run: Callable[[Verdict], None]) -> Verdict:
        """Run it and make of what it raises one of the outcomes. Whatever is no Failure is the checker's own fault."""
        verdict = Verdict(check, Outcome.PASSED)
        begin = time.monotonic()
        try:
            run(verdict)
        except Failure as failure:
            verdict.outcome = Outcome.FAILED
            verdict.reason, verdict.got, verdict.expected = failure.reason, failure.got, failure.expected
            verdict.exchange, verdict.likely = failure.exchange, failure.likely
        except Exception as error:  # noqa: BLE001: a mistake of ours must not cost a student points
            verdict.outcome = Outcome.ERROR
            verdict.reason = str(error) if isinstance(error, Trouble) else f"{type(error).__name__}: {error}"
        verdict.seconds = time.monotonic() - begin
        return verdict

    def _not_judged(self, check: Check, missing: list[Verdict]) -> Verdict:
        """Skipped, because a need failed; or an error, if needs that could not be judged are all that is in the way."""
        causes = {cause.check.id: cause for verdict in missing for cause in self._causes(verdict)}
        if all(verdict.outcome is Outcome.ERROR for verdict in missing):
            reasons = "; ".join(f"{name}: {cause.reason}" for name, cause in causes.items())
            return Verdict(check, Outcome.ERROR, reason=f"not judged, because this could not be judged: {reasons}")
        listed = {name for item in self.rubric.items for name in item.checks}
        # A cause that the report does not list by itself is told here.
        texts = [name if name in listed else f"{name} ({cause.reason})" for name, cause in causes.items()]
        return Verdict(check, Outcome.SKIPPED, reason=f"not tried, because this did not pass: {', '.join(texts)}")

    def _causes(self, verdict: Verdict) -> list[Verdict]:
        """What is at the root of a verdict that is not `passed`: what is to be mended first."""
        missing = [self._verdicts[name] for name in _needs(verdict.check) if name in self._verdicts]
        missing = [need for need in missing if need.outcome is not Outcome.PASSED]
        return [cause for need in missing for cause in self._causes(need)] or [verdict]

    def _record(self, verdict: Verdict) -> None:
        with self._journalling:
            self._verdicts[verdict.check.id] = verdict
            self.journal(verdict)
            self.progress(len(self._verdicts), self._to_do)
