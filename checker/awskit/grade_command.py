"""`awscheck grade`: its options, one submission or many, and what is written of them."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from . import annotate, batch, class_page, junit, page, report, roll, texts
from .audience import STAGES, for_student
from .boxed import expect_free_port
from .cases import kept
from .grade import CHECKS, Grader
from .handed_in import ARCHIVES, is_submission
from .isolation import Isolation
from .model import Trouble, Verdict, WrongUsage
from .options import CANNOT_WORK, EPILOG, seed, whole_number
from .results import Report
from .rubric import Rubric, load
from .workplace import working_folder

ALL_POINTS, SOME_LOST = 0, 1  # exit codes


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command."""
    grade = commands.add_parser(
        "grade",
        help="grade submissions",
        description="Build a submission, run it in a box with its own network, check it, print the list with marks.\n"
        "Several submissions are graded each by a process of its own; a summary comes last.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = ", ".join(ARCHIVES)
    grade.add_argument("paths", nargs="*", type=Path, metavar="PATH", help=f"a folder, or an archive ({kinds})")
    grade.add_argument("--rubric", default="assignment", metavar="NAME|FILE", help="default: assignment")
    grade.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="ID",
        help="judge these items only: their numbers, or ids of checks; what these need is run, too",
    )
    grade.add_argument("--list", action="store_true", help="list the items of the rubric and grade nothing")
    grade.add_argument("--seed", type=seed, metavar="N", help="decides all contents (default: a new one, printed)")
    grade.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write to DIR, new or empty: report.txt, page.html, results.json, junit.xml, journal.jsonl, each verdict"
        " as it comes, cases/, a file for each check that failed, and below student/ what the student may see; of"
        " several submissions to a folder for each, and of all together index.html and marks.csv",
    )
    grade.add_argument("--json", type=Path, metavar="FILE", help="write the marks to FILE as Gradescope's results.json")
    grade.add_argument("--junit", type=Path, metavar="FILE", help="write the verdicts to FILE as JUnit XML")
    grade.add_argument("--html", type=Path, metavar="FILE", help="write a page to FILE: what was lost, why, pictures")
    grade.add_argument(
        "--annotate",
        action="store_true",
        help="print what failed as errors on the submission's lines, too, in GitHub's workflow commands",
    )
    grade.add_argument(
        "--code-quality",
        type=Path,
        metavar="FILE",
        help="write the same to FILE for GitLab, as a Code Quality report",
    )
    grade.add_argument(
        "--stage",
        choices=STAGES,
        help="what students may see by now, for what is written for them below --out's DIR (default: before_due_date)",
    )
    grade.add_argument("--keep", action="store_true", help="keep in --out's DIR what was built and what was served")
    grade.add_argument("--jobs", type=whole_number("jobs are", 1, 64), default=1, metavar="N",
                       help="submissions at once (default: 1)")  # fmt: skip
    grade.add_argument(
        "--require-isolation",
        action="store_true",
        help="do not work where the submission cannot be shut in completely (exit code 3)",
    )
    texts.add_option(grade)
    grade.add_argument("-v", "--verbose", action="store_true", help="show every check, and the seconds that it took")
    grade.set_defaults(run=_grade)


def _grade(options: argparse.Namespace) -> int:
    rubric = load(options.rubric, CHECKS)
    if options.only:
        rubric = rubric.only(options.only)
    if options.list:
        sys.stdout.write(report.contents(rubric, texts.load(options.lang)))
        return ALL_POINTS
    _expect_usable(options)
    if options.seed is None:
        options.seed = secrets.randbelow(2**32)
    if len(options.paths) > 1:
        return _grade_several(options, rubric)
    return _grade_one(options, rubric)


def _expect_usable(options: argparse.Namespace) -> None:
    """Say what is wrong with the command line before anything is begun. WrongUsage."""
    if not options.paths:
        raise WrongUsage("what is to be graded? PATH is missing; see awscheck grade --help")
    for path in options.paths:
        if not is_submission(path):
            problem = "is no folder and no archive" if path.exists() else "is not there"
            raise WrongUsage(f"{path} {problem}; archives are {', '.join(ARCHIVES)}")
    for file in filter(None, (options.json, options.junit, options.html, options.code_quality)):
        if not file.absolute().parent.is_dir():
            raise WrongUsage(f"{file}: there is no such folder to write to")
    for name in ("json", "html"):
        if getattr(options, name) and len(options.paths) > 1:
            raise WrongUsage(f"--{name} is about one submission; for several there is --out")
    if (options.annotate or options.code_quality) and len(options.paths) > 1:
        raise WrongUsage("--annotate and --code-quality are for the repository of one submission")
    for name in ("keep", "stage"):
        if getattr(options, name) and not options.out:
            raise WrongUsage(f"--{name} needs --out: where to?")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        if any(options.out.iterdir()):
            raise WrongUsage(f"{options.out} is not empty")


def _grade_one(options: argparse.Namespace, rubric: Rubric) -> int:
    (path,) = options.paths
    isolation = Isolation.probe()
    if options.require_isolation and isolation.missing:
        raise Trouble(f"not enforced here: {'; '.join(isolation.missing)}")
    if not isolation.network:
        expect_free_port()
    with _journal(options.out) as journal, working_folder(options.out if options.keep else None) as folder:

        def record(verdict: Verdict) -> None:
            if journal:
                journal.write(report.journal_line(verdict))
                journal.flush()

        result = Grader(path, rubric, options.seed, isolation, folder, record, _progress).run()
    result.language = options.lang
    if options.out:
        result = kept.keep(result, options.out / "cases")
    _write(options, result)
    if result.unknown:
        return CANNOT_WORK
    return ALL_POINTS if result.score == rubric.total else SOME_LOST


def _write(options: argparse.Namespace, result: Report) -> None:
    """Print the report, and write what was asked for."""
    text = report.table(result, verbose=options.verbose)
    sys.stdout.write(text)
    results = json.dumps(report.gradescope(result), indent=2, ensure_ascii=False) + "\n"
    if options.out:
        (options.out / "report.txt").write_text(text, encoding="utf-8")
        _write_for_student(options.out / "student", for_student(result, options.stage or STAGES[0]))
    for file in filter(None, (options.json, options.out and options.out / "results.json")):
        file.write_text(results, encoding="utf-8")
    for file in filter(None, (options.html, options.out and options.out / "page.html")):
        file.write_text(page.render(result), encoding="utf-8")
    if options.annotate:
        sys.stdout.write(annotate.github(result))
    if options.code_quality:
        options.code_quality.write_text(annotate.gitlab(result), encoding="utf-8")
    for file in filter(None, (options.junit, options.out and options.out / "junit.xml")):
        junit.write(file, [junit.suite(result)])


def _write_for_student(folder: Path, result: Report) -> None:
    """What may be handed out as it is."""
    folder.mkdir()
    result = kept.keep(result, folder / "cases")
    (folder / "report.txt").write_text(report.table(result), encoding="utf-8")
    (folder / "page.html").write_text(page.render(result), encoding="utf-8")


def _grade_several(options: argparse.Namespace, rubric: Rubric) -> int:
    """Each by a process of its own, so that none disturbs another; the exit code of the worst."""
    common = ["--rubric", options.rubric, "--seed", str(options.seed), "--lang", options.lang]
    common += ["--only", *options.only] if options.only else []
    common += ["--stage", options.stage] if options.stage else []
    for name in ("keep", "require_isolation", "verbose"):
        common += [f"--{name.replace('_', '-')}"] if getattr(options, name) else []
    with contextlib.ExitStack() as stack:
        out = options.out or stack.enter_context(batch.temporary_folder())
        done = []
        for one in batch.grade_all(options.paths, common, out, options.jobs):
            sys.stdout.write(one.text + "\n")
            sys.stderr.write(one.errors)
            sys.stdout.flush()
            done.append(one)
            _progress(len(done), len(options.paths))
        sys.stdout.write(batch.summary(done, texts.load(options.lang)))
        if options.out:
            _write_of_class(options, roll.read(rubric, [(one.path, one.folder) for one in done]))
        if options.junit:
            junit.write(options.junit, [suite for one in done for suite in one.suites()])
    codes = {one.code for one in done}
    return next((code for code in (CANNOT_WORK, SOME_LOST) if code in codes), ALL_POINTS)


def _write_of_class(options: argparse.Namespace, found: roll.Roll) -> None:
    """What staff see of all together."""
    (options.out / "index.html").write_text(class_page.render(found, texts.load(options.lang)), encoding="utf-8")
    (options.out / "marks.csv").write_text(roll.marks(found), encoding="utf-8", newline="")


def _progress(done: int, total: int) -> None:
    """Say on a terminal, and only there, how far it is; the line goes when all is done."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {total} " if done < total else "\r\x1b[K")
        sys.stderr.flush()


@contextlib.contextmanager
def _journal(folder: Path | None) -> Iterator[TextIO | None]:
    """The journal in that folder; None where nothing is written."""
    if folder is None:
        yield None
        return
    with (folder / "journal.jsonl").open("w", encoding="utf-8") as stream:
        yield stream
