"""The fault matrix: its cells as cases, its grid as text and page, some samples' red cells. `make matrix` has all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from awskit.cases import grid, matrix, matrix_command, matrix_page
from awskit.cases.case import Answer, Case, Close, Connect, Refuse, ServerStep
from awskit.cases.command import opened
from awskit.cases.matrix import Judged, Mark, Matrix
from awskit.cases.play import Played
from awskit.cases.read import parse
from awskit.cases.target import Target
from awskit.cases.write import to_text
from awskit.model import Failure
from everyday import examples
from grading import ROOT, awscheck
from matrix import REFERENCE, SAMPLES, cells, differences, expected, servers

ALL = (*grid.EXCHANGES, *grid.STALLED, *grid.HALFWAY, *grid.APART)  # of a server that is right without a fault

# Of a row a defect, and all cells of that row: of those rows in which it shows at once.
SHOWN = {
    "accept": "accept-error-ends-server",
    "receive": "url-piece-overwrites",
    "send": "body-send-error-kills",
    "sendfile": "sendfile-once",
    "setup": "context-as-large-as-file",
    "aio": "read-error-unseen",
    "wait": "stop-ends-server",
}


@pytest.mark.parametrize("call", examples(SHOWN, lambda call: call in ("aio", "wait")))
def test_what_a_defect_explains_is_red_and_nothing_else(call: str) -> None:
    sample = f"defect/{SHOWN[call]}"
    assert any(cell.startswith(f"{call} ") for cell in expected(sample))
    assert differences(sample, calls=(call,)) == []


@pytest.mark.parametrize("calls", [("accept", "receive", "wait"), ("sendfile", "getevents"), ("submit", "aio")])
def test_the_reference_has_no_red_cell(calls: tuple[str, ...]) -> None:
    found = cells(REFERENCE, "--only", *calls)
    assert {cell["mark"] for cell in found} <= {"held", "not delivered"} and len(found) > 5
    assert [cell["cell"] for cell in found if cell["mark"] == "not delivered"] == []


def test_a_fault_that_hits_nothing_is_no_verdict() -> None:
    """One read for a whole file: there is no part of it that io_submit could take."""
    marks = {cell["cell"]: cell["mark"] for cell in cells("good/writev", "--only", "submit")}
    assert marks.pop("submit EAGAIN") == "held"
    assert set(marks.values()) == {"not delivered"} and len(marks) == 4


@pytest.mark.parametrize(
    ("hits", "step", "mark"),
    [
        (0, None, Mark.MISSED),  # all went well, and the fault was none of it
        (0, ServerStep, Mark.MISSED),  # the reads that were to be held were never asked for
        (0, Answer, Mark.FAILED),  # it failed by itself
        (5, None, Mark.HELD),
        (5, ServerStep, Mark.FAILED),
        (5, Answer, Mark.FAILED),
    ],
)
def test_what_is_delivered_decides(
    hits: int, step: type | None, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`step`: which kind of step fails under the fault, the first one of it."""

    def played(case: Case, target: Any) -> Played:
        target.hits = hits
        fails = step and case.faults
        at = next((number for number, one in enumerate(case.steps) if fails and isinstance(one, step)), None)
        return Played(case, None if at is None else Failure("not so"), step=at)

    assert _mark_of(played, monkeypatch) is mark


@pytest.mark.parametrize(
    ("under_fault", "without", "mark"),
    [
        ("FFF", "HHH", Mark.FAILED),  # each time with its faults, and never without
        ("FFH", "HHH", Mark.CHANCE),
        ("FF", "HHF", Mark.CHANCE),
        ("FH", "F", Mark.HELD),  # the server cannot bear who is under way: the cell is played without them
        ("FFFF", "FHHH", Mark.FAILED),
        ("FF", "FF", Mark.LEFT_OUT),  # nor this order of exchanges
    ],
)
def test_a_cell_is_red_that_fails_each_time_with_its_faults_and_never_without(
    under_fault: str, without: str, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes of each time that it is played: F fails, H holds."""
    said = {True: iter(under_fault), False: iter(without)}

    def played(case: Case, target: Any) -> Played:
        target.hits = 1
        return Played(case, Failure("not so") if next(said[bool(case.faults)]) == "F" else None)

    assert _mark_of(played, monkeypatch) is mark
    assert [*said[True], *said[False]] == []


def _mark_of(played: Callable[[Case, Any], Played], monkeypatch: pytest.MonkeyPatch) -> Mark:
    """The mark of one cell on a server of which cases come out so."""

    class Nowhere(Target):
        name = "nowhere"
        bench = None  # type: ignore[assignment]

    monkeypatch.setattr(matrix, "play", played)
    late = next(cell for cell in grid.cells() if cell.id == "aio late")
    monkeypatch.setattr(matrix, "_unsound", lambda *_: {})
    monkeypatch.setattr(matrix, "_is_apart", lambda *_: True)
    monkeypatch.setattr(grid, "cells", lambda: (late,))
    (judged,) = matrix.run(Nowhere(), 1).cells
    return judged.mark


def test_what_fails_without_a_fault_is_left_out_of_the_cells() -> None:
    done = awscheck("matrix", SAMPLES / "defect" / "buffers-from-start", "--only", "aio")
    assert done.code == 1 and "fails without any fault, and is left out: large-dynamic: " in done.text
    assert re.search(r"^aio +held +held +held +held .* out +out +out$", done.text, re.MULTILINE)


@pytest.mark.long
def test_who_makes_a_call_for_the_other_kind_of_file_is_not_hit_beside() -> None:
    """Static files by send, dynamic ones by sendfile: wrong, but no fault's doing. A client that is stalled in such a
    file made calls without number, and would be hit where it is another's turn."""
    assert differences("defect/read-and-send", calls=("send",)) == []
    assert differences("defect/sendfile-for-both", calls=("sendfile",)) == []


@pytest.mark.parametrize("name", ["dynamic-loops-until-sent", "eagain-ends-dynamic"])
def test_a_client_beside_that_fails_without_a_fault_is_left_out(name: str) -> None:
    """A client that reads nothing holds up the whole server, or ends where its socket is full."""
    sample = SAMPLES / "defect" / name
    done = awscheck("matrix", sample, "--only", "getevents", "wait")
    assert done.code == 1 and re.search(r"fails without any fault, and is left out: stalled-dynamic: ", done.text)
    assert "2 held; " in done.text


@pytest.mark.parametrize("name", examples(["eight-clients-at-most", "global-buffers"], "global-buffers".__eq__))
def test_what_clients_at_once_do_to_a_server_is_no_fault_s_work(name: str) -> None:
    """It fails with so many of them, or by what one does to the other: without the fault, too."""
    assert differences(f"defect/{name}", calls=("aio",)) == []


def test_the_same_seed_gives_the_same_grid_and_each_cell_plays_alone(tmp_path: Path) -> None:
    sample = SAMPLES / "defect" / "stop-ends-server"
    runs = []
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        done = awscheck("matrix", sample, "--only", "getevents", "wait", "--seed", seed, "--out", tmp_path / name)
        rows = [line for line in done.text.splitlines() if re.match(r"getevents |wait |FAILS: ", line)]
        runs.append((rows, {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}))
    assert runs[0] == runs[1] and len(runs[0][1]) == 2
    assert runs[0][0] == runs[2][0] and len(runs[0][0]) == 3
    assert all(runs[0][1][name] != text for name, text in runs[2][1].items())
    for path in (tmp_path / "other").iterdir():
        assert awscheck("replay", path, "--server", sample).code == int(path.name == "wait-eintr.toml"), path.name


def test_a_red_cell_is_a_case_that_fails_alone(tmp_path: Path) -> None:
    sample = SAMPLES / "defect" / "stop-ends-server"
    page, out = tmp_path / "grid.html", tmp_path / "cases"
    done = awscheck("matrix", sample, "--only", "wait", "--out", out, "--html", page)
    assert done.code == 1 and "FAILS: wait EINTR: every second epoll_wait" in done.text
    assert awscheck("replay", out / "wait-eintr.toml", "--server", sample).code == 1
    assert awscheck("replay", out / "wait-eintr.toml").code == 0
    links = re.findall(r'<td class="\w+"><a href="([^"]+)"', page.read_text())
    assert links and all((tmp_path / unquote(link)).is_file() for link in links)


def test_the_same_seed_gives_the_same_cases_and_another_seed_others() -> None:
    one, same, other = ([cell.case(ALL, seed) for cell in grid.cells()] for seed in (7, 7, 8))
    assert one == same
    assert all(a is not None and b is not None and a.files != b.files for a, b in zip(one, other))


def _connections(case: Case) -> dict[str, int]:
    """The clients of whom each may be hit, and how many each name stands for."""
    counts = {step.client: step.count for step in case.steps if isinstance(step, Connect)}
    parts = [step.client for step in case.steps if isinstance(step, Answer) and step.expected == "part"]
    return {name: counts.get(name, 1) for name in parts}


def test_a_fault_that_may_end_a_connection_has_run_out_before_those_who_must_be_served() -> None:
    """Each exchange makes the call at least once."""
    for cell in grid.cells():
        case = cell.case(ALL, 1)
        assert case is not None
        may_end = _connections(case)
        refusals = [fault for fault in case.faults if isinstance(fault, Refuse) and not fault.every]
        assert sum(may_end.values()) >= max((fault.first for fault in refusals), default=0), cell.id
        assert not may_end or refusals or cell.id == "aio EIO", cell.id


def test_in_each_cell_all_kinds_are_served_beside_the_fault_and_after_it() -> None:
    for cell in grid.cells():
        case = cell.case(ALL, 1)
        assert case is not None
        last = max((at for at, step in enumerate(case.steps) if isinstance(step, Answer) and step.expected == "part"),
                   default=-1)  # fmt: skip
        whole = [step.client for step in case.steps[last + 1 :] if isinstance(step, Answer)
                 and step.expected in (200, 404)]  # fmt: skip
        first = [step.client for step in case.steps if hasattr(step, "client")][0]
        assert {"small-static", "small-dynamic", "missing"} <= set(whole), cell.id
        assert first == whole[-len(cell.beside)] == cell.beside[0], cell.id
        assert {name.split("-")[1] for name in cell.beside} == {"static", "dynamic"}, cell.id


def test_each_cell_is_a_sound_case_of_its_own() -> None:
    names = set()
    for cell in grid.cells():
        case = cell.case(ALL, 1)
        assert case is not None and parse(to_text(case), cell.id) == case
        names.add(Judged(cell, Mark.HELD).file)
        assert cell.call in grid.CALLS and cell.column in {column.id for column in grid.COLUMNS}
        # Who has all leaves: how many clients the server has is not a matter of who closes first.
        assert {step.client for step in case.steps if isinstance(step, Close)} >= set(cell.then)
    assert len(names) == len(grid.cells())


def test_the_cells_that_samples_name_are_there() -> None:
    known = {cell.id for cell in grid.cells()}
    told = {name: expected(name) | expected(name, "matrix_races") for name in servers()}
    assert [name for name in servers() if expected(name) & expected(name, "matrix_races")] == []
    assert [name for name, found in told.items() if not found <= known] == []
    assert [name for name, found in told.items() if found and not name.startswith("defect/")] == []


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A good server with one of `servers/` before its source, and these compiler options."""

    def make(header: str, *options: str) -> Path:
        folder = tmp_path_factory.mktemp("changed") / "plain"
        shutil.copytree(SAMPLES / "good" / "plain", folder)
        shutil.copy(Path(__file__).parent / "servers" / header, folder)
        makefile = folder / "Makefile"
        flags = " ".join(["-include", header, *options])
        makefile.write_text(makefile.read_text().replace("CFLAGS = ", f"CFLAGS = {flags} "))
        return folder

    return make


@pytest.fixture
def marks_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """What gives the marks of all cells of a server's matrix, or of some rows. What is red is not played again: on
    these servers nearly all is."""
    monkeypatch.setattr(matrix, "AGAIN", 0)

    def make(server: Path, *calls: str) -> dict[str, str]:
        with opened(server) as target:
            found = matrix.run(target, 1, calls or grid.CALLS)
        return {judged.cell.id: judged.mark.value for judged in found.cells}

    return make


@pytest.mark.long
def test_every_cell_can_be_red(changed: Callable[..., Path], marks_of: Callable[..., dict[str, str]]) -> None:
    """But those in which every call does all that it is asked for, only later, and the one whose clients send their
    requests in two pieces, which this server cannot bear."""
    marks = marks_of(changed("believing.h"))
    others = {name: mark for name, mark in marks.items() if mark != "failed"}
    assert others == {"aio late": "held", "aio last-first": "held", "receive ECONNRESET": "left out"}
    assert set(marks) == {cell.id for cell in grid.cells()}


@pytest.mark.long
@pytest.mark.parametrize("whom", ["NEXT", "OTHERS"])
def test_who_bears_a_fault_and_then_harms_others_is_seen(
    whom: str, changed: Callable[..., Path], marks_of: Callable[..., dict[str, str]]
) -> None:
    """It does not serve the next ones, or ends all connections but the one that was hit: each cell shows that whose
    fault the server can tell. That a receive was short it cannot, nor that it may accept when it is told that it may
    not."""
    marks = marks_of(changed("grudging.h", f"-DGRUDGE={whom}"))
    others = {name: mark for name, mark in marks.items() if mark != "failed"}
    unseen = [f"receive {column}" for column in ("1", "7", "half", "all-but-one")]
    unseen += ["accept EAGAIN", "aio late", "aio last-first"]
    assert others == dict.fromkeys(unseen, "held")


@pytest.mark.long
def test_who_makes_many_calls_is_not_hit_under_way(
    changed: Callable[..., Path], marks_of: Callable[..., dict[str, str]]
) -> None:
    """A right server that receives byte by byte and sends a head by ten calls: the clients beside have theirs."""
    marks = marks_of(changed("bytewise.h"), "receive", "send")
    others = {name: mark for name, mark in marks.items() if mark != "held"}
    # There is no part of one byte.
    cuts = ("1", "7", "half", "all-but-one", "half-again")
    assert others == {f"receive {column}": "not delivered" for column in cuts}
    assert len(marks) == 17


def _judged(mark: Mark, index: int = 0) -> Judged:
    cell = grid.cells()[index]
    case = cell.case(ALL, 1)
    assert case is not None
    failure = Failure("a \x1b[2J <b>reason</b> ##[error]") if mark in matrix.FAILURES else None
    return Judged(cell, mark, case, Played(case, failure))


_HOSTILE = (_judged(Mark.FAILED), _judged(Mark.HELD, 1), _judged(Mark.MISSED, 2), _judged(Mark.CHANCE, 3))
HOSTILE = Matrix("<script>/\x1b", 1, {}, _HOSTILE)


def test_no_text_of_a_submission_gets_out_of_its_place(tmp_path: Path) -> None:
    page = matrix_page.render(HOSTILE, tmp_path / "page.html", tmp_path / "a:b <i>")
    assert "&lt;script&gt;/" in page
    assert not any(text in page for text in ("<script>/\\", "<b>", "<i>", "\x1b"))
    assert 'href="./a%3Ab%20%3Ci%3E/' in page
    text = matrix_command.text(HOSTILE, tmp_path)
    assert "\x1b" not in text and "##[" not in text


def test_each_mark_is_a_word() -> None:
    """Nobody needs a colour to tell them apart, on the page or on a terminal."""
    page = matrix_page.render(HOSTILE, Path("page.html"), None)
    assert all(f">{mark.value}<" in page for mark in (Mark.HELD, Mark.FAILED, Mark.MISSED, Mark.CHANCE))
    assert len(set(matrix_command.WORDS.values())) == len(Mark) == len(matrix_command.WORDS)
    assert "1 held, 1 failed, 1 by chance, 1 not delivered" in matrix_command.text(HOSTILE, None)
    trouble = replace(HOSTILE, cells=(_judged(Mark.ERROR),))
    assert "could not be judged: " in matrix_command.text(trouble, None)


def test_the_grid_fits_a_terminal() -> None:
    every = replace(HOSTILE, server="aws", cells=tuple(_judged(Mark.MISSED, at) for at in range(len(grid.cells()))))
    rows = matrix_command.text(every, None).split("\n\n")[1].splitlines()
    assert max(map(len, rows)) <= 80


def test_wrong_usage_is_told(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    assert "is not empty" in awscheck("matrix", ROOT / "aws", "--out", tmp_path).errors
    assert awscheck("matrix", tmp_path / "none").code == 2
    assert awscheck("matrix", ROOT / "aws", "--html", tmp_path / "none" / "page.html").code == 2
    done = awscheck("matrix", SAMPLES / "defect" / "does-not-compile", "--json", tmp_path / "cells.json")
    assert done.code == 1 and "no grid: make failed: aws.c:90" in done.text
    assert not (tmp_path / "cells.json").exists() or json.loads((tmp_path / "cells.json").read_text()) == []
