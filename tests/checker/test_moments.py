"""An exchange as moments: both sides in the order of time, bounded, with the one at which it went wrong."""

from __future__ import annotations


import pytest

from awskit import calls, moments
from awskit.evidence import parse
from awskit.faults import Cut, HoldReads, Refuse
from awskit.model import Evidence
from awskit.reply import Difference, Ending, Head, Reply
from awskit.told import MOMENTS, Moment
from awskit.transcript import EVENTS, Transcript
from awskit.tree import Content

PORT = 40690
CLIENT = f"6<TCP:[127.0.0.1:8888->127.0.0.1:{PORT}]>"
OTHER = "7<TCP:[127.0.0.1:8888->127.0.0.1:50000]>"
FILE = "8</site/static/x>"
START = '9 1.0 execve("/submission/aws", [...], 0x1 /* 2 vars */) = 0\n'
ACCEPT = f"9 2.0 accept4(5<TCP:[0.0.0.0:8888]>, NULL, NULL, SOCK_NONBLOCK) = {CLIENT}\n"
HEAD_SENT = f'9 2.1 sendto({CLIENT}, ""..., 100, MSG_NOSIGNAL, NULL, 0) = 100\n'
EPOLL = "9 9.0 epoll_wait(3<anon_inode:[eventpoll]>,  <unfinished ...>) = ?\n"


def _transcript() -> Transcript:
    transcript = Transcript(PORT, 1.5)
    transcript.add_sent(b"GET /static/x HTTP/1.1\r\n\r\n")
    return transcript


def _reply(ending: Ending, **more: object) -> Reply:
    reply = Reply(Head(200, "OK", (), ()), b"H" * 100, ending=ending, transcript=_transcript())
    for name, value in more.items():
        setattr(reply, name, value)
    return reply


def _server(log: str, evidence: Evidence) -> list[Moment]:
    return calls.of_connection(parse(START + log, "/submission/aws"), _transcript(), "/site", evidence)


def _wrong(log: str, evidence: Evidence) -> list[tuple[str, str]]:
    return [(moment.call, moment.result) for moment in _server(log, evidence) if moment.wrong]


def test_receives_that_follow_one_another_are_one_moment() -> None:
    transcript = _transcript()
    for _ in range(5):
        transcript.add_received(b"x" * 10)
    transcript.paused("until it sleeps")
    transcript.add_received(b"x")
    transcript.note("end", Ending.FIN.value)
    found = [(moment.call, moment.result, moment.count) for moment in moments.of_client(transcript)]
    assert found == [("connect", "", 0), ("send", "26", 26), ("receive", "50", 50), ("pause", "", 0),
                     ("receive", "1", 1), ("end", "FIN", 0)]  # fmt: skip


def test_a_transcript_is_bounded_and_keeps_both_ends() -> None:
    transcript = _transcript()
    for number in range(3 * EVENTS):
        transcript.note("end", str(number))
    assert len(transcript.events) <= EVENTS
    assert transcript.events[0].call == "connect" and transcript.events[-1].text == str(3 * EVENTS - 1)


def test_the_middle_of_a_long_story_is_left_out_but_not_what_went_wrong() -> None:
    story = [Moment(100.0 + at, "client", "send", str(at), "", 0, "", at == 50) for at in range(100)]
    shown, left_out, gap = moments.in_order(list(reversed(story)))
    assert len(shown) <= MOMENTS and len(shown) + left_out == 100
    assert [moment.text for moment in shown if moment.wrong] == ["50"]
    assert shown[0].at == 0.0 and shown[-1].text == "99"
    assert int(shown[gap].text) - int(shown[gap - 1].text) > 1
    assert moments.in_order(story[:3])[1:] == (0, 0)


@pytest.mark.parametrize(
    "fault, told",
    [
        (Cut("send", 7), ("send", "moves at most 7 byte(s)", "")),
        (Cut("aio", share="half"), ("io_submit", "moves half of what it could", "")),
        (Cut("submit", 1), ("io_submit", "takes at most 1 read(s)", "")),
        (Refuse("sendfile", 11, 1, 2), ("sendfile", "call 1, and 1 in 2 after it, is refused", "EAGAIN")),
        (Refuse("accept", 103), ("accept", "call 1 is refused", "ECONNABORTED")),
        (Cut("send", 7, first=3), ("send", "call 3, and each after it, moves at most 7 byte(s)", "")),
        (Cut("send", 7, "", 3, 0, 2), ("send", "call 3 on connection 2 moves at most 7 byte(s)", "")),
        (Cut("send", 7, connection=2), ("send", "each on connection 2 moves at most 7 byte(s)", "")),
        (Refuse("send", 4, 1, 2, 5), ("send", "call 1, and 1 in 2 after it, on connection 5 is refused", "EINTR")),
        (HoldReads(), ("io_submit", "a disk that does not answer: reads are held", "")),
        (HoldReads(4), ("io_submit", "a disk that does not answer: reads from the 4. on are held", "")),
    ],
)
def test_every_kind_of_fault_is_told(fault: Cut | Refuse | HoldReads, told: tuple[str, str, str]) -> None:
    (moment,) = moments.of_faults([fault.word()], 5.0)
    assert (moment.call, moment.text, moment.result, moment.side, moment.at) == (*told, "fault", 5.0)


def test_what_a_submission_says_is_clean_and_short() -> None:
    assert moments.short("\x1b[31m" + "x" * 500 + "\n::error::") == "\\x1b[31m" + "x" * 51 + "…"


def test_the_error_after_which_it_gave_up_is_marked() -> None:
    log = ACCEPT + HEAD_SENT + f"""\
9 2.2 sendfile({CLIENT}, {FILE}, [0] => [5000], 9000) = 5000
9 2.3 sendfile({CLIENT}, {FILE}, [5000], 4000) = -1 EAGAIN (Resource temporarily unavailable)
9 2.4 close({CLIENT}) = 0
""" + EPOLL
    found = _server(log, Evidence(reply=_reply(Ending.FIN)))
    assert [(moment.call, moment.result) for moment in found] == [
        ("accept4", "6"), ("send", "100"), ("sendfile", "5,000"), ("sendfile", "EAGAIN"), ("close", "0"),
        ("epoll_wait", "waits")]  # fmt: skip
    assert [moment.at for moment in found if moment.wrong] == [2.3]
    assert found[3].text == "fd 6 (the client), fd 8 /site/static/x, 4,000"


def test_a_call_on_another_connection_is_not_this_ones() -> None:
    log = ACCEPT + f'9 2.1 sendto({OTHER}, ""..., 5, 0, NULL, 0) = 5\n9 2.2 sendfile({OTHER}, {FILE}, NULL, 9) = 9\n'
    assert [moment.call for moment in _server(log + HEAD_SENT, Evidence())] == ["accept4", "send"]


def test_the_call_in_which_it_sleeps_is_marked() -> None:
    log = ACCEPT + HEAD_SENT + "9 3.0 io_getevents(0x7f, 1, 32,  <unfinished ...>) = ?\n"
    assert _wrong(log, Evidence(reply=_reply(Ending.SILENCE))) == [("io_getevents", "waits")]
    assert _wrong(ACCEPT + HEAD_SENT + EPOLL, Evidence(reply=_reply(Ending.SILENCE))) == [("send", "100")]


def test_where_nobody_accepts_what_the_server_does_instead_is_told() -> None:
    log = f"9 2.0 recvfrom({OTHER}, \"\"..., 9, 0, NULL, NULL) = 9\n9 3.0 recvfrom({OTHER},  <unfinished ...>) = ?\n"
    assert _wrong(log, Evidence(reply=_reply(Ending.SILENCE))) == [("recv", "waits")]


def test_the_call_that_sent_the_first_wrong_byte_is_marked() -> None:
    sends = "".join(f'9 3.{number} write({CLIENT}, ""..., 1000) = 1000\n' for number in range(2))
    for offset, at in ((0, 3.0), (999, 3.0), (1000, 3.1)):
        reply = _reply(Ending.FIN, difference=Difference(offset, b"x", b"y"))
        found = _server(ACCEPT + HEAD_SENT + sends, Evidence(reply=reply))
        assert [moment.at for moment in found if moment.wrong] == [at]


def test_a_short_send_that_nobody_went_on_after_is_marked() -> None:
    log = ACCEPT + f'9 2.1 sendto({CLIENT}, ""..., 183, 0, NULL, 0) = 1\n9 2.2 shutdown({CLIENT}, SHUT_WR) = 0\n'
    assert _wrong(log, Evidence(reply=_reply(Ending.FIN, head=None))) == [("send", "1")]
    vector = f'writev({CLIENT}, [{{iov_base="", iov_len=100}}, {{iov_base="", iov_len=83}}], 2)'
    log = ACCEPT + f"9 2.1 {vector} = 183\n9 2.2 {vector} = 7\n9 2.3 shutdown({CLIENT}, SHUT_WR) = 0\n"
    assert _wrong(log, Evidence(reply=_reply(Ending.FIN))) == [("writev", "7")]
    assert "fd 6 (the client), 183" in [moment.text for moment in _server(log, Evidence(reply=_reply(Ending.FIN)))]


def test_who_ends_a_connection_too_early_is_marked_and_else_who_sent_the_head() -> None:
    wanted = Content("k", 5000)
    closed = ACCEPT + HEAD_SENT + f"9 2.2 close({CLIENT}) = 0\n"
    shut = ACCEPT + HEAD_SENT + f"9 2.2 shutdown({CLIENT}, SHUT_WR) = 0\n9 2.3 close({CLIENT}) = 0\n"
    for log, ending, wrong in ((closed, Ending.RST, "close"), (shut, Ending.FIN, "shutdown")):
        assert _wrong(log, Evidence(reply=_reply(ending, wanted=wanted, length=4999))) == [(wrong, "0")]
        assert _wrong(log, Evidence(reply=_reply(ending, head=None, raw_head=b""))) == [(wrong, "0")]
        assert _wrong(log, Evidence(reply=_reply(ending, wanted=wanted, length=5000))) == [("send", "100")]
        assert _wrong(log, Evidence(reply=_reply(ending))) == [("send", "100")]


def test_reads_that_were_never_begun_are_marked() -> None:
    block = "{aio_data=0x1, aio_lio_opcode=IOCB_CMD_PREAD, aio_fildes=8</site/static/x>, aio_nbytes=4, aio_offset=0}"
    log = ACCEPT + HEAD_SENT + f"9 3.0 io_submit(0x7f, 2, [{block}, {block}]) = 1\n" + EPOLL
    evidence = Evidence(reply=_reply(Ending.SILENCE))
    assert _wrong(log, evidence) == [("io_submit", "1")]
    assert "2 read(s) of /site/static/x" in [moment.text for moment in _server(log, evidence)]


def test_nothing_is_marked_where_the_failure_is_about_no_exchange() -> None:
    assert _wrong(ACCEPT + HEAD_SENT + EPOLL, Evidence()) == []


def test_the_last_call_before_the_end_is_marked_whoever_it_was_about() -> None:
    log = ACCEPT + HEAD_SENT + f"9 4.0 sendfile({OTHER}, {FILE}, NULL, 9) = -1 EPIPE (Broken pipe)\n"
    assert _wrong(log, Evidence(ended="SIGPIPE")) == [("sendfile", "EPIPE")]
    found = _server(ACCEPT + HEAD_SENT + f"9 4.0 sendfile({OTHER}, {FILE}, NULL, 9) = 9\n", Evidence(ended="SIGPIPE"))
    sent = [("another client" in moment.text, moment.count) for moment in found if moment.call in ("send", "sendfile")]
    assert sent == [(False, 100), (True, 0)], "no byte of it goes to this client"
    (end,) = moments.of_end("SIGPIPE", 4.0)
    assert (end.call, end.side, end.wrong) == ("SIGPIPE", "kernel", True)
    assert moments.of_end("exit code 3", 4.0)[0].result == "3"
    assert moments.of_end("", 4.0) == []


def test_calls_that_are_repeated_are_one_moment() -> None:
    again = f"9 3.0 sendfile({CLIENT}, {FILE}, [5], 4000) = -1 EAGAIN (Resource temporarily unavailable)\n" * 500
    found = _server(ACCEPT + again, Evidence(reply=_reply(Ending.SILENCE)))
    assert [moment.call for moment in found] == ["accept4", "sendfile"]
    assert found[1].text.startswith("500 times") and found[1].wrong


def test_what_a_server_does_again_and_again_is_shown_to_whom_it_does_not_accept() -> None:
    again = f"9 3.0 sendfile({OTHER}, {FILE}, [5], 4000) = -1 EAGAIN (Resource temporarily unavailable)\n" * 500
    reply = _reply(Ending.SILENCE, head=None)
    found = [(moment.call, moment.wrong) for moment in _server(again + EPOLL, Evidence(reply=reply))]
    assert found == [("sendfile", True)]  # and not that it waits when the other client has gone
    assert [moment.call for moment in _server(EPOLL, Evidence(reply=reply))] == ["epoll_wait"]
    transcript = _transcript()
    transcript.note("end", "nothing more came")  # now
    late = ACCEPT.replace("9 2.0", f"9 {transcript.events[-1].at + 1}")
    trace = parse(START + again + late, "/submission/aws")
    found = calls.of_connection(trace, transcript, "/site", Evidence(reply=reply))
    assert [moment.call for moment in found] == ["sendfile"]  # and not that it accepts when the client has given up


def test_who_ends_itself_says_why_by_the_call_that_failed_before_and_by_what_it_says_of_it() -> None:
    failed = "9 2.0 io_setup(32, 0x7ffc1230) = -1 EAGAIN (Resource temporarily unavailable)\n"
    words = "9 2.1 write(2<pipe:[1]>, ..., 20) = 20\n"
    other = '9 2.2 openat(AT_FDCWD</site>, "/site/static/x", O_RDONLY) = 7</site/static/x>\n'
    end = "9 2.3 exit_group(1) = ?\n"

    def wrong(text: str, ended: str = "exit code 1") -> list[str]:
        return [moment.call for moment in _server(text, Evidence(ended=ended)) if moment.wrong]

    assert wrong(failed + words + end) == ["io_setup"]  # though it is about no connection
    assert wrong(failed + other + end) == ["exit"]
    assert wrong(words + end) == ["exit"]
    client = ACCEPT[ACCEPT.rindex("= ") + 2 :].strip()  # its descriptor, with what it leads to
    broken = f"9 2.0 write({client}, ..., 20) = -1 EPIPE (Broken pipe)\n"
    assert wrong(broken + f"9 2.05 close({client}) = 0\n" + words + end) == ["write"]
    assert wrong(failed + other, "SIGSEGV") != ["io_setup"]


def test_what_was_opened_and_never_closed_is_found() -> None:
    lines = [f'9 2.{n} openat(AT_FDCWD</site>, "/site/static/x", O_RDONLY) = {n}</site/static/x>\n' for n in (7, 8)]
    lines += ["9 3.0 close(8</site/static/x>) = 0\n", "9 3.1 eventfd2(0, 0) = 8<anon_inode:[eventfd]>\n"]
    trace = parse(START + ACCEPT + "".join(lines) + EPOLL, "/submission/aws")
    for kind, opened in (("file", ("openat", 7)), ("socket", ("accept4", 6)), ("eventfd", ("eventfd2", 8))):
        call = calls.left_open(trace, (kind,))
        assert call is not None and (call.name, call.result) == opened
    assert calls.left_open(trace, ("other",)) is None


def test_the_context_that_was_made_and_never_destroyed_is_found() -> None:
    made = [f"9 2.{n} io_setup(32, [0x7f000000{n}000]) = 0\n" for n in (7, 8, 9)]
    lines = [*made, "9 3.0 io_destroy(0x7f0000008000) = 0\n", "9 3.1 io_destroy(0x7f0000009000) = 0\n"]
    lines += ["9 3.2 io_setup(32, 0x7ffc1230) = -1 EAGAIN (Resource temporarily unavailable)\n"]
    trace = parse(START + ACCEPT + "".join(lines) + EPOLL, "/submission/aws")
    call = calls.left_open(trace, ("context",))
    assert call is not None and call.arguments == "32, [0x7f0000007000]"
    assert calls.left_open(trace, ("socket",)) != call


def test_what_epoll_says_for_ever_is_a_fact() -> None:
    wait = "9 3.0 epoll_wait(3<anon_inode:[eventpoll]>, [{events=EPOLLIN, data={u32=8, u64=8}}], 64, -1) = 1\n"
    assert calls.reported(parse(START + wait * calls.MANY, "/submission/aws")) == {"reported": frozenset({"EPOLLIN"})}
    assert calls.reported(parse(START + wait * (calls.MANY - 1), "/submission/aws")) == {}
