"""The corpus of requests in `fixtures/requests`, one file a request; their README says what each line means.

A submission is judged by groups of them: `request.GROUP` sends the group's requests to one server, one after another,
and stops at the first that goes wrong. `exact.NAME` holds the reference to its one answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..bench import Bench
from ..model import Failure, check
from ..reply import Ending, Reply

FOLDER = Path(__file__).resolve().parents[3] / "fixtures" / "requests"
RULES = ("S13", "S14")
ELSEWHERE = "elsewhere"  # the group that is none

# The documents that the fixtures assume, each with a size of its own.
DOCUMENTS = {
    "/static/f": 700,
    "/dynamic/f": 900,
    "/static/empty": 0,
    "/dynamic/empty": 0,
    "/static/with space": 301,
    "/static/é": 302,
    "/static/static": 303,
    "/static/sub/deep.dat": 304,
    "/secret": 305,
    "/staticx/f": 306,
}

_ESCAPE = re.compile(rb"\\(?:([rnt\\])|x([0-9a-f]{2})|\(([A-Za-z0-9])\*(\d+)\))")
_LETTER = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}


@dataclass(frozen=True)
class Fixture:
    """A request with its verdicts: `parser`, `expect`, `submission` and `group` are the texts of these lines."""

    name: str
    title: str
    parser: str
    expect: str
    submission: str
    group: str
    data: bytes


def unescape(text: bytes) -> bytes:
    """The bytes that a line after `---` stands for."""

    def one(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return _LETTER[match[1]]
        return bytes.fromhex(match[2].decode()) if match[2] else match[3] * int(match[4])

    return _ESCAPE.sub(one, text)


def read_fixture(path: Path) -> Fixture:
    """Read one `.req` file; ValueError with its name if it is not one."""
    head, separator, body = path.read_bytes().partition(b"\n---\n")
    lines = head.decode().splitlines()
    verdicts = dict(line.split(": ", 1) for line in lines if not line.startswith("#"))
    if not separator or set(verdicts) != {"parser", "expect", "submission", "group"}:
        raise ValueError(f"{path}: no request fixture")
    title = next(line for line in lines if line.startswith("# "))[2:]
    data = b"".join(unescape(line) for line in body.split(b"\n"))
    return Fixture(path.stem, title, data=data, **verdicts)


def expect_group(bench: Bench, group: str) -> None:
    """The server does with each request of the group what a submission may do, and is well afterwards."""
    prepare(bench)
    for fixture in FIXTURES:
        if fixture.group != group:
            continue
        try:
            _expect_allowed(bench, fixture)
        except Failure as failure:
            failure.reason = f"request {fixture.name} ({fixture.title.rstrip('.')}): {failure.reason}"
            raise


def prepare(bench: Bench) -> None:
    """Make the documents that the fixtures assume."""
    for target, size in DOCUMENTS.items():
        bench.tree.file(target, size)


def _expect_allowed(bench: Bench, fixture: Fixture) -> None:
    """What a submission may do."""
    verdict, _, path = fixture.submission.partition(" ")
    target = path if path.startswith("/") else f"/{path}"
    if verdict == "ANY":
        # Nothing is asked of the answer, and it may keep us waiting: look for it, do not wait for it.
        with bench.connect() as client:
            client.send(fixture.data)
            bench.expect_well("it was sent")
            client.drain()
        return
    reply = bench.ask(fixture.data, target if path else None)
    if verdict == "E200":
        reply.should(answer="either", file=target)
    if verdict == "F200" or verdict == "E200" and reply.status == 200:
        bench.expect_file(reply, target)
    elif verdict == "N404":
        bench.expect_404(reply, "it was sent")
    else:
        assert verdict in ("REF", "E200"), f"{fixture.name}: {verdict}"
        bench.expect_nothing_of(reply, secret(bench), "it was sent")
        bench.expect_refusal(reply, "it was sent")
    bench.expect_well("it was sent")


def secret(bench: Bench) -> bytes:
    """Bytes of the file beside the two folders, which no answer may hold."""
    content = bench.tree.content("/secret")
    assert content is not None, "the fixtures' documents are not made"
    return content.read(0, 32)


def _send(bench: Bench, fixture: Fixture, document: str | None) -> Reply:
    """Send it whole; where the head is not complete, end the sending side, or the server would wait on."""
    prepare(bench)
    with bench.connect() as client:
        client.send(fixture.data)
        if fixture.parser == "more":
            client.half_close()
        return bench.read(client, document)


def _expect_exactly(bench: Bench, fixture: Fixture) -> None:
    """What the reference does: the one answer, and the end by FIN."""
    verdict, _, path = fixture.expect.partition(" ")
    target = path if path.startswith("/") else f"/{path}"
    reply = _send(bench, fixture, target if path else None)
    status = {"200": 200, "200-head": 200, "404": 404, "404-head": 404, "close": None}[verdict]
    if reply.status != status or verdict == "close" and not reply.empty:
        bench.fail(reply, f"{fixture.title}: {reply.outline()}", expected=fixture.expect)
    if verdict == "200":
        bench.expect_file(reply, target)
    elif verdict.endswith("-head"):
        announced = reply.head.content_length if reply.head else None
        if reply.length or verdict == "200-head" and announced != DOCUMENTS[target]:
            bench.fail(reply, f"{fixture.title}: {reply.outline()}", expected="the head of GET's answer, and no body")
    else:
        bench.expect_whole(reply, fixture.title)
    if reply.ending is not Ending.FIN:
        bench.fail(reply, f"{fixture.title}: {reply.outline()}", expected=Ending.FIN.value)


def _register(fixture: Fixture) -> None:
    @check(f"exact.{fixture.name}", fixture.title, *RULES, submission=False)
    def exactly(bench: Bench) -> None:
        _expect_exactly(bench, fixture)


FIXTURES = [read_fixture(path) for path in sorted(FOLDER.glob("*.req"))]
GROUPS = frozenset(fixture.group for fixture in FIXTURES) - {ELSEWHERE}
for _fixture in FIXTURES:
    _register(_fixture)

FILES = ("static.small_equal", "dynamic.small_equal")
MISSING = ("notfound.static", "notfound.dynamic", "notfound.outside")


@check(
    "request.forms",
    "well-formed requests of all forms",
    "S11",
    "S13",
    needs=(*FILES, *MISSING, "answer.http10", "name.endings"),
)
def forms(bench: Bench) -> None:
    expect_group(bench, "forms")


@check(
    "request.methods",
    "other methods than GET are answered, or refused, and harm nobody",
    "S13",
    needs=(*FILES, *MISSING),
)
def methods(bench: Bench) -> None:
    expect_group(bench, "methods")


@check(
    "request.bodies",
    "what comes after the head of a request is not waited for and harms nobody",
    "S13",
    needs=("request.methods", "head.one_answer"),
)
def bodies(bench: Bench) -> None:
    expect_group(bench, "bodies")


@check("request.encoded", "percent-encoded names: decoded once, or not at all", "S14", needs=(*FILES, *MISSING))
def encoded(bench: Bench) -> None:
    expect_group(bench, "encoded")
