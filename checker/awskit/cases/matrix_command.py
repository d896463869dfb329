"""The fault matrix on the command line: `awscheck matrix`, its grid as text, its cells as case files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..model import Failure
from ..options import CANNOT_WORK, seed
from ..plain import clean, cut, line
from . import grid, matrix_page
from .command import FAILS, HOLDS, opened
from .matrix import FAILURES, Judged, Mark, Matrix, failure_of, run
from .target import Unfit
from .write import to_text

SEED = 1  # the same for all, so that two grids can be laid side by side
EPILOG = """exit codes:
  0  no cell failed
  1  one failed, be it by chance, or something fails without any fault
  2  wrong usage
  3  the checker could not work, or could not judge
"""
# What stands in a cell of the terminal's grid. A fault that was not delivered says nothing good of a server.
WORDS = {Mark.HELD: "held", Mark.FAILED: "FAIL", Mark.CHANCE: "luck", Mark.MISSED: "miss", Mark.LEFT_OUT: "out",
         Mark.ERROR: "ERR"}  # fmt: skip


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command."""
    parser = commands.add_parser(
        "matrix",
        help="hit a server's calls with each fault, and show the grid",
        description="Ask for small and large files, static and dynamic, and for one that is not there, once for each\n"
        "fault that a call can meet: it moves less, has to be made again, ends the connection, or the disk takes its\n"
        "time. Who was under way before the fault, and who comes after it, must get all. Rows are calls, columns\n"
        "faults, and each cell is a case.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="a submission (folder or archive), a sample of"
                        " fixtures/submissions, or an executable such as ./aws")  # fmt: skip
    parser.add_argument("--seed", type=seed, default=SEED, metavar="N", help=f"of sizes and bytes (default: {SEED})")
    parser.add_argument("--only", nargs="+", choices=grid.CALLS, default=grid.CALLS, metavar="CALL",
                        help=f"these rows only: {', '.join(grid.CALLS)}")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="write each cell's case to DIR, new or empty")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the grid to FILE as a page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the cells to FILE, a list")
    parser.set_defaults(run=_matrix)


def _matrix(options: argparse.Namespace) -> int:
    for file in filter(None, (options.html, options.json)):
        if not file.absolute().parent.is_dir():
            raise Unfit(f"{file}: there is no such folder to write to")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        if any(options.out.iterdir()):
            raise Unfit(f"{options.out} is not empty")
    try:
        with opened(options.path) as target:
            matrix = run(target, options.seed, options.only)
    except Failure as failure:
        sys.stdout.write(f"{clean(str(options.path))}: no grid: {line(failure.reason)}\n")
        return FAILS
    if options.out:
        for judged in matrix.cells:
            if judged.case:
                (options.out / judged.file).write_text(to_text(judged.case), encoding="utf-8")
    sys.stdout.write(text(matrix, options.out))
    if options.html:
        options.html.write_text(matrix_page.render(matrix, options.html, options.out), encoding="utf-8")
    if options.json:
        cells = [record(judged) for judged in matrix.cells]
        options.json.write_text(json.dumps(cells, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if matrix.of(Mark.ERROR):
        return CANNOT_WORK
    return FAILS if matrix.of(*FAILURES) or matrix.unsound else HOLDS


def record(judged: Judged) -> dict[str, Any]:
    """A cell as data."""
    found: dict[str, Any] = {"cell": judged.cell.id, "mark": judged.mark.value}
    if judged.case:
        found["case"] = judged.file
    if judged.mark in FAILURES:
        found["reason"] = "\n".join(cut(failure_of(judged).reason))
    if judged.mark is Mark.ERROR and judged.played:
        found["reason"] = "\n".join(cut(str(judged.played.trouble)))
    return found


# -- as text -----------------------------------------------------------------------------------------------------------


def text(matrix: Matrix, out: Path | None) -> str:
    """The grid, and of each cell that failed why. `out`: where the cases are."""
    said = [f"The fault matrix of {clean(matrix.server)}, seed {matrix.seed}", "", *_rows(matrix), "", *_key(matrix)]
    for name, played in matrix.unsound.items():
        reason = played.failure.reason if played.failure else ""
        said.append(f"fails without any fault, and is left out: {name}: {line(reason, 200)}")
    for judged in matrix.of(*FAILURES):
        said += _why(judged, matrix.server, out)
    for judged in matrix.of(Mark.ERROR):
        trouble = judged.played.trouble if judged.played else ""
        said.append(f"could not be judged: {judged.cell.id}: {line(str(trouble), 200)}")
    return "\n".join(said) + "\n"


def _rows(matrix: Matrix) -> Iterator[str]:
    marks = {judged.cell.id: WORDS[judged.mark] for judged in matrix.cells}
    calls = [call for call in grid.CALLS if any(judged.cell.call == call for judged in matrix.cells)]
    widths = [max(4, *map(len, column.head)) for column in grid.COLUMNS]
    for at in (0, 1):
        yield _row("", [column.head[at] for column in grid.COLUMNS], widths)
    for call in calls:
        yield _row(call, [marks.get(f"{call} {column.id}", ".") for column in grid.COLUMNS], widths)


def _row(name: str, cells: list[str], widths: list[int]) -> str:
    return f"{name:9} {' '.join(f'{cell:>{width}}' for cell, width in zip(cells, widths))}".rstrip()


def _key(matrix: Matrix) -> Iterator[str]:
    counts = [f"{len(found)} {mark.value}" for mark in Mark if (found := matrix.of(mark))]
    yield f"{', '.join(counts)}; there is nothing to be hit where a dot stands"
    if missed := matrix.of(Mark.MISSED):
        names = ", ".join(judged.cell.id for judged in missed)
        yield f"not delivered, which is no verdict (the server made no call that could be hit): {names}"


def _why(judged: Judged, server: str, out: Path | None) -> Iterator[str]:
    failure = failure_of(judged)
    word = "FAILS" if judged.mark is Mark.FAILED else "FAILS BY CHANCE"
    yield f"{word}: {judged.cell.id}: {judged.cell.about}"
    for title, words in (("it went wrong", failure.reason), ("expected", failure.expected),
                         ("the server ended by", failure.evidence.ended)):  # fmt: skip
        if words.strip():
            yield f"  {title}: {line(words, 300)}"
    if out:
        yield f"  again: {clean(matrix_page.again(judged, server, out))}"
