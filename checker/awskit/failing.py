"""One failure as the page shows it: the picture of its exchange with the bytes beside it, what was done, got and
expected, the misconception that it fits, the line of the submission, and the command that shows it again.
"""

from __future__ import annotations

import re
from dataclasses import replace

from . import exchange, picture
from .evidence import EPOLL_WAITS, RECEIVES, SENDS
from .markup import Content, Markup, element, join
from .model import Verdict
from .plain import cut, line
from .texts import Texts
from .told import Cause, Difference, Frame, Told

CALLS = frozenset((*EPOLL_WAITS, *RECEIVES, *SENDS, "recv", "send", "accept", "close", "epoll", "malloc", "free"))
PER_ROW = 4  # bytes of each side in a row of the columns: so both stand side by side on a telephone


def told_of(verdict: Verdict, texts: Texts) -> Told:
    """What is told of a failed verdict, its title in the reader's language; where nobody has told of it, what the check
    itself said."""
    check = verdict.check
    told = verdict.told or Told(
        check.id, check.title, check.rules, 0, verdict.reason, verdict.got, verdict.expected, "", None, (), 0, 0, False,
        verdict.exchange, None, None, "", verdict.server_log,
    )  # fmt: skip
    return replace(told, title=texts.check(check))


def body(told: Told, texts: Texts, id: str, belongs: str) -> Markup:
    """All that unfolds below a failure's title. `id` is the beginning of its elements' ids; `belongs` says which check
    it is, and of which items."""
    return element(
        "div",
        _evidence(told, texts, id),
        _place(told.frame, texts),
        _said(told, texts),
        _command("page.again", told.again, texts),
        _command("page.replay", told.replay, texts),
        element("p", texts("failure.no_case", reason=line(told.no_case)), class_="soft") if told.no_case else None,
        _table(told, texts),
        _folded(texts("page.exchange"), told.exchange),
        _folded(texts("page.log"), told.log),
        _why(told, texts),
        element("p", belongs, class_="belongs"),
        class_="failure",
    )


def words(told: Told, texts: Texts, belongs: str) -> Markup:
    """The same without picture, tables and logs, for a page that is full: a few thousand bytes at most."""
    left_out = element("p", texts("page.no_room"), class_="soft")
    last = element("p", belongs, class_="belongs")
    done = element("dl", _term("page.done", line(told.done, 200), texts), class_="said")
    return element("div", left_out, done, _command("page.again", line(told.again, 200), texts), last, class_="failure")


def _evidence(told: Told, texts: Texts, id: str) -> Markup | None:
    """The picture, and beside it the bytes and the cause; without one, only these."""
    beside = []
    if told.difference:
        beside.append(element("div", bytes_table(told.difference, texts), class_="scroll"))
    if told.cause:
        beside.append(_cause(told.cause, texts))
    aside = element("div", beside, class_="beside") if beside else None
    if not told.moments:
        return aside
    caption = texts("page.caption_traced" if told.traced else "page.caption")
    figure = element("figure", element("figcaption", caption), picture.draw(told, texts, id))
    return element("div", figure, aside, class_="evidence both" if aside else "evidence")


def _said(told: Told, texts: Texts) -> Markup:
    """What is said twice is shown once: a sentence that ends in what came, an ending that stands there already."""
    done = told.done.removesuffix(told.got).rstrip(" :;,") or told.done
    ending = "" if told.ending in told.got or told.ending in done else told.ending
    rows = [("done", done), ("got", told.got), ("expected", told.expected), ("ending", ending)]
    return element("dl", [_term(f"page.{key}", text, texts) for key, text in rows if text], class_="said")


def _term(key: str, text: str, texts: Texts) -> Markup:
    """A name and what is said of it, which checks say in English whatever the language of the page."""
    lines = cut(text)
    long = len(lines) > 1
    shown = element("pre", "\n".join(lines), tabindex="0") if long else lines[0]
    english = "en" if texts.language != "en" else None
    return join(element("dt", texts(key)), element("dd", shown, lang=english))


def _cause(cause: Cause, texts: Texts) -> Markup:
    name, sentences = texts.cause(cause.id, cause.name, cause.sentences)
    read = element("p", texts("page.read", where=line(", ".join(cause.read))), class_="read") if cause.read else None
    return element(
        "section",
        element("h4", texts("page.cause")),
        element("p", element("strong", capital(line(name)))),
        element("p", " ".join(line(sentence) for sentence in sentences)),
        read,
        class_="cause",
    )


def _place(frame: Frame | None, texts: Texts) -> Markup | None:
    if frame is None:
        return None
    where = f"{line(frame.file)}:{frame.line}"
    if frame.function:
        where = texts("page.in_function", where=where, function=line(frame.function))
    width = max((len(str(number)) for number, _ in frame.source), default=0)
    lines = [_source_line(number, text, width, number == frame.line) for number, text in frame.source]
    source = element("pre", lines, tabindex="0") if lines else None
    return element(
        "section",
        element("h4", texts("page.place")),
        element("p", element("code", where), f": {line(frame.what)}" if frame.what else None),
        source,
        class_="place",
    )


def _source_line(number: int, text: str, width: int, here: bool) -> Markup:
    """A line with its number; the one that is meant has an arrow before it, and a ground of its own."""
    mark = "→" if here else " "
    shown = join(element("span", f"{mark} {number:{width}}  ", class_="line"), line(text))
    return join(element("span", shown, class_="here") if here else shown, "\n")


def _command(title: str, command: str, texts: Texts) -> Markup | None:
    if not command:
        return None
    copy = element("button", texts("page.copy"), type="button", hidden=True, data_does="copy",
                   data_done=texts("page.copied"))  # fmt: skip
    # A narrow page may break the line at any blank or hyphen, but not in the `--` of an option.
    words = re.split(r"(\s+)", "\n".join(cut(command, width=2000)))
    shown = [element("span", word, class_="option") if word.startswith("-") else word for word in words]
    row = element("div", element("pre", shown, tabindex="0"), copy, class_="row")
    return element("section", element("h4", texts(title)), row, class_="again")


def _why(told: Told, texts: Texts) -> Markup:
    """What the check does, why that matters, and what the rules say that it is about."""
    about = [element("p", text) for text in texts.explained(told.check) if text]
    rules = [element("p", element("strong", rule), f" {texts.rule(rule)}")
             for rule in told.rules if texts.has_rule(rule)]  # fmt: skip
    return _part(texts("page.why"), element("div", about, rules, class_="inside"))


def _table(told: Told, texts: Texts) -> Markup | None:
    if not told.moments:
        return None
    return _part(texts("page.as_table"), element("div", exchange.table(told, texts), class_="scroll", tabindex="0"))


def _folded(title: str, text: str) -> Markup | None:
    return _part(title, element("pre", "\n".join(cut(text)), tabindex="0")) if text.strip() else None


def _part(title: str, *content: Content) -> Markup:
    return element("details", element("summary", title), content, class_="part")


def capital(text: str) -> str:
    """The beginning of a sentence or a title; the name of a call stays as it is."""
    first = re.split(r"[^\w(]", text, maxsplit=1)[0]
    return text[:1].upper() + text[1:] if first.isalpha() and first not in CALLS else text


# -- bytes ------------------------------------------------------------------------------------------------------------


def bytes_table(difference: Difference, texts: Texts) -> Markup:
    """Both sides of a difference in hexadecimal digits and as text, row by row. The first byte that differs is set in
    a box, those after it are underlined."""
    begins = difference.begins - difference.begins % PER_ROW
    ends = difference.begins + max(len(difference.got), len(difference.expected), difference.offset - begins + 1)
    sides = element("tr", element("td"), [element("th", texts(f"page.{side}"), colspan=2, scope="col")
                                          for side in ("got", "expected")])  # fmt: skip
    rows = [_row(difference, at, texts) for at in range(begins, ends, PER_ROW)]
    caption = element("caption", texts("page.first_difference", offset=difference.offset))
    return element("table", caption, element("thead", sides), element("tbody", rows), class_="bytes")


def _row(difference: Difference, at: int, texts: Texts) -> Markup:
    cells = [element("th", texts.number(at), scope="row")]
    for own, other in ((difference.got, difference.expected), (difference.expected, difference.got)):
        places = range(at, at + PER_ROW)
        digits = [_digits(own, other, place, difference) for place in places]
        cells.append(element("td", [join(digit, " " if number + 1 < PER_ROW else "")
                                    for number, digit in enumerate(digits)]))  # fmt: skip
        cells.append(element("td", "".join(_letter(own, place - difference.begins) for place in places),
                             class_="letters"))  # fmt: skip
    return element("tr", cells)


def _digits(own: bytes, other: bytes, place: int, difference: Difference) -> Markup | str:
    """The two digits of the byte at `place`; where this side ends, two dots, and nothing after them."""
    index = place - difference.begins
    shown = f"{own[index]:02x}" if 0 <= index < len(own) else "··" if place == difference.offset else "  "
    if place == difference.offset:
        return element("mark", shown, class_="first")
    differs = place > difference.offset and index < min(len(own), len(other)) and own[index] != other[index]
    return element("span", shown, class_="other") if differs else shown


def _letter(data: bytes, index: int) -> str:
    if not 0 <= index < len(data):
        return " "
    return chr(data[index]) if 32 <= data[index] < 127 else "."
