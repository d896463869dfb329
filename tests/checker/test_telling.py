"""What is told of a failure: exact, bounded and clean; its place in the source, and never in another's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import known
from awskit import facts, grade, plain, procfs, report, retrace, rubric, source, telling
from awskit.grade import CHECKS, Grader
from awskit.isolation import Isolation
from awskit.model import Failure, Outcome, Verdict
from awskit.reply import Difference, Ending, Head, Reply
from awskit.told import BEFORE, SIDE
from awskit.transcript import Transcript
from awskit.tree import Content
from awskit.workplace import working_folder

CHECK = CHECKS["static.large_received"]
GRADING = telling.Grading("a folder", "full", 9)
HOSTILE = "\x1b[2J\n::error::\u202e<script>" + "x" * 100_000 + "\n" * 10_000


def _verdict(failure: Failure) -> Verdict:
    verdict = Verdict(CHECK, Outcome.FAILED, reason=failure.reason, got=failure.got, expected=failure.expected)
    verdict.failure, verdict.exchange, verdict.server_log = failure, failure.exchange, failure.evidence.log
    return verdict


def _failure(length: int, difference: Difference | None = None, ending: Ending = Ending.FIN) -> Failure:
    transcript = Transcript(40000)
    transcript.add_sent(b"GET /static/large00.dat HTTP/1.1\r\nHost: a\r\n\r\n")
    reply = Reply(Head(200, "OK", (("content-length", "5000"),), ()), b"HTTP/1.1 200 OK\r\n\r\n", length)
    reply.ending, reply.difference, reply.transcript, reply.wanted = ending, difference, transcript, Content("k", 5000)
    failure = Failure("it came short", got="some", expected="all", exchange=reply.exchange)
    failure.evidence.reply = reply
    return failure


def test_a_body_that_ends_early_differs_where_it_ends() -> None:
    told = telling.tell(_verdict(_failure(1234)), GRADING, 7, 2.5)
    wanted = Content("k", 5000)
    assert told.difference is not None
    assert (told.difference.offset, told.difference.begins) == (1234, 1234 - BEFORE)
    assert told.difference.got == wanted.read(1234 - BEFORE, BEFORE)
    assert told.difference.expected == wanted.read(1234 - BEFORE, SIDE)
    assert told.cause is not None and told.cause.id == "sendfile-once"
    assert (told.lost, told.ending) == (2.5, "the server closed the connection")
    assert told.again == "checker/awscheck grade 'a folder' --rubric full --seed 9 --only static.large_received"
    assert not told.traced and [moment.call for moment in told.moments] == ["connect", "send"]


def test_a_byte_that_differs_is_shown_with_both_sides() -> None:
    failure = _failure(5000, Difference(3, b"abcd", Content("k", 5000).read(3, 32)))
    difference = telling.tell(_verdict(failure), GRADING, 7, 1).difference
    assert difference is not None and difference.begins == 0
    assert difference.got == Content("k", 5000).read(0, 3) + b"abcd"


def test_a_whole_body_has_no_difference() -> None:
    assert telling.tell(_verdict(_failure(5000)), GRADING, 7, 1).difference is None
    assert telling.tell(_verdict(_failure(0)), GRADING, 7, 1).difference is None


def test_what_nobody_recognises_is_told_without_a_guess() -> None:
    told = telling.tell(_verdict(Failure("something else", got="this", expected="that")), GRADING, 7, 1)
    assert told.cause is None and told.moments == () and told.frame is None
    assert (told.done, told.got, told.expected) == ("something else", "this", "that")


def test_a_hostile_text_is_cut_and_does_nothing() -> None:
    failure = _failure(10)
    failure.reason = failure.got = failure.expected = failure.exchange = failure.evidence.log = HOSTILE
    failure.evidence.ended = "SIGSEGV"
    told = telling.tell(_verdict(failure), GRADING, 7, 1)
    texts = (told.done, told.got, told.expected, told.exchange, told.log)
    assert all(len(text) < 24 * (plain.WIDTH + 40) for text in texts)
    assert not [text for text in texts if "\x1b" in text or "\u202e" in text]
    assert all("[…" in text for text in texts)


def test_evidence_of_a_failure_within_a_failure_is_not_lost() -> None:
    inner = _failure(10)
    inner.evidence.side, inner.evidence.ended = "open", ""
    try:
        raise Failure("and then") from inner
    except Failure as outer:
        outer.evidence.ended = "SIGPIPE"
        found = facts.gathered(outer)
    assert (found.reply, found.side, found.ended) == (inner.evidence.reply, "open", "SIGPIPE")


@pytest.mark.parametrize(
    "log, ended, line",
    [
        ("(aws.c, 2): accept: Too many open files\n", "exit code 24", 2),
        ("aws: aws.c:3: main: Assertion `x' failed.\n", "SIGABRT", 3),
        ("(aws.c, 2): accept: Too many open files\n", "", None),
        ("(/etc/passwd, 1): here\n", "exit code 1", None),
        ("nothing of a line\n", "exit code 1", None),
    ],
)
def test_a_program_that_says_where_it_gave_up_is_believed_about_its_own_source(
    log: str, ended: str, line: int | None, tmp_path: Path
) -> None:
    (tmp_path / "aws.c").write_text("int main(void)\n{\n}\n")
    failure = Failure("it ended")
    failure.evidence.log, failure.evidence.ended = log, ended
    frame = telling.tell(_verdict(failure), telling.Grading("a", "", 1, tmp_path), 7, 1).frame
    assert (frame.line if frame else None) == line


# -- the source ------------------------------------------------------------------------------------------------------


def test_a_frame_has_three_lines_of_the_submissions_file(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "aws.c").write_text("one\n\ttwo\x1b\nthree\nfour\n")
    for name in ("/submission/src/aws.c", "aws.c", "src/aws.c", "./aws.c"):
        frame = source.frame(tmp_path, "src/aws", (name, 2, "main"), "what")
        assert frame is not None and frame.file == "src/aws.c"
        assert frame.source == ((1, "one"), (2, "    two\\x1b"), (3, "three"))
    first = source.frame(tmp_path, "src/aws", ("aws.c", 1, ""), "")
    assert first is not None and [number for number, _ in first.source] == [1, 2]


def test_no_frame_is_of_a_file_that_is_not_the_submissions(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "secret.c").write_text("secret\n")
    (root / "link.c").symlink_to(tmp_path / "secret.c")
    (root / "up").symlink_to(tmp_path)
    os.mkfifo(root / "fifo.c")
    for name in ("../secret.c", "/submission/../secret.c", "/etc/passwd", "link.c", "up/secret.c", "folder", "fifo.c",
                 "none.c", "a\0b"):  # fmt: skip
        assert source.frame(root, "aws", (name, 1, ""), "") is None, name


@pytest.mark.parametrize("others, times", [(0, 1.0), (4, 3.0), (1000, retrace.MOST_TIMES)])
def test_a_second_run_may_take_longer_where_others_want_the_cpus(
    others: int, times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "ready_to_run", lambda: 1 + others)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert retrace.times_as_long() == times
    begin = time.monotonic()
    retracer = retrace.Retracer(None, None, 1)  # type: ignore[arg-type]
    assert retracer._end >= begin + retrace.BUDGET_S * times


def test_this_very_thread_is_ready_to_run() -> None:
    assert procfs.ready_to_run() >= 1


# -- real servers ----------------------------------------------------------------------------------------------------

def _told(name: str, check: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """The verdict of one check on a known submission, with as much time for the second run as a busy machine needs."""
    monkeypatch.setattr(retrace, "LIMIT_S", 60.0)
    monkeypatch.setattr(retrace, "BUDGET_S", 120.0)
    monkeypatch.setattr(retrace, "WAIT_S", 3.0)
    sample = next(sample for sample in known.samples() if sample.path.name == name)
    with working_folder(None) as place:
        items = rubric.load("full", CHECKS).only([check])
        result = Grader(sample.unfold(folder), items, 1, Isolation.probe(), place).run()
        assert "likely cause: " in "\n".join(report.details(result, result.results[0]))
    return next(verdict for verdict in result.results[0].verdicts if verdict.check.id == check)


def test_a_failure_is_run_again_to_show_the_servers_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told("eagain-ends-static", "pieces.static_slow_reader", tmp_path, monkeypatch).told
    assert told is not None and told.traced
    (wrong,) = [moment for moment in told.moments if moment.wrong]
    assert (wrong.side, wrong.call, wrong.result) == ("server", "sendfile", "EAGAIN")
    assert told.frame is not None and told.frame.function == "send_static"
    assert told.frame.what == f"{telling.FAILS}: sendfile, called by handle_socket, handle_event, run"
    assert "sendfile(" in dict(told.frame.source)[told.frame.line]
    assert {"connect", "send", "receive", "pause", "end"} <= {m.call for m in told.moments if m.side == "client"}


def test_a_request_that_strace_judged_is_shown_as_it_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _told("read-and-send", "mechanism.sendfile", tmp_path, monkeypatch).told
    assert told is not None and told.traced
    (wrong,) = [moment for moment in told.moments if moment.wrong]
    assert (wrong.side, wrong.call) == ("server", "pread") and "/static/small00.dat" in wrong.text
    assert [moment.call for moment in told.moments if moment.side == "client"][0] == "connect"


def test_a_fault_is_told_with_the_call_that_it_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told("first-sendfile-must-succeed", "cuts.sendfile_again", tmp_path, monkeypatch).told
    assert told is not None and told.traced
    assert [(moment.call, moment.result) for moment in told.moments if moment.side == "fault"] == [
        ("sendfile", "EAGAIN")
    ]
    assert [(moment.call, moment.result) for moment in told.moments if moment.wrong] == [("sendfile", "EAGAIN")]


def test_the_line_of_a_crash_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told("long-target-overruns", "request.long_target", tmp_path, monkeypatch).told
    assert told is not None and told.frame is not None
    assert (told.frame.file, told.frame.function) == ("aws.c", "percent_decode")
    assert told.frame.what == "AddressSanitizer: heap-buffer-overflow"
    assert [moment.call for moment in told.moments if moment.side == "kernel"] == ["SIGABRT"]


def test_the_line_where_a_server_spins_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told("epollout-from-the-start", "idle.half_request", tmp_path, monkeypatch).told
    assert told is not None and told.frame is not None
    assert (told.frame.file, told.frame.function, told.frame.what) == ("aws.c", "receive_request", telling.SPINS)
    assert "recv(" in dict(told.frame.source)[told.frame.line]


def _mistaken(*_: object, **__: object) -> None:
    raise KeyError("a mistake")


@pytest.mark.parametrize("name", ["again", "place", "crash"])
def test_a_mistake_of_ours_in_a_second_run_is_told_and_the_first_is_explained(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grade.Retracer, name, _mistaken)
    verdict = _told("length-not-announced", "head.length", tmp_path, monkeypatch)
    assert verdict.outcome is Outcome.FAILED and verdict.told is not None
    assert "this failure could not be explained: KeyError: 'a mistake'" in verdict.notes


def test_a_mistake_of_ours_costs_an_explanation_and_no_grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grade, "tell", _mistaken)
    sample = next(sample for sample in known.samples() if sample.path.name == "does-not-compile")
    with working_folder(None) as place:
        items = rubric.load("full", CHECKS).only(["build.executable"])
        result = Grader(sample.unfold(tmp_path), items, 1, Isolation.probe(), place).run()
    verdict = next(verdict for verdict in result.results[0].verdicts if verdict.check.id == "build.executable")
    assert verdict.outcome is Outcome.FAILED and verdict.told is None
    assert "this failure could not be explained: KeyError: 'a mistake'" in verdict.notes
    assert "make failed: aws.c:90:17" in report.table(result)
