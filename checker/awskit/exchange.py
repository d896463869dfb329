"""An exchange in words: what its moments are called, and all of them as a table, for those who do not see the picture
or want every letter of it.
"""

from __future__ import annotations

from dataclasses import replace

from .markup import Markup, element
from .plain import line
from .texts import Texts
from .told import Moment, Told

TEXT = 120  # characters of one, at most
CLIENT_CALLS = ("connect", "send", "receive", "pause", "half-close", "reset", "close", "end")


def table(told: Told, texts: Texts) -> Markup:
    """The moments of an exchange, a row for each."""
    names = ("when", "who", "what", "result")
    head = element("tr", [element("th", texts(f"page.{key}"), scope="col") for key in names])
    rows = [_line(bounded(moment), texts) for moment in told.moments]
    if told.moments_cut:
        left_out = element("td", texts("page.left_out", n=told.moments_cut), colspan=len(names))
        rows.insert(told.moments_gap, element("tr", left_out))
    return element("table", element("thead", head), element("tbody", rows), class_="moments")


def _line(moment: Moment, texts: Texts) -> Markup:
    what = " ".join(filter(None, (name(moment, texts), moment.text, moment.state and f"({moment.state})")))
    if moment.wrong:
        what += f" — {texts('page.wrong_here')}"
    cells = (texts("page.seconds", time=f"{moment.at:.4f}"), texts(f"page.side_{moment.side}"), what, moment.result)
    return element("tr", [element("td", cell) for cell in cells], class_="at-fault" if moment.wrong else None)


def bounded(moment: Moment) -> Moment:
    """The moment with its texts cut, whatever they were."""
    texts = ("call", "text", "result", "state")
    return replace(moment, **{key: line(getattr(moment, key), TEXT) for key in texts})


def outcome(moment: Moment) -> str:
    """A call and what it returned."""
    return f"{moment.call} → {moment.result}" if moment.result else moment.call


def name(moment: Moment, texts: Texts) -> str:
    """What the client did has a name in the reader's language; the server's calls have their own."""
    known = moment.side == "client" and moment.call in CLIENT_CALLS
    return texts("page.client_" + moment.call.replace("-", "_")) if known else moment.call
