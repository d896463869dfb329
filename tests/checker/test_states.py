"""The states of our own server between the calls that strace saw."""

from __future__ import annotations

from pathlib import Path

from grading import ROOT

from awskit.boxed import Program
from awskit.calls import moments_of
from awskit.evidence import Call, parse
from awskit.model import Seen
from awskit.states import FILE, after, says_states, without_data
from awskit.transcript import Transcript

PEER = "<TCP:[127.0.0.1:8888->127.0.0.1:{port}]>"
LOG = f"""
7 100.0 execve("/submission/aws", ["/submission/aws", "--trace={FILE}"], 0x1 /* 2 vars */) = 0
7 100.1 accept4(5<TCP:[0.0.0.0:8888]>, NULL, NULL, SOCK_NONBLOCK) = 8{PEER.format(port=4000)}
7 100.2 write(4<{FILE}>, "1.000000 conn=1 fd=8 new -> CONN_INIT\\n", 38) = 38
7 100.3 recvfrom(8{PEER.format(port=4000)}, "GET / 9</tmp/x> -> CONN_SENDING \\"fd 3\\""..., 4096, 0, NULL, NULL) = 72
7 100.4 write(4<{FILE}>, "1.000001 conn=2 fd=9 CONN_INIT -> CONN_CLOSED\\n", 46) = 46
7 100.5 write(4<{FILE}>, "1.000002 conn=1 fd=8 CONN_INIT -> CONN_READING\\n", 47) = 47
7 100.6 write(4<{FILE}>, "1.000003 conn=1 fd=8 CONN_READING -> CONN_WREADY\\n", 49) = 49
7 100.7 openat(AT_FDCWD</site>, "/site/static/a.dat", O_RDONLY) = 9</site/static/a.dat>
7 100.8 sendto(8{PEER.format(port=4000)}, "HTTP/1.1 200 OK\\r\\n", 17, 0, NULL, 0) = 17
7 100.9 write(4<{FILE}>, "1.000004 conn=1 fd=8 CONN_WREADY -> CONN_SENDING\\n", 49) = 49
"""


def _calls() -> tuple[Call, ...]:
    return parse(without_data(LOG), "/submission/aws").calls


def test_each_call_has_the_state_that_its_own_connection_was_in_after_it() -> None:
    trace = parse(without_data(LOG), "/submission/aws")
    chosen = [call for call in trace.calls if FILE not in call.paths]
    states = after(chosen, trace, 4000)
    assert [(call.name, states.get(call.at)) for call in chosen] == [
        ("accept4", "CONN_INIT"),
        ("recvfrom", "CONN_WREADY"),
        ("openat", None),
        ("sendto", "CONN_SENDING"),
    ]
    assert after(chosen, trace, 4001) == {}


def test_what_was_sent_and_received_leaves_nothing_in_the_log() -> None:
    _, _, recv, *_ = _calls()
    assert '""' in recv.arguments and "/tmp/x" not in recv.arguments
    assert recv.result == 72
    (opened,) = [call for call in _calls() if call.name == "openat"]
    assert opened.opened == "/site/static/a.dat"


def test_our_own_server_is_known_by_its_help(tmp_path: Path) -> None:
    options = ROOT / "src" / "options.c"
    for text, ours in ((options.read_bytes(), True), (b"\x7fELF", False)):
        (tmp_path / "aws").write_bytes(text)
        assert says_states(Program(tmp_path, "aws")) is ours


def test_calls_of_one_who_says_no_states_are_told_without() -> None:
    trace = parse(without_data(LOG), "/submission/aws")
    (culprit,) = [call for call in trace.calls if call.name == "recvfrom"]
    transcript = Transcript(4000, 99.0)
    transcript.closed()  # at this moment, long after
    seen = Seen(trace, transcript, "/site", culprit)
    told = [(moment.call, moment.state, moment.wrong) for moment in moments_of(seen) if moment.side == "server"]
    assert told[:2] == [("accept4", "", False), ("recv", "", True)]
