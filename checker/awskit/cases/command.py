"""Cases on the command line: `awscheck replay`, `export` and `shrink`."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..model import Failure, Outcome, Trouble
from ..options import CANNOT_WORK, whole_number
from ..plain import alone, clean, cut, line
from ..workplace import working_folder
from .case import Case
from .export import curl, export
from .kinds import write_fields
from .play import Played, play
from .read import read, read_with_lines
from .shrink import NothingToShrink, Shrinking, told
from .target import PROJECT, PortTarget, Target, Unfit, boxed
from .write import inline, step_text, to_text

# Right servers of another design than the reference's: level-triggered and edge-triggered.
OTHERS = tuple(PROJECT / "fixtures" / "submissions" / "good" / name for name in ("plain", "edge"))

CONNECTIONS = 4  # of a step that a trace shows

HOLDS, FAILS = 0, 1  # exit codes

EPILOG = """exit codes:
  0  the case holds
  1  it fails
  2  wrong usage, or no case file
  3  the checker could not work, or could not judge
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that are about cases."""
    replay = commands.add_parser(
        "replay",
        help="replay case files on a server",
        description="Replay cases: make the files, play clients and faults, and judge. On the reference, or on\n"
        "--server in a box, or on whatever listens at --port of 127.0.0.1 (cases without faults and evidence).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument("cases", nargs="+", type=Path, metavar="CASE", help="a case file (TOML)")
    add_server(replay)
    replay.add_argument("--port", type=whole_number("a port is", 1, 65535), metavar="N",
                        help="a server that runs at this port of 127.0.0.1")  # fmt: skip
    replay.add_argument("--root", type=Path, metavar="DIR", help="the folder that the server at --port serves; the"
                        " case's files are made there, and removed")  # fmt: skip
    replay.add_argument("--trace", action="store_true", help="print the steps, and what went both ways in each")
    replay.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts to FILE, a list")
    replay.set_defaults(run=_replay)
    exporting = commands.add_parser(
        "export",
        help="write a case as a Python file that needs no checker",
        description="Print a case as one Python 3 file that needs nothing but the standard library, and runs against\n"
        "a server on port 8888. Faults and evidence, which only the checker has, cannot be exported.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    exporting.add_argument("case", type=Path, metavar="CASE", help="a case file (TOML)")
    exporting.add_argument("--curl", action="store_true", help="print a line for curl or nc instead")
    exporting.set_defaults(run=_export)
    shrinking = commands.add_parser(
        "shrink",
        help="find the smallest case that still fails in the same way",
        description="Print the smallest case that still fails on a server as this one does and holds on the reference.",
    )
    shrinking.add_argument("case", type=Path, metavar="CASE", help="a case file (TOML)")
    add_server(shrinking, required=True)
    shrinking.add_argument("--seconds", type=whole_number("seconds are", 1, 3600), default=50, metavar="N",
                           help="at most, beside building (default: 50)")  # fmt: skip
    shrinking.add_argument("--out", type=Path, metavar="FILE", help="write the case to FILE, not to standard output")
    shrinking.set_defaults(run=_shrink)


def add_server(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """The option that says on which server in a box."""
    parser.add_argument(
        "--server",
        type=Path,
        metavar="PATH",
        help="a submission (folder or archive, built here), a sample of fixtures/submissions, or an executable"
        + ("" if required else "; without it this project's ./aws"),
        required=required,
    )


@contextlib.contextmanager
def opened(server: Path | None) -> Iterator[Target]:
    """A server in a box; Trouble where there is none, Failure where it does not build."""
    if server is not None and not server.exists():
        raise Unfit(f"{server} is not there")
    with working_folder(None) as folder, boxed(server, folder) as target:
        yield target


def _replay(options: argparse.Namespace) -> int:
    cases = [(path, *read_with_lines(path)) for path in options.cases]
    if options.port and options.server or options.root and not options.port:
        raise Unfit("--server or --port, one of the two; --root goes with --port")
    if options.root and not options.root.is_dir():
        raise Unfit(f"--root: {options.root} is no folder")
    if options.json and not options.json.absolute().parent.is_dir():
        raise Unfit(f"--json: {options.json.absolute().parent} is no folder")
    results = []
    with contextlib.ExitStack() as stack:
        broken = None
        target: Target = PortTarget(options.port or 0, options.root)
        if not options.port:
            try:
                target = stack.enter_context(opened(options.server))
            except Failure as failure:  # it does not build: every case fails on it
                broken = failure
        name = target.name if broken is None else str(options.server)
        unfit: list[Unfit] = []
        for path, case, lines in cases:
            try:
                played = Played(case, broken) if broken else _played(case, target)
            except Unfit as why:  # of several, the others can be replayed
                unfit.append(why)
                sys.stdout.write(f"not here: {clean(str(path))}: {alone(str(why))}\n")
                continue
            sys.stdout.write(report(path, played, name, lines, trace=options.trace))
            sys.stdout.flush()
            results.append(record(path, played, name, lines))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if unfit and not results:
        raise unfit[0]
    outcomes = {one["outcome"] for one in results}
    return CANNOT_WORK if "error" in outcomes else FAILS if "failed" in outcomes else HOLDS


def _played(case: Case, target: Target) -> Played:
    """Replay it; what the kit or the machine could not do is told as the outcome of this one case."""
    try:
        return play(case, target)
    except Trouble as trouble:
        return Played(case, trouble=trouble)


def _export(options: argparse.Namespace) -> int:
    case = read(options.case)
    sys.stdout.write(f"{curl(case)}\n" if options.curl else export(case))
    return HOLDS


def _shrink(options: argparse.Namespace) -> int:
    before, end = read(options.case), time.monotonic() + options.seconds
    try:
        with contextlib.ExitStack() as stack:  # opening builds them: that takes time, too
            target, reference, *others = [stack.enter_context(opened(one)) for one in (options.server, None, *OTHERS)]
            shrinking = Shrinking(before, target, reference, max(0.0, end - time.monotonic()), tuple(others))
            text = to_text(shrinking.run())
    except NothingToShrink as reason:
        raise Unfit(f"{options.case}: {reason}") from reason
    except Failure as failure:
        raise Unfit(f"{options.server}: {failure.reason}") from failure
    sys.stderr.write(told(before, shrinking))
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return HOLDS


def report(path: Path, played: Played, server: str, lines: list[int], *, trace: bool) -> str:
    """What came of it, for a terminal."""
    case = played.case
    said = [f"{_WORDS[played.outcome]}: {clean(str(path))}: {clean(case.title)} (rule {case.rule}), on {clean(server)}"]
    if played.trouble:
        said.append(f"  {cut(str(played.trouble))[0]}")
    if played.failure:
        said += [f"  {alone(case.about)}", *_went_wrong(played, played.failure, lines)]
    if trace:
        said += _trace(played, lines)
    return "\n".join(said) + "\n"


def _trace(played: Played, lines: list[int]) -> Iterator[str]:
    """The steps that were done, and what went both ways in each: of a crowd, on its first connections. Then how often
    each fault has hit."""
    moments = itertools.groupby(played.moments, lambda moment: moment.step)
    seen = {number: list(group) for number, group in moments}
    last = len(played.case.steps) - 1 if played.step is None else played.step
    for number, step in enumerate(played.case.steps[: last + 1]):
        yield f"  line {lines[number]}: {line(step_text(step))}"
        for moment in seen.get(number, [])[:CONNECTIONS]:
            text = moment.transcript.render(moment.begin, moment.end)
            yield from (f"    {moment.client} {clean(one)}" for one in text.splitlines())
        if left_out := len(seen.get(number, [])[CONNECTIONS:]):
            yield f"    [… {left_out:,} connections more, not shown]"
    for fault, hits in zip(played.case.all_faults, played.hits):
        yield f"  fault {inline(write_fields(fault))}: hit {hits:,} time{'' if hits == 1 else 's'}"


_WORDS = {Outcome.PASSED: "holds", Outcome.FAILED: "FAILS", Outcome.ERROR: "could not be judged"}


def _went_wrong(played: Played, failure: Failure, lines: list[int]) -> Iterator[str]:
    if played.step is not None:
        yield f"  line {lines[played.step]}: {line(step_text(played.case.steps[played.step]))}"
    for title, text in (("it went wrong", failure.reason), ("got", failure.got), ("expected", failure.expected),
                        ("the server ended by", failure.evidence.ended),
                        ("the server said", failure.evidence.log)):  # fmt: skip
        if text.strip():
            first, *rest = cut(text)
            yield f"  {title}: {first}"
            yield from (f"    | {one}" for one in rest)


def record(path: Path, played: Played, server: str, lines: list[int]) -> dict[str, Any]:
    """The verdict as data."""
    failure, step = played.failure, played.step
    found: dict[str, Any] = {
        "case": clean(str(path)),
        "title": clean(played.case.title),
        "rule": played.case.rule,
        "server": clean(server),
        "outcome": played.outcome.value,
    }
    if played.trouble:
        found["reason"] = "\n".join(cut(str(played.trouble)))
    if failure:
        found |= {
            "step": step,
            "line": None if step is None else lines[step],
            "reason": "\n".join(cut(failure.reason)),
            "got": "\n".join(cut(failure.got)),
            "expected": "\n".join(cut(failure.expected)),
            "ended": failure.evidence.ended,
            "exchange": ["\n".join(cut(transcript.render())) for transcript in played.transcripts[:16]],
        }
    return found
