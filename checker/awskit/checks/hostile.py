"""What a hostile client asks for: ways out of the root, things that are no files, more than any buffer holds.

Each check ends with a plain request: a refusal counts only from a server that can do otherwise.
"""

from __future__ import annotations

import contextlib
import os
import stat

from .. import procfs
from ..bench import KIB, KINDS, Bench
from ..model import Trouble, check

SECRET = b"the secret that lies beside the two folders"
NEEDS = ("static.small_equal", "dynamic.small_equal")

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
    "secret",
    "../secret",
    "",
    "/",
    "/.",
    "/..",
    "*",
)
PREFIXES = (
    "/staticx/f",
    "/dynamicx/f",
    "/xstatic/f",
    "/other/static/f",
    "/other/dynamic/f",
    "/statix/small00.dat",
    "/STATIC/small00.dat",
    "/Dynamic/small00.dat",
    "/xyzt/small00.dat",
    "/static%2fsmall00.dat",
    "/static\\small00.dat",
)


@check("hostile.traversal", "no spelling of `..` leads out of the folders", "S14", needs=NEEDS)
def traversal(bench: Bench) -> None:
    bench.tree.text("/secret", SECRET)
    for kind in KINDS:
        bench.tree.directory(f"/{kind}/below")
        for spelling in TRAVERSALS:
            _expect_out_of_reach(bench, f"/{kind}{spelling}")
    bench.expect_well("traversals")


@check("hostile.outside", "nothing beside the two folders is served", "S2", "S14", needs=NEEDS)
def outside(bench: Bench) -> None:
    bench.tree.text("/secret", SECRET)
    for target in OUTSIDE:
        _expect_out_of_reach(bench, target)
    bench.expect_well("targets outside of the two folders")


@check(
    "hostile.prefix", "a folder whose name only begins, ends or sounds like one of the two is not it", "S2", needs=NEEDS
)
def prefix(bench: Bench) -> None:
    for kind in KINDS:
        bench.small(kind)
    for target in ("/staticx/f", "/dynamicx/f", "/xstatic/f", "/other/static/f", "/other/dynamic/f"):
        bench.tree.text(target, SECRET)
    for target in PREFIXES:
        reply = _ask(bench, target)
        if reply.status == 200:
            bench.fail(
                reply,
                f"GET {target}: {reply.outline()}",
                expected="404",
                likely="the folder is looked for by strstr(3), or without the slash after its name",
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


@check("hostile.directory", "a directory is not found", "S14", needs=NEEDS)
def directory(bench: Bench) -> None:
    for kind in KINDS:
        bench.tree.directory(f"/{kind}/folder")
        for target in (f"/{kind}", f"/{kind}/", f"/{kind}/folder", f"/{kind}/folder/"):
            _expect_no_file(
                bench,
                target,
                "a directory",
                "open(2) succeeds on a directory, and nobody asks fstat(2) whether it is a file",
            )


@check("hostile.fifo", "a FIFO that nobody writes to is not found and delays nobody", "S1", "S14", needs=NEEDS)
def fifo(bench: Bench) -> None:
    for kind in KINDS:
        target = f"/{kind}/fifo"
        bench.tree.fifo(target)
        try:
            _expect_no_file(
                bench,
                target,
                "a FIFO",
                "open(2) of a FIFO without O_NONBLOCK waits for a writer: the whole server stands still",
            )
        finally:
            # Open both ends for a moment: it frees a server that does stand still, for the checks after this one.
            os.close(os.open(bench.tree.path(target), os.O_RDWR | os.O_NONBLOCK))
            bench.tree.path(target).unlink()


@check("hostile.socket", "a socket in the file system is not found", "S14", needs=NEEDS)
def unix_socket(bench: Bench) -> None:
    for kind in KINDS:
        bench.tree.unix_socket(f"/{kind}/socket")
        _expect_no_file(bench, f"/{kind}/socket", "a socket", "")


@check("hostile.device", "a device is not found", "S14", needs=NEEDS)
def device(bench: Bench) -> None:
    for kind in KINDS:
        path = bench.tree.path(f"/{kind}/zero")
        path.unlink(missing_ok=True)
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:  # only root makes devices
            path.symlink_to("/dev/zero")
        try:
            _expect_no_file(bench, f"/{kind}/zero", "a device", "nobody asks fstat(2) whether it is a regular file")
        finally:
            path.unlink()


@check("hostile.link_outside", "a symbolic link out of the root is not followed", "S14", submission=False)
def link_outside(bench: Bench) -> None:
    bench.tree.text("/secret", SECRET)
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


@check("hostile.unreadable", "a file that the server may not read is not found", "S14", needs=NEEDS)
def unreadable(bench: Bench) -> None:
    if procfs.effective_uid(bench.server.pid) == 0:
        raise Trouble("the server runs as root, who may read every file")
    for kind in KINDS:
        target = f"/{kind}/unreadable.dat"
        bench.tree.unreadable(target, 100)
        _expect_no_file(bench, target, "a file of mode 000", "")


@check(
    "hostile.long_target",
    "targets longer than any buffer are refused, and overrun nothing",
    "S15",
    needs=("notfound.static",),
)
def long_target(bench: Bench) -> None:
    for kind in KINDS:
        for size in (600, 1023, 1024, 1025, 4095, 4096, 4097, 8190, 8191, 8192, 8193, 9000, 20000, 65536):
            target = f"/{kind}/".ljust(size, "x")
            bench.expect_refusal(_ask(bench, target), f"GET of a target of {size:,} bytes")
            deep = ("/" + kind + "/d" * 40000)[:size]
            bench.expect_refusal(_ask(bench, deep), f"GET of a target of {size:,} bytes, a folder every second one")
    bench.expect_well("targets of up to 64 KiB")


@check(
    "hostile.long_head",
    "heads longer than any buffer are answered or refused, and overrun nothing",
    "S15",
    needs=("static.small_equal",),
)
def long_head(bench: Bench) -> None:
    target = bench.small("static")
    for size in (1000, 4096, 8192, 9000, 16 * KIB, 20000, 70000, 1024 * KIB):
        for field in (f"X: {'x' * size}", "X: y\r\n" * (size // 6) + "X: z", f"{'X' * size}: y"):
            reply = bench.ask(f"GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode(), target)
            done = f"GET {target} with {size:,} bytes of fields"
            if reply.status == 200:
                bench.expect_equal(reply, target)
            else:
                bench.expect_refusal(reply, done)
            bench.expect_alive(done)
    bench.expect_well("heads of up to 1 MiB")


@check(
    "hostile.garbage",
    "bytes that are no HTTP are refused or waited out, and harm nobody",
    "S13",
    needs=("static.small_equal",),
)
def garbage(bench: Bench) -> None:
    tls_hello = bytes.fromhex("16030100a5010000a10303") + bench.rng.randbytes(155)
    with contextlib.ExitStack() as stack:
        for data in (
            tls_hello,
            b"\r\n",
            b"\n",
            b"\0" * 100,
            bench.rng.randbytes(256),
            b"GET",
            b"GET ",
            b"GET\r\n",
            b" ",
        ):
            client = stack.enter_context(bench.connect())
            client.send(data)
            bench.wait_consumed(client)
        bench.expect_well("bytes that are no HTTP, the connections still open")
    for data in (bench.rng.randbytes(256), b"\0" * 9000, b"\xff" * 20000):
        bench.expect_refusal(bench.ask(data + b"\r\n\r\n"), "bytes that are no HTTP, and an empty line")
    bench.expect_well("bytes that are no HTTP")


@check(
    "hostile.malformed",
    "a malformed request whose head is complete is answered or closed, not waited for",
    "S13",
    needs=("static.small_equal",),
)
def malformed(bench: Bench) -> None:
    for request in (
        b"GET\r\n\r\n",
        b"what\r\n\r\n",
        b"GET static HTTP/1.1\r\n\r\n",
        b" / HTTP/1.1\r\n\r\n",
        b"GET / FTP/1.1\r\n\r\n",
        b"G@T /static/small00.dat HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        bench.expect_refusal(bench.ask(request), f"{request!r}")
    bench.expect_well("malformed requests")


def _ask(bench: Bench, target: str):  # noqa: ANN202 (Reply)
    """A GET with this very target, not a byte of it escaped."""
    return bench.ask(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))


def _expect_out_of_reach(bench: Bench, target: str) -> None:
    reply = _ask(bench, target)
    for secret in (SECRET, b"root:"):
        bench.expect_nothing_of(reply, secret, f"GET {target}")
    bench.expect_refusal(reply, f"GET {target}")


def _expect_no_file(bench: Bench, target: str, what: str, likely: str) -> None:
    reply = _ask(bench, target)
    if reply.status != 404:
        bench.fail(reply, f"GET {target}, {what}: {reply.outline()}", expected="404", likely=likely)
    bench.expect_well(f"GET {target}, {what}")
