"""The fault matrix as a page: the grid, each cell a link to its case, and below it why what is red is red."""

from __future__ import annotations

import os
import shlex
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from .. import texts
from ..failing import capital
from ..markup import Markup, document, element, join
from ..plain import cut, line
from . import grid
from .matrix import FAILURES, Judged, Mark, Matrix, failure_of

MOST = 24  # lines of one text
_CLASSES = {Mark.HELD: "held", Mark.FAILED: "failed", Mark.CHANCE: "chance", Mark.MISSED: "missed",
            Mark.LEFT_OUT: "out", Mark.ERROR: "error"}  # fmt: skip
_KEY = {
    Mark.HELD: "every answer came as it should, also to those beside the fault and after it",
    Mark.FAILED: "one did not, or the server ended",
    Mark.CHANCE: "one did not, but not each time, or also without the fault: a matter of time",
    Mark.MISSED: "the server made no call that could be hit: no verdict, and nothing good",
    Mark.LEFT_OUT: "what makes the call fails without any fault",
    Mark.ERROR: "the checker or the machine could not tell",
}


def render(matrix: Matrix, page: Path, out: Path | None) -> str:
    """The whole file. `page` is where it will be, `out` the folder of the cases, None if they were not written."""
    folder = "" if out is None else os.path.relpath(out.resolve(), page.resolve().parent)
    body = element(
        "main",
        _top(matrix),
        _without_a_fault(matrix),
        element("div", _table(matrix, folder), class_="scroll", tabindex="0", role="region", aria_label="the grid"),
        _key(matrix),
        _failures(matrix, folder, out),
    )
    return document(f"The fault matrix of {matrix.server}", body, texts.load())


def again(judged: Judged, server: str, out: Path) -> str:
    """The command that replays a cell."""
    return f"checker/awscheck replay {shlex.quote(str(out / judged.file))} --server {shlex.quote(server)} --trace"


def _top(matrix: Matrix) -> Markup:
    counts = " · ".join(f"{len(found)} {mark.value}" for mark in Mark if (found := matrix.of(mark)))
    told = element("p", f"{line(matrix.server)} · seed {matrix.seed} · {counts}", class_="soft")
    about = element("p", "Each cell asks for small and large files, static and dynamic, and for one that is not there,"
                    " while one call of the server meets one fault. Who was under way before it, and who comes after"
                    " it, must get all.")  # fmt: skip
    return element("header", element("h1", "The fault matrix"), told, about)


def _without_a_fault(matrix: Matrix) -> Markup | None:
    if not matrix.unsound:
        return None
    rows = [element("li", element("code", name), ": ", line(played.failure.reason if played.failure else ""))
            for name, played in matrix.unsound.items()]  # fmt: skip
    return element("section", element("h2", "Fails without any fault, and is left out"), element("ul", rows))


def _table(matrix: Matrix, folder: str) -> Markup:
    groups = [element("th", name, colspan=len(list(members)), scope="colgroup")
              for name, members in groupby(grid.COLUMNS, key=lambda column: column.group)]  # fmt: skip
    heads = [element("th", _head(column), scope="col") for column in grid.COLUMNS]
    found = {judged.cell.id: judged for judged in matrix.cells}
    rows = [
        element("tr", element("th", element("code", call), scope="row"),
                [_cell(found.get(f"{call} {column.id}"), folder) for column in grid.COLUMNS])
        for call in grid.CALLS if any(judged.cell.call == call for judged in matrix.cells)
    ]  # fmt: skip
    head = element("thead", element("tr", element("td"), groups), element("tr", element("td"), heads))
    caption = element("caption", "Rows: the calls that are hit. Columns: what becomes of them.", class_="hidden")
    return element("table", caption, head, element("tbody", rows), class_="matrix")


def _head(column: grid.Column) -> Markup:
    """Its name, which may be broken where its two lines meet."""
    one_word = column.id == "".join(column.head)
    broken = join(column.head[0], element("wbr"), column.head[1])
    return element("code", broken if one_word else column.id.replace("-", " "))


def _cell(judged: Judged | None, folder: str) -> Markup:
    if judged is None:
        return element("td")
    text = judged.mark.value
    if judged.case and folder:
        link = f"{folder if folder.startswith('.') else f'./{folder}'}/{judged.file}"
        shown = element("a", text, href=quote(link), title=capital(judged.cell.about))
    else:
        shown = element("a", text, href=f"#{_id(judged)}") if judged.mark in FAILURES else element("span", text)
    return element("td", shown, class_=_CLASSES[judged.mark])


def _key(matrix: Matrix) -> Markup:
    """The words of the grid, those that stand in it."""
    rows = [join(element("dt", mark.value), element("dd", _KEY[mark])) for mark in Mark if matrix.of(mark)]
    return element("dl", rows, class_="said")


def _id(judged: Judged) -> str:
    return judged.file.removesuffix(".toml")


def _failures(matrix: Matrix, folder: str, out: Path | None) -> Markup | None:
    red = matrix.of(*FAILURES)
    if not red:
        return None
    rows = [element("li", _failure(judged, matrix.server, out), id=_id(judged)) for judged in red]
    return element("section", element("h2", "What failed"), element("ul", rows, class_="failures"))


def _failure(judged: Judged, server: str, out: Path | None) -> Markup:
    failure = failure_of(judged)
    exchange = judged.played.transcripts[-1].render() if judged.played and judged.played.transcripts else ""
    terms = (("done", failure.reason), ("got", failure.got), ("expected", failure.expected),
             ("the server ended by", failure.evidence.ended), ("the server said", failure.evidence.log),
             ("the exchange", exchange))  # fmt: skip
    rows = [_term(name, text) for name, text in terms if text.strip()]
    command = None
    if out is not None:
        shown = element("pre", "\n".join(cut(again(judged, server, out), width=2000)), tabindex="0")
        command = element("section", element("h4", "again"), element("div", shown, class_="row"), class_="again")
    title = element("h3", element("code", judged.cell.id), f" {judged.mark.value}")
    why = element("p", f"{capital(judged.cell.about)}.", class_="why")
    inside = element("div", element("dl", rows, class_="said"), command, class_="failure")
    return element("details", element("summary", title, element("span"), why), inside)


def _term(name: str, text: str) -> Markup:
    lines = cut(text, MOST)
    shown = element("pre", "\n".join(lines), tabindex="0") if len(lines) > 1 else lines[0]
    return join(element("dt", name), element("dd", shown))
