"""Gradings through the command line, as the tests of the checker look at them."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
AWSCHECK = ROOT / "checker" / "awscheck"
LIMIT_S = 240  # for one grading on a loaded machine: an end for what hangs, no verdict

sys.path.insert(0, str(ROOT / "checker"))


@dataclass(frozen=True)
class Graded:
    """What a run of awscheck left: exit code, output, error output, the results file (None if none was written)."""

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


def called(*arguments: object) -> Graded:
    """The same in this process, for what starts no server: it saves an interpreter each time."""
    from awskit.cli import main

    text, errors = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(errors):
            code = main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse's way to refuse
        code = int(end.code or 0)
    finally:
        signal.signal(signal.SIGTERM, handler)
    return Graded(code, text.getvalue(), errors.getvalue(), None)
