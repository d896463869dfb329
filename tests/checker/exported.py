#!/usr/bin/python3
"""The museum without the checker: every case that can be exported, run as a program of its own.

    tests/checker/exported.py [NAME…] [--jobs N]

exports all cases of `fixtures/bugs` that need no fault of the kernel (or those whose names contain one of the words)
and runs each by Python alone on the reference, where it must hold, and on the samples in its `shows`, where it must
fail. It prints a line for each case: `ok`, or what came out otherwise; and how many cannot be exported. Exit code 1 if
anything came out otherwise.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from bugs import SAMPLES, cases
from grading import LIMIT_S, ROOT

from awskit.cases.export import export
from awskit.cases.read import read
from awskit.cases.target import Unfit
from awskit.submission import find_makefile

RUNNER = Path(__file__).with_name("run_exported.py")
# What no script shows: one does not compile; of the other the process that was started has ended, and the one that
# listens, which is all that a script meets, does right.
NOT_SHOWN = ("defect/does-not-compile", "defect/daemon-of-its-own")


def build(sample: str, folder: Path) -> Path:
    """The program of a sample, made in `folder`."""
    whole = folder / sample.replace("/", "-")
    subprocess.run([SAMPLES / "unfold", sample, whole], check=True)
    place = whole / find_makefile(whole)
    subprocess.run(["make", "-s"], cwd=place, check=True, capture_output=True)
    return place / "aws"


def run(program: Path, case: Path, folder: Path) -> tuple[int, str]:
    """Export a case and run it against a program; exit code and output. Raises Unfit where nothing is left of it."""
    script = folder / f"{case.stem}.py"
    read_case = read(case)
    script.write_text(export(read_case))
    line = [sys.executable, RUNNER, program, script, *([str(read_case.descriptors)] if read_case.descriptors else [])]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    return done.returncode, done.stdout + done.stderr


def differences(case: Path, programs: dict[str, Path], folder: Path) -> list[str]:
    """Run a case on the reference and on its samples: one sentence for each that came out otherwise."""
    found = []
    expected = {"the reference": 0, **{sample: 1 for sample in shows(case)}}
    for name, code in expected.items():
        got, said = run(programs[name], case, folder)
        if got != code or not said.startswith(("right: ", "WRONG: ")[code]):
            found.append(f"{case.stem} on {name}: exit code {got}, and not {code}: {said.strip()}")
    return found


def shows(case: Path) -> list[str]:
    """The samples on which a case fails by itself."""
    return [name for name in tomllib.loads(case.read_text())["shows"] if name not in NOT_SHOWN]


def exportable(case: Path) -> bool:
    """Whether something is left of it without the checker."""
    try:
        export(read(case))
    except Unfit:
        return False
    return True


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description="Run the exported cases of the museum.")
    parser.add_argument("words", nargs="*", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    options = parser.parse_args()
    chosen = [case for case in cases(tuple(options.words)) if exportable(case)]
    samples = sorted({sample for case in chosen for sample in shows(case)})
    wrong = 0
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        folder = Path(name)
        builds = {sample: pool.submit(build, sample, folder) for sample in samples}
        programs = {"the reference": ROOT / "aws"} | {sample: one.result() for sample, one in builds.items()}
        runs = {case: pool.submit(differences, case, programs, folder) for case in chosen}
        for case, run_of in runs.items():
            found = run_of.result()
            wrong += len(found)
            print("\n".join(found) or f"ok: {case.stem}", flush=True)
    left = len(cases(tuple(options.words))) - len(chosen)
    print(f"{len(chosen)} cases exported ({left} need the checker), {len(samples)} samples, {wrong} came out otherwise")
    return int(wrong > 0 or not chosen)


if __name__ == "__main__":
    raise SystemExit(main())
