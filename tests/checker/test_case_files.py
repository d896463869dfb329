"""Case files: read, refused with line and field, written again; and what a hostile one may not say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from awskit.cases import case as cases
from awskit.cases import places
from awskit.cases.play import _DO
from awskit.cases.read import TEXT_MOST, BadCase, parse, read
from awskit.cases.write import to_text
from grading import ROOT

PLAIN = """\
title = "A request in two pieces"
about = "The second half comes when the first was received. Who parses the first alone answers 404."
rule = "S4"
# FAULTS
steps = [
    { get = "/static/a.dat", split = [20] },  # STEP
    { answer = 200 },
]

[files]
"/static/a.dat" = 2048
# FILE
"""


def refusal(**changes: str) -> str:
    """Why the plain case is refused when these lines are put in (`step`: after the first step)."""
    text = PLAIN.replace("  # STEP", f"\n    {changes['step']}," if "step" in changes else "")
    text = text.replace("# FILE", changes.get("file", "")).replace("# FAULTS", changes.get("top", ""))
    with pytest.raises(BadCase) as refused:
        parse(text, "a.toml")
    return str(refused.value)


def test_its_rule_is_one_of_the_contract() -> None:
    with pytest.raises(BadCase, match=r"a.toml:\d+: rule: there is no rule S99; awscheck explain lists them"):
        parse(PLAIN.replace('"S4"', '"S99"'), "a.toml")


def test_the_plain_case_is_read_as_it_says() -> None:
    case = parse(PLAIN, "a.toml")
    assert case.steps == (cases.Get(target="/static/a.dat", split=(20,)), cases.Answer(expected=200))
    assert case.files == (("/static/a.dat", cases.File(size=2048)),)


EVERY_STEP = """
{ client = "a", connect = 3, receive_buffer = 8192 }
{ client = "a", send = ["GET /\\u0000\\u00ff\\r\\n", { repeat = "x", times = 9000 }, "\\"'"], split = [1, 5] }
{ client = "a", get = "/static/a.dat", each = true }
{ client = "a", receive = 100 }
{ client = "a", wait = "stalled" }
{ client = "a", silence = true }
{ client = "a", half_close = true }
{ client = "a", answer = "refused", file = "/static/a.dat", ends = "any", grammar = true, never = "/static/a.dat" }
{ client = "a", answer = 404, fields = { Connection = "close", "X-Y" = "1" } }
{ client = "a", close = true }
{ client = "b", connect = 1 }
{ client = "b", get = "/static/a.dat" }
{ client = "b", answer = "part" }
{ client = "b", reset = true }
{ server = "reading" }
{ change = "/static/a.dat", how = "replace", size = 5 }
{ release = 2, last_first = true, error = "EIO" }
{ release = "all" }
{ remember = "contexts" }
{ compare = "contexts", more = 3 }
"""
EVERY_FILE = """
"/static/text" = "one\\nline"
"/static/sparse" = { size = 300000000, sparse = true }
"/static/secret" = { size = 10, unreadable = true }
"/static/link" = { link = "../dynamic/x" }
"/static/pipe" = { special = "fifo" }
"""
EVERY_FAULT = """
faults = [
    { cut = "send", share = "half" }, { cut = "receive", most = 7, first = 3, every = 0, connection = 2 },
    { refuse = "accept", error = "EINTR", every = 2 }, { refuse = "send", error = "EPIPE", first = 3, connection = 1 },
    { hold = "reads", first = 2 },
]
fault_set = "course"
shows = ["defect/a-b"]
seed = 7
may_miss = true
unserved = 3
"""


def test_everything_that_can_be_said_is_written_as_it_was_read() -> None:
    steps = ",\n".join(EVERY_STEP.strip().splitlines())
    text = PLAIN.replace("  # STEP", f"\n{steps},").replace("# FILE", EVERY_FILE).replace("# FAULTS", EVERY_FAULT)
    case = parse(text, "a.toml")
    assert {type(step) for step in case.steps} == set(cases.VERBS.values())
    assert parse(to_text(case), "again.toml") == case


def test_every_verb_is_played() -> None:
    assert set(_DO) == set(cases.VERBS.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": '{ send = 5 }'}, "a.toml:7: steps[1].send: must be text in which each character is one byte"),
        ({"step": '{ send = "\u0416" }'}, "a.toml:7: steps[1].send: must be text in which each character is one byte"),
        ({"step": '{ send = "" }'}, "a.toml:7: steps[1].send: must be one byte at least"),
        ({"step": '{ send = [{ repeat = "x", times = 0 }] }'}, "a.toml:7: steps[1].send[0].times: must be a whole"),
        ({"step": '{ snd = "x" }'}, "a.toml:7: steps[1].snd: a step has one of the keys connect, send, get,"),
        ({"step": '{ split = [1] }'}, "a.toml:7: steps[1]: a step has one of the keys connect, send, get,"),
        ({"step": '{ close = true, reset = true }'}, "a.toml:7: steps[1]: a step does one thing, and this one has"),
        ({"step": '{ answer = 99 }'}, "a.toml:7: steps[1].answer: must be a whole number from 100 to 599, not 99"),
        ({"step": '{ answer = "good" }'}, "a.toml:7: steps[1].answer: must be one of refused, any, part"),
        ({"step": '{ answer = 200, file = "/static/b" }'}, "a.toml:7: steps[1].file: /static/b is no file of the tree"),
        ({"step": '{ client = "b", answer = 200 }'}, "a.toml:7: steps[1].client: b is not connected"),
        ({"step": '{ close = true }'}, "a.toml:8: steps[2].client: client has left by steps[1]"),
        ({"step": '{ get = "/x", split = [9, 8] }'}, "a.toml:7: steps[1].split: must be rising positions"),
        ({"step": '{ wait = "released" }'}, "a.toml:7: steps[1].wait: client has not left"),
        ({"step": '{ release = "all" }'}, "a.toml:7: steps[1]: no reads are held"),
        ({"step": '{ server = "stop" }'}, "a.toml:8: steps[2]: the server is stopped"),
        ({"step": '{ compare = "memory" }'}, "a.toml:7: steps[1].compare: no step remembers memory"),
        ({"step": '{ close = false }'}, "a.toml:7: steps[1].close: is `true` or is not there at all, and not False"),
        ({"file": '"/static/b" = { size = 1, colour = 2 }'}, "a.toml:12: files.'/static/b'.colour: there is no such"),
        ({"file": '"/static/b" = { size = 1, text = "x" }'}, "a.toml:12: files.'/static/b': must have one of the keys"),
        ({"top": 'faults = [{ cut = "sned" }]'}, "a.toml:4: faults[0].cut: must be one of receive, send,"),
        ({"top": 'faults = [{ refuse = "send", error = "EWHAT" }]'}, "a.toml:4: faults[0].error: must be the name of"),
        ({"top": 'faults = [{ cut = "send", most = 1, first = 0 }]'}, "a.toml:4: faults[0].first: must be a whole"),
        ({"top": 'faults = [{ cut = "send", most = 1, connection = 0 }]'},
         "a.toml:4: faults[0].connection: must be a whole number from 1 to 1,000, not 0"),
        ({"top": 'faults = [\n{ cut = "aio", most = 1, connection = 2 }]'}, "a.toml:5: faults[0].connection: only"
         " receive, send and sendfile are calls on a connection; leave it out, or name one of these"),
        ({"top": 'faults = [\n{ refuse = "accept", error = "EINTR", connection = 2 }]'},
         "a.toml:5: faults[0].connection: only receive,"),
        ({"top": 'faults = [{ hold = "reads", every = 2 }]'}, "a.toml:4: faults[0].every: there is no such key here;"
         " known are hold, first; fixtures/bugs/README.md says under Faults what each does, and why none delays"),
        ({"top": 'faults = [{ cut = "send", most = 1, delay = 5 }]'}, "a.toml:4: faults[0].delay: there is no such key"
         " here; known are cut, most, share, first, every, connection; fixtures/bugs/README.md says under Faults what"),
        ({"top": 'faults = [{ delay = "send" }]'}, "a.toml:4: faults[0]: must have one of the keys cut, refuse and"
         " hold; fixtures/bugs/README.md says under Faults what each does, and why none delays a call"),
        ({"top": 'faults = [{ hold = "reads" }, { hold = "reads", first = 2 }]'}, "a.toml:4: faults[1]: reads are"),
        ({"top": 'rules = "S4"'}, "a.toml:4: rules: there is no such key here"),
        ({"top": 'evidence = ["aio"]\ndescriptors = 40'}, "a.toml:4: evidence: evidence is taken without faults"),
        ({"top": "seed = "}, "a.toml:4: no TOML: Invalid value at column 8; a text stands in quotes"),
        ({"top": "seed = " + "9" * 5000}, "a.toml:4: a number of thousands of digits"),
        ({"step": '{ answer = 200,\n file = "/static/a.dat" }'}, "a.toml:7: no TOML: "),
        ({"step": '{ receive = 5 }\n{ receive = 6 }'}, "a.toml:8: no TOML: Unclosed array at column 1; is"),
        ({"step": '{ release = "al" }'}, "a.toml:7: steps[1].release: must be one of all, not 'al', and no whole"),
        ({"file": '"/static/b" = { text = "x", sparse = true }'}, "a.toml:12: files.'/static/b'.sparse: a file with a"),
        ({"top": "unserved = 1"}, 'a.toml:4: unserved: there is no answer = "part"'),
        ({"file": '"/static/b" = "5 MiB"'}, "a.toml:12: files.'/static/b': a size is a number of bytes"),
        ({"step": '{ get = "/static/none" }, { answer = 200 }'}, "a.toml:7: steps[2].answer: what was"),
        ({"step": '{ get = "/static/%61.dat" }, { answer = 200 }'}, "a.toml:7: steps[2].answer: what was"),
        ({"step": '{ client = "b", send = "x" }, { client = "b", answer = "part" }'}, "a.toml:7: steps[2].answer: "),
        ({"step": '{ answer = 200, head_only = true, ends = "server" }'}, "a.toml:7: steps[1].ends: who reads"),
        ({"step": '{ answer = 200, head_only = true, never = "/static/a.dat" }'}, "a.toml:7: steps[1].never: who"),
        ({"step": '{ answer = 404, never = "/static/b" }', "file": '"/static/b" = 0'}, "a.toml:7: steps[1].never: /s"),
        ({"step": '{ answer = 404, never = "/static/b" }', "file": '"/static/b" = { size = 9, sparse = true }'},
         "a.toml:7: steps[1].never: /static/b has no bytes of its own"),
        ({"step": '{ change = "/static/a.dat", how = "remove" }, { change = "/static/a.dat", how = "empty" }'},
         "a.toml:7: steps[2].change: /static/a.dat was removed by steps[1]"),
        ({"step": '{ change = "/static/a.dat", how = "remove" }, { get = "/static/a.dat" }, { answer = 200 }'},
         "a.toml:7: steps[3].answer: what was asked for is no file of the tree"),
        ({"file": "faults = []"}, "a.toml:12: files.faults: stands below [files], whose end is the end of the file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_line_and_field(change: dict[str, str], said: str) -> None:
    assert refusal(**change).startswith(said)


@pytest.mark.parametrize(
    "entry",
    [
        '"/../x" = 1',
        '"/static/../../x" = 1',
        '"static/x" = 1',
        '"//etc/x" = 1',
        '"/static/./x" = 1',
        '"/static/a\\u0000b" = 1',
        '"/" = 1',
        '"/static/l" = { link = "/etc/passwd" }',
        '"/static/l" = { link = "../../etc/passwd" }',
        '"/static/l" = { link = "../static/../../etc" }',  # over a link that leads elsewhere it climbs farther
        '"/l" = { link = ".." }',
        '"/static/l" = { link = "sub" }\n"/static/l/x" = 1',
        '"/static/a.dat/x" = 1',
        '"/static/d" = { special = "device" }',
    ],
)
def test_a_case_does_not_leave_its_tree(entry: str) -> None:
    assert refusal(file=entry).startswith("a.toml:12:") or refusal(file=entry).startswith("a.toml:13:")


@pytest.mark.parametrize(
    "change",
    [
        {"file": '"/static/b" = 300000000'},
        {"file": '"/static/b" = { size = 90000000000, sparse = true }'},
        {"file": "\n".join(f'"/static/b{n}" = 250000000' for n in range(5))},
        {"file": "\n".join(f'"/static/b{n}" = 1' for n in range(300))},
        {"step": '{ send = [{ repeat = "xxxxxxxxxxxxxxxx", times = 1000000000000 }] }'},
        {"step": '{ client = "b", connect = 1000000 }'},
        {"step": ", ".join(f'{{ client = "b{n}", connect = 300 }}' for n in range(4))},
        {"step": '{ client = "b", connect = 300 }, { client = "b", send = [{ repeat = "x", times = 1000000 }] }'},
        {"step": '{ client = "b", send = [{ repeat = "x", times = 20000 }], each = true }'},
        {"step": ", ".join(f'{{ client = "b{n}", send = "{"x" * 7000}", each = true }}' for n in range(3))},
        {"step": ", ".join(["{ receive = 1 }"] * 2001)},
        {"step": '{ receive = 100000000000 }'},
        {"step": '{ client = "b", connect = 300 }, { client = "b", receive = 10000000 }'},
        {"step": '{ client = "b", get = "/x" }, { client = "b", answer = 200 }',
         "file": '"/x" = { size = 8000000000, sparse = true }'},
        {"top": "descriptors = 1"},
        {"top": 'faults = [' + '{ cut = "send" },' * 17 + "]"},
        {"top": "x = " + "[" * 5000 + "]" * 5000},
    ],
)  # fmt: skip
def test_a_case_is_bounded(change: dict[str, str]) -> None:
    assert refusal(**change)


def test_a_case_names_no_address() -> None:
    """There is no key for one, anywhere: a client reaches the server that is replayed on, and no other."""
    classes = [cases.Case, *cases.VERBS.values(), *cases.Entry.__args__, *cases.Fault.__args__]
    keys = {field.metadata["key"] for one in classes for field in dataclasses.fields(one)}
    assert not keys & {"host", "address", "port", "url", "unix", "path", "command", "run", "environment"}


def test_a_long_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_bytes(b"#" * (TEXT_MOST + 1))
    with pytest.raises(BadCase, match="longer than"):
        read(path)


def test_the_line_of_every_value_is_found() -> None:
    text = 'a = 1\n# [no]\n[t."x.y"]\nb = """\n]\n"""\nc.d = [\n  { e = "}" }, # ,\n  2,\n]\n[[r]]\n'
    text += "f = '['\n[[r]]\ng=2"
    found = places.lines(text)
    assert found["a",] == 1 and found["t", "x.y"] == 3 and found["t", "x.y", "b"] == 4
    assert found["t", "x.y", "c", "d", 0, "e"] == 8 and found["t", "x.y", "c", "d", 1] == 9
    assert found["r", 0, "f"] == 12 and found["r", 1, "g"] == 14


def test_the_lines_of_all_our_cases_are_found() -> None:
    for path in (ROOT / "fixtures" / "bugs").glob("*.toml"):
        text, found = path.read_text(), places.lines(path.read_text())
        for number, step in enumerate(read(path).steps):
            line = text.splitlines()[found["steps", number] - 1]
            assert line.strip().startswith("{"), f"{path.name}: {line} ({step})"
