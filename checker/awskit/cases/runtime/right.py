"""What is right, and what is said of what is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .events import wait_idle, wait_received
from .place import OPEN, Wrong

if TYPE_CHECKING:
    from .client import Client


def expect(right: object, what: str, got: object, expected: object) -> None:
    """Wrong unless it is right."""
    if not right:
        raise Wrong(f"{what}\n  got:      {got}\n  expected: {expected}")


def status(head: bytes) -> int | None:
    """The status code, or None where this is no answer."""
    found = re.match(rb"HTTP/[0-9.]*[ \t]*([0-9]{3})(?![0-9])", head)
    return int(found[1]) if found and head.endswith(b"\r\n\r\n") else None


def field(head: bytes, name: str) -> str | None:
    """The value of a field of the head."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name.lower().encode():
            return value.strip(b" \t").decode("latin-1")
    return None


def announced_length(head: bytes) -> int | None:
    """What Content-Length says, where that is a number."""
    value = field(head, "Content-Length") or ""
    return int(value) if status(head) and re.fullmatch("[0-9]{1,18}", value) else None


def outline(client: Client, head: bytes, body: bytes) -> str:
    """What came, in a few words."""
    code = status(head)
    what = f"status {code}, {len(body):,} bytes of body" if code else f"{(head + body)[:60]!r}, which is no answer"
    return f"{what}; {client.ending}"


def expect_status(client: Client, code: int, ends: str = "fin", whole: bool = True) -> None:
    """This status, and then the end; `whole`: as many bytes of body as the head says."""
    head, body = client.read_all()
    expect(status(head) == code, "the answer", outline(client, head, body), f"status {code}")
    expect(ends == "any" or "closed" in client.ending, "the end", client.ending, "the server closes the connection")
    if whole:
        length = announced_length(head)
        expect(length in (None, len(body)), "Content-Length", length, f"{len(body)}, as many bytes came")


def expect_file(client: Client, target: str, right: bytes, ends: str = "fin") -> None:
    """200, the bytes of this file and no others, and then the end."""
    head, body = client.read_all()
    shown = outline(client, head, body)
    expect(status(head) == 200, f"the answer for {target}", shown, f"status 200 and {len(right):,} bytes of body")
    length = field(head, "Content-Length")
    expect(ends == "any" or length in (None, str(len(right))), "Content-Length", length, len(right))
    if body != right:
        at = next((at for at, (a, b) in enumerate(zip(body, right)) if a != b), min(len(body), len(right)))
        raise Wrong(f"{target} from byte {at:,} on ({shown})\n  got:      {body[at : at + 24].hex(' ') or 'the end'}"
                    f"\n  expected: {right[at : at + 24].hex(' ') or 'the end'}")  # fmt: skip
    expect(ends == "any" or "closed" in client.ending, "the end", client.ending, "the server closes the connection")


def expect_closed_by_server(client: Client, size: int = 65536) -> None:
    """When the answer has come (a body of `size` bytes at most) and the server sleeps, it has closed the connection,
    before the client does anything. All is left to be read."""
    head = client.read_head()
    client.read_ahead(min(announced_length(head) or 0, size))
    client.ahead = head + client.ahead
    wait_idle()
    expect(client.has_answer(), "the answer came whole, the server sleeps", OPEN, "the server closes the connection")


def expect_bytes(client: Client, count: int) -> None:
    """So many bytes come; they still belong to the answer."""
    before = len(client.ahead)
    client.read_ahead(count)
    came = len(client.ahead) - before
    expect(came == count, "what came", f"{came:,} bytes; {client.ending}", f"{count:,} bytes of an answer")


def expect_nothing_of(client: Client, secret: bytes) -> None:
    """No 16 bytes of this file, or all of a smaller one, are anywhere in what comes. All is left to be read."""
    head, body = client.read_all()
    came = client.ahead = head + body
    size = min(16, len(secret))
    blocks = {secret[at : at + size] for at in range(0, len(secret) - size + 1, size)}
    met = any(came[at : at + size] in blocks for at in range(len(came) - size + 1))
    expect(not met, "the answer", outline(client, head, body), "no byte of a secret file")


def expect_part(client: Client, right: bytes | None) -> None:
    """Bytes of the file, if there is one, and no others, or an error's answer, and then the end; or the beginning of a
    head."""
    head, body = client.read_all()
    expect("the server" in client.ending, "the end", client.ending, "the end of the connection")
    code, begun = status(head), b"HTTP/1.".startswith(head[:7])
    possible = code == 200 and right is not None or 400 <= (code or 0) <= 599 or code is None and begun
    expect(possible, "the answer", outline(client, head, body), "status 200, as far as it came, or an error")
    if code == 200 and right is not None:
        expect(right.startswith(body), "the body", outline(client, head, body), "bytes of the file alone")


def expect_refusal(client: Client) -> None:
    """4xx, 5xx, or the end without a byte."""
    head, body = client.read_all()
    right = 400 <= (status(head) or 0) <= 599 or not head + body
    right = right and "the server" in client.ending
    expect(right, "the answer", outline(client, head, body), "a refusal (4xx, 5xx), or the end")


def expect_either(client: Client, target: str, right: bytes) -> None:
    """The file, or a refusal."""
    client.ahead = head = client.read_head()
    if status(head) == 200:
        expect_file(client, target, right, "any")
    else:
        expect_refusal(client)


def expect_any(client: Client) -> None:
    """An answer, whatever it says."""
    head, body = client.read_all()
    expect(status(head) is not None, "the answer", outline(client, head, body), "HTTP/1.1 and a status code")


def expect_head(client: Client, code: int | None = None) -> None:
    """The head of an answer, with this status if one is told; the body is not read."""
    head = client.read_head()
    right = status(head) is not None and code in (None, status(head))
    expect(right, "the head of the answer", outline(client, head, b""), f"status {code or 'of any kind'}")


def expect_fields(client: Client, fields: dict[str, str]) -> None:
    """The head that was read last has these fields."""
    for name, value in fields.items():
        got = field(client.head, name) if status(client.head) else None
        expect(got is not None and got.lower() == value.lower(), name, got, value)


def expect_grammar(client: Client) -> None:
    """The head that was read last is one by RFC 9112, and its reason phrase is no field."""
    head = client.head
    expect(status(head) is not None, "the head", head[:200], "HTTP/1.1 and a status code")
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    text = rb"[\t \x21-\x7e\x80-\xff]*"
    expect(re.fullmatch(rb"HTTP/[0-9]\.[0-9] [1-5][0-9][0-9] " + text, first), "the status line", first,
           "`HTTP/1.1 SP 3DIGIT SP reason` (RFC 9112 section 4)")  # fmt: skip
    expect(b": " not in first, "the status line", first, "a reason phrase that is no field")
    expect(not re.search(rb"\r(?!\n)|(?<!\r)\n", head), "the head", head, "no CR or LF that stands alone")
    names = []
    for line in lines:
        name, colon, value = line.partition(b":")
        names.append(name.lower())
        right = colon and re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) and re.fullmatch(text, value)
        expect(right, "a line of the head", line, "`name: value` (RFC 9112 section 5)")
    for name in (b"content-length", b"content-type", b"date", b"last-modified", b"etag", b"location", b"server"):
        expect(names.count(name) < 2, "the head", head, f"{name.decode()} once at most (RFC 9110 section 5.3)")
    length = field(head, "Content-Length")
    expect(length is None or announced_length(head) is not None, "Content-Length", length, "a number")


def expect_silence(client: Client) -> None:
    """The server has received all and sleeps, and nothing has come."""
    wait_received(client)
    wait_idle()
    if client.has_answer():
        raise Wrong(f"nothing should have come, and this did: {client.receive(100) or client.ending!r}")
