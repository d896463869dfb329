"""What the tests of the checker share: submissions made on the spot, gradings through the command line.

A grading is mostly waiting for a compiler, for valgrind or for a server that never answers: four run at a time, and a
test asks for the result of its own.
"""

from __future__ import annotations

import concurrent.futures
import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVERS = Path(__file__).resolve().parent / "servers"
AWSCHECK = ROOT / "checker" / "awscheck"
LIMIT_S = 240  # for one grading on a loaded machine: an end for what hangs, no verdict

sys.path.insert(0, str(ROOT / "checker"))


@dataclass(frozen=True)
class Graded:
    """What a run of awscheck left: exit code, standard output and error, the results file (None if none was written)."""

    code: int
    text: str
    errors: str
    results: Any

    @property
    def earned(self) -> set[int]:
        """The items that got all their points."""
        return {int(test["number"]) for test in self.results["tests"] if test["score"] == test["max_score"]}

    @property
    def scored(self) -> set[int]:
        """The items that got any point."""
        return {int(test["number"]) for test in self.results["tests"] if test["score"]}

    def item(self, number: int) -> Any:
        """The entry of one item."""
        return next(test for test in self.results["tests"] if test["number"] == str(number))


def awscheck(*arguments: object, wrapper: tuple[str, ...] = (), folder: Path | None = None) -> Graded:
    """Run the command line; `folder`: where `results.json` is to be written, for `grade`."""
    line = [*wrapper, str(AWSCHECK), *map(str, arguments)]
    if folder is not None:
        line += ["--json", str(folder / "results.json")]
    # The caller's directory may be one that a user the test changes to cannot enter.
    done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd="/")
    results = folder / "results.json" if folder else None
    data = json.loads(results.read_text()) if results and results.exists() else None
    return Graded(done.returncode, done.stdout, done.stderr, data)


@pytest.fixture(scope="session")
def submit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., concurrent.futures.Future[Graded]]]:
    """Start a grading in the background: `submit(path, *options).result()`."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:

        def start(path: Path, *options: object, **more: Any) -> concurrent.futures.Future[Graded]:
            folder = tmp_path_factory.mktemp("results")
            return pool.submit(awscheck, "grade", path, *options, folder=folder, **more)

        yield start


@pytest.fixture(scope="session")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder to hand in, made of one of `servers/` and a Makefile with these compiler options. Made once each."""

    @functools.cache
    def make(source: str, *options: str, compiler: str = "gcc") -> Path:
        folder = tmp_path_factory.mktemp("submission")
        (folder / source).write_bytes((SERVERS / source).read_bytes())
        (folder / "Makefile").write_text(f"aws: {source}\n\t{compiler} -g -O1 -o $@ $< {' '.join(options)}\n")
        return folder

    return make
