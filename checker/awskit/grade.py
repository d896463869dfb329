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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from . import checks as _all_checks  # noqa: F401 (importing it fills the registry)
from . import mechanism as _mechanism_checks  # noqa: F401
from . import handed_in, lines, memory, procfs, samples, submission
from .bench import Bench
from .boxed import BoxedLauncher, Program
from .builds import Builds
from .isolation import Isolation
from .leaving import Leaving
from .model import NOT_TRIED, REGISTRY, Check, Failure, Outcome, Trouble, Verdict
from .results import ItemResult, Report
from .retrace import Retracer, Second
from .rubric import Item, Rubric
from .sandbox import Sandbox
from .sanitizer import Finding
from .schedule import BUDGET_S, CALM_S, WORKERS, Schedule, in_order, is_about_memory
from .server import NoServer
from .telling import Grading, tell
from .texts import NO_MEMORY_ERROR
from .tree import Tree
from .vigil import PATIENCE_S, CalmClock, Tally

T = TypeVar("T")


def _built_before(_: Bench) -> None:
    raise Trouble("the build is judged by the grader, before there is a server")


BUILD = Check("build.executable", "make builds an executable aws", ("U1",), _built_before, own_server=True)
CHECKS: dict[str, Check] = {BUILD.id: BUILD, **REGISTRY}


def memory_check(item: Item) -> Check:
    """The check behind an item's memory points: its checks once more, on a server whose memory is watched."""
    watching = memory.Watching((name, CHECKS[name].run) for name in item.checks if not CHECKS[name].own_server)
    title = item.name + NO_MEMORY_ERROR
    return Check(f"memory.{item.number}", title, ("S9",), watching, needs=item.checks, own_server=True)


def _not_tried(check: Check, why: str) -> Verdict:
    return Verdict(check, Outcome.SKIPPED, reason=f"not tried, because {why}")


def _explained(verdict: Verdict, explain: Callable[[Verdict], T]) -> T | None:
    """What `explain` says of a failure. A mistake of ours there is told, and costs the report that explanation only."""
    try:
        return explain(verdict)
    except Exception as error:  # noqa: BLE001: the verdict stands, whatever becomes of the words about it
        verdict.notes += (f"this failure could not be explained: {type(error).__name__}: {error}",)
        return None


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
        self.build_log = ""
        self._program: Program | None = None
        self._builds: Builds | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._journalling = threading.Lock()
        self._checks = CHECKS | {check.id: check for item in self.rubric.items if item.memory
                                 for check in [memory_check(item)]}  # fmt: skip
        wanted = [BUILD.id, *(name for item in self.rubric.items for name in item.checks)]
        wanted += [f"memory.{item.number}" for item in self.rubric.items if item.memory]
        self._order = in_order(wanted, self._needs)
        self._schedule = Schedule(self._order, self._needs)
        self._together = memory.Together((self._checks[name] for name in self._order), self._is_due)
        self._memory_begin: float | None = None
        self._clock = CalmClock()
        self._leaving: Leaving | None = None

    def run(self) -> Report:
        """Do it all. Raises nothing for what the submission does; Trouble if not even a build can be tried."""
        begin = time.monotonic()
        self._clock = CalmClock()
        self._record(self._verdict(BUILD, self._build))
        if (built := self._verdicts[BUILD.id]).outcome is Outcome.ERROR:
            raise Trouble(f"cannot build here: {built.reason}")
        workers = WORKERS if self.isolation.network else 1  # or else there is one port for all, one server at a time
        with closing(Leaving(workers)) as leaving, ThreadPoolExecutor(workers) as pool:
            self._leaving = leaving if self.isolation.network else None
            try:
                for worker in [pool.submit(self._work, f"site-{number}") for number in range(workers)]:
                    worker.result()
            finally:
                self._schedule.stop()
        self._leaving = None
        results = [self._result(item) for item in self.rubric.items]
        judged = time.monotonic()
        self._tell(results)
        report = Report(str(self.path), self.rubric, self.seed, self.isolation, results, self.build_log)
        report.seconds = time.monotonic() - begin
        report.memory_seconds = judged - (self._memory_begin or judged)
        return report

    def _result(self, item: Item) -> ItemResult:
        memory_verdict = self._verdicts[f"memory.{item.number}"] if item.memory else None
        return ItemResult(item, [self._verdicts[name] for name in item.checks], memory_verdict)

    def _tell(self, results: list[ItemResult]) -> None:
        """Put into each failed verdict what is said of it."""
        rubric = "" if self.rubric.name == "assignment" else self.rubric.name
        binary = self._program.binary if self._program else "aws"
        grading = Grading(str(self.path), rubric, self.seed, self.folder / "submission", binary, self._lines_of)
        failed = {verdict.check.id: (verdict, result.item.number) for result in results
                  for verdict in result.all_verdicts if verdict.outcome is Outcome.FAILED}  # fmt: skip
        retracer = None
        if failed and self._program is not None and self.isolation.network:
            retracer = Retracer(self._launcher(), Tree(self.folder / "site-again", self.seed), self.seed)
        # The most costly first: there is time for a few, and what a crash took is gone.
        order = sorted(failed, key=lambda name: -self._lost(name))
        crashes: dict[str, Finding | None] = {}
        for name in order if retracer else ():
            crashes[name] = _explained(failed[name][0], retracer.crash)
        seconds: dict[str, Second | None] = {}
        for name in order if retracer else ():
            seconds[name] = _explained(failed[name][0], retracer.again)
        for name, second in seconds.items() if retracer else ():
            if second is not None and crashes.get(name) is None:
                seconds[name] = _explained(failed[name][0], partial(retracer.place, second=second)) or second
        for name in order:
            verdict, item = failed[name]
            told = partial(tell, grading=grading, item=item, lost=self._lost(name), second=seconds.get(name),
                           crash=crashes.get(name))  # fmt: skip
            verdict.told = _explained(verdict, told)

    def _lines_of(self, addresses: Sequence[int]) -> tuple[tuple[str, int, str], ...]:
        """The places in the source of those of these addresses of the program that have one."""
        return lines.lines_of(self.sandbox, self._program, addresses) if self._program else ()

    def _lost(self, name: str) -> float:
        """The points of the items that this check makes fail."""
        return sum(
            (item.points if name in item.checks else 0) + (item.memory if name == f"memory.{item.number}" else 0)
            for item in self.rubric.items
        )

    def _needs(self, name: str) -> tuple[str, ...]:
        """The ids of the checks that must pass first: everything needs a program."""
        return self._checks[name].needs or (() if name == BUILD.id else (BUILD.id,))

    # -- the checks ---------------------------------------------------------------------------------------------------

    def _build(self, verdict: Verdict) -> None:
        folder, source = self.folder / "submission", samples.whole(self.path, self.folder / "whole")
        handed_in.take(source, folder)
        self._program, self.build_log = submission.build(self.sandbox, folder)
        verdict.notes = submission.warnings(self.build_log)
        self._builds = Builds(source, self.sandbox, self.folder, self._program)

    def _work(self, site: str) -> None:
        """Judge checks as long as there are any, on a document root of its own: files that one check changes, or that a
        server spoils, are no other's. One thread of several."""
        try:
            tree = Tree(self.folder / site, self.seed)
            while name := self._schedule.take():
                if is_about_memory(name):
                    self._memory_begin = self._memory_begin or time.monotonic()
                if name not in self._verdicts:
                    self._record(self._judge(self._checks[name], tree))
                self._schedule.done(name, self._verdicts[name].cost)
        except BaseException:
            self._schedule.stop()
            raise

    def _judge(self, check: Check, tree: Tree) -> Verdict:
        """The verdict of a check, when all that it needs has its own."""
        needed = [self._verdicts[name] for name in self._needs(check.id)]
        if missing := [verdict for verdict in needed if verdict.outcome is not Outcome.PASSED]:
            return self._not_judged(check, missing)
        if self._schedule.is_spent(check.id):
            return _not_tried(check, f"the server has slept and computed for {BUDGET_S:g} s in the checks before")
        if self._clock.seconds() > CALM_S:
            return _not_tried(check, f"the checks before took {CALM_S:g} s of an idle machine: the server naps")
        return self._verdict(check, lambda verdict: self._run(verdict, tree))

    def _is_due(self, check: Check) -> bool:
        """Whether all that it needs has passed; of checks about memory this asks when all others have their verdicts,
        and it is asked of all at once, so that what they need of each other does not count."""
        needed = [name for name in self._needs(check.id) if not isinstance(self._checks[name].run, memory.Watching)]
        return all(self._verdicts[name].outcome is Outcome.PASSED for name in needed)

    def _run(self, verdict: Verdict, tree: Tree) -> None:
        """Run a check on a server that is started for it."""
        check, launcher, tally = verdict.check, self._launcher(), Tally()
        bench = Bench(launcher, tree.for_one_check(), NoServer(), self.seed, check.id, self.patience, tally)
        tree.mend()
        try:
            if self._together.has_passed(check, bench):
                return
            if check.own_server:
                check.run(bench)
            else:
                self._run_on_one(verdict, bench)
        finally:
            verdict.notes, verdict.cost = tuple(bench.notes), tally.cost

    def _run_on_one(self, verdict: Verdict, bench: Bench) -> None:
        """The same, with the one server for the whole check."""
        begin = time.monotonic()
        bench.server = server = self._launcher().launch(bench.tree)
        if server.alive() and not server.ready():
            bench.tally.slept += time.monotonic() - begin
        passed = False
        try:
            verdict.check.run(bench)
            passed = True
        except Failure as failure:
            bench.look_at(server, failure)
            raise
        finally:
            bench.tally.worked += procfs.run_time_ns(server.pid) / 1e9
            if passed:
                bench.launcher.see_off(server)
            else:
                alive = server.alive()
                status = server.stop(signal.SIGKILL)
                ended = "" if alive else f"\n[the server's process ended: {status.told()}]"
                verdict.server_log = server.log() + ended

    def _launcher(self) -> BoxedLauncher:
        assert self._program is not None, "a check ran though the build did not pass"
        return BoxedLauncher(self.sandbox, self._program, self.patience, builds=self._builds, leaving=self._leaving)

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
            verdict.exchange = failure.exchange
            verdict.failure = failure
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
        reason = NOT_TRIED + ", ".join(texts)
        return Verdict(check, Outcome.SKIPPED, reason=reason, mend_first=tuple(causes))

    def _causes(self, verdict: Verdict) -> list[Verdict]:
        """What is at the root of a verdict that is not `passed`: what is to be mended first."""
        missing = [self._verdicts[name] for name in self._needs(verdict.check.id) if name in self._verdicts]
        missing = [need for need in missing if need.outcome is not Outcome.PASSED]
        return [cause for need in missing for cause in self._causes(need)] or [verdict]

    def _record(self, verdict: Verdict) -> None:
        with self._journalling:
            self._verdicts[verdict.check.id] = verdict
            self.journal(verdict)
            self.progress(len(self._verdicts), len(self._order))
