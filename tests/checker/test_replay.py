"""Replaying cases: on the reference, on a submission, on a server at a port; and what is said of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from awskit.cases.target import PortServer
from awskit.tree import Tree
from grading import ROOT, awscheck

CASE = """\
title = "Two clients, one after the other"
about = "Both ask for a file. Both get it."
rule = "S4"
FAULTS
steps = [
    { client = "a", get = "/static/sub/a.dat", split = [9] },
    { client = "a", answer = 200 },
    { client = "b", get = "/dynamic/b.txt" },
    { client = "b", answer = 200 },
]
[files]
"/static/sub/a.dat" = 100000
"/dynamic/b.txt" = "twelve bytes"
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A case that holds."""
    path = tmp_path / "case.toml"
    path.write_text(CASE.replace("FAULTS", ""))
    return path


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A server that runs: its port, and the folder that it serves."""
    root = tmp_path / "site"
    root.mkdir()
    line = [ROOT / "aws", "-a", "127.0.0.1", "-p", "0", "-r", root]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[-1])
        yield port, root
        process.terminate()


def test_a_server_at_a_port_is_replayed_on_and_its_folder_left_as_it_was(
    case: Path, running: tuple[int, Path]
) -> None:
    port, root = running
    (root / "dynamic").mkdir()
    done = awscheck("replay", case, "--port", port, "--root", root)
    assert (done.code, done.errors) == (0, "") and done.text.startswith("holds: ")
    assert [path.name for path in root.rglob("*")] == ["dynamic"]


@pytest.mark.parametrize("top", ['faults = [{ cut = "send", most = 1 }]', "descriptors = 40", 'evidence = ["aio"]'])
def test_what_a_server_at_a_port_cannot_show_is_refused(top: str, case: Path, running: tuple[int, Path]) -> None:
    case.write_text(CASE.replace("FAULTS", top))
    done = awscheck("replay", case, "--port", running[0], "--root", running[1])
    assert done.code == 2 and "not on a server that runs already" in done.errors


def test_whose_port_it_is_is_the_server_s_own_process(tmp_path: Path) -> None:
    """Not one that it descends from, such as the machine's first: what that one's others do says nothing."""
    line = [ROOT / "aws", "-a", "127.0.0.1", "-p", "0", "-r", tmp_path]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert PortServer(int(process.stdout.readline().split()[-1]), Tree(tmp_path, 1)).pid == process.pid
        finally:
            process.terminate()


def test_files_of_others_are_not_touched(case: Path, running: tuple[int, Path], tmp_path: Path) -> None:
    port, root = running
    (root / "dynamic").mkdir()
    (root / "dynamic" / "b.txt").write_text("mine")
    assert awscheck("replay", case, "--port", port, "--root", root).code == 2
    assert (root / "dynamic" / "b.txt").read_text() == "mine"
    (root / "dynamic" / "b.txt").unlink()
    (tmp_path / "elsewhere").mkdir()
    (root / "static").symlink_to(tmp_path / "elsewhere")
    done = awscheck("replay", case, "--port", port, "--root", root)
    assert done.code == 2 and "is a link" in done.errors and not list((tmp_path / "elsewhere").iterdir())


def test_the_folder_must_be_named_and_somebody_must_listen(case: Path, running: tuple[int, Path]) -> None:
    assert "--root" in awscheck("replay", case, "--port", running[0]).errors
    done = awscheck("replay", case, "--port", 1, "--root", running[1])
    assert done.code == 3 and "nobody listens at port 1" in done.text


def test_a_failure_is_told_with_its_line(case: Path, tmp_path: Path) -> None:
    case.write_text(case.read_text().replace("answer = 200", "answer = 404", 1))
    done = awscheck("replay", case, "--trace", "--json", tmp_path / "said.json")
    assert done.code == 1 and "  line 7: answer = 404, client = \"a\"" in done.text
    asked = 'line 6: get = "/static/sub/a.dat", client = "a", split = [9]\n    a > GET /stat\n    a > ic/sub/a.dat'
    traced = done.text[done.text.index(asked) :]
    assert traced.index("    a > GET") < traced.index("  line 7: ") < traced.index("    a < HTTP/1.1 200 OK")
    assert "line 8" not in done.text  # it was never come to
    (said,) = json.loads((tmp_path / "said.json").read_text())
    assert (said["outcome"], said["step"], said["line"], said["rule"]) == ("failed", 1, 7, "S4")
    assert "status 200, 100,000 bytes of body" in said["got"]


def test_a_trace_says_how_often_each_fault_has_hit(case: Path) -> None:
    case.write_text(CASE.replace("FAULTS", 'fault_set = "course"\nfaults = [{ refuse = "send", error = "EINTR" }]'))
    done = awscheck("replay", case, "--trace")
    assert done.code == 0 and 'fault { refuse = "send", error = "EINTR" }: hit 1 time\n' in done.text
    assert re.search('fault { cut = "receive", most = 20 }: hit [1-9][0-9]* times', done.text)


def test_a_submission_that_does_not_build_fails_every_case(case: Path) -> None:
    done = awscheck("replay", case, "--server", ROOT / "fixtures" / "submissions" / "defect" / "does-not-compile")
    assert done.code == 1 and "make failed: aws.c:90" in done.text


def test_a_case_that_is_none_is_wrong_usage(case: Path, tmp_path: Path) -> None:
    case.write_text(case.read_text().replace("split = [9]", "split = [0]"))
    done = awscheck("replay", case)
    assert done.code == 2 and f"{case}:6: steps[0].split[0]: must be a whole number" in done.errors
    assert awscheck("replay", tmp_path / "none.toml").code == 2
    assert awscheck("replay", case, "--server", tmp_path / "none").code == 2


def test_of_several_cases_those_are_replayed_on_a_port_that_can_be(
    case: Path, running: tuple[int, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(CASE.replace("FAULTS", 'faults = [{ cut = "send", most = 1 }]'))
    done = awscheck("replay", other, case, "--port", running[0], "--root", running[1])
    assert done.code == 0 and f"not here: {other}: " in done.text and f"holds: {case}" in done.text


def test_what_cannot_be_read_or_written_is_said_before_anything_runs(case: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "no regular file" in awscheck("replay", tmp_path / "fifo").errors
    for options in (("--json", tmp_path / "none" / "x.json"), ("--port", 1, "--root", tmp_path / "none")):
        done = awscheck("replay", case, *options)
        assert done.code == 2 and "is no folder" in done.errors and not done.text


def test_a_fault_that_hits_nothing_is_no_verdict(case: Path) -> None:
    case.write_text(CASE.replace("FAULTS", 'faults = [{ refuse = "send", error = "EINTR", first = 1000000 }]'))
    done = awscheck("replay", case)
    assert done.code == 3 and 'error = "EINTR", first = 1000000 } hit nothing' in done.text


COUNTED = '{ cut = "send", share = "half" }'
MISSED = '{ refuse = "sendfile", error = "EPIPE", first = 100000 }'


@pytest.mark.parametrize(
    ("faults", "missed"),
    [
        (f"faults = [{COUNTED}, {MISSED}]", MISSED),
        (f"faults = [{MISSED}, {COUNTED}]", MISSED),
        (f'fault_set = "course"\nfaults = [{MISSED}]', MISSED),
        (f'fault_set = "course"\nfaults = [{COUNTED}]', ""),
        (f"may_miss = true\nfaults = [{MISSED}, {COUNTED}]", ""),
        ('faults = [{ cut = "send", most = 7 }, { cut = "send", most = 9 }]', '{ cut = "send", most = 9 }'),
        # The tightest is not always the same one; as many faults as may be.
        ('faults = [{ cut = "receive", most = 30 }, { cut = "receive", share = "half" }]', ""),
        (f'faults = [{", ".join([COUNTED] * 16)}]', ""),
    ],
)
def test_every_fault_must_have_hit_something(case: Path, faults: str, missed: str) -> None:
    case.write_text(CASE.replace("FAULTS", faults))
    done = awscheck("replay", case)
    assert done.code == (3 if missed else 0), done.text
    assert not missed or ("could not be judged" in done.text and f"the fault {missed} hit nothing" in done.text)


@pytest.mark.parametrize("connection", [1, 2, 3])
def test_a_fault_hits_the_connection_that_it_names(case: Path, connection: int) -> None:
    fault = f'{{ refuse = "receive", error = "ECONNRESET", connection = {connection} }}'
    case.write_text(CASE.replace("FAULTS", f"faults = [{fault}]"))
    done = awscheck("replay", case)
    wrong = {1: (1, "it went wrong: steps[1]"), 2: (1, "it went wrong: steps[3]"), 3: (3, f"{fault} hit nothing")}
    assert done.code == wrong[connection][0] and wrong[connection][1] in done.text, done.text


def test_a_set_of_faults_has_hit_when_one_of_them_has(case: Path) -> None:
    """The set cuts sendfile, too, which nobody needs for a dynamic file."""
    text = CASE.replace("FAULTS", 'fault_set = "course"').replace("/static/", "/dynamic/")
    case.write_text(text)
    assert awscheck("replay", case).code == 0
    one = 'faults = [{ cut = "receive", most = 20 }, { cut = "sendfile", share = "half" }]'
    case.write_text(text.replace('fault_set = "course"', one))
    assert awscheck("replay", case).code == 3


@pytest.mark.parametrize("before", ["", '{ refuse = "send", error = "EINTR", first = 1 }, '])
def test_a_fault_hits_whatever_others_there_are_on_the_same_call(case: Path, before: str) -> None:
    faults = f'faults = [{before}{{ refuse = "send", error = "EPIPE", first = 3 }}]'
    case.write_text(CASE.replace("FAULTS", faults).replace('"twelve bytes"', "900000"))
    done = awscheck("replay", case)
    assert done.code == 1 and "it went wrong: steps[3]" in done.text, done.text


def test_what_a_case_says_reaches_no_terminal_as_a_command(case: Path) -> None:
    case.write_text(case.read_text().replace('get = "/dynamic/b.txt"', r'send = "\u001b[2J##[error]\r\n\r\n"'))
    done = awscheck("replay", case, "--trace")
    assert done.code == 1 and "\x1b" not in done.text and "##[" not in done.text
