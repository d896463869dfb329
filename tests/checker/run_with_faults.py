"""Do one thing to a server under faults: `run_with_faults.py PROGRAM SCENARIO`; see the functions below.

Exit code 0: what had to be, was; 1: it was not, and the reason is on standard error; 77: no box can be made here.
In a process of its own, because for an ordinary user making a box moves the whole process into a user namespace.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "checker"))

from awskit import procfs  # noqa: E402
from awskit.bench import Bench, request_bytes, wait_until  # noqa: E402
from awskit.boxed import BoxedLauncher, Program  # noqa: E402
from awskit.faults import Cut, Fault, HoldReads, Refuse  # noqa: E402
from awskit.isolation import Isolation  # noqa: E402
from awskit.model import Failure, Trouble  # noqa: E402
from awskit.namespace import NetworkNamespace  # noqa: E402
from awskit.sandbox import Limits, Sandbox  # noqa: E402
from awskit.tree import Tree  # noqa: E402

SIZE = 20_001  # of the files: odd, and more than one page
EVERY_SECOND = {"first": 1, "every": 2}

FAULTS: dict[str, tuple[Fault, ...]] = {
    "receive-1": (Cut("receive", 1),),
    "receive-half": (Cut("receive", share="half"),),
    "send-7": (Cut("send", 7),),
    "send-half": (Cut("send", share="half"),),
    "sendfile-7": (Cut("sendfile", 7),),
    "sendfile-all-but-one": (Cut("sendfile", share="all-but-one"),),
    "aio-7": (Cut("aio", 7),),
    "aio-half": (Cut("aio", share="half"),),
    "receive-eagain": (Refuse("receive", errno.EAGAIN, **EVERY_SECOND),),
    "send-eagain": (Refuse("send", errno.EAGAIN, **EVERY_SECOND),),
    "sendfile-eagain": (Refuse("sendfile", errno.EAGAIN, **EVERY_SECOND),),
    "accept-eagain": (Refuse("accept", errno.EAGAIN, **EVERY_SECOND),),
    "wait-eintr": (Refuse("wait", errno.EINTR, **EVERY_SECOND),),
    "several": (Cut("receive", 7), Cut("send", share="half"), Refuse("send", errno.EAGAIN, 2, 3)),
}


def expect(got: object, wanted: object, what: str) -> None:
    """Failure unless they are equal."""
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, expected {wanted!r}")


def serves(bench: Bench) -> None:
    """Both files come whole although each of the faults hits."""
    for name, faults in FAULTS.items():
        with bench.start(faults=faults) as hit:
            for kind in ("static", "dynamic"):
                target = hit.tree.pair("file.dat", SIZE)[kind]
                try:
                    hit.expect_file(hit.get(target), target)
                except Failure as failure:
                    raise Failure(f"{name}: {failure.reason}") from failure
            expect(hit.faults.delivered() > 0, True, f"{name}: some call was hit")


def counts(bench: Bench) -> None:
    """Each hit is counted, and nothing else is."""
    static = bench.tree.pair("file.dat", SIZE)["static"]
    with bench.start(faults=(Cut("receive", 1),)) as hit:
        request = request_bytes(static)
        hit.expect_file(hit.ask(request, static), static)
        # One byte of several is a cut; the last byte is alone, and so is what an honest server finds at the end.
        expect(hit.faults.delivered(), len(request) - 1, "receives that were cut")
    with bench.start(faults=(Cut("sendfile", 2000),)) as hit:
        hit.expect_file(hit.get(static), static)
        expect(hit.faults.delivered(), SIZE // 2000, "sendfiles that were cut")
    several = (Cut("sendfile", 2000), Refuse("accept", errno.EINTR, 9), Cut("sendfile", 3000), Cut("sendfile", 2000))
    with bench.start(faults=several) as hit:
        hit.expect_file(hit.get(static), static)
        expect(hit.faults.hits(), (SIZE // 2000, 0, 0, SIZE // 2000), "calls that each of several faults hit")
    with bench.start(faults=(Cut("aio", 7),)) as hit:
        hit.expect_file(hit.get(static), static)
        expect(hit.faults.hits(), (0,), "reads that were cut")
        expect(hit.faults.delivered(), 0, "calls that were hit")
        try:
            hit.expect_delivered()
        except Trouble:
            return
        raise Failure("a fault that hit nothing was taken for one that did")


def chooses(bench: Bench) -> None:
    """Only the calls that are named are hit, on the connection that is named; a connection's end comes as ever."""
    files = bench.tree.pair("file.dat", SIZE)
    static, request = files["static"], request_bytes(files["static"])
    with bench.start(faults=(Cut("receive", 8), Cut("receive", 1, first=3, every=2))) as hit:
        with contextlib.ExitStack() as stack:
            with hit.paused():  # a receive before anything has come would count, too
                client = stack.enter_context(hit.connect())
                client.send(request)
            hit.expect_file(hit.read(client, static), static)
        expect(hit.faults.hits(), _shorter(len(request)), "receives that each of two cuts made shorter")
    with bench.start(faults=(Cut("receive", 8), Cut("receive", 2, first=2, every=0))) as hit:
        hit.expect_file(hit.get(static), static)
        expect(hit.faults.hits()[1], 1, "receives that were cut once")
    broken = Refuse("sendfile", errno.EPIPE, connection=2)
    with bench.start(faults=(Cut("receive", 1, connection=3), broken)) as hit:
        hit.expect_file(hit.get(static), static)
        expect(hit.get(static).length, 0, "bytes of a body that could not be sent")
        for _ in range(2):
            hit.expect_file(hit.get(static), static)
        expect(hit.faults.hits(), (len(request) - 1, 1), "calls that were hit, on the third connection and the second")
    with bench.start(faults=(Cut("sendfile", 2000, connection=2), Cut("sendfile", 1000, first=2, connection=2))) as hit:
        for _ in range(3):
            hit.expect_file(hit.get(static), static)
        expect(hit.faults.hits(), (1, (SIZE - 2000) // 1000), "sendfiles that were cut on the second connection")


def _shorter(left: int) -> tuple[int, int]:
    """How many of the receives for so many bytes get 8 of more, and, the third and each second after it, 1 of more."""
    eights = ones = number = 0
    while left:
        number += 1
        one = number >= 3 and number % 2 == 1
        ones, eights = ones + (one and left > 1), eights + (not one and left > 8)
        left -= 1 if one else min(left, 8)
    return eights, ones


def holds(bench: Bench) -> None:
    """Reads are held while all else goes on; each is released as it is told."""
    target = bench.tree.pair("file.dat", SIZE)
    with bench.start(faults=(HoldReads(),)) as held, held.several(4) as clients:
        for number, client in enumerate(clients, 1):
            client.send(request_bytes(target["dynamic"]))
            wait_until(lambda: held.faults.held() == number, 10, f"{number} reads are held")
        held.expect_file(held.get(target["static"]), target["static"])
        expect(held.faults.release(1, last_first=True), 3, "held after one was released")
        held.expect_file(held.read(clients[3], target["dynamic"]), target["dynamic"])
        expect(held.faults.release(1, error=errno.EIO), 2, "held after one has failed")
        expect(held.read(clients[0]).length, 0, "bytes of the body of which the read failed")
        clients[1].close()
        held.expect_file(held.get(target["static"]), target["static"])
        expect(held.faults.release(), 0, "held after all were released")
        held.expect_file(held.read(clients[2], target["dynamic"]), target["dynamic"])
        held.expect_file(held.get(target["dynamic"]), target["dynamic"])
        expect(held.faults.held(), 0, "held after holding is over")
    with bench.start(faults=(HoldReads(first=2),)) as held, held.connect() as client:
        held.expect_file(held.get(target["dynamic"]), target["dynamic"])
        expect((held.faults.held(), held.faults.hits()), (0, (0,)), "held of the first read")
        client.send(request_bytes(target["dynamic"]))
        wait_until(lambda: held.faults.held() == 1, 10, "the second read is held")
        held.faults.release()
        held.expect_file(held.read(client, target["dynamic"]), target["dynamic"])


def ends(bench: Bench) -> None:
    """A server that ends with reads held leaves none; one that is started without faults has no warden."""
    target = bench.tree.pair("file.dat", SIZE)["dynamic"]
    with bench.start(faults=(HoldReads(),)) as held, held.connect() as client:
        client.send(request_bytes(target))
        wait_until(lambda: held.faults.held() == 1, 10, "a read is held")
        family = procfs.family(held.server.pid)
        warden = held.faults
        held.server.stop()
        expect([pid for pid in family if Path(f"/proc/{pid}").exists()], [], "processes that are left")
        try:
            warden.held()
        except Trouble:
            return
        raise Failure("the warden of a server that was stopped is still there")


BROKEN_PIPE = """
import os, signal, socket, struct, sys
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
file = os.open(sys.executable, os.O_RDONLY)
for _ in range(2):  # the first call brings the reset, the second one the signal
    try:
        SEND
    except ConnectionResetError:
        print("reset", flush=True)
"""


def breaks(bench: Bench) -> None:
    """A pipe that is broken ends who does not ignore SIGPIPE, as ever, and not the warden."""
    faults = (Cut("sendfile", 10), Cut("send", 10))
    for call in ("server.send(bytes(100))", "os.write(server.fileno(), bytes(100))",
                 "os.sendfile(server.fileno(), file, 0, 100)"):  # fmt: skip
        command = ["/usr/bin/python3", "-c", BROKEN_PIPE.replace("SEND", call)]
        with contextlib.closing(NetworkNamespace()) as network:
            sandbox = bench.launcher.sandbox
            process = sandbox.spawn(command, (), "/", Limits(cpu_seconds=10), network, faults=faults)
            try:
                code = process.wait(20)
                expect(process.warden.delivered(), 0, "calls that were cut")
            finally:
                process.destroy()
        expect((process.stdout.text(), code), ("reset\n", -signal.SIGPIPE), f"{call}: {process.stderr.text()}")


LATE_BYTES = """
import socket, threading, time
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.sendall(b"abcd")
print(server.recv(4))
threading.Thread(target=lambda: (time.sleep(0.2), client.sendall(b"efgh"))).start()
print(server.recv(4), server.recv(4))
"""


def blocks(bench: Bench) -> None:
    """A receive that waits is one call: what is due for it when it is made is done when there is something."""
    sandbox, faults = bench.launcher.sandbox, (Cut("receive", 1, first=2, every=0),)
    with contextlib.closing(NetworkNamespace()) as network:
        command = ["/usr/bin/python3", "-c", LATE_BYTES]
        process = sandbox.spawn(command, (), "/", Limits(cpu_seconds=10), network, faults=faults)
        try:
            expect(process.wait(20), 0, f"exit code, {process.stderr.text()!r}")
            expect(process.warden.hits(), (1,), "receives that were cut")
        finally:
            process.destroy()
    expect(process.stdout.text(), "b'abcd'\nb'e' b'fgh'\n", "what was received")


def probes(bench: Bench) -> None:
    """What the probe prints, plainly and with every read taken over: the same."""
    plain, taken = (_run_probe(bench, faults) for faults in ((), (Cut("aio", 1 << 30),)))
    expect(taken, plain, "the answers of Linux AIO")
    expect(len(plain.splitlines()), 29, "lines")


def waits(bench: Bench) -> None:
    """Calls that wait for a read that is held: with a time, for ever, to destroy the context."""
    text = _run_probe(bench, (HoldReads(),), "wait")
    expected = """submit 1
no time: 0
a tenth of a second: 0, waited 1
for ever: 1, result 100
submit 1
destroyed: 0, byte c
"""
    expect(text, expected, "the answers of Linux AIO")


def hides(bench: Bench) -> None:
    """Inside there is no process of the warden's, and nobody has a descriptor of its socket, its filter, its programs.
    ls has a folder open."""
    search = "ls /proc/self/fd; cat /proc/[0-9]*/comm; ls -l /proc/[0-9]*/fd/ | grep -cE 'socket|seccomp|/box' || :"
    sandbox = bench.launcher.sandbox
    process = sandbox.spawn(["/bin/sh", "-c", search], (), "/", Limits(cpu_seconds=10), None, faults=(HoldReads(),))
    try:
        expect(process.wait(20), 0, "exit code")
    finally:
        process.destroy()
    lines = process.stdout.text().split()  # all of it, now that nobody can write any more
    expect(lines[:4], ["0", "1", "2", "3"], "open descriptors, the last of them that of ls")
    expect(set(lines[4:]), {"bwrap", "sh", "0"}, "processes, and the number of such descriptors")


def _run_probe(bench: Bench, faults: tuple[Fault, ...], *arguments: str) -> str:
    program = bench.launcher.program
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "static").mkdir()
        (folder / "static" / "f").write_text("content " * 100)
        sandbox = bench.launcher.sandbox
        site, home = sandbox.mount(folder, "/site"), sandbox.mount(program.folder, "/submission")
        command = [f"{home.inside}/{program.binary}", *arguments]
        process = sandbox.spawn(command, (site, home), site.inside, Limits(cpu_seconds=10), None, faults=faults)
        try:
            if arguments and process.warden:
                for lines in (3, 5):  # it has said so much, and waits
                    wait_until(lambda: process.stdout.text().count("\n") == lines, 20, f"{lines} lines")
                    wait_until(lambda: process.warden.held() == 1, 20, "a read is held")
                    process.warden.release(1)
            code = process.wait(20)
        finally:
            process.destroy()
        expect(code, 0, f"exit code, {process.stderr.text()!r}")
        return process.stdout.text()


SCENARIOS: dict[str, Callable[[Bench], None]] = {
    function.__name__: function
    for function in (serves, counts, chooses, holds, ends, breaks, blocks, probes, waits, hides)
}


def main() -> int:
    program, scenario = Path(sys.argv[1]), sys.argv[2]
    isolation = Isolation.probe()
    if isolation.missing:
        print("\n".join(isolation.missing), file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        tree = Tree(folder / "site", 1)
        home = folder / "program"  # the box's user may not reach where it was built
        home.mkdir()
        shutil.copy(program, home)
        launcher = BoxedLauncher(Sandbox(isolation), Program(home, program.name))
        try:
            SCENARIOS[scenario](Bench(launcher, tree, None, 1, scenario))  # type: ignore[arg-type] # no shared server
        except (Failure, Trouble) as reason:
            print(f"{type(reason).__name__}: {reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
