"""A replay as a picture: what the client did and what the server called, drawn as a report draws it (picture.py).

The case is played once as ever, and once more under strace, which only explains: where that never comes to the same,
there is no picture. The file is an SVG of its own, with the style of the pages: readable on any ground, since it
brings one, light or dark.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .. import facts, moments, picture, retrace, texts
from ..bench import Bench
from ..boxed import BoxedLauncher, BoxedServer
from ..markup import STYLE, Markup, element
from ..model import Failure, Trouble
from ..plain import line
from ..told import Moment, Told
from ..transcript import Transcript
from ..witness import Witness
from .case import Case, ClientStep, Connect
from .command import HOLDS, add_server, opened
from .play import Played, play
from .read import read
from .target import BoxedTarget, Unfit

WIDTH = 720  # of the picture: all that a wide one shows has room
MARGIN = 12
TRIES = 5  # under strace a server is slow, and may find no socket full that was full without it
TITLE = 34  # the height of its title
_RULE = re.compile(r"^\.exchange .*$", re.MULTILINE)
_COLOURS = re.compile(r":root \{\n(.*?)\n *\}", re.DOTALL)
_NARROW = re.compile(r'<(tspan|text)[^>]* class="[^"]*less">.*?</\1>')  # what only a narrow picture shows
_USED = re.compile(r"var\((--[a-z-]+)\)")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command."""
    parser = commands.add_parser(
        "draw",
        help="draw what a case does to a server",
        description="Print a picture (SVG) of a replay: what a client did, what the server called, where it failed.",
    )
    parser.add_argument("case", type=Path, metavar="CASE", help="a case file (TOML)")
    add_server(parser)
    parser.add_argument("--client", default="", metavar="NAME", help="of the case, whose first connection is drawn"
                        " (default: the one that fails; where none does, the last)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the picture to FILE, not to standard output")
    parser.set_defaults(run=_draw)


def _draw(options: argparse.Namespace) -> int:
    case = read(options.case)
    try:
        with opened(options.server) as target:
            assert isinstance(target, BoxedTarget)
            text = draw(case, target, options.client)
    except Failure as failure:
        raise Unfit(f"{options.server}: {failure.reason}") from failure
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return HOLDS


def draw(case: Case, target: BoxedTarget, client: str = "") -> str:
    """The picture of the connection that fails, or of the first of `client`; of a case that holds, of its last. Raises
    Unfit where there is none to be had, and Trouble."""
    if case.evidence:
        raise Unfit(f"{case.title}: it is about evidence, which its replay tells in words")
    first = play(case, target)
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory(prefix="awscheck-draw-") as folder:
            traced = _Traced(name=target.name, sandbox=target.sandbox, program=target.program, folder=target.folder,
                             log=Path(folder) / "strace", faulty=bool(case.all_faults))  # fmt: skip
            second = play(case, traced)
            if _outcome(second) == _outcome(first):
                return svg(_told(case, second, traced, client))
    raise Trouble(f"{case.title}: under strace it went otherwise {TRIES} times, so there is no picture of it")


def _outcome(played: Played) -> tuple[object, ...]:
    """What must be the same for both to be the same story: whom the end of a server meets first is luck."""
    ended = facts.gathered(played.failure).ended if played.failure else ""
    return played.outcome, ended, None if ended else played.step


@dataclass(kw_only=True)
class _Traced(BoxedTarget):
    """The same server under strace. `server` is the last that was started."""

    log: Path
    faulty: bool
    server: BoxedServer | None = None

    def launcher(self) -> BoxedLauncher:
        return retrace.traced(super().launcher(), self.log, self.faulty)

    @contextlib.contextmanager
    def bench(self, case: Case) -> Iterator[tuple[Bench, Witness | None]]:
        with super().bench(case) as (bench, witness):
            assert isinstance(bench.server, BoxedServer)
            self.server = bench.server
            yield bench, witness


def _told(case: Case, played: Played, traced: _Traced, client: str) -> Told:
    failure = played.failure or Failure("")
    failure.evidence = evidence = facts.gathered(failure)
    if client or evidence.reply is None:
        evidence.transcripts = (_transcript(case, played, client),)
        evidence.reply = evidence.reply if not client else None
    evidence.faults = tuple(fault.made().word() for fault in case.all_faults)
    found = retrace.seen(failure, traced.log, traced.server) if traced.server else None
    if found is None:
        raise Trouble(f"{case.title}: strace has not seen the exchange")
    begin = min(moment.at for moment in found.moments)
    shown, left_out, gap = moments.in_order([replace(moment, at=begin) if moment.side == "fault" else moment
                                             for moment in found.moments])  # fmt: skip
    return Told(
        check="", title=case.title, rules=(case.rule,), lost=0, done=line(failure.reason), got="", expected="",
        ending=line(evidence.ended), difference=None, moments=tuple(_untimed(shown, bool(played.failure))),
        moments_cut=left_out, moments_gap=gap, traced=True, exchange="", cause=None, frame=None, again="", log="",
    )  # fmt: skip


def _untimed(shown: tuple[Moment, ...], failed: bool) -> Iterator[Moment]:
    """In their order and at no time: how long a machine took is none of the story."""
    for number, moment in enumerate(shown):
        yield replace(moment, at=number / 1e6, wrong=moment.wrong and failed)


def _transcript(case: Case, played: Played, client: str) -> Transcript:
    """Of the first connection of this client; of the last that was made where none is named."""
    names: dict[str, int] = {}  # of the clients: how many connections
    for step in case.steps:
        if isinstance(step, ClientStep):
            names.setdefault(step.client, step.count if isinstance(step, Connect) else 1)
    if client and client not in names:
        raise Unfit(f"{case.title}: there is no client {client}; there are {', '.join(names) or 'none'}")
    before = 0
    for name, count in names.items():
        if name == client:
            break
        before += count
    if not played.transcripts or client and before >= len(played.transcripts):
        raise Unfit(f"{case.title}: no connection was made that could be drawn")
    return played.transcripts[before] if client else played.transcripts[-1]


# -- the file ----------------------------------------------------------------------------------------------------------


def svg(told: Told) -> str:
    """A picture that stands alone."""
    words = texts.load()
    inner = Markup(_NARROW.sub("", picture.draw(told, words, "exchange")))
    found = re.search(r' height="(\d+)"', inner)
    assert found, "every picture says how high it is"
    height = int(found[1])
    head = element("text", line(told.title), x=MARGIN, y=MARGIN + 14, class_="title")
    moved = element("svg", inner, x=MARGIN, y=MARGIN + TITLE, width=WIDTH - 2 * MARGIN, height=height)
    whole = element(
        "svg",
        element("style", _style()),
        element("rect", width="100%", height="100%", rx=6, class_="sheet"),
        head, picture.SHAPES, moved,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height + TITLE + 2 * MARGIN}", width=WIDTH,
    )  # fmt: skip
    return f"{whole}\n"


def _style() -> Markup:
    """What of the pages' style the picture uses."""
    css = STYLE.read_text(encoding="utf-8")
    rules = [
        *(rule for rule in _RULE.findall(css) if ".more" not in rule),
        ".exchange { font-size: 12px; }",  # it is always a wide one
        ".sheet { fill: var(--sheet); stroke: var(--line); }",
        ".title { font: 600 14px var(--sans); fill: var(--ink); }",
    ]
    used = set(_USED.findall("\n".join(rules)))
    light, dark = ([one.strip() for one in block.split("\n") if one.split(":")[0].strip() in used]
                   for block in _COLOURS.findall(css)[:2])  # fmt: skip
    blocks = [f":root {{ {' '.join(light)} }}",
              f"@media (prefers-color-scheme: dark) {{ :root {{ {' '.join(dark)} }} }}"]  # fmt: skip
    return Markup("\n".join(["", *blocks, *rules, ""]))
