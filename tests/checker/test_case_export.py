"""Exported cases: programs of their own, which say the same of a server as the case does."""

from __future__ import annotations

import ast
import builtins
import contextlib
import dataclasses
import itertools
import keyword
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import exported
from awskit.bench import request_bytes
from awskit.cases.case import (
    FIGURES, VERBS, Answer, Case, Change, Close, Compare, Connect, Cut, Entry, File, Get, HalfClose, Hold, Link,
    Receive, Refuse, Release, Remember, Reset, Send, ServerStep, Silence, Special, Wait
)  # fmt: skip
from awskit.cases.definitions import all_names
from awskit.cases.export import curl, export
from awskit.cases.kinds import (
    Bad, Data, Either, Errno, Flag, Integer, List, Pairs, Pattern, Table, Target, Text, Word, write_fields
)  # fmt: skip
from awskit.cases.play import play
from awskit.cases.read import from_table, parse, read
from awskit.cases.target import PortTarget, Unfit
from awskit.model import Outcome
from bugs import BUGS, cases
from everyday import examples
from grading import LIMIT_S, ROOT

# Of each kind: pieces, a way out of the tree, a stalled client and a file that changes, silence, descriptors, a stop.
SHOWN = {
    "D11-target-in-two-pieces": "url-piece-overwrites",
    "D02-dots-lead-out": "dots-not-looked-at",
    "file-replaced": "file-reopened-for-each-window",
    "D12-answers-too-early": "answers-at-first-field",
    "D01-head-send-error-kills": "head-send-error-kills",
    "D24-status-line": "field-in-status-line",
}


def run(program: Path, name: str, folder: Path) -> tuple[int, str]:
    """Export a case of the museum and run it; exit code and output."""
    code, said = exported.run(program, BUGS / f"{name}.toml", folder)
    if code == 77:
        pytest.skip(f"no network namespace here: {said}")
    return code, said


@pytest.mark.parametrize("name", SHOWN)
def test_it_fails_on_the_bug_and_holds_on_the_reference(name: str, tmp_path: Path) -> None:
    assert run(ROOT / "aws", name, tmp_path) == (0, "right: the server did all that is expected here\n")
    code, said = run(exported.build(f"defect/{SHOWN[name]}", tmp_path), name, tmp_path)
    assert code == 1 and said.startswith("WRONG: "), said


def test_what_is_exported_needs_nothing_but_the_standard_library() -> None:
    count = 0
    for path in cases():
        try:
            text = export(read(path))
        except Unfit:
            continue
        count += 1
        tree = ast.parse(text)
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names, path.name
        assert "awskit" not in text and str(ROOT) not in text
    assert count > 80


def test_every_definition_that_is_exported_is_used() -> None:
    text = export(read(BUGS / "D11-target-in-two-pieces.toml"))
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert text.count(node.name) > 1, node.name
    assert "signal" not in text and "make_sparse" not in text


@pytest.mark.parametrize(
    "name", ["D14-waits-for-the-disk", "D15-no-aio", "D07-head-in-parts", "course-stress", "no-room-for-a-context"]
)
def test_a_case_of_which_nothing_would_be_left_is_refused(name: str) -> None:
    with pytest.raises(Unfit, match="awscheck replay"):
        export(read(BUGS / f"{name}.toml"))


def test_what_cannot_be_told_is_no_verdict(tmp_path: Path) -> None:
    """Exit code 1 says that the server does wrong: not that somebody's file is there already, which stays."""
    case = read(BUGS / "D02-dots-lead-out.toml")
    (tmp_path / "secret.txt").write_text("mine")
    script = tmp_path / "exported.py"
    script.write_text(export(case))
    done = subprocess.run([sys.executable, script, "--root", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout.startswith("cannot be told: "), done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exported.py", "secret.txt"]
    assert (tmp_path / "secret.txt").read_text() == "mine"


def test_what_is_left_out_is_said() -> None:
    text = (BUGS / "D08-slow-static-reader-blocks.toml").read_text()
    faults = """faults = [
        { cut = "sendfile", share = "half" },
        { cut = "send", most = 7, first = 3, every = 2, connection = 4 },
        { refuse = "accept", error = "EINTR" },
    ]
    """
    exported = export(parse(text.replace("steps = [", f"{faults}steps = [", 1), "a.toml"))
    for told in ("each sendfile moves half", "the 3. send, and every 2. after it, on connection 4 moves 7 at most",
                 "the 1. accept fails with EINTR"):  # fmt: skip
        assert f"# left out: {told}: only the checker can do it" in exported


HOSTILE = r'''
title = 'a""" + __import__("os").system("x") + """\'
about = '"""'
rule = "S4"
steps = [
    { client = "import", send = "\"\"\"\u0000'\\" },
    { client = "import", answer = "any" },
]
[files]
"/static/'); import os; ('" = 1
'''


def test_no_text_of_a_case_becomes_a_statement() -> None:
    tree = ast.parse(export(parse(HOSTILE, "a.toml")))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "__import__" not in names and "import_" in names
    assert ast.get_docstring(tree).startswith('a""" + __import__')


@pytest.mark.parametrize("name", ["NAMES", "CHANGED", "TREE"])
def test_an_odd_case_holds_on_the_reference(name: str, tmp_path: Path) -> None:
    """Names that collide; files that change before they are asked for; a tree in any order."""
    case = tmp_path / "odd.toml"
    case.write_text(globals()[name])
    code, said = exported.run(ROOT / "aws", case, tmp_path)
    if code == 77:
        pytest.skip(f"no network namespace here: {said}")
    assert (code, said) == (0, "right: the server did all that is expected here\n")


NAMES = """
title = "Names that are taken"
about = "Each of them is something else's."
rule = "S4"
steps = [
    { client = "descriptors", get = "/static/a.dat" },
    { client = "descriptors", answer = 200 },
    { remember = "descriptors" },
    { client = "a", receive_buffer = 8192, connect = 1 },
    { client = "a", get = "/static/large.dat" },
    { client = "a", wait = "stalled" },
    { client = "before-a", get = "/static/a.dat" },
    { client = "old", get = "/static/a.dat" },
    { change = "/static/large.dat", how = "replace", size = 100 },
    { client = "a", answer = 200 },
    { client = "before-a", answer = 200 },
    { client = "old", answer = 200 },
    { client = "random", get = "/static/large.dat" },
    { client = "random", answer = 200 },
    { compare = "descriptors" },
]
[files]
"/static/a.dat" = 2048
"/static/large.dat" = 8388608
"""


# A file that is empty, gone or another by the time it is asked for is not what it was made as.
CHANGED = """
title = "Files that change before they are asked for"
about = "An answer brings what is there then."
rule = "S4"
steps = [
    { change = "/static/a.dat", how = "empty" },
    { get = "/static/a.dat" },
    { answer = 200 },
    { client = "b", get = "/static/b.dat" },
    { client = "b", answer = 200, file = "/static/b.dat" },
    { change = "/static/b.dat", how = "remove" },
    { client = "c", get = "/static/b.dat" },
    { client = "c", answer = 404 },
    { change = "/static/b.dat", how = "replace", size = 77 },
    { client = "d", get = "/static/b.dat" },
    { client = "d", answer = 200 },
    { client = "e", get = "/static/a.dat" },
    { change = "/static/a.dat", how = "replace", size = 70 },
    { client = "e", answer = "any" },
    { client = "f", connect = 1, receive_buffer = 8192 },
    { client = "f", get = "/static/l/large.dat" },
    { client = "f", wait = "stalled" },
    { client = "f", receive = 1000 },
    { change = "/dynamic/large.dat", how = "append", size = 5 },
    { client = "g", get = "/static/l/large.dat" },
    { change = "/dynamic/large.dat", how = "replace", size = 6 },
    { client = "f", answer = 200 },
    { client = "g", answer = 200 },
    { client = "h", get = "/static/l/large.dat" },
    { client = "h", answer = 200, never = "/static/b.dat" },
    { client = "i", get = "/static/hole" },
    { client = "i", answer = 200 },
]
[files]
"/static/a.dat" = 2000
"/static/b.dat" = 20
"/static/b.dat.new" = 20
"/static/l" = { link = "../dynamic" }
"/dynamic/large.dat" = 8388608
"/static/hole" = { size = 9000, sparse = true }
"""

# Directories after what is in them, a socket whose path is longer than its address may be.
TREE = """
title = "A tree that is told from its end"
about = "The order of files is no matter."
rule = "S4"
steps = [
    { get = "/static/d/x/a.dat" },
    { answer = 200 },
    { client = "s", get = "/static/s" },
    { client = "s", answer = "refused" },
    { client = "t", get = "/static/tx" },
    { client = "t", answer = 200, ends = "any" },
    { client = "u", get = "/static/un" },
    { client = "u", answer = "refused", never = "/static/un" },
]
[files]
"/static/d/x/a.dat" = 2000
"/static/d/x" = { special = "directory" }
"/static/d" = { special = "directory" }
"/static/s" = { special = "socket" }
"/static/%s/s" = { special = "socket" }
"/static/tx" = { text = "abcdefghijkl" }
"/static/un" = { size = 100, unreadable = true }
""".replace("%s", "long" * 30)


def test_python_reads_what_is_put_together_of_many_parts() -> None:
    runs = ", ".join(['{ repeat = "x", times = 40 }, "ab"'] * 100)
    longer = '{ change = "/a + b\'+\' * 5", how = "append", size = 1 },\n' * 1500
    text = f"""title = "t"
about = "a"
rule = "S4"
steps = [
{{ send = [{runs}] }},
{{ client = "b", send = [{runs}] }},
{longer}{{ client = "c", send = "a" }},
{{ client = "c", answer = 200, file = "/a + b'+' * 5" }},
]
[files]
"/a + b'+' * 5" = 5
"/many" = {{ text = [
{(runs + "," + chr(10)) * 20}] }}
"""
    told = export(parse(text, "a.toml"))
    scope: dict[str, Any] = {"__name__": "exported"}
    exec(compile(told, "exported", "exec"), scope)  # noqa: S102
    assert scope["FILES"]["/many"] == (b"x" * 40 + b"ab") * 2000
    assert """contents("/a + b'+' * 5") + b'+' * 1500)""" in told


def test_no_two_things_of_an_exported_case_have_one_name() -> None:
    """Whatever clients are called: as Python's own words, as what the runtime defines, or as each other."""
    taken = all_names() | set(dir(builtins)) | set(keyword.kwlist) | set(keyword.softkwlist)
    spelled = {name.replace("_", "-") for name in taken if name == name.lower() and name[0] != "_"}
    spelled |= {f"{name}-" for name in spelled} | {f"{name}-2" for name in spelled}
    spelled |= {"case", "one", "root", "path", "old", "before-a", "a", "descriptors", "descriptors-before"}
    figures = tuple(step for figure in FIGURES for step in (Remember(figure), Compare(figure)))
    change = Change("/static/a.dat", "replace", 9)
    assert len(spelled) > 300
    gets = tuple(Get("/static/a.dat", client=name) for name in sorted(spelled))
    case = Case(title="t", about="a", rule="S4", steps=(*figures, *gets, change, *figures),
                files=(("/static/a.dat", File(9)),))  # fmt: skip
    function = next(node for node in ast.parse(export(case)).body if getattr(node, "name", "") == "case")
    bound = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert len(bound) == len(spelled) + len(FIGURES) + 1, "one for each client and figure, and for the old file"
    assert not bound & taken


# -- nothing is dropped silently ---------------------------------------------------------------------------------------

FILES = (("/static/a.dat", File(2000)), ("/static/b.dat", File(3000)), ("/secret.dat", File(44)))
SPLIT = Get("/static/a.dat", split=(9,))  # without its faults this is still a test
# What a key of each kind may be instead, and of those whose kind does not tell it.
OTHERWISE = {
    Integer: lambda kind: [kind.low + 1, kind.low + 2],
    Flag: lambda kind: [True],
    Word: lambda kind: kind.words,
    Target: lambda kind: ["/static/b.dat", "/secret.dat"],
    Data: lambda kind: [b"other", b"GET / HTTP/1.1\r\n\r\n"],
    Text: lambda kind: ["other"],
    Errno: lambda kind: ["EIO", "ENOMEM"],
    Either: lambda kind: [kind.number.low + 1, *kind.other.words],
    Pairs: lambda kind: [(("Server", "other"),)] if isinstance(kind.keys, Pattern) else [(), FILES[:1]],
    List: lambda kind: [(2, 5)] if isinstance(kind.kind, Integer) else
    [tuple(kind.kind.words[:1])] if isinstance(kind.kind, Word) else [("defect/no-head",)],
}  # fmt: skip
OTHER_PATTERN = {"client": "b", "get": "/static/b.dat", "rule": "S5"}
OTHER_TABLE = {"faults": ((), (Cut("send", most=3),)), "steps": ((SPLIT, Answer(404)),)}


def otherwise(one: dataclasses.Field) -> list[Any]:
    """Some values of a key. A new kind of value is none of these: KeyError."""
    name, kind = one.metadata["key"], one.metadata["kind"]
    if isinstance(kind, Pattern):
        return [OTHER_PATTERN[name]]
    if isinstance(kind, List) and isinstance(kind.kind, Table):
        return list(OTHER_TABLE[name])
    return list(OTHERWISE[type(kind)](kind))


def text(case: Case) -> str:
    """What is exported, or the reason why it is not."""
    try:
        return export(case)
    except Unfit as unfit:
        return f"refused: {unfit}"


def bases(cls: type) -> list[Any]:
    """Parts of this kind, of which each key is then made otherwise."""
    case = case_with(Cut("receive", share="half"))
    return {
        Answer: [Answer(expected, file, ends, head_only=head_only, never=never, client="a")
                 for expected, file, ends, head_only, never in itertools.product(
                     (200, 404, "refused", "any", "part", "either"), ("", "/static/a.dat"), ("fin", "server"),
                     (False, True), ("", "/secret.dat"))],
        Case: [case, replace(case, faults=()), case_with(Answer("part", client="a"))],
        Change: [Change("/static/a.dat", "append", 5), Change("/static/a.dat", "empty")],
        Compare: [Compare("threads")],
        Connect: [Connect(5, client="a")],
        Cut: [Cut("send", most=2)],
        File: [File(9), File(text=b"text"), File(9, sparse=True)],
        Get: [Get("/static/a.dat", client="a")],
        Hold: [Hold("reads")],
        Link: [Link("a")],
        Receive: [Receive(9, client="a")],
        Refuse: [Refuse("send", "EINTR")],
        Release: [Release("all")],
        Remember: [Remember("threads")],
        Send: [Send(b"what?\r\n", client="a")],
        ServerStep: [ServerStep("idle")],
        Special: [Special("fifo")],
        Wait: [Wait("accepted", client="a")],
    }.get(cls) or [cls(True, client="a")]  # fmt: skip  # of the others `true` is all that they say


def case_with(part: Any) -> Case:
    """A case that has this part: a step, a fault, something of the tree."""
    case = Case(title="t", about="a", rule="S4", files=FILES, steps=(SPLIT, Answer(200)))
    if isinstance(part, Case):
        return part
    if isinstance(part, Cut | Refuse | Hold):
        return replace(case, faults=(part,))
    if isinstance(part, File | Link | Special):
        return replace(case, files=(*FILES, ("/static/x.dat", part)))
    steps = [Remember(figure) for figure in FIGURES]
    if not isinstance(part, Connect | Send | Get):
        steps += [Get("/static/b.dat", client="b"), Get("/static/a.dat", split=(9,), client="a")]
    steps += [part, ServerStep("continue")] if part == ServerStep("stop") else [part]
    held = isinstance(part, Release) or part == ServerStep("reading")
    return replace(case, faults=(Hold("reads"),) if held else (), steps=tuple(steps))


def sound(case: Case) -> bool:
    """Whether a case file can say that."""
    try:
        from_table(write_fields(case))
    except Bad:
        return False
    return True


KEYED = [*VERBS.values(), Cut, Refuse, Hold, *Entry.__args__, Case]


@pytest.mark.parametrize("cls", examples(KEYED, lambda cls: cls is not Answer), ids=lambda cls: cls.__name__)
def test_no_key_of_a_case_is_dropped_silently(cls: type) -> None:
    """Whatever else a case says, each of its keys changes the exported file, by a statement or by a comment; or the
    case is refused. The keys are the schema's own, so that a new one must be thought of here."""
    tried = set()
    for base in filter(lambda base: sound(case_with(base)), bases(cls)):
        before = text(case_with(base))
        for one in dataclasses.fields(cls):
            for value in otherwise(one):
                other = case_with(replace(base, **{one.name: value}))
                if value == getattr(base, one.name) or not sound(other):
                    continue
                tried.add(one.name)
                changed = text(other)
                assert changed != before or changed.startswith("refused: "), f"{base}: {one.name} = {value!r}"
                if not changed.startswith("refused: "):
                    compile(changed, "exported.py", "exec")
    only = {Hold: {"what"}, Silence: {"flag"}, HalfClose: {"flag"}, Reset: {"flag"}, Close: {"flag"}}  # have one value
    assert tried == {one.name for one in dataclasses.fields(cls)} - only.get(cls, set())


# -- the same verdict as a replay's ------------------------------------------------------------------------------------

LIAR = """
import contextlib, socket, sys, time
answer, ends, kept = bytes.fromhex(sys.argv[1]), sys.argv[2], []
if ends == "both":
    listener = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
else:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
while True:
    client = listener.accept()[0]
    with contextlib.suppress(OSError):
        got = b""
        while b"\\r\\n\\r\\n" not in got and (piece := client.recv(4096)):
            got += piece
        client.sendall(answer)
        for _ in range(2000 if ends == "drips" else 0):
            client.sendall(b"x")
            time.sleep(0.01)
    kept += [client] if ends in ("stays", "both") else []
    client = None
"""
SECRET = "for nobody outside: 4711 and the rest of it"
OK = "HTTP/1.1 200 OK\r\n"
# What a server answers to whatever it is asked, what a case expects, and whether that is right.
VERDICTS = {
    "a 404 with a secret": (f"HTTP/1.1 404 No\r\n\r\n{SECRET}", {"answer": 404, "never": "/secret.txt"}, 1),
    "a 404 without": ("HTTP/1.1 404 No\r\n\r\nno", {"answer": 404, "never": "/secret.txt"}, 0),
    "a refusal and a secret": (f"HTTP/1.1 500 X\r\n\r\n{SECRET}", {"answer": "refused", "never": "/secret.txt"}, 1),
    "a secret in the head": (f"{OK}X: {SECRET}\n\r\n\r\n", {"answer": "any", "never": "/secret.txt"}, 1),
    "a secret and a part": (f"{OK}\r\nb{SECRET}", {"answer": "part", "file": "/secret.txt", "never": "/secret.txt"}, 1),
    "a secret's second half": (f"{OK}\r\n{SECRET[16:32]}", {"answer": "any", "never": "/secret.txt"}, 1),
    "a part": (f"{OK}Content-Length: 9\r\n\r\nbod", {"answer": "part", "file": "/static/b.txt"}, 0),
    "no part": (f"{OK}\r\nbad", {"answer": "part", "file": "/static/b.txt"}, 1),
    "a part of a head": ("HTTP", {"answer": "part", "file": "/static/b.txt"}, 0),
    "no part of a head": ("HTML", {"answer": "part", "file": "/static/b.txt"}, 1),
    "no part, but another status": ("HTTP/1.1 302 X\r\n\r\n", {"answer": "part", "file": "/static/b.txt"}, 1),
    "a part of what is not there": ("HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nbad", {"answer": "part"}, 0),
    "no part of what is not there": (f"{OK}\r\nbad", {"answer": "part"}, 1),
    "no part, but a 404": ("HTTP/1.1 404 No\r\n\r\nbad", {"answer": "part", "file": "/static/b.txt"}, 0),
    "either, whole": (f"{OK}\r\nbody\n", {"answer": "either", "file": "/static/b.txt"}, 0),
    "either, other bytes": (f"{OK}\r\nbodi\n", {"answer": "either", "file": "/static/b.txt"}, 1),
    "either, of no file": (f"{OK}\r\nbody\n", {"answer": "either"}, 1),
    "no number": ("HTTP/1.1 404x\r\n\r\n", {"answer": 404}, 0),
    "four digits": ("HTTP/1.1 4040 No\r\n\r\n", {"answer": 404}, 1),
    "a head without an end": ("HTTP/1.1 404 No\r\n", {"answer": 404}, 1),
    "a length that is no number": ("HTTP/1.1 404 No\r\nContent-Length: x\r\n\r\nno", {"answer": 404}, 0),
    "many digits": (f"HTTP/1.1 404 No\r\nContent-Length: {'9' * 5000}\r\n\r\n", {"answer": 404}, 0),
    "a wrong length": ("HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nno", {"answer": 404}, 1),
    "another length": (f"{OK}Content-Length: 4\r\n\r\nbody\n", {"answer": 200, "file": "/static/b.txt"}, 1),
    "the same, of an end that is no matter":
        (f"{OK}Content-Length: 04\r\n\r\nbody\n", {"answer": 200, "file": "/static/b.txt", "ends": "any"}, 0),
    "a head alone": (f"{OK}\r\nbody", {"answer": 200, "head_only": True, "file": "/static/a.dat"}, 0),
    "no head at all": ("what", {"answer": "any", "head_only": True}, 1),
    "a field": (f"{OK}connection: CLOSE\r\n\r\n", {"answer": "any", "fields": {"Connection": "close"}}, 0),
    "a blank": (f"{OK}Connection : close\r\n\r\n", {"answer": "any", "fields": {"Connection": "close"}}, 1),
    "a right head": (f"{OK}Content-Length: 0\r\nX:\r\n\r\n", {"answer": "any", "grammar": True}, 0),
    "a lone LF": (f"{OK}A: b\nC: d\r\n\r\n", {"answer": "any", "grammar": True}, 1),
    "no field": (f"{OK}what\r\n\r\n", {"answer": "any", "grammar": True}, 1),
    "one field twice": (f"{OK}Date: x\r\nDate: y\r\n\r\n", {"answer": 200, "head_only": True, "grammar": True}, 1),
    "a reason with a field": ("HTTP/1.1 200 Server: x\r\n\r\n", {"answer": "any", "grammar": True}, 1),
    "no blank after the status": ("HTTP/1.1 200\r\n\r\n", {"answer": "any", "grammar": True}, 1),
    "it closes":
        (f"{OK}Content-Length: 5\r\n\r\nbody\n", {"answer": 200, "file": "/static/b.txt", "ends": "server"}, 0),
    "stays: it does not close":
        (f"{OK}Content-Length: 5\r\n\r\nbody\n", {"answer": 200, "file": "/static/b.txt", "ends": "server"}, 1),
    "stays: no end": (f"{OK}Content-Length: 5\r\n\r\nbody\n", {"answer": 200, "file": "/static/b.txt"}, 1),
    "stays: an end that is no matter":
        (f"{OK}Content-Length: 5\r\n\r\nbody\n", {"answer": 200, "file": "/static/b.txt", "ends": "any"}, 0),
    "stays: a part has no end":
        (f"{OK}Content-Length: 5\r\n\r\nbod", {"answer": "part", "file": "/static/b.txt"}, 1),
    "so much": (f"{OK}\r\nbody", {"receive": 21}, 0),
    "less": (f"{OK}\r\nbody", {"receive": 24}, 1),
    "silence": ("", {"silence": True}, 1),
    "stays: silence": ("", {"silence": True}, 0),
    "stays: no silence": ("x", {"silence": True}, 1),
}  # fmt: skip


@contextlib.contextmanager
def liar(answer: bytes, ends: str) -> Iterator[int]:
    """A server that answers so whatever it is asked, and closes, or `stays` (at an address of IPv6 and of IPv4, too:
    `both`), or `drips`: sends a byte now and then for 20 s; its port."""
    line = [sys.executable, "-c", LIAR, answer.hex(), ends]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield int(server.stdout.readline())
        finally:
            server.kill()


def run_at(port: int, case: Case, folder: Path, longest: str = "300.0") -> tuple[int, str]:
    """Run what is exported of a case against the server at a port, for so many seconds for one connection; exit code
    and output."""
    script, site = folder / "exported.py", folder / "exported"
    script.write_text(export(case).replace("LONGEST = 300.0", f"LONGEST = {longest}"))
    site.mkdir()
    line = [sys.executable, "-I", "-S", script, "--port", str(port), "--root", site]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert not list(site.iterdir()), "what was made is removed"
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", VERDICTS)
def test_an_exported_case_judges_as_its_replay_does(name: str, tmp_path: Path) -> None:
    answer, step, right = VERDICTS[name]
    files = {"/secret.txt": SECRET, "/static/b.txt": "body\n", "/static/a.dat": 2000}
    case = from_table({"title": "t", "about": "a", "rule": "S4", "files": files,
                       "steps": [{"get": "/nothing"}, step]})  # fmt: skip
    (tmp_path / "replayed").mkdir()
    with liar(answer.encode(), name.partition(":")[0]) as port:
        code, said = run_at(port, case, tmp_path)
        replayed = play(case, PortTarget(port, tmp_path / "replayed"))
    assert replayed.outcome is (Outcome.PASSED, Outcome.FAILED)[right], replayed.failure
    assert (code, said[:7]) == (right, ("right: ", "WRONG: ")[right]), said


def test_who_sends_a_byte_now_and_then_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    steps = [{"get": "/a"}, {"answer": 404}]
    with liar(b"HTTP/1.1 404 No\r\nContent-Length: 100000\r\n\r\n", "drips") as port:
        case = from_table({"title": "t", "about": "a", "rule": "S4", "steps": steps})
        code, said = run_at(port, case, tmp_path, longest="0.3")
    assert code == 1 and "after 0.3 s there was still more to come" in said, said


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no socket here can listen for IPv4 and IPv6")
def test_a_server_that_listens_for_ipv6_too_is_seen(tmp_path: Path) -> None:
    """The kernel lists its connections among those of IPv6, whatever the client speaks."""
    steps = [{"get": "/a"}, {"wait": "accepted"}, {"answer": "any"}]
    with liar(f"{OK}Content-Length: 0\r\n\r\n".encode(), "both") as port:
        code, said = run_at(port, from_table({"title": "t", "about": "a", "rule": "S4", "steps": steps}), tmp_path)
    assert (code, said[:7]) == (0, "right: "), said


def test_a_server_that_was_stopped_goes_on_after_a_failure(tmp_path: Path) -> None:
    """Its queue is full while it stands still, so the clients that come then fail: it must not stand still for ever."""
    steps = [{"server": "stop"}, {"connect": 200}, {"server": "continue"}]
    with liar(b"answer", "closes") as port:
        code, said = run_at(port, from_table({"title": "t", "about": "a", "rule": "S4", "steps": steps}), tmp_path)
        assert code == 1 and "cannot connect" in said, said
        with socket.create_connection(("127.0.0.1", port), timeout=LINE_S) as client:
            client.sendall(b"\r\n\r\n")
            assert client.recv(100) == b"answer"


# -- a line for a shell ------------------------------------------------------------------------------------------------


def test_a_line_for_a_shell_shows_the_same() -> None:
    line = curl(read(BUGS / "D02-dots-lead-out.toml"))
    options = "--noproxy 127.0.0.1 --path-as-is --include --output -"
    assert line == f"curl {options} 'http://127.0.0.1:8888/static/../secret.txt'"
    with pytest.raises(Unfit):
        curl(read(BUGS / "D11-target-in-two-pieces.toml"))


LINE_S = 20  # an end for what hangs, no verdict
HEAD = "HTTP/1.1\r\nHost: localhost\r\n\r\n"
ASKED = [
    {"get": "/static/{a,b}.dat"},
    {"get": "/static/[1-3].dat"},
    {"get": "/static/a.dat?x={1,2}&y=~*"},
    {"get": "/static/a'b\"c`d$e\\f.dat"},
    {"get": "/static/%2e%2e/a%00.dat"},
    {"get": "/../..//./a/../secret.dat"},
    {"get": "//static/a.dat"},
    {"get": "/static/#x"},
    {"get": "/#"},
    {"send": "-x\r\n\r\n"},
    {"send": "--\r\n\r\n"},
    {"send": "%s %d %% \\n \\101 \r\n\r\n"},
    {"send": f"GET /static/a b.dat {HEAD}"},
    {"send": f"GET /static/\u00e4\u00ff\u0080.dat {HEAD}"},
    {"send": f"HEAD /static/a.dat {HEAD}"},
    {"send": "GET /static/../secret.dat HTTP/1.0\r\n\r\n"},
    {"send": "a\u00001'2\n\t!!"},
    {"send": ["GET /", {"repeat": "%'-", "times": 3000}, f" {HEAD}"]},
    {"send": [{"repeat": "-", "times": 40}, {"repeat": "\u00001", "times": 33}]},
]  # fmt: skip


def asked(step: dict[str, Any]) -> tuple[Case, bytes]:
    """A case of this step, and what it sends."""
    case = from_table({"title": "t", "about": "a", "rule": "S4", "steps": [step, {"answer": "any"}]})
    (first, _) = case.steps
    return case, first.data if isinstance(first, Send) else request_bytes(first.target)


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("step", ASKED, ids=str)
def test_a_line_for_a_shell_sends_the_same(step: dict[str, Any], shell: str) -> None:
    """Run it: one connection comes, with the very bytes (of curl the very request line: its fields are its own)."""
    case, wanted = asked(step)
    line = curl(case)
    tool = "curl" if line.startswith("curl ") else "nc"
    for name in (tool, shell):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
    end = None if tool == "nc" else wanted.index(b"\r\n")
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        listener.settimeout(LINE_S)
        line = line.replace("8888", str(listener.getsockname()[1]))
        away = {**os.environ, "http_proxy": "http://127.0.0.1:9"}  # a proxy is not asked for this machine
        running = stack.enter_context(subprocess.Popen([shell, "-c", line], start_new_session=True, env=away,
                                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE))  # fmt: skip
        stack.callback(end_group, running)
        client, _ = listener.accept()
        client.settimeout(LINE_S)
        came = b""
        while not (len(came) >= len(wanted) if tool == "nc" else b"\r\n\r\n" in came) and (piece := client.recv(65536)):
            came += piece
        client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        came += b"".join(iter(lambda: client.recv(65536), b""))  # and no more comes
        client.close()
        assert came[:end] == wanted[:end]
        listener.setblocking(False)
        try:
            said, errors = running.communicate(timeout=LINE_S)
            assert b"404 Not Found" in said, errors
        finally:
            with pytest.raises(BlockingIOError):  # nobody else has come
                listener.accept()


def end_group(shell: subprocess.Popen[bytes]) -> None:
    """End a shell and what it runs, if it has not ended."""
    if shell.poll() is None:
        os.killpg(shell.pid, signal.SIGKILL)


@pytest.mark.parametrize("step", [step for step in ASKED if "send" in step or "#" in step["get"]], ids=str)
def test_what_a_line_gives_to_nc_is_what_the_case_sends(step: dict[str, Any]) -> None:
    """Where there is no nc, too, and of the shell that the system has."""
    case, wanted = asked(step)
    line, pipe, _ = curl(case).rpartition(" | timeout 5 nc ")
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert pipe and (done.stdout, done.stderr) == (wanted, b"")
