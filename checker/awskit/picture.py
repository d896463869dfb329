"""The picture of an exchange: time runs down, the client at the left, the server at the right, bytes between them.

        client            server
           |                 |
      send |-----85--------->|
           |                 o  recv -> 85
           |                 o  sendfile -> 2,629,496
           |<---2,629,496----|
      ▌it fails here          o  sendfile -> EAGAIN          a band from side to side
           :  2.0 s later    :
       end |                 |

It is as wide as the place where it stands: what is horizontal is in percent, and of each text the narrow picture shows
the beginning only, by a rule of the style (`more`, `less`). Bounded: as many rows as Told has moments, and so many
characters of each text. The same as a table is in exchange.py.
"""

from __future__ import annotations

from .evidence import SENDS
from .exchange import bounded, name, outcome
from .markup import Markup, element, join
from .plain import line
from .texts import Texts
from .told import Moment, Told

CLIENT, SERVER, MIDDLE = "34%", "55%", "44.5%"  # where the two lines of life and the middle between them are
# Heights in pixels: of the names, of a moment, of one of which less is told, of one that prepares, of a gap,
# of the end.
HEAD, ROW, SHORT, LINE, HALF, FOOT = 30, 34, 25, 19, 22, 10
DETAIL = 13  # from one line of what is told of a moment to the next
LEFT = (15, 28)  # characters of a text beside the client's line: in a narrow picture (320 px), in a wide one (640 px)
RIGHT = (20, 38)  # and beside the server's
BESIDE = (19, 37)  # and beside a mark there that is wider than a point
NOTICED_S = 0.02  # a wait that is shown
ENDINGS = ("FIN", "RST")
SENDING = (*SENDS, "send")
# Calls that prepare others: where they went well, a line is enough.
MINOR = ("accept", "accept4", "epoll_ctl", "open", "openat", "openat2", "stat", "fstat", "newfstatat", "statx", "fcntl",
         "ioctl", "setsockopt", "getpeername", "io_setup", "eventfd")  # fmt: skip

# Shapes that all pictures of a page use. A pattern tells lost points from earned ones without a colour.
SHAPES = element(
    "svg",
    element(
        "defs",
        element("path", id="tip-right", d="M-9,-4.5L0,0L-9,4.5Z"),
        element("path", id="tip-left", d="M9,-4.5L0,0L9,4.5Z"),
        element("path", id="cross", d="M-5,-5L5,5M-5,5L5,-5"),
        element("path", id="diamond", d="M0,-7L7,0L0,7L-7,0Z"),
        element("path", id="torn", d="M-12,3L-6,-3L0,3L6,-3L12,3"),
        element("pattern", element("path", d="M0,0V6", class_="hatch"), id="hatch", width=5, height=6,
                patternUnits="userSpaceOnUse", patternTransform="rotate(45)"),
    ),
    class_="defs", aria_hidden="true",
)  # fmt: skip


def draw(told: Told, texts: Texts, id: str) -> Markup:
    """The picture of a failure's exchange, as an svg element; its title and description have ids that begin by `id`."""
    return _Picture(told, texts).whole(id)


def _two_lines(text: str, width: int) -> tuple[str, str]:
    """Text that is longer than `width` characters in two lines, broken near the edge: at a blank, or after a slash."""
    blank, slash = text.rfind(" ", width // 2, width + 1), text.rfind("/", width // 2, width) + 1
    at = blank if blank > 0 else slash or width
    rest = text[at:].lstrip()
    return text[:at], rest if len(rest) <= width else rest[: width - 1] + "…"


class _Picture:
    """Drawn from above: `y` is where the next thing comes. Lines of life are put behind all of it at last."""

    def __init__(self, told: Told, texts: Texts) -> None:
        self.told, self.texts = told, texts
        self.y = HEAD
        self.parts: list[Markup] = []
        self.lines: list[Markup] = []
        self.state = ""
        self.before = 0.0
        self.begun = HEAD - 8  # where the lines of life go on
        self.alive = [CLIENT, SERVER]
        self.wrong_above = False
        self.pause = ""  # what was told of the last one

    def whole(self, id: str) -> Markup:
        """All of it."""
        for number, moment in enumerate(self.told.moments):
            if self.told.moments_cut and number == self.told.moments_gap:
                self._left_out()
            elif moment.at - self.before >= NOTICED_S:
                self._wait(moment.at - self.before)
            self.before = moment.at
            self._moment(bounded(moment))
        self._live(self.y + FOOT)
        head = [
            element("text", self.texts(f"page.{who}"), x=at, dx=shift, y=14, class_=f"head {side}")
            for who, at, shift, side in (("the_client", CLIENT, 10, "left"), ("the_server", SERVER, -10, "right"))
        ]
        return element(
            "svg",
            element("title", self.texts("page.picture", title=line(self.told.title)), id=f"{id}-title"),
            element("desc", self._description(), id=f"{id}-desc"),
            self.lines, head, self.parts,
            class_="exchange", width="100%", height=self.y + FOOT, role="img",
            aria_labelledby=f"{id}-title {id}-desc",
        )  # fmt: skip

    def _description(self) -> str:
        wrong = [f"{name(moment, self.texts)} {moment.result or moment.text}".strip()
                 for moment in map(bounded, self.told.moments) if moment.wrong]  # fmt: skip
        wrong = [f"{self.texts('page.wrong_here')}: {text}" for text in wrong]
        said = [line(self.told.done), line(self.told.ending), *wrong]
        return ". ".join(filter(None, said)) + "."

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _moment(self, moment: Moment) -> None:
        if self._is_minor(moment):
            self._minor(moment)
        else:
            height = self._height(moment)
            if moment.wrong:
                self._wrong(moment, height)
            self.wrong_above = moment.wrong
            kinds = {"client": self._client, "fault": self._fault, "kernel": self._kernel}
            kinds.get(moment.side, self._server)(moment, self.y + min(height, ROW) / 2)
            self.y += height
        if moment.state and moment.state != self.state:
            self._right(f"→ {moment.state}", self.y + 11, "state")
            self.y += HALF
            self.state = moment.state

    def _is_minor(self, moment: Moment) -> bool:
        """Whether a line is enough: of a call that prepares others and went well, of a pause like the one before."""
        if moment.wrong:
            return False
        if moment.call == "pause":
            self.pause, before = moment.text, self.pause
            return before == moment.text
        return moment.side == "server" and moment.call in MINOR and not moment.result.isupper()

    def _minor(self, moment: Moment) -> None:
        middle = self.y + LINE / 2
        if moment.side == "client":
            self.parts.append(element("circle", cx=CLIENT, cy=middle, r=2.5, class_="dot-client"))
            self._text(CLIENT, -12, name(moment, self.texts), middle + 4, "left detail", LEFT)
        else:
            self.parts.append(element("circle", cx=SERVER, cy=middle, r=2.5, class_="dot-server"))
            self._right(" · ".join(filter(None, (outcome(moment), moment.text))), middle + 4, "detail")
        self.y += LINE

    def _height(self, moment: Moment) -> int:
        """Of a row: by how much is told of the moment."""
        if moment.side != "client":
            return ROW if moment.text or moment.side == "fault" else SHORT
        detail = self._detail(moment)
        if len(detail) > LEFT[1]:
            return ROW + DETAIL
        return SHORT if self._fits_beside(name(moment, self.texts), detail) else ROW

    def _client(self, moment: Moment, y: float) -> None:
        up = moment.call in ("connect", "send", "half-close", "reset", "close")
        down = moment.result in ENDINGS or (moment.count > 0 and not up and not self.told.traced)
        amount = moment.result if moment.result in ENDINGS else self._amount(moment)
        if up:
            amount = {"half-close": "FIN", "close": "FIN", "reset": "RST"}.get(moment.call, amount)
            self._arrow(True, y, amount, amount == "RST")
        elif down:
            self._arrow(False, y, amount, amount == "RST")
        else:
            self.parts.append(element("circle", cx=CLIENT, cy=y, r=4, class_="dot-client"))
        self._left(name(moment, self.texts), self._detail(moment), y)

    def _server(self, moment: Moment, y: float) -> None:
        if moment.count > 0 and moment.call in SENDING:
            self._arrow(False, y, self._amount(moment), False)
        else:
            kind = "none" if moment.result.isupper() else "dot-server"  # an error by its name: EAGAIN
            self.parts.append(element("circle", cx=SERVER, cy=y, r=4, class_=kind))
        self._right(outcome(moment), y - 2 if moment.text else y + 4, "call")
        self._right(moment.text, y + DETAIL, "detail")

    def _fault(self, moment: Moment, y: float) -> None:
        self.parts.append(element("use", href="#diamond", x=SERVER, y=y, class_="fault-mark"))
        self._right(self.texts("page.fault", call=moment.call), y - 2, "call fault", BESIDE)
        self._right(f"{moment.text} → {moment.result}" if moment.result else moment.text, y + DETAIL, "fault", BESIDE)

    def _kernel(self, moment: Moment, y: float) -> None:
        """A signal, or the end of the server: its line of life ends there."""
        over = self.parts if moment.wrong else None
        self._live(y, over)
        self.alive = [CLIENT]
        self._live(2 * y - self.y, over)  # the client's goes on to the end of the row
        self.parts.append(element("use", href="#cross", x=SERVER, y=y, class_="wrong-line"))
        self._right(outcome(moment), y - 2 if moment.text else y + 4, "call")
        self._right(moment.text, y + DETAIL, "detail")

    def _wrong(self, moment: Moment, height: float) -> None:
        """A band from side to side, and in words on the side that is free, once where one follows another."""
        self.parts.append(element("rect", x=0, y=self.y, width="100%", height=height, class_="wrong-band"))
        self.parts.append(element("rect", x=0, y=self.y, width=4, height=height, class_="wrong-edge"))
        # The lines of life go on over the band.
        self._live(self.y)
        if moment.side != "kernel":
            self._live(self.y + height, self.parts)
        if self.wrong_above:
            return
        words, y = self.texts("page.wrong_here"), self.y + height / 2 + 4
        if moment.side == "client":
            self._right(words, y, "wrong")
        else:
            self._text(CLIENT, -12, words, y, "left wrong", LEFT)

    def _wait(self, seconds: float) -> None:
        self._live(self.y)
        time = self.texts.number(round(seconds, 1 if seconds >= 1 else 2))
        self._between(self.texts("page.later", time=time), "waits")

    def _left_out(self) -> None:
        self._live(self.y)
        for at in (CLIENT, SERVER):
            self.parts.append(element("use", href="#torn", x=at, y=self.y + HALF / 2, class_="torn"))
        self._between(self.texts("page.left_out_short", n=self.told.moments_cut), "none")

    def _between(self, words: str, line: str) -> None:
        middle = self.y + HALF / 2 + 4
        self.parts.append(element("text", words, x=MIDDLE, y=middle, class_="amount gap"))
        self._live(self.y + HALF, line=line)
        self.y += HALF

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _live(self, until: float, into: list[Markup] | None = None, line: str = "") -> None:
        """The lines of life, from where they ended down to here; where time is left out there are none."""
        if line != "none" and until > self.begun:
            (self.lines if into is None else into).extend(
                element("line", x1=at, x2=at, y1=self.begun, y2=until, class_=f"life {line}".strip())
                for at in self.alive
            )
        self.begun = until

    def _arrow(self, up: bool, y: float, amount: str, broken: bool) -> None:
        """Bytes on their way, slanting down as time goes on, with their number; a reset ends in a cross."""
        begin, end = (CLIENT, SERVER) if up else (SERVER, CLIENT)
        kind, tip = ("up", "right") if up else ("down", "left")
        self.parts.append(element("line", x1=begin, x2=end, y1=y - 3, y2=y + 3, class_=f"bytes-{kind}"))
        if broken:
            self.parts.append(element("use", href="#cross", x=end, y=y + 3, class_=f"bytes-{kind}"))
        else:
            self.parts.append(element("use", href=f"#tip-{tip}", x=end, y=y + 3, class_=f"tip-{kind}"))
        if amount:
            self.parts.append(element("text", amount, x=MIDDLE, y=y - 4, class_="amount"))

    def _amount(self, moment: Moment) -> str:
        return self.texts.number(moment.count) if moment.count else ""

    def _detail(self, moment: Moment) -> str:
        """What is told of a moment of the client."""
        return moment.text or (self.texts("page.bytes", n=moment.count) if moment.count else "")

    @staticmethod
    def _fits_beside(call: str, detail: str) -> bool:
        """Whether a line has room for both."""
        return not detail or len(call) + 1 + len(detail) <= LEFT[0]

    def _left(self, call: str, detail: str, y: float) -> None:
        """What the client did, and what is told of that: beside it, below it, or below it in two lines."""
        if detail and self._fits_beside(call, detail):
            both = join(call, " ", element("tspan", detail, class_="detail"))
            self.parts.append(element("text", both, x=CLIENT, dx=-12, y=y + 4, class_="left call"))
            return
        self._text(CLIENT, -12, call, y - 2 if detail else y + 4, "left call", LEFT)
        if len(detail) <= LEFT[1]:
            self._text(CLIENT, -12, detail, y + DETAIL, "left detail", LEFT)
            return
        for width, which in zip(LEFT, ("less", "more")):
            for number, part in enumerate(_two_lines(detail, width)):
                self._text(CLIENT, -12, part, y + DETAIL * (number + 1), f"left detail {which}", (width, width))

    def _right(self, text: str, y: float, kind: str, room: tuple[int, int] = RIGHT) -> None:
        self._text(SERVER, 12 + 8 * (RIGHT[0] - room[0]), text, y, kind, room)

    def _text(self, x: str, dx: int, text: str, y: float, kind: str, room: tuple[int, int]) -> None:
        """A line of text: cut to what a narrow picture has room for, and to what a wide one has."""
        narrow, wide = room
        if not text:
            return
        shown: Markup | str = text
        if len(text) > narrow:
            rest = text[narrow - 1 :] if len(text) <= wide else text[narrow - 1 : wide - 1] + "…"
            ends = element("tspan", rest, class_="more"), element("tspan", "…", class_="less")
            shown = join(text[: narrow - 1], ends)
        self.parts.append(element("text", shown, x=x, dx=dx, y=y, class_=kind))
