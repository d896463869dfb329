#!/usr/bin/python3
"""The cases that gradings write: each failed check's fails again on its submission, and holds on the reference.

    tests/checker/written.py [NAME…] [--rounds N] [--shrink] [--jobs N] [--seed N]

grades the defect samples (or those whose names, or ids of defects, contain one of the words), each by the checks that
it is known to fail, and replays every case that is written, N times on the sample and N times on the reference.
`--shrink`: makes each smaller, and replays what is left. It prints a line for each sample: `ok`, or what came out
otherwise. Exit code 1 if anything did.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import re
import statistics
import subprocess
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bugs import SAMPLES, differences
from grading import AWSCHECK, LIMIT_S, awscheck

LEAST = 2  # steps of any case: one that asks, and one that looks at what comes
LONG = 4 * LEAST  # steps: of fewer no quarter can be left
# Failures that no case can say: what valgrind or a sanitizer sees of the memory, no client sees.
UNSAID = {"memory.static", "memory.dynamic", "memory.notfound", "memory.clients_leave", "memory.hostile"}


@dataclass
class Written:
    """What a grading of a sample wrote: its cases by check, and why others have none."""

    sample: str
    cases: dict[str, Path] = field(default_factory=dict)
    unsaid: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def samples(words: tuple[str, ...] = ()) -> list[str]:
    """The defect samples that fail anything, or those of them whose names, or whose ids of defects, contain one of the
    words."""
    found = []
    for name in sorted(path.parent.name for path in SAMPLES.glob("defect/*/expected.toml")):
        texts = [name, *expected(name)["defects"]]
        if expected(name)["fails"] and (not words or any(word in text for word in words for text in texts)):
            found.append(name)
    return found


def expected(name: str) -> dict[str, Any]:
    """What is known of the sample: its expected.toml."""
    return tomllib.loads((SAMPLES / "defect" / name / "expected.toml").read_text())


def grade(name: str, folder: Path, seed: int) -> Written:
    """Grade the sample by these checks. Which cases it left, and whether its report names each."""
    whole, out, found = folder / name, folder / f"{name}-marks", Written(name)
    subprocess.run([SAMPLES / "unfold", f"defect/{name}", whole], check=True)
    checks = expected(name)["fails"]
    done = awscheck("grade", whole, "--rubric", "full", "--seed", seed, "--only", *checks, "--out", out)
    results = json.loads((out / "results.json").read_text()) if (out / "results.json").exists() else None
    if results is None:
        found.wrong.append(f"exit code {done.code}: {done.errors}")
        return found
    verdicts = [verdict for test in results["tests"] for verdict in test["extra_data"]["checks"]]
    for verdict in (verdict for verdict in verdicts if verdict["outcome"] == "failed"):
        check, path = verdict["check"], out / "cases" / f"{verdict['check']}.toml"
        if path.exists():
            found.cases[check] = path
        else:
            found.unsaid[check] = verdict["told"]["no_case"]
        if f"replay {path} --server {whole}" not in done.text and not found.unsaid.get(check):
            found.wrong.append(f"{check}: the report neither names its case nor says why there is none")
    missing = set(expected(name)["fails"]) - found.cases.keys() - found.unsaid.keys()
    told = {verdict["check"]: f"{verdict['outcome']}: {verdict['reason']}" for verdict in verdicts}
    found.wrong += [f"{check} did not fail; {told.get(check)}" for check in sorted(missing)]
    return found


def replayed(found: Written, rounds: int) -> list[str]:
    """What came out otherwise when its cases were replayed so often, on the sample and on the reference."""
    paths = [path for path in found.cases.values() for _ in range(rounds)]
    if not paths:
        return []
    return differences(paths, "failed", f"defect/{found.sample}") + differences(paths, "passed")


@dataclass(frozen=True)
class Shrunk:
    """How much is left of a case: the parts of its steps and of its bytes, and the seconds that it took. `long`: a
    quarter of it can be a case; many a check fails at its first request, and its case has two steps to begin with."""

    steps: float
    bytes: float
    seconds: float
    long: bool
    text: str


def shrunk(found: Written, path: Path) -> Shrunk | str:
    """Make the case smaller and replay what is left; what went wrong, where something did."""
    small = path.with_suffix(".small.toml")
    line = [AWSCHECK, "shrink", path, "--server", SAMPLES / "defect" / found.sample, "--out", small]
    begin = time.monotonic()
    done = subprocess.run(line, capture_output=True, text=True, timeout=2 * LIMIT_S, check=False)
    seconds = time.monotonic() - begin
    sizes = re.search(r"steps (\S+) -> (\S+), bytes (\S+) -> (\S+);", done.stderr)
    if done.returncode or sizes is None:
        return f"not made smaller: {done.stderr}"
    was_steps, steps, was_bytes, size = (int(number.replace(",", "")) for number in sizes.groups())
    if wrong := differences([small], "failed", f"defect/{found.sample}") + differences([small], "passed"):
        return "; ".join(wrong)
    return Shrunk(steps / was_steps, size / max(was_bytes, 1), seconds, was_steps >= LONG, sizes[0])


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description="Replay the cases that gradings of the defect samples write.")
    parser.add_argument("words", nargs="*", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=1, metavar="N")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the cases in DIR")
    options = parser.parse_args()
    wrong, written, sizes = 0, 0, []

    def one(name: str) -> tuple[Written, list[str], list[Shrunk | str]]:
        with tempfile.TemporaryDirectory(prefix="awscheck-written-") as folder:
            found = grade(name, Path(folder), options.seed)
            otherwise = found.wrong + replayed(found, options.rounds)
            otherwise += [f"{check}: no case: {why}" for check, why in found.unsaid.items() if check not in UNSAID]
            some = [path for check, path in found.cases.items() if options.shrink and check != "build.executable"]
            small = [shrunk(found, path) for path in some]
            if options.keep:
                for path in Path(folder).glob("*-marks/cases/*.toml"):
                    kept = options.keep / f"{name}.{path.name}"
                    kept.write_text(path.read_text())
            return found, otherwise, small

    chosen = samples(tuple(options.words))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for found, otherwise, small in pool.map(one, chosen):
            otherwise += [one for one in small if isinstance(one, str)]
            sizes += [one for one in small if isinstance(one, Shrunk)]
            wrong, written = wrong + bool(otherwise), written + len(found.cases)
            print("\n".join(f"{found.sample}: {text}" for text in otherwise) or f"ok: {found.sample}", flush=True)
            for one_size in (one for one in small if isinstance(one, Shrunk)):
                print(f"    {one_size.text} {one_size.seconds:.0f} s", flush=True)
    for what, some in (("all cases", sizes), (f"those of {LONG} steps or more", [one for one in sizes if one.long])):
        if some:
            print(f"median of {what} ({len(some)}): {statistics.median(one.steps for one in some):.0%} of the steps,"
                  f" {statistics.median(one.bytes for one in some):.0%} of the bytes;"
                  f" the longest took {max(one.seconds for one in some):.0f} s")  # fmt: skip
    print(f"{len(chosen)} samples, {written} cases, {options.rounds} times each: {wrong} samples came out otherwise")
    return int(wrong > 0 or not chosen and not options.words)  # a word may be of the museum only


if __name__ == "__main__":
    raise SystemExit(main())
