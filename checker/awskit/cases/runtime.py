"""What exported cases are made of: export.py copies those definitions into a file that the case uses, and no more.

So this module imports nothing but the standard library, and every definition stands for itself. Events on the server's
side are read from /proc/net/tcp (proc(5)): an exported case runs on the machine that its server runs on.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable

HOST = "127.0.0.1"
PORT = 8888
PATIENCE = 5.0  # seconds that a right server never needs for what is waited for here
LOOK = 0.002  # seconds between two looks at what no socket tells
SETTLED = 25  # looks for which a figure has to stay
ESTABLISHED, CLOSE_WAIT, LISTEN = 0x01, 0x08, 0x0A  # states of a TCP socket
FILES: dict[str, object] = {}
SEED = 0


class Wrong(Exception):
    """The server did otherwise than it should."""


# -- files -------------------------------------------------------------------------------------------------------------


def contents(target: str) -> bytes:
    """The bytes that the file must have."""
    size = FILES[target]
    return size if isinstance(size, bytes) else random.Random(f"{SEED}{target}").randbytes(size)


def make_file(path: str, target: str) -> None:
    """A file of the case."""
    with open(path, "wb") as stream:
        stream.write(contents(target))


def make_sparse(path: str, size: int) -> None:
    """A file of zeros that takes no room."""
    with open(path, "wb") as stream:
        stream.truncate(size)


def make_socket(path: str) -> None:
    """A socket in the file system."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


def make_all(root: str, makers: dict[str, Callable[[str], object]]) -> list[str]:
    """Make the files below `root`, which nobody else may have made; what was made, to be removed at the end."""
    made = []
    for folder in ("/static", "/dynamic", *makers):
        parts = folder.strip("/").split("/")
        for count in range(1, len(parts) + (folder not in makers)):
            path = os.path.join(root, *parts[:count])
            if not os.path.isdir(path):
                os.mkdir(path)
                made.append(path)
        if folder in makers:
            path = os.path.join(root, *parts)
            if os.path.lexists(path):
                sys.exit(f"{path} is there already: run this in a folder of its own, which the server serves")
            makers[folder](path)
            made.append(path)
    return made


def remove_all(made: list[str]) -> None:
    """Remove what was made, as far as it is still there."""
    for path in reversed(made):
        try:
            os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        except OSError:
            pass


# -- clients -----------------------------------------------------------------------------------------------------------


class Client:
    """One connection. What was read ahead of an answer still belongs to it."""

    def __init__(self, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect((HOST, PORT))
        except OSError as error:
            raise Wrong(f"cannot connect to port {PORT}: {error}") from error
        self.port = self.socket.getsockname()[1]
        self.ahead = b""
        self.ending = "the connection is open"

    def send(self, data: bytes, cuts: tuple[int, ...] = ()) -> None:
        """Send it in pieces, each when the server has received the one before."""
        for start, end in zip((0, *cuts), (*cuts, len(data))):
            if start:
                wait_received(self)
            try:
                self.socket.sendall(data[start:end])
            except OSError:
                return  # the server has ended the connection: the answer tells

    def receive(self, count: int) -> bytes:
        """The next bytes, at most `count`; none at the end, which `ending` then names."""
        try:
            data = self.socket.recv(count)
            self.ending = self.ending if data else "the server closed the connection"
        except ConnectionResetError:
            data, self.ending = b"", "the server reset the connection (RST)"
        except TimeoutError:
            data, self.ending = b"", f"nothing more came for {PATIENCE:g} s"
        return data

    def read_ahead(self, count: int) -> None:
        """Read so many bytes, or to the end; they still belong to the answer."""
        while count > 0 and (data := self.receive(count)):
            self.ahead += data
            count -= len(data)

    def read_all(self) -> tuple[bytes, bytes]:
        """Head and body of all that comes. Who has as much as Content-Length says leaves, as a browser does."""
        head = self.read_head()
        body, announced, left = bytearray(self.ahead), field(head, "Content-Length") or "", False
        while True:
            if not left and announced.isdecimal() and len(body) >= int(announced):
                left = True
                self.half_close()
            if not (piece := self.receive(1 << 18)):
                break
            body += piece
        self.ahead = b""
        return head, bytes(body)

    def read_head(self) -> bytes:
        """The head of what comes."""
        data = self.ahead
        while b"\r\n\r\n" not in data and len(data) < 65536 and (piece := self.receive(4096)):
            data += piece
        head, separator, self.ahead = data.partition(b"\r\n\r\n")
        return head + separator

    def half_close(self) -> None:
        """Say that no more will be sent, and go on reading."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self) -> None:
        """End the connection by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


# -- what is right -----------------------------------------------------------------------------------------------------


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


# -- events on the server's side ---------------------------------------------------------------------------------------


def wait(predicate: Callable[[], object], what: str) -> None:
    """Look until it is so; Wrong when it is in vain."""
    end = time.monotonic() + PATIENCE
    while not predicate():
        if time.monotonic() > end:
            raise Wrong(f"waited {PATIENCE:g} s in vain: {what}")
        time.sleep(LOOK)


def sockets() -> list[tuple[int, int, int, int, int, int]]:
    """All TCP sockets of IPv4: own port, other port, state, bytes unsent, bytes unread, inode."""
    rows = []
    with open("/proc/net/tcp") as stream:
        for line in stream.readlines()[1:]:
            word = line.split()
            own, other = (int(address.split(":")[1], 16) for address in word[1:3])
            unsent, unread = (int(size, 16) for size in word[4].split(":"))
            rows.append((own, other, int(word[3], 16), unsent, unread, int(word[9])))
    return rows


def server_side(client: Client) -> tuple[int, int, int, int] | None:
    """The server's end of this connection: state, bytes unsent, bytes unread, inode (0: not accepted, or closed)."""
    return next((row[2:] for row in sockets() if row[:2] == (PORT, client.port)), None)


def wait_received(client: Client) -> None:
    """The server has received all that was sent."""

    def received() -> bool:
        unsent = struct.unpack("i", fcntl.ioctl(client.socket, termios.TIOCOUTQ, bytes(4)))[0]
        side = server_side(client)
        if side is None or side[3] == 0 and side[0] != ESTABLISHED:
            return True  # it has ended the connection
        return not unsent and side[3] != 0 and side[2] == 0

    wait(received, "the server receives what was sent")


def wait_accepted(client: Client) -> None:
    """The server has accepted this client."""
    wait(lambda: (server_side(client) or (0, 0, 0, 0))[3], "the server accepts the client")


def wait_released(client: Client) -> None:
    """The server has accepted this client, who has left, and has closed its end."""

    def released() -> bool:
        side = server_side(client)
        return side is None or side[3] == 0 and side[0] not in (ESTABLISHED, CLOSE_WAIT)

    wait(released, "the server closes its end")


def wait_stalled(client: Client) -> None:
    """The server's socket to this client, who does not read, is full, and stays so."""
    stays(lambda: (server_side(client) or (0, 0))[1], "the server fills its socket to a client that does not read")


def wait_full() -> None:
    """The server accepts no more."""
    stays(lambda: sum(1 for row in sockets() if row[0] == PORT and row[5] and row[2] != LISTEN), "it accepts clients")


def stays(figure: Callable[[], int], what: str) -> int:
    """Wait until the figure is not 0 and stays."""
    looks, last = 0, 0

    def settled() -> bool:
        nonlocal looks, last
        now = figure()
        looks, last = (looks + 1 if now and now == last else 0), now
        return looks > SETTLED

    wait(settled, what)
    return last


def server() -> int:
    """The process that listens at the port."""
    inodes = {f"socket:[{row[5]}]" for row in sockets() if row[0] == PORT and row[2] == LISTEN}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{name}") in inodes for name in os.listdir(f"/proc/{pid}/fd")):
                return pid
        except OSError:
            continue
    raise Wrong(f"no process that listens at port {PORT} can be seen")


def wait_idle() -> None:
    """The server sleeps: for some looks one after another it used no CPU time."""
    pid, looks, last, begin = server(), 0, 0, time.monotonic()
    while looks <= SETTLED:
        with open(f"/proc/{pid}/schedstat") as stream:
            now = int(stream.read().split()[0])
        looks, last = (looks + 1 if now - last < 1_000_000 else 0), now
        if time.monotonic() - begin > PATIENCE:
            raise Wrong("the server should sleep, and burns the CPU")
        time.sleep(LOOK)


def signal_server(number: signal.Signals) -> None:
    """Stop the server, or let it go on. When it is stopped, wait until it is."""
    pid = server()
    os.kill(pid, number)
    if number == signal.SIGSTOP:

        def stopped() -> bool:
            with open(f"/proc/{pid}/stat") as stream:
                return stream.read().rpartition(")")[2].split()[0] == "T"

        wait(stopped, "the server stands still")


def figure(name: str) -> int:
    """What the server has: descriptors, contexts (of AIO), memory (bytes of its own), threads."""
    pid = server()
    if name == "descriptors":
        return len(os.listdir(f"/proc/{pid}/fd"))
    with open(f"/proc/{pid}/{'maps' if name == 'contexts' else 'status'}") as stream:
        text = stream.read()
    if name == "contexts":
        return text.count("/[aio]")
    word = {"memory": "RssAnon", "threads": "Threads"}[name]
    line = next(line for line in text.splitlines() if line.startswith(word))
    return int(line.split()[1]) * (1024 if name == "memory" else 1)


def expect_figure(name: str, most: int) -> None:
    """It has no more, or comes to that."""
    try:
        wait(lambda: figure(name) <= most, name)
    except Wrong:
        raise Wrong(f"the server has {figure(name):,} {name}, and at most {most:,} were expected") from None


# -- the whole ---------------------------------------------------------------------------------------------------------


def main(makers: dict[str, Callable[[str], object]], case: Callable[[str], None]) -> int:
    """Make the files, run the case, say what came of it; the exit code."""
    global PORT
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=PORT, help="of 127.0.0.1 at which the server listens")
    parser.add_argument("--root", default=".", help="the folder that the server serves (default: this one)")
    options = parser.parse_args()
    PORT = options.port
    made = make_all(options.root, makers)
    try:
        case(options.root)
        Client().close()  # it lives
    except Wrong as wrong:
        print(f"WRONG: {wrong}")
        return 1
    finally:
        remove_all(made)
    print("right: the server did all that is expected here")
    return 0
