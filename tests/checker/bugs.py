#!/usr/bin/python3
"""The museum of bugs: each case of `fixtures/bugs` fails on every sample that it names, and holds on right servers.

    tests/checker/bugs.py [NAME…] [--jobs N]

replays all cases (or those whose names contain one of the words) on the reference, on the good samples, and each on the
samples in its `shows`. It prints a line for each server: `ok`, or what came out otherwise. Exit code 1 if anything did.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import subprocess
import tempfile
import tomllib
from pathlib import Path

from grading import AWSCHECK, LIMIT_S, ROOT

BUGS = ROOT / "fixtures" / "bugs"
SAMPLES = ROOT / "fixtures" / "submissions"
# A good server may keep to the contract in a way that a case of the reference's does not foresee: none does so far.
GOOD = sorted(f"good/{path.name}" for path in (SAMPLES / "good").iterdir())


def cases(words: tuple[str, ...] = ()) -> list[Path]:
    """The case files whose names contain one of the words; without words all."""
    return [path for path in sorted(BUGS.glob("*.toml")) if not words or any(word in path.name for word in words)]


def shown(paths: list[Path]) -> dict[str, list[Path]]:
    """The samples that these cases name, and which cases name each."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        for sample in tomllib.loads(path.read_text()).get("shows", []):
            found.setdefault(sample, []).append(path)
    return found


def differences(paths: list[Path], outcome: str, sample: str = "") -> list[str]:
    """Replay the cases on a sample, by default on the reference: one sentence for each that did not come to `outcome`
    (passed, failed), [] if all did."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        server = ["--server", SAMPLES / sample] if sample else []
        line = [AWSCHECK, "replay", *paths, *server, "--json", results]
        limit = LIMIT_S + 30 * len(paths)  # an end for what hangs, no verdict
        done = subprocess.run(line, capture_output=True, text=True, timeout=limit, check=False)
        if not results.exists():
            return [f"{sample or 'the reference'}: exit code {done.returncode}: {done.stderr.strip()}"]
        found = json.loads(results.read_text())
    return [f"{Path(one['case']).name} {one['outcome']} on {one['server']}: {one.get('reason', '')}"
            for one in found if one["outcome"] != outcome]  # fmt: skip


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description="Replay the museum of bugs.")
    parser.add_argument("words", nargs="*", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    options = parser.parse_args()
    chosen = cases(tuple(options.words))
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {"the reference": pool.submit(differences, chosen, "passed")}
        runs |= {sample: pool.submit(differences, chosen, "passed", sample) for sample in GOOD}
        runs |= {sample: pool.submit(differences, paths, "failed", sample) for sample, paths in shown(chosen).items()}
        for name, run in runs.items():
            found = run.result()
            wrong += len(found)
            print("\n".join(found) or f"ok: {name}", flush=True)
    print(f"{len(chosen)} cases, {len(runs)} servers, {wrong} came out otherwise")
    return int(wrong > 0 or not chosen)


if __name__ == "__main__":
    raise SystemExit(main())
