"""From checker to case: what a check did becomes the steps of a file, which fails again where the check did.

In short; `make bugs` has all defect samples.
"""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from awskit.cases.case import Answer, Case, Close, Connect, File, Get, Send, ServerStep, Wait
from awskit.cases.found import NotSaid, case_of
from awskit.cases.read import parse
from awskit.cases.write import to_text
from awskit.deeds import MOST, Deeds
from awskit.faults import Cut as CutFault
from awskit.faults import HoldReads
from awskit.faults import Refuse as RefuseFault
from awskit.grade import CHECKS
from awskit.model import REGISTRY, Failure
from awskit.reply import Head, Reply
from bugs import BUGS, SAMPLES
from everyday import examples
from grading import awscheck
from written import UNSAID, grade, replayed, shrunk

# Of each kind: pieces, a server that dies, faults, reads that are held, evidence, figures, files that change, few
# descriptors, silence, a start that fails.
SHORT = ("url-piece-overwrites", "sigpipe-kills", "head-sent-once", "results-in-order", "read-and-send",
         "missing-left-open", "sendfile-zero-is-retried", "listener-never-resumed", "answers-at-first-field",
         "listen-forgotten")  # fmt: skip


@pytest.mark.parametrize("name", examples(SHORT, lambda name: name in SHORT[:4]))
def test_the_case_of_a_failure_fails_again_and_holds_on_the_reference(name: str, tmp_path: Path) -> None:
    found = grade(name, tmp_path, seed=7)
    assert found.wrong == [] and found.unsaid == {} and found.cases
    assert replayed(found, 1) == []


@pytest.mark.long
def test_a_case_that_was_written_is_made_smaller(tmp_path: Path) -> None:
    found = grade("url-piece-overwrites", tmp_path, seed=7)
    small = shrunk(found, found.cases["pieces.two"])
    assert not isinstance(small, str), small
    assert small.steps < 0.3 and small.bytes < 0.3


def test_what_no_client_sees_is_said_to_have_no_case(tmp_path: Path) -> None:
    found = grade("path-never-freed", tmp_path, seed=7)
    assert found.wrong == [] and found.cases == {}
    assert found.unsaid == {"memory.static": "what valgrind or a sanitizer sees of the memory, no client sees"}
    report = (tmp_path / "path-never-freed-marks" / "report.txt").read_text()
    assert "there is no case file of this: what valgrind" in report


def test_what_a_check_knows_not_to_fail_each_time_has_no_case() -> None:
    failure = Failure("memory grew in each")
    failure.evidence.deeds = Deeds(unsaid="so little grows")
    failure.evidence.deeds.add("remember", value="memory")
    with pytest.raises(NotSaid, match="so little grows"):
        case_of(CHECKS["memory.growth"], failure, 5)


def test_the_list_of_those_without_a_case_is_whole() -> None:
    watched = {name for name in REGISTRY if name.startswith("memory.")}
    assert watched - {"memory.growth"} == UNSAID
    for name in UNSAID:
        assert f"`{name}`" in (BUGS / "README.md").read_text(), name


def test_a_student_gets_the_cases_of_what_is_shown_and_no_others(tmp_path: Path) -> None:
    items = "".join(
        f'[[item]]\nname = "{check}"\npoints = 5\nchecks = ["{check}"]\n{more}'
        for check, more in (("notfound.static", ""), ("notfound.dynamic", 'visibility = "hidden"\n'))
    )
    (tmp_path / "two.toml").write_text(f'title = "two"\ntotal = 10\n{items}')
    whole, out = tmp_path / "whole", tmp_path / "out"
    subprocess.run([SAMPLES / "unfold", "defect/head-of-404-not-ended", whole], check=True)
    done = awscheck("grade", whole, "--rubric", tmp_path / "two.toml", "--out", out)
    assert done.code == 1, done.errors
    assert names(out / "cases") == ["notfound.dynamic.toml", "notfound.static.toml"]
    assert names(out / "student" / "cases") == ["notfound.static.toml"]
    shown = (out / "student" / "report.txt").read_text()
    assert f"replay {out}/student/cases/notfound.static.toml --server" in shown
    assert f"{out}/cases" not in shown and f"{out}/cases/notfound.static.toml" in done.text
    assert f"{out}/student/cases/notfound.static.toml" in (out / "student" / "page.html").read_text()


def names(folder: Path) -> list[str]:
    """The files in a folder."""
    return sorted(path.name for path in folder.iterdir())


# -- what becomes of what was done -------------------------------------------------------------------------------------


def made(deeds: Deeds, reply: Reply | None = None, **files: tuple[str, object]) -> Case:
    """The case of these deeds, on a tree with /static/NAME for each of `files`."""
    failure = Failure("it went wrong")
    failure.evidence.deeds, failure.evidence.reply = deeds, reply
    failure.evidence.files = {f"/static/{name}": entry for name, entry in files.items()}
    return case_of(CHECKS["pieces.two"], failure, 5)


REQUEST = b"GET /static/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_pieces_that_were_waited_for_are_split_points() -> None:
    deeds, reply = Deeds(), Reply()
    number = deeds.newcomer(0)
    for piece in (REQUEST[:5], REQUEST[5:9], REQUEST[9:]):
        deeds.add("send", number, piece)
        deeds.add("wait", number, "received")
    deeds.add("answer", number, reply)
    deeds.add("close", number)
    case = made(deeds, reply, a=("file", 10))
    assert case.steps == (
        Get(target="/static/a", split=(5, 9)), Wait(event="received"),
        Answer(expected=200),
    )  # fmt: skip
    assert case.files == (("/static/a", File(size=10)),) and case.seed == 5 and case.rule == "S4"


def test_bytes_that_are_no_plain_request_are_sent_as_they_were_and_name_the_file() -> None:
    deeds, reply = Deeds(), Reply()
    deeds.add("send", deeds.newcomer(8192), REQUEST[:-2] + b"X: y\r\n\r\n")
    reply.should(answer=200, file="/static/a", ends="any")
    deeds.add("answer", 1, reply)
    assert made(deeds, a=("file", 10)).steps == (
        Connect(count=1, receive_buffer=8192),
        Send(data=REQUEST[:-2] + b"X: y\r\n\r\n"),
        Answer(expected=200, file="/static/a", ends="any"),
    )


@pytest.mark.parametrize(
    ("target", "looked", "expected"),
    [("a", True, 200), ("none", True, 404), ("a", False, "any")],
)
def test_a_reply_is_judged_as_its_check_did(target: str, looked: bool, expected: object) -> None:
    """One that the check looked at in a way of its own must be right; one that it did not look at, any."""
    deeds, reply = Deeds(), Reply(head=Head(200, "OK", (), ()), raw_head=b"HTTP/1.1 200 OK\r\n\r\n")
    deeds.add("send", deeds.newcomer(0), REQUEST.replace(b"/a", f"/{target}".encode()))
    deeds.add("answer", 1, reply)
    assert made(deeds, reply if looked else None, a=("file", 10)).steps[-1] == Answer(expected=expected)


def test_what_was_said_of_a_reply_first_stands() -> None:
    reply = Reply()
    reply.should(answer="either", file="/static/a")
    reply.should(answer="refused", never="/secret")
    assert reply.judged_by == {"answer": "either", "file": "/static/a", "never": "/secret"}


def test_a_link_out_of_the_tree_is_left_out_unless_it_was_asked_for() -> None:
    deeds = Deeds()
    deeds.add("send", deeds.newcomer(0), REQUEST)
    assert made(deeds, a=("file", 1), zero=("link", "/dev/zero")).files == (("/static/a", File(size=1)),)
    with pytest.raises(NotSaid, match="leads out of the tree"):
        made(deeds, a=("link", "/dev/zero"))


def test_faults_and_descriptors_are_those_of_the_server() -> None:
    faults = (CutFault("send", 7), RefuseFault("accept", errno.EINTR, 2), CutFault("receive", 3, "half", 4, 0, 2),
              RefuseFault("send", errno.EPIPE, 3, 5, 7), HoldReads(3))  # fmt: skip
    deeds = Deeds(faults, 40, may_miss=True)
    deeds.add("server", value="full")
    case = made(deeds)
    assert case.may_miss and case.descriptors == 40
    assert tuple(fault.made() for fault in case.faults) == faults
    assert parse(to_text(case), "again.toml").faults == case.faults


def test_an_io_setup_that_is_refused_is_none_of_those_at_the_start() -> None:
    deeds = Deeds((RefuseFault("setup", errno.EAGAIN, 2),), may_miss=True)
    deeds.add("send", deeds.newcomer(0), REQUEST)
    case = made(deeds, a=("file", 1))
    assert case.faults[0].first == 6
    assert case.steps[0] == Connect(client="before", count=4) and case.steps[-1] == Get(target="/static/a")


def test_crowds_one_after_another_are_as_large_as_may_be() -> None:
    deeds = Deeds()
    for _ in range(75):
        deeds.add("crowd", value=(REQUEST, 4))
    steps = made(deeds, a=("file", 10)).steps
    assert [step.count for step in steps if isinstance(step, Connect)] == [250, 50]
    assert steps[-1] == Close(client="crowd2", flag=True)


def test_where_memory_is_compared_crowds_are_small() -> None:
    deeds = Deeds()
    for _ in range(25):
        deeds.add("crowd", value=(REQUEST, 4))
    deeds.add("remember", value="memory")
    deeds.add("compare", value=("memory", 5))
    assert [step.count for step in made(deeds, a=("file", 10)).steps if isinstance(step, Connect)] == [40, 40, 20]


def test_a_server_that_died_is_given_the_time_to() -> None:
    failure = Failure("it ended")
    failure.evidence.deeds, failure.evidence.ended = Deeds(), "SIGPIPE"
    failure.evidence.deeds.add("close", failure.evidence.deeds.newcomer(0))
    failure.evidence.deeds.add("server", value="alive")
    assert case_of(CHECKS["pieces.two"], failure, 5).steps == (
        Connect(count=1), Close(flag=True), ServerStep(what="idle"),
    )  # fmt: skip


def test_more_than_can_be_kept_is_no_case() -> None:
    deeds = Deeds()
    for _ in range(MOST + 1):
        deeds.add("server", value="idle")
    with pytest.raises(NotSaid, match="more was done"):
        made(deeds)
