#!/usr/bin/python3
"""The fault matrices of the known servers: which cells are red, and whether those are the ones that must be.

    tests/checker/matrix.py [NAME…] [--seed N] [--jobs N]

makes the matrix of the reference, of the good samples and of the defect samples (or of those whose names contain one of
the words). Of the first two no cell may be red, not even by chance; of a defect those that its expected.toml has as
`matrix`, and no other but those that it has as `matrix_races`: what its defect does there is a matter of time.
It prints a line for each server: `ok`, or what came out otherwise. Exit code 1 if anything did.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from grading import AWSCHECK, LIMIT_S, ROOT

SAMPLES = ROOT / "fixtures" / "submissions"
REFERENCE = "the reference"
UNFIT = ("defect/two-defects",)  # its one io_submit is no read of a file: the faults of reads cannot be made there


def expected(name: str, key: str = "matrix") -> set[str]:
    """The cells that are red on a server; by the other key those that may be."""
    told = SAMPLES / name / "expected.toml"
    return set(tomllib.loads(told.read_text()).get(key, [])) if told.exists() else set()


def cells(name: str, *options: object) -> list[dict[str, Any]]:
    """The cells of a server's matrix as --json has them; none where it does not build. AssertionError where the
    checker could not work."""
    path = ROOT / "aws" if name == REFERENCE else SAMPLES / name
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "cells.json"
        line = [str(AWSCHECK), "matrix", str(path), "--json", str(found), *map(str, options)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode in (0, 1, 3), f"{name}: exit code {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(found.read_text()) if found.exists() else []


def differences(name: str, *options: object, calls: tuple[str, ...] = ()) -> list[str]:
    """Make the matrix of a server, of some calls or of all: one sentence for each cell that is otherwise."""
    found = cells(name, *options, *(["--only", *calls] if calls else []))
    wrong = ("failed",) if name.startswith("defect/") else ("failed", "by chance")
    red = {cell["cell"]: cell["reason"] for cell in found if cell["mark"] in wrong}
    known = {cell for cell in expected(name) if not calls or cell.split()[0] in calls}
    said = [f"{name}: {cell['cell']} could not be judged: {cell['reason']}" for cell in found
            if cell["mark"] == "error" and name not in UNFIT]  # fmt: skip
    said += [f"{name}: {cell} is not red, and must be" for cell in sorted(known - red.keys())]
    known |= expected(name, "matrix_races")
    return said + [f"{name}: {cell} is red: {red[cell]}" for cell in sorted(red.keys() - known)]


def servers(words: tuple[str, ...] = ()) -> list[str]:
    """All of them, or those whose names contain one of the words."""
    samples = sorted(f"{path.parent.parent.name}/{path.parent.name}"
                     for kind in ("good", "defect") for path in SAMPLES.glob(f"{kind}/*/expected.toml"))  # fmt: skip
    return [name for name in (REFERENCE, *samples) if not words or any(word in name for word in words)]


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description="Compare the fault matrices of the known servers.")
    parser.add_argument("words", nargs="*", metavar="NAME")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    options = parser.parse_args()
    chosen = servers(tuple(options.words))
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {name: pool.submit(differences, name, "--seed", options.seed) for name in chosen}
        for name, run in runs.items():
            found = run.result()
            wrong += bool(found)
            print("\n".join(found) or f"ok: {name}, {len(expected(name))} red", flush=True)
    print(f"{len(chosen)} matrices, {wrong} came out otherwise")
    return int(wrong > 0 or not chosen)


if __name__ == "__main__":
    raise SystemExit(main())
