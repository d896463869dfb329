"""The command line: exit codes, what is written, the same every time, as whoever calls it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from awskit import cli
from grading import ROOT, Graded, awscheck, called

PLAIN = ROOT / "fixtures" / "submissions" / "good" / "plain"
BROKEN = ROOT / "fixtures" / "submissions" / "defect" / "does-not-compile"
NOT_ALLOWED = Path(__file__).with_name("without_namespaces.py")


@pytest.mark.parametrize(
    "arguments, says",
    [
        ((), "required: COMMAND"),
        (("grade",), "PATH is missing"),
        (("frobnicate",), "invalid choice"),
        (("grade", "/no/such/place"), "is not there"),
        (("grade", PLAIN / "aws.c"), "no folder and no archive"),
        (("grade", PLAIN, "--rubric", "none-such"), "with the checker come: assignment"),
        (("grade", PLAIN, "--only", "36"), "no item of this rubric"),
        (("grade", PLAIN, "--seed", "-1"), "a seed is a whole number"),
        (("grade", PLAIN, "--seed", "x"), "a seed is a whole number"),
        (("grade", PLAIN, "--jobs", "0"), "jobs are a whole number from 1 to 64"),
        (("grade", PLAIN, "--jobs", "all"), "jobs are a whole number from 1 to 64"),
        (("grade", PLAIN, "--json", "/no/such/folder/results.json"), "there is no such folder"),
        (("grade", PLAIN, "--junit", "/no/such/folder/junit.xml"), "there is no such folder"),
        (("grade", PLAIN, "--out", PLAIN), "is not empty"),
        (("grade", PLAIN, "--keep"), "--keep needs --out"),
        (("grade", PLAIN, "--stage", "after_published"), "--stage needs --out"),
        (("grade", PLAIN, BROKEN, "--json", "/tmp/results.json"), "for several there is --out"),
        (("grade", PLAIN, BROKEN, "--annotate"), "for the repository of one submission"),
        (("grade", PLAIN, BROKEN, "--code-quality", "/tmp/quality.json"), "for the repository of one submission"),
        (("grade", PLAIN, "--code-quality", "/no/such/folder/x.json"), "there is no such folder"),
        (("grade", PLAIN, BROKEN, "--html", "/tmp/page.html"), "for several there is --out"),
        (("grade", PLAIN, "/no/such/place"), "is not there"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_clear_line(arguments: tuple[object, ...], says: str) -> None:
    done = called(*arguments)
    assert done.code == 2
    assert says in done.errors
    assert "Traceback" not in done.errors
    assert done.text == ""


def test_wrong_usage_from_a_shell() -> None:
    done = awscheck("grade")
    assert done.code == 2
    assert done.errors.startswith("awscheck: ")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_command_is_had_by_its_module_alone(command: str) -> None:
    for arguments in ([command, "--help"], ["--help"]):
        done = called(*arguments)
        assert done.code == 0 and command in done.text, done.errors
    code = f"import sys; from awskit import cli; cli.parser([{command!r}]); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT / "checker")}).stdout.split()  # fmt: skip
    assert f"awskit.{cli.COMMANDS[command]}" in modules
    assert ("awskit.page" in modules) == (command == "grade")


def test_help_names_every_option_and_exit_code() -> None:
    text = awscheck("grade", "--help").text
    for name in ("--rubric", "--only", "--list", "--seed", "--out", "--json", "--junit", "--html", "--keep",
                 "--jobs", "--lang", "--stage", "--annotate", "--code-quality", "--require-isolation",
                 "--verbose", "exit codes"):
        assert name in text


def test_the_readme_shows_command_lines_that_there_are() -> None:
    text = (ROOT / "README.md").read_text()
    lines = re.findall(r"awscheck ((?:grade|explain) .*)$", text, re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        cli.parser().parse_args(shlex.split(line, comments=True))  # ends the test where it is wrong


def test_the_list_is_the_published_one() -> None:
    done = called("grade", "--list")
    assert done.code == 0
    assert "90 points" in done.text
    assert len(done.text.splitlines()) == 1 + 35


def test_results_have_gradescopes_shape(submit: Callable[..., Future[Graded]]) -> None:
    """https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format, as GRADING's readers use it."""
    results = submit(BROKEN, "--seed", 5).result().results
    assert results["score"] == 0
    assert results["execution_time"] > 0
    assert results["extra_data"]["seed"] == 5
    assert [test["number"] for test in results["tests"]] == [str(number) for number in range(1, 36)]
    assert sum(test["max_score"] for test in results["tests"]) == 90
    for test in results["tests"]:
        assert set(test) >= {"number", "name", "score", "max_score", "status", "output", "visibility"}
        assert test["status"] == "failed"
        assert test["visibility"] == "visible"
        assert test["output"]


def test_the_same_seed_gives_the_same_marks_and_contents(tmp_path: Path) -> None:
    journals, contents = [], []
    for name in ("one", "two"):
        done = awscheck("grade", PLAIN, "--seed", 7, "--only", 13, 27, "--keep", "--out", tmp_path / name)
        assert done.code == 0, done.text + done.errors
        lines = (tmp_path / name / "journal.jsonl").read_text().splitlines()
        files = set(os.listdir(tmp_path / name))
        assert files >= {"report.txt", "page.html", "results.json", "junit.xml", "submission"}
        verdicts = [{**json.loads(line), "seconds": 0, "cost": 0} for line in lines]
        journals.append(sorted(verdicts, key=lambda verdict: verdict["check"]))
        checks = [verdict["check"] for verdict in verdicts]
        # What is needed comes first, each check once; the memory points last.
        assert checks.index("build.executable") < checks.index("connect.one") < checks.index("dynamic.small_equal")
        assert set(checks[-2:]) == {"memory.13", "memory.27"}
        assert len(checks) == len(set(checks))
        files = list((tmp_path / name).glob("site-*/dynamic/small00.dat"))
        assert files
        contents.append({file.read_bytes() for file in files})
    assert journals[0] == journals[1]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 1
    assert not contents[0] & {file.read_bytes() for file in (tmp_path / "one").glob("site-*/static/small00.dat")}


def test_what_a_submission_prints_cannot_act_on_a_terminal_or_runner(
    submit: Callable[..., Future[Graded]], submission: Callable[..., Path]
) -> None:
    graded = submit(submission("null.c", "-DMODE=CHATTY", "-pthread"), "--seed", 1, "--only", 16).result()
    output = graded.item(16)["output"]
    assert r"\x1b[2J\x1b]0;owned\x07" in output
    assert r"\u202edenwo" in output
    assert "bytes left out" in output or "lines left out" in output
    assert len(graded.text) < 20_000
    for text in (graded.text, output):
        assert not [character for character in text if not character.isprintable() and character != "\n"]
        assert not [line for line in text.splitlines() if line.startswith("::")]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter and write to (pytest's own are for one user)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def _readable_by_others(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents) if folder.is_dir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not _readable_by_others(ROOT), reason="other users cannot read this project")
def test_an_ordinary_user_gets_the_same_from_the_same_box(open_folder: Path) -> None:
    user = ("/usr/bin/setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups")
    graded = awscheck("grade", PLAIN, "--seed", 1, "--only", 7, 13, 25, wrapper=user, folder=open_folder)
    assert graded.code == 0, graded.text + graded.errors
    assert graded.results["extra_data"]["not_enforced"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can forbid namespaces")
@pytest.mark.skipif(not _readable_by_others(ROOT), reason="other users cannot read this project")
def test_where_no_namespace_is_allowed_it_works_and_says_what_is_missing(tmp_path: Path) -> None:
    wrapper = (sys.executable, str(NOT_ALLOWED))
    graded = awscheck("grade", PLAIN, "--seed", 1, "--only", 6, 7, 13, 25, wrapper=wrapper, folder=tmp_path)
    assert graded.code == 0, graded.text + graded.errors
    assert len(graded.results["extra_data"]["not_enforced"]) == 2
    assert "port 8888 of this machine is used" in graded.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can forbid namespaces")
def test_a_taken_port_is_the_machines_trouble(tmp_path: Path) -> None:
    """Where there is one port for all and somebody has it, nothing is judged: exit code 3."""
    graded = awscheck("grade", PLAIN, wrapper=(sys.executable, str(NOT_ALLOWED), "--take-port"), folder=tmp_path)
    assert graded.code == 3
    assert "port 8888 is taken" in graded.errors
    assert graded.results is None


def test_what_a_student_may_see_is_written_by_itself(tmp_path: Path) -> None:
    rubric = tmp_path / "own.toml"
    rubric.write_text(
        'title = "Own"\ntotal = 3\n[groups]\nopen = 1\nlater = {points = 2, visibility = "after_due_date"}\n'
        '[[item]]\ngroup = "open"\npoints = 1\nchecks = ["build.executable"]\n'
        '[[item]]\ngroup = "later"\nname = "the later one"\npoints = 2\nchecks = ["static.small_equal"]\n'
    )
    seen = {}
    for stage in ("before_due_date", "after_due_date"):
        out = tmp_path / stage
        assert awscheck("grade", BROKEN, "--rubric", rubric, "--seed", 1, "--out", out, "--stage", stage).code == 1
        assert "the later one" in (out / "report.txt").read_text()
        tests = json.loads((out / "results.json").read_text())["tests"]
        assert [test["visibility"] for test in tests] == ["visible", "after_due_date"]
        seen[stage] = [(out / "student" / name).read_text() for name in ("report.txt", "page.html")]
    for text in seen["before_due_date"]:
        assert "the later one" not in text and "static.small_equal" not in text
        assert "later" not in text.lower()  # nor its group
    for text in seen["after_due_date"]:
        assert "the later one" in text or "small static file is equal" in text
