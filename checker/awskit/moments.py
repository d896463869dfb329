"""An exchange as moments in the order of time: what the client did, what the server called, where it went wrong.

Times begin with the first of them. Who reads a picture takes in some forty: of a longer story the middle is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .plain import clean
from .reply import Ending
from .told import MOMENTS, Moment
from .transcript import Event, Transcript

TEXT = 60  # characters of one
_RESULTS = {Ending.FIN.value: "FIN", Ending.RST.value: "RST"}
_FAULTS = {"receive": "recv", "send": "send", "sendfile": "sendfile", "aio": "io_submit", "submit": "io_submit",
           "setup": "io_setup", "accept": "accept", "wait": "epoll_wait", "getevents": "io_getevents"}  # fmt: skip
_ERRNO = {"4": "EINTR", "11": "EAGAIN", "103": "ECONNABORTED", "5": "EIO", "24": "EMFILE"}


def of_client(transcript: Transcript) -> list[Moment]:
    """What the client of this connection did; `at` is still time.time()'s."""
    moments: list[Moment] = []
    for event in transcript.events:
        last = moments[-1] if moments else None
        if last and last.call == event.call == "receive":
            moments[-1] = replace(last, count=last.count + event.count, result=f"{last.count + event.count:,}")
        else:
            moments.append(_moment(event))
    return moments


def of_faults(words: Sequence[str], at: float) -> list[Moment]:
    """The faults that the checker delivered, from `at` on (faults.py has their words)."""
    return [_of_fault(word.split(":"), at) for word in words]


def of_end(ended: str, at: float) -> list[Moment]:
    """How the server ended of its own accord: `SIGPIPE`, `exit code 1`; nothing for ""."""
    code = ended.removeprefix("exit code ")
    if not ended:
        return []
    call, result = ("exit", code) if code != ended else (ended, "")
    return [Moment(at + 1e-6, "kernel", call, "ends the server", result, 0, "", True)]


def in_order(moments: Sequence[Moment]) -> tuple[tuple[Moment, ...], int, int]:
    """The moments by time, beginning with 0; how many were left out; before which of those that remain."""
    ordered = sorted(moments, key=lambda moment: moment.at)
    begin = ordered[0].at if ordered else 0.0
    found = [replace(moment, at=round(moment.at - begin, 6)) for moment in ordered]
    if len(found) <= MOMENTS:
        return tuple(found), 0, 0
    # What was wrong must be seen, also where it stands in the middle.
    half = MOMENTS // 2
    head, middle, tail = found[: half - 2], found[half - 2 : -half], found[-half:]
    kept = [moment for moment in middle if moment.wrong][-2:]
    return (*head, *kept, *tail), len(middle) - len(kept), len(head)


def _moment(event: Event) -> Moment:
    result = next((word for text, word in _RESULTS.items() if event.text.startswith(text)), "")
    if event.call in ("send", "receive"):
        result = f"{event.count:,}"
    return Moment(event.at, "client", event.call, short(event.text), result, event.count, "", event.call == "end")


def _of_fault(parts: list[str], at: float) -> Moment:
    kind, calls, rest = parts[0], parts[1] if len(parts) > 1 else "", parts[2:]
    call, text, result = _FAULTS.get(calls, calls), "", ""
    if kind == "hold":
        late = "reads" if calls == "1" else f"reads from the {calls}. on"
        call, text = "io_submit", f"a disk that does not answer: {late} are held"
    elif kind == "cut":
        most, share, *which = rest
        bound = f"at most {int(most):,} byte(s)" if most != "0" else f"{share.replace('-', ' ')} of what it could"
        text = f"takes at most {int(most):,} read(s)" if calls == "submit" else f"moves {bound}"
        text = f"{_which(*which)} {text}".lstrip()
    elif kind == "refuse":
        error, *which = rest
        result = _ERRNO.get(error, error)
        text = f"{_which(*which)} is refused".lstrip()
    return Moment(at, "fault", call, text, result, 0, "", False)


def _which(first: str, every: str, connection: str) -> str:
    """Which calls a fault hits, "" if it is each."""
    on = f" on connection {connection}" if connection != "0" else ""
    if first == every == "1":
        return f"each{on}" if on else ""
    again = {"0": "", "1": ", and each after it,"}.get(every, f", and 1 in {every} after it,")
    return f"call {first}{again}{on}"


def short(text: str) -> str:
    """A text for one moment: clean, one line, cut."""
    line = clean(text.replace("\n", " "))
    return line if len(line) <= TEXT else line[: TEXT - 1] + "…"
