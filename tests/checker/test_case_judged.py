"""What a case says is judged: no answer passes that is not what its step asks for, nor a server that dies of it."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from awskit.cases.case import Case, File, Link, Special
from awskit.cases.contents import Longer, Watch, Zeros, file_behind
from awskit.tree import Content
from grading import ROOT, awscheck

# Answers each request by what the file `lie` holds then, whatever was asked for, and closes when the client does; where
# RESET stands at the end, it does that.
LIAR = """\
import socket, struct, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    said, reset, _ = open(sys.argv[1], "rb").read().partition(b"RESET")
    connection.sendall(said)
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        connection.shutdown(socket.SHUT_WR)
    try:
        while not reset and connection.recv(65536):
            pass
    except OSError:  # the client has reset it
        pass
    connection.close()
"""
HEAD = "HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"


def answer(status: int, body: bytes) -> bytes:
    return HEAD.format(status, len(body)).encode() + body


@pytest.fixture
def replayed(tmp_path: Path) -> Iterator[Callable[[str, str, bytes], str]]:
    """Replay these steps, with these files, on a server that says just this: what came of it."""
    script, lie, root, case = (tmp_path / name for name in ("liar.py", "lie", "site", "case.toml"))
    script.write_text(LIAR)
    root.mkdir()
    with subprocess.Popen(["/usr/bin/python3", script, lie], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()

        def replay(steps: str, files: str, said: bytes, more: str = "") -> str:
            lie.write_bytes(said)
            case.write_text(f'title = "a"\nabout = "b"\nrule = "S4"\n{more}\nsteps = [{steps}]\n[files]\n{files}')
            done = awscheck("replay", case, "--port", port, "--root", root)
            assert done.code == int(done.text.startswith("FAILS")), done.text + done.errors
            return done.text

        try:
            yield replay
        finally:
            process.kill()


GET = '{ get = "/static/a.dat" }, '
FILE = '"/static/a.dat" = "just these bytes, and no others"'
OURS = b"just these bytes, and no others"
SECRET = '"/secret" = 3000'


@pytest.mark.parametrize("files", [
    FILE,
    f'"/static/a.dat" = {{ link = "../dynamic/b" }}\n{FILE.replace("static/a.dat", "dynamic/b")}',
    f'"/static/a.dat" = {{ link = "c/d" }}\n"/static/c" = {{ link = "../x" }}\n{FILE.replace("static/a.dat", "x/d")}',
])  # fmt: skip
def test_a_200_brings_the_file_over_links_too(replayed: Callable[[str, str, bytes], str], files: str) -> None:
    steps = GET + "{ answer = 200 }"
    assert replayed(steps, files, answer(200, OURS)).startswith("holds")
    assert replayed(steps, files, answer(200, OURS[::-1])).startswith("FAILS")


def test_a_200_brings_the_zeros_of_a_hole(replayed: Callable[[str, str, bytes], str]) -> None:
    files = '"/static/a.dat" = { size = 70000, sparse = true }'
    assert replayed(GET + "{ answer = 200 }", files, answer(200, bytes(70000))).startswith("holds")
    assert replayed(GET + "{ answer = 200 }", files, answer(200, bytes(69999) + b"x")).startswith("FAILS")


def test_a_200_brings_the_file_as_it_was_when_it_was_asked_for(replayed: Callable[[str, str, bytes], str]) -> None:
    more = random.Random("1/more").randbytes(5)
    empty, append = (f'{{ change = "/static/a.dat", how = "{how}" }}, ' for how in ("empty", 'append", size = "5'))
    append = append.replace('"5"', "5")
    for steps, right in (
        (empty + GET, b""), (append + GET, OURS + more), (GET + empty, OURS), (append + empty + append + GET, more),
    ):  # fmt: skip
        assert replayed(steps + "{ answer = 200 }", FILE, answer(200, right)).startswith("holds"), steps
        assert replayed(steps + "{ answer = 200 }", FILE, answer(200, right + b"!")).startswith("FAILS"), steps


@pytest.mark.parametrize("said, holds", [
    (b"", True),
    (b"HT", True),
    (HEAD.format(200, 31).encode()[:40], True),
    (answer(200, OURS)[:-20], True),
    (answer(200, OURS), True),
    (answer(500, b"no"), True),
    (answer(302, b""), False),
    (b"garbage, no HTTP at all", False),
    (answer(200, OURS)[:-20] + b"!", False),
])  # fmt: skip
def test_a_part_is_of_the_file(replayed: Callable[[str, str, bytes], str], said: bytes, holds: bool) -> None:
    assert replayed(GET + '{ answer = "part" }', FILE, said).startswith("holds" if holds else "FAILS")


@pytest.mark.parametrize("said, served", [
    (answer(200, OURS), True),
    (answer(200, OURS)[:-1], False),
    (answer(404, b"no"), False),
    (b"", False),
])  # fmt: skip
@pytest.mark.parametrize("most", [1, 2])
def test_so_many_at_most_are_less_than_all(
    replayed: Callable[..., str], said: bytes, served: bool, most: int
) -> None:
    """Of two that may be a part."""
    steps = ", ".join(f'{{ client = "{name}", {step} }}' for name in "ab" for step in (
        'get = "/static/a.dat"', 'answer = "part"', "close = true"))  # fmt: skip
    text = replayed(steps, FILE, said, f"unserved = {most}")
    assert text.startswith("holds" if served or most == 2 else "FAILS")
    assert ("2 answers are less than all, and 1 may be" in text) == (not served and most == 1)


def test_an_answer_where_there_is_no_file_is_all_as_it_says(replayed: Callable[..., str]) -> None:
    steps = '{ get = "/none" }, { answer = "part" }'
    for said, holds in ((answer(404, b"no"), True), (answer(404, b"no")[:-1], False), (b"", False)):
        assert replayed(steps, "", said, "unserved = 0").startswith("holds" if holds else "FAILS"), said


def test_no_byte_of_what_must_never_come_may_stand_anywhere(replayed: Callable[[str, str, bytes], str]) -> None:
    secret = Content("1/secret", 3000).read(0, 3000)
    steps = '{ get = "/none" }, { answer = 404, never = "/secret" }'
    for said, holds in (
        (b"none", True), (secret, False), (secret[1:], False), (b"x" * 70000 + secret, False), (secret[40:72], False),
    ):  # fmt: skip
        assert replayed(steps, SECRET, answer(404, said)).startswith("holds" if holds else "FAILS"), said[:9]
    small = '"/secret" = "psst"'
    assert replayed(steps, small, answer(404, b"no pss t")).startswith("holds")
    assert replayed(steps, small, answer(404, b"yes: psst")).startswith("FAILS")


def test_what_is_watched_for_is_found_wherever_pieces_end() -> None:
    secret = Content("key", 100)
    for cut in range(1, 60):
        watch, data = Watch(secret), b"x" * 17 + secret.read(3, 40)
        watch(data[:cut])
        watch(data[cut:])
        assert watch.met
    watch = Watch(secret)
    watch(secret.read(1, 15) + b"x" + secret.read(17, 15))
    assert not watch.met


def test_contents_are_read_like_files() -> None:
    first = Content("key", 10)
    for content, whole in ((Zeros(7), bytes(7)), (Longer(first, b"abc"), first.read(0, 10) + b"abc")):
        assert content.size == len(whole)
        for begin in range(14):
            for length in range(15):
                assert content.read(begin, length) == whole[begin : begin + length]


def test_a_file_may_become_longer_in_every_step() -> None:
    content: Content = Content("key", 10)
    whole = content.read(0, 10)
    for number in range(2000):
        content, whole = Longer(content, bytes([number % 256, 7])), whole + bytes([number % 256, 7])
    for offset, length in ((0, 5000), (3, 4), (8, 4), (11, 1), (12, 7), (4009, 9), (4010, 9), (5000, 1)):
        assert content.read(offset, length) == whole[offset : offset + length]


def test_so_much_must_come_as_is_to_be_received(replayed: Callable[[str, str, bytes], str]) -> None:
    steps = GET + "{ receive = 50 }, { answer = 200 }"
    assert replayed(steps, FILE, answer(200, OURS)).startswith("holds")
    assert "bytes came, and 500 should have" in replayed(steps.replace("50", "500"), FILE, answer(200, OURS))


def test_who_was_let_go_is_not_stalled(replayed: Callable[[str, str, bytes], str]) -> None:
    steps = GET + '{ wait = "stalled" }'
    assert "waited in vain" in replayed(steps, FILE, answer(200, OURS))  # of one that has closed its half alone
    assert "it has let the client go" in replayed(steps, FILE, answer(200, OURS) + b"RESET")


def test_what_leads_nowhere_is_no_file() -> None:
    files = (("/a", Link("b")), ("/b", Link("a")), ("/c", Link("d/e")), ("/d", Special("directory")), ("/f", File(1)))
    case = Case(title="a", about="b", rule="S4", files=files, steps=())
    assert [file_behind(case, target) for target in ("/a", "/c", "/d", "/f/", "/f/x", "/none")] == [""] * 6
    assert file_behind(case, "/d/../f") == "/f"


@pytest.mark.parametrize("end", ["", ', { wait = "received" }, { server = "alive" }', ", { close = true }"])
def test_a_server_that_dies_of_the_last_step_fails_each_time(tmp_path: Path, end: str) -> None:
    case = tmp_path / "case.toml"
    request = r"POST /static/a.dat HTTP/1.1\r\nHost: x\r\n\r\n"
    case.write_text(f'title = "a"\nabout = "b"\nrule = "S4"\nsteps = [{{ send = "{request}" }}{end}]\n')
    done = awscheck("replay", *[case] * 10, "--server", ROOT / "fixtures" / "submissions" / "defect" / "post-is-fatal")
    assert done.code == 1 and done.text.count("FAILS") == 10


def test_a_fault_of_the_last_step_hits_each_time(tmp_path: Path) -> None:
    case = tmp_path / "case.toml"
    case.write_text('title = "a"\nabout = "b"\nrule = "S4"\nfaults = [{ refuse = "send", error = "EINTR" }]\n'
                    'steps = [{ get = "/static/a.dat" }]\n')  # fmt: skip
    assert awscheck("replay", *[case] * 10).code == 0


@pytest.mark.parametrize("evidence, steps, said", [
    ("sendfile", '{ get = "/dynamic/b" }, { answer = 200 }', "could show sendfile"),
    ("aio", '{ get = "/static/a" }, { answer = 200 }', "could show aio"),
    ("read-only", '{ get = "/static/a" }, { answer = 200, head_only = true }', "could show read-only"),
    ("sendfile", r'{ send = "GET /static/a HTTP/1.0\r\n\r\n" }, { answer = 200 }', "could show sendfile"),
    ("sendfile", '{ get = "/static/a" }, { answer = "any" }', "could show sendfile"),
    ("sendfile", '{ get = "/static/a" }, { answer = 200 }', ""),
    ("aio", '{ get = "/dynamic/b" }, { answer = 200 }', ""),
    ("sendfile", '{ get = "/static/l" }, { answer = 200 }', ""),
    ("aio", '{ get = "/dynamic/l" }, { answer = 200 }', ""),
])  # fmt: skip
def test_evidence_is_of_a_file_that_must_come(tmp_path: Path, evidence: str, steps: str, said: str) -> None:
    case = tmp_path / "case.toml"
    case.write_text(f'title = "a"\nabout = "b"\nrule = "S4"\nevidence = ["{evidence}"]\nsteps = [{steps}]\n[files]\n'
                    '"/static/a" = 3000\n"/dynamic/b" = 3000\n"/static/l" = { link = "a" }\n'
                    '"/dynamic/l" = { link = "../static/a" }\n')  # fmt: skip
    done = awscheck("replay", case)
    assert (done.code, said in done.errors) == (2 if said else 0, True), done.text + done.errors
