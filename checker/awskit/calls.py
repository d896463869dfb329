"""The server's side of an exchange: of all system calls of a run, those that are about one connection, in short.

A call belongs to it by its descriptor (strace says where each leads): the client's socket, the file that was asked
for, the reads of that file. Where the server sleeps at the end belongs to it, too. The call at which it went wrong is
marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from . import states
from .evidence import EPOLL_WAITS, RECEIVES, SENDS, Call, Trace
from .facts import Facts
from .model import Evidence, Seen
from .moments import of_client, short
from .reply import Ending, Reply
from .told import Moment
from .transcript import Transcript

_TARGET = re.compile(rb"[A-Z]+ (/[^ ?]*)")
_DESCRIPTOR = re.compile(r"(\d+)<((?:->|[^<>])*)>")  # with -yy: number and what it leads to
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_NUMBER = re.compile(r", (\d+)(?=,|$)")
_RES = re.compile(r"\bres=(-?\w+)")
_VECTORS = ("readv", "writev", "recvmsg", "sendmsg")
_LENGTH = re.compile(r"\biov_len=(\d+)")
_EVENTS = re.compile(r"events=([A-Z|]+)")
_NAMES = {"recvfrom": "recv", "sendto": "send", "newfstatat": "stat", "pread64": "pread", "eventfd2": "eventfd",
          "exit_group": "exit"}  # fmt: skip
_REAPS = ("io_getevents", "io_pgetevents")
# What perror(3) and exit(3) call.
_WORDS = ("write", "writev", "close", "fcntl", "fstat", "newfstatat", "ioctl")
MANY = 50  # epoll_waits one after another that say the same: nobody heeds what they say


def of_connection(trace: Trace, transcript: Transcript, site: str, evidence: Evidence) -> list[Moment]:
    """The moments of the server, one of them marked as wrong where that can be told. `site` is the document root as the
    server sees it."""
    if evidence.reply is not None and evidence.reply.ending is Ending.SILENCE:  # who has given up sees nothing more
        end = max((event.at for event in transcript.events if event.call == "end"), default=float("inf"))
        trace = replace(trace, calls=tuple(call for call in trace.calls if call.at <= end))
    chosen = _chosen(trace, transcript.port, _path(transcript, site))
    if evidence.ended and trace.calls[-1] not in chosen:  # whoever it was about: it may have ended the server
        chosen.append(trace.calls[-1])
    if (last := _last_word(trace, evidence)) is not None and last not in chosen:
        chosen = sorted([*chosen, last], key=lambda call: call.at)
    wrong = last or _wrong(chosen, trace, evidence)
    after = states.after(chosen, trace, transcript.port)
    return [
        _moment(run, transcript.port, any(call is wrong for call in run), after.get(run[-1].at, ""))
        for run in _runs(chosen)
    ]


def moments_of(seen: Seen) -> list[Moment]:
    """Both sides of a request that strace saw, with the call that is wrong."""
    chosen = _chosen(seen.trace, seen.transcript.port, _path(seen.transcript, seen.site), until=seen.transcript)
    server = [_moment(run, seen.transcript.port, any(call is seen.culprit for call in run)) for run in _runs(chosen)]
    return [*(replace(moment, wrong=False) for moment in of_client(seen.transcript)), *server]


def left_open(trace: Trace, kinds: tuple[str, ...]) -> Call | None:
    """The last call that opened a descriptor of one of these kinds (`left_open` of misconceptions.toml) that was never
    closed; or that made an AIO context that was never destroyed."""
    opened: dict[int | str, Call] = {}  # by descriptor, or by the context's address
    for call in trace.calls:
        kind = "file" if call.opened else "socket" if call.accepted else name_of(call)
        if call.name == "close" and (found := _DESCRIPTOR.match(call.arguments)):
            opened.pop(int(found[1]), None)
        elif call.name in ("io_setup", "io_destroy") and (found := _ADDRESS.search(call.arguments)):
            opened.pop(found[0], None)
            if call.name == "io_setup" and call.result == 0 and "context" in kinds:
                opened[found[0]] = call
        elif kind in kinds and call.result is not None and call.result >= 0:
            opened[call.result] = call
    return max(opened.values(), key=lambda call: call.at, default=None)


def name_of(call: Call) -> str:
    """The call as programmers write it."""
    return _NAMES.get(call.name, call.name)


def reported(trace: Trace) -> Facts:
    """What epoll_wait said again and again at the end: `reported`, the events; nothing where it did not."""
    words: set[str] = set()
    last = trace.calls[-MANY * 4 :]
    waits = [call for call in last if call.name in EPOLL_WAITS and (call.result or 0) > 0]
    if len(waits) >= MANY:
        words = {event for found in _EVENTS.findall(waits[-1].arguments) for event in found.split("|")}
    return {"reported": frozenset(words)} if words else {}


def _waits(call: Call) -> bool:
    """Whether it had not returned when the server was ended. Its result is then `?`, which evidence.py takes for -1."""
    return call.result is None or call.result == -1 and not call.error and call.name != "exit_group"


def _path(transcript: Transcript, site: str) -> str:
    """The path of the file that the client asked for, "" where it named none."""
    found = _TARGET.match(bytes(transcript.sent))
    return site + found[1].decode(errors="replace") if found else ""


def _chosen(trace: Trace, port: int, path: str, until: Transcript | None = None) -> list[Call]:
    """The calls about the connection or the file, from the client's accept on; and what waits, or ends, at the end, or
    is repeated. `until` the end of that exchange, where the run goes on with others."""
    begin = next((at for at, call in enumerate(trace.calls) if call.accepted == port), None)
    if begin is None:  # nobody accepted it: what the server does instead is all that there is
        again = [call for run in _runs(trace.calls) if len(run) >= MANY for call in run]
        return again or [call for call in trace.calls if _waits(call) or call.name == "exit_group"
                         or call.name in EPOLL_WAITS and call.error]  # fmt: skip
    end = until.events[-1].at if until else float("inf")
    found: list[Call] = []
    spun: list[Call] = []  # epoll_waits since the last of those
    for call in trace.calls[begin:]:
        if call.at > end:
            break
        if call.name in EPOLL_WAITS and not _waits(call):
            spun.append(call)
            continue
        about = port in (call.port, call.accepted)
        about |= call.port is None and bool(path) and (path in call.paths or call.opened == path)
        if about or call.name in ("io_submit", *_REAPS, "io_destroy", "exit_group") or _waits(call):
            found += spun if len(spun) >= MANY else []
            found.append(call)
            spun = []
    return found + (spun if len(spun) >= MANY else [])


def _runs(calls: Iterable[Call]) -> list[list[Call]]:
    """Calls of one name and one kind of result that follow one another, together: three in a row are one moment."""
    runs: list[list[Call]] = []
    for call in calls:
        last = runs[-1][-1] if runs else None
        if last is not None and (last.name, last.error, last.port) == (call.name, call.error, call.port):
            runs[-1].append(call)
        else:
            runs.append([call])
    return [part for run in runs for part in ([run] if len(run) > 2 else [[call] for call in run])]


def _moment(run: list[Call], port: int, wrong: bool, state: str = "") -> Moment:
    """What the client at `port` sees of some calls: of those about another it gets no byte."""
    call = run[-1] if wrong else run[0]
    own = call.port in (None, port)
    times = f"{len(run):,} times" if len(run) > 1 else ""
    moved = sum(max(0, one.result or 0) for one in run) if call.name in (*SENDS, *RECEIVES, "pread64") else 0
    if _waits(call):
        result = "waits"
    elif call.error:
        result = call.error
    else:
        result = "" if call.result is None or call.result < 0 else f"{moved if moved else call.result:,}"
    client = "the client" if own else "another client"
    text = short(", ".join(filter(None, (times, _arguments(call, client)))))
    return Moment(run[0].at, "server", name_of(call), text, result, moved if own else 0, state, wrong)


def _arguments(call: Call, client: str) -> str:
    """The arguments in short: descriptors with what they lead to, and how many bytes were asked for."""
    if call.opened:
        return ", ".join([call.opened, *call.writing_flags])
    if call.name == "io_submit":
        return f"{_reads(call)} read(s) of {', '.join(dict.fromkeys(call.paths))}"
    if call.name in _REAPS:
        results = _RES.findall(call.arguments)
        return f"what came: {', '.join(results[:6])}{'…' if len(results) > 6 else ''}" if results else ""
    if call.name in EPOLL_WAITS:
        return " ".join(dict.fromkeys(_EVENTS.findall(call.arguments)))
    words = []
    for number, leads in _DESCRIPTOR.findall(call.arguments)[:3]:
        if not leads.startswith("anon_inode:[eventpoll]"):
            words.append(f"fd {number}" + (f" {leads}" if leads.startswith("/") else _kind(leads, client)))
    if call.name == "epoll_ctl":
        words = [" ".join([*re.findall(r"EPOLL_CTL_\w+", call.arguments), *_EVENTS.findall(call.arguments)]), *words]
    elif call.name == "fcntl":
        words = [" ".join(re.findall(r"\b(?:F_SET|O_|FD_)\w+", call.arguments)), *words]
    elif call.name in (*SENDS, *RECEIVES, "pread64"):
        words += [f"{_asked(call):,}"] if _asked(call) else []
    elif call.name == "exit_group":
        words.append(call.arguments)
    return ", ".join(dict.fromkeys(words))


def _reads(submit: Call) -> int:
    """How many reads io_submit was given."""
    return submit.arguments.count("{aio_data=")


def _kind(leads: str, client: str) -> str:
    for start, kind in (("TCP", f" ({client})" if "->" in leads else " (the listener)"), ("anon_inode:[", "")):
        if leads.startswith(start):
            return kind or f" ({leads[len(start):].rstrip(']')})"
    return ""


def _wrong(calls: list[Call], trace: Trace, evidence: Evidence) -> Call | None:
    """The call at which it went wrong: the last before the server was ended; the one in which it sleeps, or that it
    makes over and over; the one that sent the first wrong byte, or a wrong head; the one that ended the connection too
    early; the error after which it gave up, or went to sleep."""
    reply, moving = evidence.reply, [call for call in calls if call.name in SENDS + RECEIVES and call.port is not None]
    if evidence.ended:
        done = [call for call in calls if not _waits(call) and call.name != "exit_group"]
        return done[-1] if done else None
    asleep = [call for call in trace.calls if _waits(call) and call.name not in EPOLL_WAITS]
    short_of = [call for call in calls if call.name == "io_submit" and (call.result or 0) < _reads(call)]
    if short_of and reply is not None and reply.ending is Ending.SILENCE:  # reads that were never begun
        return short_of[0]
    if asleep and (reply is None or reply.ending is Ending.SILENCE):
        return asleep[-1]
    if reply is None:  # it is not about this exchange; unless it goes on for ever
        longest = max(_runs(calls), key=len, default=[])
        return longest[-1] if len(longest) >= MANY else None
    if reply.difference is not None:
        return _sender_of(reply, moving)
    failed = [call for call in moving if call.error]
    if reply.ending in (Ending.FIN, Ending.RST) and not failed:
        cut_short = [call for call in moving if call.name in SENDS and 0 <= (call.result or 0) < _asked(call)]
        if cut_short:  # what it did not take never left
            return cut_short[0 if reply.head is None else -1]
        if reply.empty or reply.wanted is not None and reply.length < reply.wanted.size:  # FIN, or RST, came too early
            return next((call for call in calls if call.name in ("close", "shutdown") and call.port), None)
        return next((call for call in moving if call.name in SENDS), None)  # it sent the head, or what came instead
    return (failed or moving or [None])[-1]


def _last_word(trace: Trace, evidence: Evidence) -> Call | None:
    """Where the server ended itself: the call that had failed, when nothing but words about it came between; or else
    the one by which it ended. Whatever connection that was about."""
    ends = [at for at, call in enumerate(trace.calls) if call.name == "exit_group"]
    if not evidence.ended.startswith("exit code") or not ends:
        return None
    end = trace.calls[ends[-1]]
    own = [call for call in trace.calls[: ends[-1]] if call.thread == end.thread]
    # A write(2) to a client that failed is none of these words.
    before = [call for call in own if call.name not in _WORDS or call.error and call.port is not None]
    return before[-1] if before and before[-1].error else end


def _asked(call: Call) -> int:
    """How many bytes it was to move; 0 where its arguments do not say so."""
    if call.name in _VECTORS:
        return sum(map(int, _LENGTH.findall(call.arguments)))
    numbers = _NUMBER.findall(_DESCRIPTOR.sub("", call.arguments))
    return int(numbers[0]) if numbers else 0


def _sender_of(reply: Reply, moving: list[Call]) -> Call | None:
    """The call that sent the first byte that is wrong."""
    assert reply.difference is not None
    place, sent = len(reply.raw_head) + reply.difference.offset, 0
    for call in moving:
        if call.name in SENDS:
            sent += max(0, call.result or 0)
            if sent > place:
                return call
    return None
