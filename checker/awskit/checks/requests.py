"""The corpus of requests in `fixtures/requests`, one file a request; their README says what each line means.

Each is two checks: `request.NAME` holds a server to what a submission may do, `exact.NAME` to what the reference does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..bench import Bench
from ..model import check
from ..reply import Ending, Reply

FOLDER = Path(__file__).resolve().parents[3] / "fixtures" / "requests"
RULES = ("S13", "S14")

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
    """A request with its verdicts: `parser`, `expect` and `submission` are the texts of these lines."""

    name: str
    title: str
    parser: str
    expect: str
    submission: str
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
    if not separator or set(verdicts) != {"parser", "expect", "submission"}:
        raise ValueError(f"{path}: no request fixture")
    title = next(line for line in lines if line.startswith("# "))[2:]
    data = b"".join(unescape(line) for line in body.split(b"\n"))
    return Fixture(path.stem, title, verdicts["parser"], verdicts["expect"], verdicts["submission"], data)


def _send(bench: Bench, fixture: Fixture, document: str | None) -> Reply:
    """Send it whole; where the head is not complete, end the sending side, or a right server would wait on."""
    for target, size in DOCUMENTS.items():
        bench.tree.file(target, size)
    with bench.connect() as client:
        client.send(fixture.data)
        if fixture.parser == "more":
            client.half_close()
        return bench.read(client, document)


def _expect_allowed(bench: Bench, fixture: Fixture) -> None:
    """What a submission may do."""
    verdict, _, path = fixture.submission.partition(" ")
    target = path if path.startswith("/") else f"/{path}"
    if verdict == "ANY":
        # Nothing is asked of the answer, and it may keep us waiting: look for it, do not wait for it.
        with bench.connect() as client:
            client.send(fixture.data)
            bench.expect_well(fixture.title)
        return
    reply = _send(bench, fixture, target if path else None)
    if verdict == "F200":
        bench.expect_file(reply, target)
    elif verdict == "N404":
        bench.expect_404(reply, fixture.title)
    else:
        assert verdict == "REF", f"{fixture.name}: {verdict}"
        bench.expect_refusal(reply, fixture.title)
    bench.expect_well(fixture.title)


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
    @check(f"request.{fixture.name}", fixture.title, *RULES, needs=("static.small_equal",))
    def allowed(bench: Bench) -> None:
        _expect_allowed(bench, fixture)

    @check(f"exact.{fixture.name}", fixture.title, *RULES, submission=False)
    def exactly(bench: Bench) -> None:
        _expect_exactly(bench, fixture)


FIXTURES = [read_fixture(path) for path in sorted(FOLDER.glob("*.req"))]
for _fixture in FIXTURES:
    _register(_fixture)
