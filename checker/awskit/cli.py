"""The command line of awscheck."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from . import report
from .boxed import expect_free_port
from .grade import CHECKS, Grader, working_folder
from .model import Trouble
from .rubric import BadRubric, load
from .sandbox import Isolation
from .handed_in import ARCHIVES, is_submission

ALL_POINTS, SOME_LOST, WRONG_USAGE, CANNOT_WORK = range(4)  # exit codes (contract K8)

_EPILOG = """exit codes:
  0  all points
  1  some points lost
  2  wrong usage
  3  the checker could not work, or could not judge some of it (which costs no points)
"""


class WrongUsage(Exception):
    """The command line asks for what cannot be; the text says why."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end like ^C: servers killed, folders removed
    try:
        return options.run(options)
    except (WrongUsage, BadRubric) as error:
        print(f"awscheck: {report.clean(str(error))}", file=sys.stderr)
        return WRONG_USAGE
    except (Trouble, OSError) as error:
        print(f"awscheck: {report.clean(str(error))}", file=sys.stderr)
        return CANNOT_WORK
    except KeyboardInterrupt:
        print("awscheck: interrupted", file=sys.stderr)
        return CANNOT_WORK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="awscheck",
        description="Check asynchronous web servers: build them, run them in a box, give marks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    grade = commands.add_parser(
        "grade",
        help="grade one submission",
        description="Build a submission, run it in a box with its own network, check it, print the list with marks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = ", ".join(ARCHIVES)
    grade.add_argument("path", type=Path, metavar="PATH", help=f"the submission: a folder, or an archive ({kinds})")
    grade.add_argument("--rubric", default="assignment", metavar="NAME|FILE", help="default: assignment")
    grade.add_argument(
        "--only", nargs="+", default=[], metavar="ITEM", help="judge these items only: numbers, or ids of checks"
    )
    grade.add_argument("--seed", type=_seed, metavar="N", help="decides all contents (default: a new one, printed)")
    grade.add_argument(
        "--patience",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="how many seconds a check waits for what a right server does at once (default: 10)",
    )
    grade.add_argument("--json", type=Path, metavar="FILE", help="write the marks to FILE as Gradescope's results.json")
    grade.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep in DIR, new or empty: the journal (as verdicts come), the built submission, the document root",
    )
    grade.set_defaults(run=_grade)
    listing = commands.add_parser("list", help="list the items of a rubric", description="List the items of a rubric.")
    listing.add_argument("--rubric", default="assignment", metavar="NAME|FILE", help="default: assignment")
    listing.set_defaults(run=_list)
    return parser


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 2**63):
        raise argparse.ArgumentTypeError("a seed is a whole number from 0 on, below 2^63")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("seconds are a number of more than 0 and at most 3600")
    return value


def _list(options: argparse.Namespace) -> int:
    rubric = load(options.rubric, CHECKS)
    print(f"{rubric.title}: {rubric.total:g} points")
    for item in rubric.items:
        worth = f"{item.points:g}" + (f" + {item.memory:g}" if item.memory else "")
        print(f"{item.number:3}  {worth:>5}  {item.name} ({', '.join(item.checks)})")
    return ALL_POINTS


def _grade(options: argparse.Namespace) -> int:
    if not is_submission(options.path):
        problem = "is no folder and no archive" if options.path.exists() else "is not there"
        raise WrongUsage(f"{options.path} {problem}; archives are {', '.join(ARCHIVES)}")
    if options.json and not options.json.absolute().parent.is_dir():
        raise WrongUsage(f"{options.json}: there is no such folder to write to")
    rubric = load(options.rubric, CHECKS)
    if options.only:
        rubric = rubric.only(options.only)
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    isolation = Isolation.probe()
    if not isolation.network:
        expect_free_port()
    with _journal(options.keep) as journal, working_folder(options.keep) as folder:

        def record(verdict: report.Verdict) -> None:
            if journal:
                journal.write(report.journal_line(verdict))
                journal.flush()

        result = Grader(options.path, rubric, seed, isolation, folder, record, patience=options.patience).run()
    sys.stdout.write(report.table(result))
    if options.json:
        text = json.dumps(report.gradescope(result), indent=2, ensure_ascii=False) + "\n"
        options.json.write_text(text, encoding="utf-8")
    if result.unknown:
        return CANNOT_WORK
    return ALL_POINTS if result.score == rubric.total else SOME_LOST


@contextlib.contextmanager
def _journal(folder: Path | None) -> Iterator[TextIO | None]:
    """The journal in the folder to keep, which is made; None where nothing is kept."""
    if folder is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise WrongUsage(f"{folder} is not empty")
    with (folder / "journal.jsonl").open("w", encoding="utf-8") as stream:
        yield stream
