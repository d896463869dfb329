"""Several submissions: each is graded by a process of its own, so that whatever one does to its checker, its memory or
its time, is no other's business.

A process writes what it finds to a folder of its own; what is shown here is read from there. One that dies leaves its
journal, and is reported as what it is: not judged.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .plain import clean
from .texts import Texts

AWSCHECK = Path(__file__).resolve().parent.parent / "awscheck"
LIMIT_S = 900.0  # an end for a checker that hangs, no verdict: a report takes a minute on an idle machine
JUDGED = (0, 1, 3)  # exit codes of a process that has judged, or that says why it could not
DIED = 3  # what the end of a process without a result comes to


@dataclass(frozen=True)
class Graded:
    """What came of one submission. `score` is None where there is no result; `folder` holds all that was written."""

    path: Path
    folder: Path
    code: int
    text: str
    errors: str
    score: float | None
    total: float | None

    def suites(self) -> list[ElementTree.Element]:
        """The JUnit test suites, none where it came to nothing."""
        file = self.folder / "junit.xml"
        return list(ElementTree.parse(file).getroot()) if file.exists() else []


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Where results go that nobody asked for; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="awscheck-results-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_names(paths: Sequence[Path]) -> list[str]:
    """A name for each submission's folder: its own, with nothing in it that a path could mind, and a number where two
    are alike."""
    names: list[str] = []
    for path in paths:
        name = re.sub(r"[^\w.+-]", "_", path.resolve().name).lstrip(".") or "submission"
        number, unique = 1, name
        while unique in names:
            number += 1
            unique = f"{name}-{number}"
        names.append(unique)
    return names


def grade_all(paths: Sequence[Path], arguments: Sequence[str], out: Path, jobs: int) -> Iterator[Graded]:
    """Grade them, `jobs` at once, with these further arguments; what came of each, in the order of `paths`, as soon as
    all before it are done. When the caller stops, the processes are asked to end, and waited for."""
    running: set[subprocess.Popen[str]] = set()

    def grade(path: Path, name: str) -> Graded:
        folder = out / name
        # The path first: --only takes all that follows it.
        line = [sys.executable, str(AWSCHECK), "grade", str(path.absolute()), *arguments, "--out", str(folder)]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        running.add(process)
        try:
            text, errors = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            text, errors = process.communicate()
            errors += f"awscheck: {path} was not graded in {LIMIT_S:g} s\n"
        finally:
            running.discard(process)
        return _read(path, folder, process.returncode, text, errors)

    pool = ThreadPoolExecutor(jobs)
    try:
        waiting = [pool.submit(grade, path, name) for path, name in zip(paths, folder_names(paths))]
        for one in waiting:
            yield one.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            process.terminate()
        pool.shutdown(wait=True)


def _read(path: Path, folder: Path, code: int, text: str, errors: str) -> Graded:
    score = total = None
    with contextlib.suppress(OSError, ValueError, KeyError):
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        score, total = results["score"], results["extra_data"]["max_score"]
    if code not in JUDGED or score is None and not errors:
        errors += f"awscheck: the checker of {clean(str(path))} died (exit code {code})\n"
        code = DIED
    return Graded(path, folder, code, text, errors, score, total)


def summary(done: Sequence[Graded], texts: Texts) -> str:
    """A line for each, and how many there are of each kind."""
    lines = []
    for one in done:
        mark = texts("class.no_mark") if one.score is None else f"{one.score:g}/{one.total:g}"
        unknown = "" if one.code != DIED else texts("class.no_result" if one.score is None else "class.in_part")
        lines.append(f"{mark:>9}  {clean(str(one.path))}" + (f"   ({unknown})" if unknown else ""))
    whole = sum(one.code == 0 for one in done)
    unknown_ones = sum(one.code == DIED for one in done)
    kinds = [texts("class.with_all", n=whole), texts("class.with_less", n=len(done) - whole - unknown_ones),
             texts("class.not_judged", n=unknown_ones)]  # fmt: skip
    lines.append(f"{texts('class.title', n=len(done))}: {', '.join(kinds)}")
    return "\n".join(lines) + "\n"
