"""Several submissions at once, and gradings that die: what one does is no other's business, and nothing is lost."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import shapes
from awskit import batch
from awskit.bench import wait_until
from grading import AWSCHECK, ROOT, awscheck

PLAIN = ROOT / "fixtures" / "submissions" / "good" / "plain"
BROKEN = ROOT / "fixtures" / "submissions" / "defect" / "does-not-compile"
NOT_ALLOWED = Path(__file__).with_name("without_namespaces.py")


def _journal(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_each_submission_has_its_own_result_and_all_are_summed_up(tmp_path: Path) -> None:
    """The second has the name of the first; the third is an archive that cannot be read."""
    again = tmp_path / "plain"
    again.symlink_to(PLAIN)
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(b"no archive")
    out, xml = tmp_path / "out", tmp_path / "junit.xml"
    options = ("--seed", 3, "--only", 1, 13, "--jobs", 2, "--out", out, "--junit", xml)
    done = awscheck("grade", PLAIN, again, damaged, *options)
    assert done.code == 1, done.text + done.errors
    assert sorted(path.name for path in out.iterdir()) == ["damaged.zip", "index.html", "marks.csv", "plain", "plain-2"]
    folders = [path for path in out.iterdir() if path.is_dir()]
    scores = {path.name: json.loads((path / "results.json").read_text())["score"] for path in folders}
    assert scores == {"damaged.zip": 0, "plain": 4, "plain-2": 4}
    assert _journal(out / "plain")[0]["check"] == "build.executable"
    assert done.text.count("4 of 4 points") == 2
    assert (out / "plain" / "report.txt").read_text() in done.text
    marks = list(csv.DictReader((out / "marks.csv").read_text().splitlines()))
    assert {row["folder"]: (row["score"], row["max_score"], row["judged"]) for row in marks} == {
        "damaged.zip": ("0", "4", "yes"), "plain": ("4", "4", "yes"), "plain-2": ("4", "4", "yes")}  # fmt: skip
    assert 'href="plain-2/page.html"' in (out / "index.html").read_text()
    last = done.text.splitlines()[-4:]
    assert last[2].split() == ["0/4", str(damaged)]
    assert last[3] == "3 submissions: 2 with all points, 1 with less, 0 not fully judged"
    for folder in folders:  # good ones and a failing one
        assert shapes.breaches(json.loads((folder / "results.json").read_text()), "gradescope") == []
        for page in ("page.html", "student/page.html"):
            assert shapes.page_breaches((folder / page).read_text()) == []
    assert shapes.junit_breaches(xml, *(folder / "junit.xml" for folder in folders)) == ""
    assert shapes.page_breaches((out / "index.html").read_text()) == []
    suites = list(ElementTree.parse(xml).getroot())
    assert [suite.get("failures") for suite in suites] == ["0", "0", "1"]


def test_one_that_cannot_be_judged_is_told_from_one_that_lost(tmp_path: Path) -> None:
    """A checker that cannot work at all leaves no score: exit code 3, and no points lost or won."""
    wrapper = (sys.executable, str(NOT_ALLOWED))
    done = awscheck("grade", PLAIN, BROKEN, "--only", 1, "--require-isolation", wrapper=wrapper)
    assert done.code == 3
    assert done.errors.count("not enforced here") == 2
    assert "none  " in done.text
    assert "2 submissions: 0 with all points, 0 with less, 2 not fully judged" in done.text


def test_a_killed_run_leaves_the_verdicts_so_far(tmp_path: Path, submission: Callable[..., Path]) -> None:
    """SIGKILL, while a client waits for a server that never answers."""
    silent = submission("null.c", "-DMODE=SILENT", "-pthread")
    line = [AWSCHECK, "grade", silent, "--seed", "1", "--out", tmp_path / "out"]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as process:
        journal = tmp_path / "out" / "journal.jsonl"
        wait_until(lambda: journal.exists() and "process.port" in journal.read_text(), 60, "some verdicts are there")
        process.kill()
    assert process.returncode == -signal.SIGKILL
    verdicts = _journal(tmp_path / "out")
    assert [verdict["check"] for verdict in verdicts[:4]] == [
        "build.executable", "process.runs", "process.listens", "process.port"]  # fmt: skip
    assert {verdict["outcome"] for verdict in verdicts} == {"passed"}
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_dead_checker_is_told_and_its_neighbour_is_judged(tmp_path: Path, submission: Callable[..., Path]) -> None:
    silent = submission("null.c", "-DMODE=SILENT", "-pthread")
    out = tmp_path / "out"
    line = [AWSCHECK, "grade", silent, BROKEN, "--seed", "1", "--out", out, "--jobs", "2"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        journal = out / silent.name / "journal.jsonl"
        wait_until(lambda: journal.exists() and "process.port" in journal.read_text(), 60, "some verdicts are there")
        (child,) = [pid for pid in _children(process.pid) if str(silent) in _command_line(pid)]
        os.kill(child, signal.SIGKILL)
        text, errors = process.communicate(timeout=120)
    assert process.returncode == 3
    assert f"the checker of {silent} died" in errors
    assert "(not judged)" in text
    assert "0 of 90 points" in text
    assert _journal(out / silent.name)[0]["outcome"] == "passed"


def _children(pid: int) -> list[int]:
    """The processes that a run of awscheck has started for its submissions."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_folders_have_harmless_names_of_their_own() -> None:
    names = batch.folder_names([Path("/a/x"), Path("/b/x"), Path("/c/..x y\n"), Path("/"), Path("/d/x.tar.gz")])
    assert names == ["x", "x-2", "x_y_", "submission", "x.tar.gz"]


def test_all_end_with_the_one_that_started_them(tmp_path: Path, submission: Callable[..., Path]) -> None:
    """SIGTERM to awscheck: its processes are asked to end, too, and are waited for."""
    silent = submission("null.c", "-DMODE=SILENT", "-pthread")
    out = tmp_path / "out"
    line = [AWSCHECK, "grade", silent, PLAIN, "--seed", "1", "--out", out, "--jobs", "2"]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        journals = [out / name / "journal.jsonl" for name in (silent.name, "plain")]
        wait_until(lambda: all(path.exists() and path.read_text() for path in journals), 60, "both have begun")
        children = _children(process.pid)
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "interrupted" in errors
    assert len(children) == 2
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert not list(out.glob("*/results.json")), "they were waited for, but not asked to end"
