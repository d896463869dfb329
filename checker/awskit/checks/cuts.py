"""Every cut: each call of the server moves less than it asked for, has to be tried again, or is interrupted.

The kernel does all of this, but seldom when it is watched. Here a fault (faults.py) makes it certain, whatever the
server is linked with and however the call is spelled. A check whose fault did not hit a call is never passed.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator

from .. import procfs
from ..bench import Bench
from ..faults import Cut, Fault, Refuse
from ..model import Failure, check
from ..reply import Ending

MISSING = "/static/no-such-file.dat"


@contextlib.contextmanager
def _under(bench: Bench, fault: Fault, told: str, *, may_miss: bool = False) -> Iterator[Bench]:
    """A bench with a server of its own that `fault` hits, and must have hit at the end unless it `may_miss`: an honest
    design may do without that call. A Failure inside says what was done to the server (`told`)."""
    with bench.start(faults=(fault,)) as own:
        own.deeds.may_miss = may_miss
        try:
            yield own
        except Failure as failure:
            failure.reason = f"{told}: {failure.reason}"
            raise
        if not may_miss:
            own.expect_delivered()


def _expect_files(own: Bench, *targets: str) -> None:
    for target in targets:
        reply = own.get(target)
        if target == MISSING:
            own.expect_404(reply, f"GET {target}")
            own.expect_whole(reply, f"GET {target}")
        else:
            own.expect_file(reply, target)


def _register_cut(
    name: str,
    calls: str,
    title: str,
    rule: str,
    needs: tuple[str, ...],
    pick: Callable[[Bench], tuple[list[str], list[str]]],
) -> None:
    """`calls` as for Cut. `pick` names the files to ask for: small ones, which take cuts to a few bytes, and large
    ones for cuts to a share."""

    @check(f"cuts.{name}", title, rule, needs=needs, own_server=True)
    def cut(bench: Bench) -> None:
        small, large = pick(bench)
        for most in (1, 7):
            told = f"each {calls} moves {most} byte(s) at most"
            # A read by O_DIRECT cannot end within a block.
            with _under(bench, Cut(calls, most), told, may_miss=calls == "aio") as own:
                _expect_files(own, *small)
        for share, told in (("half", "half"), ("all-but-one", "all but one byte")):
            with _under(bench, Cut(calls, share=share), f"each {calls} moves {told} of what it could") as own:
                _expect_files(own, *large)


_register_cut(
    "receive",
    "receive",
    "receives that bring a part of what has come",
    "S4",
    ("pieces.many",),
    lambda bench: ([bench.small("static")], [bench.small("static")]),
)
_register_cut(
    "head",
    "send",
    "sends that take a part of the head",
    "S8",
    ("static.small_equal", "head.notfound_length"),
    lambda bench: ([bench.small("static"), MISSING], [bench.small("static"), MISSING]),
)
_register_cut(
    "body",
    "send",
    "sends that take a part of a dynamic file's buffer",
    "S8",
    ("cuts.head", "pieces.dynamic_slow_reader", "dynamic.one_then_another"),
    lambda bench: ([bench.small("dynamic")], [bench.small("dynamic"), bench.large("dynamic")]),
)
_register_cut(
    "sendfile",
    "sendfile",
    "sendfile takes a part of a static file",
    "S6",
    ("pieces.static_slow_reader", "static.one_then_another", "mechanism.sendfile"),
    lambda bench: ([bench.small("static")], [bench.small("static"), bench.large("static")]),
)
_register_cut(
    "aio",
    "aio",
    "asynchronous reads that bring a part of what they were asked for",
    "S7",
    ("dynamic.one_then_another", "mechanism.aio"),
    lambda bench: ([bench.tree.pair("few.dat", 100)["dynamic"]], [bench.small("dynamic"), bench.large("dynamic")]),
)


def _register_again(
    name: str,
    calls: str,
    title: str,
    rule: str,
    needs: tuple[str, ...],
    pick: Callable[[Bench], list[str]],
) -> None:
    """`calls` as for Refuse: the first, and every second from there on, is refused with EAGAIN."""

    @check(f"cuts.{name}_again", title, rule, needs=("mechanism.nonblocking", *needs), own_server=True)
    def again(bench: Bench) -> None:
        fault = Refuse(calls, errno.EAGAIN, first=1, every=2)
        with _under(bench, fault, f"every second {calls} ends with EAGAIN") as own:
            _expect_files(own, *pick(own))


_register_again(
    "receive",
    "receive",
    "a receive that has to be tried again",
    "S4",
    ("pieces.two",),
    lambda bench: [bench.small("static")],
)
_register_again(
    "send",
    "send",
    "a send that has to be tried again",
    "S8",
    ("cuts.head", "pieces.dynamic_slow_reader", "dynamic.one_then_another"),
    lambda bench: [bench.small("static"), bench.small("dynamic"), bench.large("dynamic")],
)
_register_again(
    "sendfile",
    "sendfile",
    "a sendfile that has to be tried again",
    "S6",
    ("mechanism.sendfile", "static.one_then_another", "pieces.static_slow_reader"),
    lambda bench: [bench.small("static"), bench.large("static")],
)


@check(
    "cuts.accept",
    "a client that is gone, or a signal, when it is to be accepted",
    "S15",
    needs=("static.small_equal",),
    own_server=True,
)
def accept(bench: Bench) -> None:
    for error in (errno.ECONNABORTED, errno.EINTR, errno.EAGAIN):
        told = f"the first accept fails with {errno.errorcode[error]}"
        # A blocking listener, which is legal where epoll has announced the client, meets no EAGAIN.
        with _under(bench, Refuse("accept", error), told, may_miss=error == errno.EAGAIN) as own:
            _expect_files(own, own.small("static"), own.small("static"))


@check("cuts.stopped", "a server that is stopped and goes on (SIGSTOP, SIGCONT)", "S1", needs=("static.small_equal",))
def stopped(bench: Bench) -> None:
    # epoll_wait(2) then ends with EINTR, without any handler: signal(7), last section.
    bench.wait_idle("nobody has asked for anything")
    with bench.paused():
        pass
    bench.expect_well("stopped (SIGSTOP) and continued (SIGCONT)")


@check(
    "cuts.interrupted",
    "receives, sends and completions interrupted by a signal (EINTR)",
    "S1",
    needs=("mechanism.sendfile", "dynamic.one_then_another"),
    own_server=True,
)
def interrupted(bench: Bench) -> None:
    for calls in ("receive", "send", "sendfile", "getevents"):
        fault = Refuse(calls, errno.EINTR, first=1, every=3)
        told = f"every third {calls} ends with EINTR"
        # Who reads the ring of completions by itself calls no io_getevents; the head may leave by any call.
        with _under(bench, fault, told, may_miss=calls == "getevents") as own:
            _expect_files(own, own.small("static"), own.small("dynamic"), own.large("dynamic"))


def _expect_later_or_end(own: Bench, target: str) -> None:
    """What of the file comes is right, and the connection ends."""
    reply = own.get(target)
    reply.should(answer="part")
    if reply.ending is Ending.SILENCE or reply.difference is not None:
        own.fail(reply, f"GET {target}: {reply.outline()}", expected="the file, later; or the end of the connection")


@check(
    "cuts.submit",
    "io_submit takes nothing for now (EAGAIN), or a part of what it is given",
    "S7",
    needs=("dynamic.large_equal", "mechanism.aio"),
    own_server=True,
)
def submit(bench: Bench) -> None:
    target = bench.large("dynamic")
    with _under(bench, Refuse("submit", errno.EAGAIN), "the first io_submit ends with -EAGAIN") as own:
        _expect_later_or_end(own, target)
        _expect_files(own, target)
    # Who asks for one read at a time is asked for no part.
    with _under(bench, Cut("submit", 1), "each io_submit takes one read at most", may_miss=True) as own:
        _expect_files(own, target)


@check(
    "cuts.setup",
    "no room for one AIO context more (EAGAIN)",
    "S7",
    "S15",
    needs=("dynamic.one_then_another", "mechanism.aio", "cuts.stopped"),
    own_server=True,
)
def setup(bench: Bench) -> None:
    """The number is the machine's, and all programs share it (fs.aio-max-nr): used up by others, or by fifty contexts
    as large as their files. Who has what it needs from its start on asks for no more."""
    with bench.start() as own:
        own.wait_idle("nobody has asked for anything")
        first = procfs.aio_contexts(own.server.pid) + 1
    fault, target = Refuse("setup", errno.EAGAIN, first), bench.small("dynamic")
    with contextlib.ExitStack() as stack:
        try:
            own = stack.enter_context(_under(bench, fault, "io_setup ends with -EAGAIN once", may_miss=True))
        except Failure:  # at its start it makes one, to see whether it can, and gives it back: that one was refused
            return
        _expect_later_or_end(own, target)
        _expect_files(own, target)
