"""Submissions that mean harm: no point that was not earned, nothing seen, nothing left, no neighbour disturbed (U5).

All of `fixtures/submissions/hostile` are graded side by side, in short, by the items that their `short` names, and good
servers between them. `make known` grades them by the whole list.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import socket
import stat
import subprocess
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

import known
import shapes
from awskit.bench import wait_until
from grading import AWSCHECK, Graded
from known import Sample

SAMPLES = [sample for sample in known.samples() if sample.kind == "hostile"]
GOOD = next(sample for sample in known.samples() if sample.name == "good/plain")
SEED = 7
SMALL = 1_000_000  # bytes of all that is written of one
# What samples look for, and print where they find it.
SECRET = f"SECRET-OF-THE-GRADER-{secrets.token_hex(8)}"
# Where they try to write, and how they call it.
OUTSIDE = [
    Path(place, name)
    for place in ("/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/usr/local", "/site", "/autograder/results")
    for name in ("results.json", "results.txt", "results.xml", "journal.jsonl", "report.txt", "fill-0", "fill-1")
]


@dataclass(frozen=True)
class Attack:
    """All that was started. `folder` is the temporary directory of the checkers, and of nobody else; `out` has a folder
    for each sample, with all that its checker wrote."""

    folder: Path
    out: Path
    gradings: dict[str, Future[Graded]]
    neighbours: list[Future[Graded]]
    listener: socket.socket

    def wait(self) -> None:
        """Until all is over."""
        for grading in (*self.gradings.values(), *self.neighbours):
            grading.result()


def _environment(folder: Path) -> tuple[str, ...]:
    return ("/usr/bin/env", f"TMPDIR={folder}", f"AWS_SECRET={SECRET}")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A temporary directory for checkers, with a secret in it. The box's user can reach it."""
    path = Path(tempfile.mkdtemp(prefix="hostile-"))
    path.chmod(0o711)
    (path / "secret").write_text(SECRET)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def attack(
    submit: Callable[..., Future[Graded]], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attack]:
    there_before = {path for path in OUTSIDE if path.exists()}
    handed_in, out = tmp_path_factory.mktemp("handed-in"), tmp_path_factory.mktemp("out")
    neighbour = GOOD.unfold(handed_in)
    with (neighbour / "aws.c").open("a") as source:
        source.write(f"/* {SECRET} */\n")

    def start(path: Path, *options: object) -> Future[Graded]:
        return submit(path, "--seed", SEED, *options, wrapper=_environment(folder))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        gradings, neighbours = {}, []
        for number, sample in enumerate(SAMPLES):
            quality = out / f"{sample.path.name}.json"
            options = ("--out", out / sample.path.name, "--code-quality", quality, "--only", *sample.expected["short"])
            gradings[sample.name] = start(sample.unfold(handed_in), *options)
            if number % 12 == 0:
                neighbours.append(start(neighbour, "--only", 7, 15, 17, 25, 33, 35))
        attack = Attack(folder, out, gradings, neighbours, listener)
        yield attack
        attack.wait()  # a test that was asked for alone is over before the others' gradings: they still use `folder`
    assert {path for path in OUTSIDE if path.exists()} == there_before


def _inside(folder: Path) -> list[str]:
    """The processes of this machine that live in a box of these checkers: a folder of theirs is mounted there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"/{folder.name}/" in (process / "mountinfo").read_text() and (process / "cmdline").read_bytes():
                found.append(process.name)
        except OSError:  # gone meanwhile, or another user's
            continue
    return found


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path.name)
def test_it_gets_no_more_than_it_earned(sample: Sample, attack: Attack) -> None:
    graded = attack.gradings[sample.name].result()
    assert sample.differences("assignment", graded) == [], graded.text
    for number, bound in sample.expected["short"].items():
        assert graded.item(int(number))["score"] <= bound, graded.text


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path.name)
def test_the_results_are_the_checkers_own(sample: Sample, attack: Attack) -> None:
    graded = attack.gradings[sample.name].result()
    assert graded.results["extra_data"]["seed"] == SEED
    assert [int(test["number"]) for test in graded.results["tests"]] == sorted(map(int, sample.expected["short"]))
    assert graded.results["score"] == sum(test["score"] for test in graded.results["tests"])
    assert re.search(rf"^{graded.results['score']:g} of [1-9]\d* points? in [0-9.]+ s$", graded.text, re.MULTILINE)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path.name)
def test_what_is_shown_of_it_is_text_and_no_command(sample: Sample, attack: Attack) -> None:
    """Neither for a terminal nor for the runner of a CI system: of those some look only at the start of a line, after
    blanks, and some everywhere."""
    graded = attack.gradings[sample.name].result()
    out = attack.out / sample.path.name
    shown = [graded.text, graded.errors, *(test["output"] for test in graded.results["tests"]),
             *((out / name).read_text() for name in ("report.txt", "results.json", "journal.jsonl")),
             *ElementTree.parse(out / "junit.xml").getroot().itertext()]  # fmt: skip
    for text in shown:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)
        assert not re.search(r"^\s*::", text, re.MULTILINE)
        assert not re.search(r"##(vso)?\[|##teamcity\[", text)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path.name)
def test_what_is_written_of_it_has_its_shape_and_is_small(sample: Sample, attack: Attack) -> None:
    results = attack.gradings[sample.name].result().results
    out = attack.out / sample.path.name
    assert shapes.breaches(results, "gradescope") == []
    assert shapes.breaches(json.loads(out.with_name(f"{out.name}.json").read_text()), "gitlab") == []
    assert shapes.junit_breaches(out / "junit.xml") == ""
    for page in ("page.html", "student/page.html"):
        assert shapes.page_breaches((out / page).read_text()) == []
    sizes = {path.name: path.stat().st_size for path in out.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < SMALL, sizes


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path.name)
def test_it_finds_no_secret(sample: Sample, attack: Attack) -> None:
    graded = attack.gradings[sample.name].result()
    assert SECRET not in graded.text + graded.errors
    written = [path for path in (attack.out / sample.path.name).rglob("*") if path.is_file()]
    assert {"report.txt", "results.json", "junit.xml", "journal.jsonl"} <= {path.name for path in written}
    assert [path for path in written if SECRET in path.read_text()] == []


def test_the_neighbours_get_full_marks(attack: Attack) -> None:
    assert len(attack.neighbours) >= 4
    for neighbour in attack.neighbours:
        graded = neighbour.result()
        assert graded.code == 0, graded.text + graded.errors


def test_no_process_and_no_folder_is_left(attack: Attack) -> None:
    attack.wait()
    assert _inside(attack.folder) == []
    assert [path.name for path in attack.folder.iterdir()] == ["secret"]


def test_the_search_for_processes_finds_what_runs(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "Makefile").write_text("aws:\n\tsleep 1000\n")
    with subprocess.Popen([*_environment(folder), AWSCHECK, "grade", tmp_path], stderr=subprocess.DEVNULL) as checker:
        try:
            wait_until(lambda: _inside(folder), 60, "the box is found")
        finally:
            checker.terminate()


def test_nobody_outside_is_reached(attack: Attack) -> None:
    attack.wait()
    with pytest.raises(BlockingIOError):
        attack.listener.accept()


def test_contexts_of_asynchronous_reads_are_left_for_the_neighbour(
    submit: Callable[..., Future[Graded]], tmp_path: Path, folder: Path
) -> None:
    """One submission takes all that it can get, and holds it while another is graded."""
    sample = next(sample for sample in SAMPLES if sample.path.name == "exhausts-aio").unfold(tmp_path)
    with (sample / "Makefile").open("a") as makefile:
        makefile.write("\ttouch holds && ./aws\n")
    with subprocess.Popen([*_environment(folder), AWSCHECK, "grade", sample], stdout=subprocess.DEVNULL) as checker:
        try:
            wait_until(lambda: _sleeps("aws", folder), 60, "it has taken all that it gets")
            graded = submit(GOOD.unfold(tmp_path), "--seed", SEED, "--only", 26, 29).result()
        finally:
            checker.terminate()
    assert graded.code == 0, graded.text


def _sleeps(name: str, folder: Path) -> bool:
    stats = [Path("/proc", pid, "stat") for pid in _inside(folder)]
    return any(f"({name}) S " in path.read_text() for path in stats if path.exists())


def test_no_set_user_id_program_is_kept(submit: Callable[..., Future[Graded]], tmp_path: Path) -> None:
    sample = next(sample for sample in SAMPLES if sample.path.name == "build-sets-uid-bit").unfold(tmp_path)
    submit(sample, "--only", 1, "--out", tmp_path / "kept", "--keep").result()
    (program,) = (path for path in (tmp_path / "kept").rglob("aws") if path.is_file())
    assert stat.S_IMODE(program.stat().st_mode) & (stat.S_ISUID | stat.S_ISGID) == 0


def _bomb(path: Path) -> Path:
    """A small archive of much."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as stream:
        for _ in range(300):
            stream.write(bytes(1 << 20))
    return path


def _climber(path: Path) -> Path:
    """An archive that writes beside the folder that it is unpacked into."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../climbed", "")
    return path


def _deep(path: Path) -> Path:
    """An archive of folders within folders, deeper than functions may call themselves."""
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("d/" * 1900 + "Makefile")
        archive.addfile(info)
    return path


@pytest.mark.parametrize(
    "make, name, says",
    [
        (_bomb, "bomb.zip", "larger than 256 MiB when unpacked"),
        (_climber, "climber.zip", "leads out of it: refused"),
        (_deep, "deep.tar.gz", "deep"),
    ],
)
def test_an_archive_that_means_harm_is_a_result(
    make: Callable[[Path], Path],
    name: str,
    says: str,
    submit: Callable[..., Future[Graded]],
    tmp_path: Path,
    folder: Path,
) -> None:
    graded = submit(make(tmp_path / name), "--only", 1, 2, wrapper=_environment(folder)).result()
    assert graded.code == 1, graded.text + graded.errors
    assert graded.results["score"] == 0
    assert says in graded.text
    assert list(folder.rglob("climbed")) == []
