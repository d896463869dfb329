"""A failure as lines of text, in the reader's language: the same on a terminal, in results.json and in JUnit.

A short human reason comes first (it is its caller's); then what came and what should have, how it ended, the server's
last calls, the likely cause, the place in the source, and how to have it again.
"""

from __future__ import annotations

from collections.abc import Iterator

from .reply import show
from .texts import Texts
from .told import Difference, Frame, Moment, Told

CALLS = 8  # of the server's last moments
BYTES = 16  # of each side of a difference
CUT = "[…"  # plain.cut and the transcript say so where something is left out


def lines(told: Told, texts: Texts) -> Iterator[str]:
    """All that is said of it beside the reason."""
    yield from block(texts("failure.expected"), told.expected)
    yield from block(texts("failure.got"), told.got)
    if told.ending and told.ending not in told.got:
        yield from block(texts("failure.ending"), told.ending)
    if told.difference:
        yield from _rows(texts("failure.difference", offset=told.difference.offset), _sides(told.difference, texts))
    calls = [moment for moment in told.moments if moment.side != "client"][-CALLS:]
    if calls:
        title = texts("failure.calls" if told.traced else "failure.events")
        yield from _rows(title, [_call(moment, texts) for moment in calls])
    yield from _cause(told, texts)
    if told.frame:
        yield from _rows(texts("failure.where", place=_place(told.frame)), _source(told.frame))
    yield from block(texts("failure.exchange"), told.exchange)
    yield from block(texts("failure.log"), told.log)
    if any(CUT in text for text in (told.expected, told.got, told.exchange, told.log)):
        yield f"  {texts('failure.cut')}"
    yield f"  {texts('failure.again', rules=', '.join(told.rules), command=told.again)}"
    if told.replay:
        yield f"  {texts('failure.replay', command=told.replay)}"
    if told.no_case:
        yield f"  {texts('failure.no_case', reason=told.no_case)}"


def block(title: str, text: str) -> Iterator[str]:
    """A text that is bounded and clean, under its title: in one line where it is one. Nothing where it is empty."""
    found = text.strip("\n").split("\n")
    if len(found) > 1:
        yield from _rows(title, found)
    elif text.strip():
        yield f"  {title}: {found[0]}"


def _rows(title: str, rows: list[str]) -> Iterator[str]:
    yield f"  {title}:"
    yield from (f"    | {row}" for row in rows)


def _cause(told: Told, texts: Texts) -> Iterator[str]:
    if told.cause is None:
        yield f"  {texts('failure.likely')}: {texts('failure.not_recognised')}"
        return
    name, sentences = texts.cause(told.cause.id, told.cause.name, told.cause.sentences)
    read = [texts("failure.read", places="; ".join(told.cause.read))] if told.cause.read else []
    yield from _rows(f"{texts('failure.likely')}: {name}", [*sentences, *read])


def _sides(difference: Difference, texts: Texts) -> list[str]:
    """Both sides from the first byte on that differs: in hexadecimal digits, and as text."""
    rows = []
    for name, data in (("got", difference.got), ("expected", difference.expected)):
        piece = data[difference.offset - difference.begins :][:BYTES]
        shown = f"{piece.hex(' '):{3 * BYTES - 1}}  {show(piece)}" if piece else texts("failure.nothing")
        rows.append(f"{texts(f'failure.{name}')}: {shown}")
    return rows


def _call(moment: Moment, texts: Texts) -> str:
    who = "" if moment.side == "server" else f"[{texts(f'failure.{moment.side}')}] "
    result = f" = {moment.result}" if moment.result else ""
    here = f"   <-- {texts('failure.here')}" if moment.wrong else ""
    return f"{moment.at:8.4f} s  {who}{moment.call}({moment.text}){result}{here}"


def _place(frame: Frame) -> str:
    function = f" ({frame.function})" if frame.function else ""
    return f"{frame.file}:{frame.line}{function}"


def _source(frame: Frame) -> list[str]:
    rows = [f"{'>' if number == frame.line else ' '}{number:5}  {text}" for number, text in frame.source]
    return [frame.what, *rows] if frame.what else rows
