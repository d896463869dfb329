"""A server with AddressSanitizer compiled in: overruns of stack, global and struct arrays, use after free, at once.

It is quick (twice the time), knows file and line, and ends the program at the first error. It is in the program's own
reach, though: what it does not say proves nothing, and valgrind is asked besides.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from .boxed import BoxedLauncher, BoxedServer

EXIT_CODE = 99  # of a program that the sanitizer has ended

# Every option that would make it see less is set here: what the program says of them itself comes before, and loses.
_ADDRESS = (
    f"exitcode={EXIT_CODE}:halt_on_error=1:abort_on_error=0:log_path=stderr:detect_leaks=0:poison_heap=1"
    ":poison_partial=1:replace_str=1:replace_intrin=1:strict_memcmp=1:redzone=16:max_redzone=2048:quarantine_size_mb=64"
    ":handle_segv=1:allow_user_segv_handler=0:detect_stack_use_after_return=1:start_deactivated=0:suppressions="
    ":symbolize=1:color=never:allocator_may_return_null=1"
)
_BOUNDS = f"exitcode={EXIT_CODE}:halt_on_error=1:log_path=stderr:suppressions=:color=never"
WRAPPER = ("/usr/bin/env", f"ASAN_OPTIONS={_ADDRESS}", f"UBSAN_OPTIONS={_BOUNDS}")

_ERROR = re.compile(r"^==\d+==ERROR: AddressSanitizer: ([\w-]+)", re.MULTILINE)
_ACCESS = re.compile(r"^(READ|WRITE) of size \d+", re.MULTILINE)
_FRAME = re.compile(r"^ +#\d+ 0x[0-9a-f]+ in (\S+) (\S+)$", re.MULTILINE)
_BOUND = re.compile(r"^(\S+?:\d+):\d+: runtime error: (.*)$", re.MULTILINE)
# Not errors of memory: what the process was told by a limit, or by us.
_NO_FINDING = ("ABRT", "out-of-memory", "allocation-size-too-big")


@dataclass(frozen=True)
class Finding:
    """What was found: a sentence with the place in the submission, the whole report, the sanitizer's word for it; and
    file, line and function of that place, where it is known."""

    text: str
    report: str
    kind: str = ""
    place: tuple[str, int, str] | None = None


def launcher(launcher: BoxedLauncher) -> BoxedLauncher:
    """The same launcher for a program with a sanitizer."""
    return launcher.wrapped(*WRAPPER)


def finding(server: BoxedServer) -> Finding | None:
    """What the sanitizer says of a server that has run, which is stopped. None if it says nothing."""
    ended = server.stop(signal.SIGKILL)
    text = server.stderr()
    folder = server.command.rpartition("/")[0]
    if error := _ERROR.search(text):
        if error[1] in _NO_FINDING:
            return None
        report = text[error.start() :]
        access = _ACCESS.search(report)
        what = f"{error[1]}: {access[0]}" if access else error[1]
        place = _place(report.partition("\n\n")[0], folder)
        where = f" in {place[2]} ({place[0]}:{place[1]})" if place else ""
        return Finding(what + where, report, error[1], place)
    if error := _BOUND.search(text):
        file, _, line = error[1].removeprefix(folder + "/").rpartition(":")
        place = (file, int(line), "")
        return Finding(f"{error[2]} in {file}:{line}", text[error.start() :], "index-out-of-bounds", place)
    if ended.code == EXIT_CODE:
        return Finding("an error that the program has kept from being told", text)
    return None


def _place(stack: str, folder: str) -> tuple[str, int, str] | None:
    """File, line and function of the first frame that is the submission's."""
    for frame in _FRAME.finditer(stack):
        function, where = frame[1], frame[2]
        if where.startswith(f"{folder}/"):
            file, line, *_ = *where.removeprefix(folder + "/").split(":"), ""
            return (file, int(line), function) if line.isdecimal() else None
    return None
