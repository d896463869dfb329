#!/usr/bin/python3
"""The known submissions: what each must come to, and whether it does (contract K1).

    tests/checker/known.py [NAME…] [--seed N] [--jobs N] [--within SECONDS]

grades the samples in `fixtures/submissions` (all of them, or the named ones) and prints a line for each: `ok`, or what
came out otherwise. Exit code 1 if anything did, or if a check has no defect that it alone catches.

Where there is not time enough for all, --within bounds it: the seed decides with which sample it begins, so that other
seeds come to the others, and the last line says how many were left out.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import math
import os
import random
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grading import ROOT, Graded, awscheck

from awskit import rubric
from awskit.grade import CHECKS

SAMPLES = ROOT / "fixtures" / "submissions"
KINDS = ("good", "defect", "null", "hostile")


@dataclass(frozen=True)
class Sample:
    """A submission of known worth. `expected` is its expected.toml, whose keys the samples' README explains."""

    path: Path
    expected: dict[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """good, defect, null or hostile."""
        return self.path.parent.name

    @property
    def name(self) -> str:
        """`defect/NAME`."""
        return f"{self.kind}/{self.path.name}"

    def unfold(self, folder: Path) -> Path:
        """The whole submission, made in `folder`."""
        made = folder / self.path.name
        subprocess.run([SAMPLES / "unfold", self.name, made], check=True)
        return made

    def rubrics(self) -> list[str]:
        """The rubrics by which it is judged."""
        return {
            "good": ["full", "assignment"],
            "defect": ["full", *(["assignment"] if "assignment" in self.expected else [])],
            "null": ["full", "assignment"],
            "hostile": ["assignment"],
        }[self.kind]

    def differences(self, name: str, graded: Graded) -> list[str]:
        """What came out otherwise by the rubric `name`: one sentence each, [] if all is as known."""
        if graded.code not in (0, 1):
            return [f"{name}: exit code {graded.code}: {graded.errors.strip() or graded.text[-400:]}"]
        outcomes = _outcomes(graded)
        unknown = sorted(check for check, outcome in outcomes.items() if outcome == "error")
        found = [f"{name}: could not be judged: {', '.join(unknown)}"] if unknown and self.kind != "hostile" else []
        score, bound = graded.results["score"], self.expected.get("at_most")
        if bound is not None and score > bound:
            found.append(f"{name}: {score:g} points, and at most {bound:g} are earned")
        return found + getattr(self, f"_differences_of_{self.kind}")(name, graded, outcomes)

    def _differences_of_good(self, name: str, graded: Graded, outcomes: dict[str, str]) -> list[str]:
        failed = sorted(check for check, outcome in outcomes.items() if outcome == "failed")
        found = [f"{name}: failed: {', '.join(failed)}"] if failed else []
        return found + _score(name, graded, self.expected[name])

    def _differences_of_defect(self, name: str, graded: Graded, outcomes: dict[str, str]) -> list[str]:
        if name == "assignment":
            return _score(name, graded, self.expected["assignment"])
        failed = {check for check, outcome in outcomes.items() if outcome == "failed"}
        known = set(self.expected["fails"])
        found = [f"passes, and must fail: {check} ({outcomes.get(check)})" for check in sorted(known - failed)]
        found += [f"fails besides: {check}: {_reason(graded, check)}" for check in sorted(failed - known)]
        found += [wrong for check in sorted(known & failed) if (wrong := self._otherwise(graded, check))]
        shown = graded.text + "".join(_shown(graded, check) for check in known)
        texts = [*self.expected.get("message", []), *self.expected.get("notes", [])]
        found += [f"the report does not contain {text!r}" for text in texts if text not in shown]
        if known and graded.code != 1:
            found.append(f"exit code {graded.code}, and not 1")
        if known and not any(test["score"] < test["max_score"] for test in graded.results["tests"]):
            found.append("costs nothing")
        return found

    def _otherwise(self, graded: Graded, check: str) -> str:
        """What is wrong with the cause that is told of this check's failure, or ""."""
        told = next(verdict["told"] for verdict in _verdicts(graded) if verdict["check"] == check)
        cause = told["cause"]["id"] if told and told["cause"] else "not recognised"
        expected = self.expected["cause"]
        right = cause in ([expected] if isinstance(expected, str) else expected)
        return "" if right else f"{check}: the cause that is told is {cause!r}, and it is {expected!r}"

    def _differences_of_null(self, name: str, graded: Graded, outcomes: dict[str, str]) -> list[str]:
        if name == "assignment":
            extra = graded.scored - set(self.expected["earns"])
            return [f"{name}: points that were not earned: items {sorted(extra)}"] if extra else []
        extra = {check for check, outcome in outcomes.items() if outcome == "passed"} - set(self.expected["passes"])
        return [f"{name}: passes, and did not earn it: {', '.join(sorted(extra))}"] if extra else []

    def _differences_of_hostile(self, name: str, graded: Graded, outcomes: dict[str, str]) -> list[str]:
        written = graded.text + graded.errors + str(graded.results)
        message, forbidden = self.expected.get("message", []), self.expected.get("forbidden", [])
        found = [f"the report does not contain {text!r}" for text in message if text not in written]
        return found + [f"the report contains {text!r}" for text in forbidden if text in written]


def _score(name: str, graded: Graded, points: float) -> list[str]:
    score = graded.results["score"]
    return [] if score == points else [f"{name}: {score:g} points, and it has {points:g}"]


def _verdicts(graded: Graded) -> list[dict[str, Any]]:
    return [verdict for test in graded.results["tests"] for verdict in test["extra_data"]["checks"]]


def _outcomes(graded: Graded) -> dict[str, str]:
    return {verdict["check"]: verdict["outcome"] for verdict in _verdicts(graded)}


def _reason(graded: Graded, check: str) -> str:
    return next((verdict["reason"] for verdict in _verdicts(graded) if verdict["check"] == check), "")


def _shown(graded: Graded, check: str) -> str:
    return "\n".join(str(verdict) for verdict in _verdicts(graded) if verdict["check"] == check)


def samples() -> list[Sample]:
    """All known submissions, in the order of their kinds and names."""
    return [
        Sample(path.parent, tomllib.loads(path.read_text(encoding="utf-8")))
        for kind in KINDS
        for path in sorted(SAMPLES.glob(f"{kind}/*/expected.toml"))
    ]


def judged() -> list[str]:
    """The checks by which a submission loses points by rubric `full`, in its order."""
    checks = [check for item in rubric.load("full", CHECKS).items for check in item.checks]
    return list(dict.fromkeys(checks))


def killers() -> dict[str, Sample]:
    """For each check, the first defect that it alone catches; checks without one are left out."""
    found: dict[str, Sample] = {}
    for sample in samples():
        if sample.kind == "defect" and len(sample.expected["fails"]) == 1:
            found.setdefault(sample.expected["fails"][0], sample)
    return found


def timed(sample: Sample, seed: int, end: float = math.inf) -> tuple[list[str], float] | None:
    """`grade`, and the seconds that it took; None where the clock (time.monotonic) is past `end`."""
    begin = time.monotonic()
    return (grade(sample, seed), time.monotonic() - begin) if begin < end else None


def grade(sample: Sample, seed: int, *options: object) -> list[str]:
    """Grade one sample by each of its rubrics; what came out otherwise than known."""
    found = []
    with tempfile.TemporaryDirectory(prefix="known-") as name:
        folder = Path(name)
        submission = sample.unfold(folder)
        for rubric_name in sample.rubrics():
            graded = awscheck("grade", submission, "--rubric", rubric_name, "--seed", seed, *options, folder=folder)
            found += sample.differences(rubric_name, graded)
    return found


@contextlib.contextmanager
def _no_more_after_an_interrupt(pool: concurrent.futures.Executor) -> Iterator[None]:
    """What has begun ends, and nothing else begins."""
    try:
        yield
    except KeyboardInterrupt:
        pool.shutdown(cancel_futures=True)
        raise


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="samples (`defect/x`, `x`) or kinds; all by default")
    parser.add_argument("--seed", type=int, default=1, help="of all contents and choices (default: 1)")
    cpus = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cpus + 1, help="gradings at once (default: one more than CPUs)")
    parser.add_argument("--within", type=float, metavar="SECONDS", help="begin no grading after so long")
    options = parser.parse_args()
    every = samples()
    chosen = [s for s in every if not options.names or {s.name, s.path.name, s.kind} & set(options.names)]
    if not chosen:
        parser.error(f"no sample of this name: {' '.join(options.names)}")
    wrong = left_out = 0
    begin = time.monotonic()
    end = math.inf
    if options.within is not None:
        first = random.Random(options.seed).randrange(len(chosen))
        chosen, end = chosen[first:] + chosen[:first], begin + options.within
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool, _no_more_after_an_interrupt(pool):
        gradings = [(sample, pool.submit(timed, sample, options.seed, end)) for sample in chosen]
        for sample, grading in gradings:
            if (came := grading.result()) is None:
                left_out += 1
                continue
            found, seconds = came
            print(f"{sample.name:48} {seconds:5.1f} s  {'ok' if not found else 'NOT AS KNOWN'}", flush=True)
            for line in found:
                print(f"    {line}", flush=True)
            wrong += bool(found)
    unproven = [] if options.names else [check for check in judged() if check not in killers()]
    for check in unproven:
        print(f"no defect that it alone catches: {check}")
    there_was_no_time = f", {left_out} more left out for want of time" if left_out else ""
    graded = f"{len(chosen) - left_out} known submissions, {wrong} not as known{there_was_no_time}"
    print(f"{graded}, in {time.monotonic() - begin:.0f} s, with seed {options.seed}")
    return 1 if wrong or unproven else 0


if __name__ == "__main__":
    sys.exit(main())
