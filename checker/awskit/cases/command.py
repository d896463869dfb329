"""Cases on the command line: `awscheck replay`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..plain import clean, cut
from ..workplace import working_folder
from .play import Played, play
from .read import lines_of_steps, read
from .target import PortTarget, Target, Unfit, boxed
from .write import step_text

HOLDS, FAILS, WRONG_USAGE, CANNOT_WORK = range(4)  # exit codes (contract K8)

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
        help="replay a case file on a server",
        description="Replay a case: make its files, play its clients and faults, and judge. On the reference, or on\n"
        "--server in a box, or on whatever listens at --port of 127.0.0.1 (cases without faults and evidence).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_case(replay)
    _add_server(replay)
    replay.add_argument("--port", type=_port, metavar="N", help="a server that runs at this port of 127.0.0.1")
    replay.add_argument("--root", type=Path, metavar="DIR", help="the folder that the server at --port serves; the"
                        " case's files are made there, and removed")  # fmt: skip
    replay.add_argument("--trace", action="store_true", help="print what went both ways")
    replay.add_argument("--json", type=Path, metavar="FILE", help="write the verdict to FILE")
    replay.set_defaults(run=_replay)


def _add_case(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("case", type=Path, metavar="CASE", help="a case file (TOML)")


def _add_server(parser: argparse.ArgumentParser, **more: Any) -> None:
    parser.add_argument(
        "--server",
        type=Path,
        metavar="PATH",
        help="a submission (folder or archive, built here), a sample of fixtures/submissions, or an executable;"
        " default: this project's ./aws",
        **more,
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError("a port is a whole number from 1 to 65535")
    return int(text)


@contextlib.contextmanager
def _target(server: Path | None) -> Iterator[Target]:
    """A server in a box; Trouble where there is none, Failure where it does not build."""
    if server is not None and not server.exists():
        raise Unfit(f"{server} is not there")
    with working_folder(None) as folder, boxed(server, folder) as target:
        yield target


def _replay(options: argparse.Namespace) -> int:
    case = read(options.case)
    if options.port and options.server or options.root and not options.port:
        raise Unfit("--server or --port, one of the two; --root goes with --port")
    if options.port:
        target = PortTarget(options.port, options.root)
        played, name = play(case, target), target.name
    else:
        with _target(options.server) as target:
            played, name = play(case, target), target.name
    lines = lines_of_steps(options.case.read_text(encoding="utf-8"))
    sys.stdout.write(report(options.case, played, name, lines, trace=options.trace))
    if options.json:
        text = json.dumps(record(options.case, played, name, lines), indent=2, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    return FAILS if played.failure else HOLDS


def report(path: Path, played: Played, server: str, lines: list[int], *, trace: bool) -> str:
    """What came of it, for a terminal."""
    case, failure = played.case, played.failure
    said = [f"{'FAILS' if failure else 'holds'}: {clean(str(path))}: {clean(case.title)} (rule {case.rule}), on"
            f" {clean(server)}"]  # fmt: skip
    if failure:
        said.append(f"  {clean(case.about)}")
        if played.step is not None:
            said.append(f"  line {lines[played.step]}: {clean(step_text(case.steps[played.step]))}")
        for title, text in (("it went wrong", failure.reason), ("got", failure.got), ("expected", failure.expected),
                            ("likely", failure.likely), ("the server ended by", failure.evidence.ended),
                            ("the server said", failure.evidence.log)):  # fmt: skip
            if text.strip():
                first, *rest = cut(text)
                said += [f"  {title}: {first}", *(f"    | {line}" for line in rest)]
    if trace:
        for number, transcript in enumerate(played.transcripts, 1):
            said.append(f"  connection {number}")
            said += [f"    {clean(line)}" for line in transcript.render().splitlines()]
    return "\n".join(said) + "\n"


def record(path: Path, played: Played, server: str, lines: list[int]) -> dict[str, Any]:
    """The verdict as data."""
    failure, step = played.failure, played.step
    found: dict[str, Any] = {
        "case": clean(str(path)),
        "title": clean(played.case.title),
        "rule": played.case.rule,
        "server": clean(server),
        "outcome": "failed" if failure else "passed",
    }
    if failure:
        found |= {
            "step": step,
            "line": None if step is None else lines[step],
            "reason": "\n".join(cut(failure.reason)),
            "got": "\n".join(cut(failure.got)),
            "expected": "\n".join(cut(failure.expected)),
            "likely": "\n".join(cut(failure.likely)),
            "ended": failure.evidence.ended,
            "exchange": ["\n".join(cut(transcript.render())) for transcript in played.transcripts[:16]],
        }
    return found
