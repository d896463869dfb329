"""What is right, and what is said of what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .events import server_side, wait, wait_idle, wait_received
from .place import ESTABLISHED, PATIENCE, Wrong

if TYPE_CHECKING:
    from .client import Client


def expect(right: bool, what: str, got: object, expected: object) -> None:
    """Wrong unless it is right."""
    if not right:
        raise Wrong(f"{what}\n  got:      {got}\n  expected: {expected}")


def status(head: bytes) -> int | None:
    """The status code, or None where this is no answer."""
    parts = head.split(b"\r\n")[0].split(None, 2)
    return int(parts[1]) if head.startswith(b"HTTP/") and len(parts) > 1 and parts[1][:3].isdigit() else None


def field(head: bytes, name: str) -> str | None:
    """The value of a field of the head."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.lower().encode():
            return value.strip().decode("latin-1")
    return None


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
    length = field(head, "Content-Length")
    if whole:
        expect(length in (None, str(len(body))), "Content-Length", length, f"{len(body)}, as many bytes came")


def expect_file(client: Client, target: str, right: bytes, ends: str = "fin") -> None:
    """200, the bytes of this file and no others, and then the end."""
    head, body = client.read_all()
    shown = outline(client, head, body)
    expect(status(head) == 200, f"the answer for {target}", shown, f"status 200 and {len(right):,} bytes of body")
    length = field(head, "Content-Length")
    expect(length in (None, str(len(right))), "Content-Length", length, len(right))
    if body != right:
        at = next((at for at, (a, b) in enumerate(zip(body, right)) if a != b), min(len(body), len(right)))
        raise Wrong(f"{target} from byte {at:,} on ({shown})\n  got:      {body[at : at + 24].hex(' ') or 'the end'}"
                    f"\n  expected: {right[at : at + 24].hex(' ') or 'the end'}")  # fmt: skip
    expect(ends == "any" or "closed" in client.ending, "the end", client.ending, "the server closes the connection")


def expect_closed_by_server(client: Client) -> None:
    """The answer has come whole; the server closes before the client does anything."""
    head = client.read_head()
    client.read_ahead(int(field(head, "Content-Length") or 0) - len(client.ahead))
    client.ahead = head + client.ahead
    wait(lambda: server_side(client) is None or server_side(client)[0] != ESTABLISHED, "the server closes")


def expect_part(client: Client, right: bytes) -> None:
    """Bytes of the file and no others, and then the end."""
    head, body = client.read_all()
    expect("nothing more came" not in client.ending, "the end", client.ending, "the end of the connection")
    expect(right.startswith(body), "the body", outline(client, head, body), "no bytes but those of the file")


def expect_refusal(client: Client, never: bytes = b"") -> None:
    """4xx, 5xx, or the end without a byte."""
    head, body = client.read_all()
    expect(not never or never[:32] not in head + body, "the answer", outline(client, head, body), "not this file")
    right = 400 <= (status(head) or 0) <= 599 or not head + body
    right = right and "nothing more came" not in client.ending
    expect(right, "the answer", outline(client, head, body), "a refusal (4xx, 5xx), or the end")


def expect_either(client: Client, target: str, right: bytes) -> None:
    """The file, or a refusal."""
    head = client.read_head()
    client.ahead = head + client.ahead
    if status(head) == 200:
        expect_file(client, target, right, "any")
    else:
        expect_refusal(client)


def expect_any(client: Client) -> None:
    """An answer, whatever it says."""
    head = client.read_head()
    expect(status(head) is not None, "the answer", outline(client, head, b""), "HTTP/1.1 and a status code")


def expect_head(client: Client, code: int | None, fields: dict[str, str], grammar: bool = False) -> None:
    """Look at the head, and leave it to be read again."""
    head = client.read_head()
    client.ahead = head + client.ahead
    line = head.split(b"\r\n")[0]
    expect(code in (None, status(head)), "the status line", line, f"status {code}")
    for name, value in fields.items():
        got = field(head, name)
        expect(got is not None and got.lower() == value.lower(), name, got, value)
    if grammar:
        expect(head.endswith(b"\r\n\r\n"), "the head", head, "one that ends with an empty line")
        words = line.split(b" ", 2)
        right = len(words) == 3 and words[0] in (b"HTTP/1.1", b"HTTP/1.0") and b":" not in words[2]
        length = field(head, "Content-Length") or "0"
        expect(right and length.isdecimal(), "the head", head, "one by the grammar of RFC 9112")


def expect_silence(client: Client) -> None:
    """The server has received all and sleeps, and nothing has come."""
    wait_received(client)
    wait_idle()
    client.socket.setblocking(False)
    try:
        data = client.socket.recv(100)
        raise Wrong(f"nothing should have come, and this did: {data!r}")
    except BlockingIOError:
        client.socket.settimeout(PATIENCE)
