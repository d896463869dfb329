"""The response head: RFC 9112's grammar, the fields that the assignment asks for, one answer to one connection."""

from __future__ import annotations

import email.utils
import re
import time

from ..bench import KINDS, Bench, request_bytes
from ..model import check
from ..reply import Ending, Head, Reply

MISSING = "/static/no-such-file.dat"
NEEDS = ("static.small_received",)

# IMF-fixdate, the one form that may be generated (RFC 9110 section 5.6.7).
_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"
)

_FIELD = re.compile(r"[A-Za-z][A-Za-z-]*:")  # legal in a reason, and never meant there


@check("head.grammar", "every response head keeps to RFC 9112's grammar", "S5", needs=NEEDS)
def head_grammar(bench: Bench) -> None:
    for target, reply, head in _heads(bench):
        reply.should(grammar=True)
        if field := _FIELD.search(head.reason):
            bench.fail(
                reply,
                f"GET {target}: a field stands in the status line, whose reason is {head.reason!r}",
                expected=f"a line end (CRLF) before {field[0]}",
            )
        if head.faults:
            bench.fail(
                reply,
                f"GET {target}: {head.faults[0]}",
                got="; ".join(head.faults),
                expected="HTTP/1.1 SP code SP reason CRLF, lines of `name: value` CRLF, CRLF",
            )


@check("head.connection_close", "every response says Connection: close", "S5", needs=NEEDS)
def head_connection_close(bench: Bench) -> None:
    for target, reply, head in _heads(bench):
        reply.should(fields={"Connection": "close"})
        value = head.field("connection")
        if "close" not in [option.strip().lower() for option in (value or "").split(",")]:
            bench.fail(
                reply,
                f"GET {target}: Connection is {'missing' if value is None else repr(value)}",
                expected="Connection: close (RFC 9112 section 9.3)",
            )


@check("head.length", "every 200 announces its length", "S5", needs=NEEDS)
def head_length(bench: Bench) -> None:
    for target, reply, head in _heads(bench):
        content = bench.tree.content(target)
        value = head.field("content-length")
        reply.should(fields={"Content-Length": str(content.size)} if content else {})
        if content is not None and value != str(content.size):
            bench.fail(
                reply,
                f"GET {target} ({content.size:,} bytes): Content-Length is {'missing' if value is None else value}",
                expected=f"Content-Length: {content.size}",
            )


@check("head.notfound_length", "a 404's Content-Length, where there is one, is right", "S5", needs=("notfound.static",))
def head_notfound_length(bench: Bench) -> None:
    reply = bench.get(MISSING)
    reply.should(answer=404)
    if reply.head is not None and reply.head.field("content-length") is None:
        # The end of the connection tells the length, too (RFC 9112 section 6.3).
        bench.note(f"GET {MISSING}: the 404 has no Content-Length, which is legal where the connection is closed")
    bench.expect_whole(reply, f"GET {MISSING}")


@check(
    "head.one_answer",
    "two requests sent at once get one answer: one request per connection",
    "S9",
    needs=("static.small_equal", "dynamic.small_equal", "answer.closed"),
)
def head_one_answer(bench: Bench) -> None:
    for kind in KINDS:
        target = bench.small(kind)
        with bench.connect() as client:
            client.send(request_bytes(target) * 2)
            reply = client.reply(bench.tree.content(target), until_closed=True)
        # Whether the end is FIN or RST is not this check's: the second request may be left unread.
        bench.expect_equal(reply, target)
        if reply.ending not in (Ending.FIN, Ending.RST):
            bench.fail(
                reply, f"two requests for {target} at once: {reply.outline()}", expected="one answer, then the end"
            )


@check("head.every_field", "every field that the server promises is there, and true", "S5", submission=False)
def head_every_field(bench: Bench) -> None:
    for target, reply in _one_of_each(bench):
        head = reply.head
        assert head is not None
        found = target != MISSING
        expected = ["connection", "content-length", "content-type", "date"] + (["last-modified"] if found else [])
        names = sorted(name for name, _ in head.fields)
        if names != expected:
            bench.fail(
                reply, f"GET {target}: other fields than promised", got=", ".join(names), expected=", ".join(expected)
            )
        if not reply.raw_head.startswith(b"HTTP/1.1 200 OK\r\n" if found else b"HTTP/1.1 404 Not Found\r\n"):
            bench.fail(reply, f"GET {target}: status line", expected="HTTP/1.1 200 OK, HTTP/1.1 404 Not Found")
        if not found and not 0 < reply.length < 200:
            bench.fail(reply, f"GET {target}: a body of {reply.length} bytes", expected="a short body that explains it")
        bench.expect_whole(reply, f"GET {target}")
        _expect_dates(bench, reply, target)


@check("head.method_head", "HEAD gets the head of GET and no body", "S13", submission=False)
def head_method_head(bench: Bench) -> None:
    for target in (bench.large("static"), bench.large("dynamic"), MISSING):
        full = bench.get(target)
        reply = bench.get(target, method="HEAD")
        if reply.length:
            bench.fail(
                reply, f"HEAD {target}: {reply.length} bytes of body", expected="no body (RFC 9110 section 9.3.2)"
            )
        bench.expect_closed(reply, f"HEAD {target}")
        if _but_date(reply) != _but_date(full):
            bench.fail(reply, f"HEAD {target}: another head than GET's", got=_but_date(reply), expected=_but_date(full))


@check("head.content_type", "Content-Type follows the name's ending", "S5", submission=False)
def head_content_type(bench: Bench) -> None:
    for name, kind in {
        "a.html": "text/html",
        "a.txt": "text/plain",
        "a.png": "image/png",
        "a.dat": "application/octet-stream",
    }.items():
        target = bench.tree.pair(name, 10)["static"]
        reply = bench.get(target)
        value = reply.head.field("content-type") if reply.head else None
        if (value or "").partition(";")[0] != kind:
            bench.fail(reply, f"GET {target}: Content-Type is {value}", expected=kind)


def _one_of_each(bench: Bench) -> list[tuple[str, Reply]]:
    targets = (bench.small("static"), bench.small("dynamic"), MISSING)
    return [(target, bench.get(target)) for target in targets]


def _heads(bench: Bench) -> list[tuple[str, Reply, Head]]:
    """The heads of all that is answered as it should be. What is not is the business of other checks."""
    return [
        (target, reply, reply.head)
        for target, reply in _one_of_each(bench)
        if reply.head is not None and reply.head.status == (404 if target == MISSING else 200)
    ]


def _expect_dates(bench: Bench, reply: Reply, target: str) -> None:
    """Date is the time of the answer by this machine's clock; Last-Modified is the file's."""
    assert reply.head is not None
    before = int(time.time())
    again = bench.get(target)
    after = int(time.time()) + 1
    for name in ("date", "last-modified"):
        value = again.head.field(name) if again.head else None
        if value is None:
            continue
        if not _DATE.fullmatch(value):
            bench.fail(again, f"GET {target}: {name} is {value!r}", expected="like Sun, 06 Nov 1994 08:49:37 GMT")
        seconds = email.utils.parsedate_to_datetime(value).timestamp()
        if name == "date" and not before - 1 <= seconds <= after:
            bench.fail(again, f"GET {target}: Date is {value}", expected=email.utils.formatdate(before, usegmt=True))
        if name == "last-modified" and seconds != int(bench.tree.path(target).stat().st_mtime):
            bench.fail(again, f"GET {target}: Last-Modified is {value}", expected="the file's time of last change")


def _but_date(reply: Reply) -> str:
    return re.sub(r"(?im)^date:.*\n", "", reply.raw_head.decode("latin-1"))
