"""What a hostile client asks for: ways out of the root, things that are no files, more than any buffer holds.

Each check ends with a plain request: a refusal counts only from a server that can do otherwise. Those named `request.…`
send the fixtures of their group first, and then what is better computed than written down.
"""

from __future__ import annotations

import os
import stat

from .. import procfs
from ..bench import KIB, KINDS, Bench
from ..model import Trouble, check
from ..reply import Reply
from .requests import FILES, MISSING, expect_group, secret

# Below /static and /dynamic alike. None of them may bring a byte from outside of the folder.
TRAVERSALS = (
    "/../secret",
    "/../../root/secret",
    "/./../secret",
    "/below/../../secret",
    "//../secret",
    "/..//secret",
    "/../static/../secret",
    "/%2e%2e/secret",
    "/%2E./secret",
    "/.%2e/secret",
    "/..%2fsecret",
    "/%2e%2e%2fsecret",
    "/%252e%252e/secret",
    "/..%5csecret",
    "/..\\secret",
    "/..%c0%afsecret",
    "/%c0%ae%c0%ae/secret",
    "/..%00/secret",
    "/../secret%00.dat",
    "/..;/secret",
    "/../../../../../../../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
)
OUTSIDE = (
    "/secret",
    "/../secret",
    "/%2e%2e/secret",
    "//secret",
    "/./secret",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "/.",
    "/..",
    "*",
)
LOOKALIKES = ("/staticx/f", "/dynamicx/f", "/xstatic/f", "/other/static/f", "/other/dynamic/f")  # these are there
PREFIXES = (
    *LOOKALIKES,
    "/statix/small00.dat",
    "/STATIC/small00.dat",
    "/Dynamic/small00.dat",
    "/xyzt/small00.dat",
    "/static%2fsmall00.dat",
    "/static\\small00.dat",
)


@check("request.traversal", "no spelling of `..` leads out of the folders", "S14", needs=(*FILES, *MISSING))
def traversal(bench: Bench) -> None:
    expect_group(bench, "traversal")
    for kind in KINDS:
        bench.tree.directory(f"/{kind}/below")
        for spelling in TRAVERSALS:
            _expect_out_of_reach(bench, f"/{kind}{spelling}")
    for target in OUTSIDE:
        _expect_out_of_reach(bench, target)
    bench.expect_well("traversals")


@check(
    "request.prefix",
    "a folder whose name only begins, ends or sounds like one of the two is not it",
    "S2",
    needs=(*FILES, *MISSING),
)
def prefix(bench: Bench) -> None:
    expect_group(bench, "prefix")
    for kind in KINDS:
        bench.small(kind)
    for target in LOOKALIKES:
        bench.tree.file(target, 306)
    for target in PREFIXES:
        reply = _ask(bench, target)
        reply.should(answer="refused")
        if reply.status == 200:
            bench.fail(
                reply,
                f"GET {target}: {reply.outline()}",
                expected="404",
            )
        bench.expect_refusal(reply, f"GET {target}")
    bench.expect_well("targets that look like the folders")


@check(
    "hostile.dot_segments", "`.` and `..` and empty segments are not found, wherever they lead", "S14", submission=False
)
def dot_segments(bench: Bench) -> None:
    for kind, twin in (KINDS, KINDS[::-1]):
        bench.small(kind)
        bench.tree.pair("below/deep.dat", 100)
        for target in (
            "/./small00.dat",
            f"/../{kind}/small00.dat",
            f"/../{twin}/small00.dat",
            "/below/../small00.dat",
            "//small00.dat",
            "/below//deep.dat",
            "/small00.dat/",
            "/%2e/small00.dat",
            "/below/.",
            "/below/..",
        ):
            bench.expect_404(_ask(bench, f"/{kind}{target}"), f"GET /{kind}{target}")


@check("request.directory", "a directory is not found", "S14", needs=(*FILES, *MISSING))
def directory(bench: Bench) -> None:
    expect_group(bench, "directory")
    for kind in KINDS:
        bench.tree.directory(f"/{kind}/folder")
        for target in (f"/{kind}", f"/{kind}/", f"/{kind}/folder", f"/{kind}/folder/"):
            _expect_no_file(bench, target, "a directory")


@check(
    "hostile.special",
    "a FIFO that nobody writes to, a socket and a device are not found, and delay nobody",
    "S1",
    "S14",
    needs=("request.directory",),
)
def special(bench: Bench) -> None:
    for kind in KINDS:
        target = f"/{kind}/fifo"
        bench.tree.fifo(target)
        try:
            _expect_no_file(bench, target, "a FIFO")
        finally:
            # Open both ends for a moment: it frees a server that does stand still.
            os.close(os.open(bench.tree.path(target), os.O_RDWR | os.O_NONBLOCK))
            bench.tree.path(target).unlink()
        bench.tree.unix_socket(f"/{kind}/socket")
        _expect_no_file(bench, f"/{kind}/socket", "a socket")
        bench.tree.symlink(f"/{kind}/link-zero", "/dev/zero")
        _expect_no_file(bench, f"/{kind}/link-zero", "a link to a device")


@check("hostile.device", "a device below the root is not found", "S14", submission=False)
def device(bench: Bench) -> None:
    for kind in KINDS:
        path = bench.tree.path(f"/{kind}/zero")
        path.unlink(missing_ok=True)
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError as error:
            raise Trouble("only root makes devices") from error
        try:
            bench.expect_404(_ask(bench, f"/{kind}/zero"), f"GET /{kind}/zero, a device")
        finally:
            path.unlink()


@check("hostile.link_outside", "a symbolic link out of the root is not followed", "S14", submission=False)
def link_outside(bench: Bench) -> None:
    for kind in KINDS:
        for name, to in {
            "absolute": "/etc/passwd",
            "proc": "/proc/self/status",
            "up": "../../../../../../etc/passwd",
            "dangling": "nowhere",
            "loop": "loop",
            "root": "../..",
        }.items():
            target = f"/{kind}/link-{name}"
            bench.tree.symlink(target, to)
            bench.expect_404(_ask(bench, target), f"GET {target}, a link to {to}")
        bench.tree.symlink(f"/{kind}/link-folder", "/etc")
        bench.expect_404(
            _ask(bench, f"/{kind}/link-folder/passwd"), f"GET /{kind}/link-folder/passwd by a link to /etc"
        )
    bench.expect_well("links that lead out of the root")


@check("hostile.link_inside", "a symbolic link that stays inside the root is followed", "S14", submission=False)
def link_inside(bench: Bench) -> None:
    for kind, twin in (KINDS, KINDS[::-1]):
        bench.small(kind, 7)
        for name, to in {"same": "small07.dat", "other": f"../{twin}/small07.dat"}.items():
            target = f"/{kind}/link-{name}"
            bench.tree.symlink(target, to)
            path = f"/{twin}/small07.dat" if name == "other" else f"/{kind}/small07.dat"
            bench.expect_file(bench.ask(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), path), path)


@check("hostile.unreadable", "a file that the server may not read is not found", "S14", needs=(*FILES, *MISSING))
def unreadable(bench: Bench) -> None:
    if procfs.effective_uid(bench.server.pid) == 0:
        raise Trouble("the server runs as root, who may read every file")
    for kind in KINDS:
        target = f"/{kind}/unreadable.dat"
        bench.tree.unreadable(target, 100)
        _expect_no_file(bench, target, "a file of mode 000")


@check(
    "request.malformed",
    "what is no HTTP is refused or waited out, what is complete is not waited for, and nobody is harmed",
    "S13",
    needs=(*FILES, *MISSING, "async.writers"),
)
def malformed(bench: Bench) -> None:
    expect_group(bench, "malformed")
    noise = (b"\r\n", b"\n", b"\0" * 100, bench.rng.randbytes(256), b" ")
    with bench.several(len(noise)) as clients:
        for client, data in zip(clients, noise):
            client.send(data)
            bench.wait_consumed(client)
        bench.expect_well("bytes that are no HTTP were sent, and the connections are still open")
        for client in clients:
            client.drain()
    for data in (bench.rng.randbytes(256), b"\0" * 9000, b"\xff" * 20000):
        bench.expect_refusal(bench.ask(data + b"\r\n\r\n"), f"{len(data):,} bytes that are no HTTP, and an empty line")
    bench.expect_well("bytes that are no HTTP")


@check(
    "request.long_head",
    "heads longer than any buffer are answered or refused, and overrun nothing",
    "S15",
    needs=("request.forms", "request.malformed"),
)
def long_head(bench: Bench) -> None:
    expect_group(bench, "long-head")
    target = bench.small("static")
    for size in (1000, 4096, 8192, 9000, 16 * KIB, 20000, 70000, 1024 * KIB):
        for field in (f"X: {'x' * size}", "X: y\r\n" * (size // 6) + "X: z", f"{'X' * size}: y"):
            reply = bench.ask(f"GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode(), target)
            done = f"GET {target} with {size:,} bytes of fields"
            reply.should(answer="either", file=target)
            if reply.status == 200:
                bench.expect_equal(reply, target)
            else:
                bench.expect_refusal(reply, done)
            bench.expect_alive(done)
    bench.expect_well("heads of up to 1 MiB")


@check(
    "request.long_target",
    "targets longer than any buffer are refused, and overrun nothing",
    "S15",
    needs=("request.long_head", *MISSING),
)
def long_target(bench: Bench) -> None:
    expect_group(bench, "long-target")
    for kind in KINDS:
        for size in (600, 1023, 1024, 1025, 4095, 4096, 4097, 8190, 8191, 8192, 8193, 9000, 20000, 65536):
            target = f"/{kind}/".ljust(size, "x")
            bench.expect_refusal(_ask(bench, target), f"GET of a target of {size:,} bytes")
            deep = ("/" + kind + "/d" * 40000)[:size]
            bench.expect_refusal(_ask(bench, deep), f"GET of a target of {size:,} bytes, a folder every second one")
            bench.expect_alive(f"targets of {size:,} bytes")
    bench.expect_well("targets of up to 64 KiB")


def _ask(bench: Bench, target: str) -> Reply:
    """A GET with this very target, not a byte of it escaped."""
    return bench.ask(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))


def _expect_out_of_reach(bench: Bench, target: str) -> None:
    reply = _ask(bench, target)
    for piece in (secret(bench), b"root:"):
        bench.expect_nothing_of(reply, piece, f"GET {target}")
    bench.expect_refusal(reply, f"GET {target}")


def _expect_no_file(bench: Bench, target: str, what: str) -> None:
    """404 or another refusal: a server may say 403 of what is there and not to be had."""
    bench.expect_refusal(_ask(bench, target), f"GET {target}, {what}")
    bench.expect_well(f"GET {target}, {what}")
