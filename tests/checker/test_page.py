"""The page: what it says, that nothing of a submission gets out of its place, its bound, its colours."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from awskit import page
from awskit.exchange import CLIENT_CALLS
from awskit.failing import bytes_table, capital
from awskit.grade import CHECKS
from awskit.isolation import Isolation
from awskit.markup import STYLE
from awskit.model import Outcome, Verdict
from awskit.picture import CLIENT, LEFT, RIGHT, SERVER
from awskit.results import ItemResult, Report
from awskit.rubric import Item, Rubric
from awskit.texts import LANGUAGES, load
from awskit.told import Cause, Difference, Frame, Moment, Told
from toldsample import told

VOID = {"meta", "br"}
LIMIT = 2_000_000  # bytes of a page, whatever a submission does


class _Tree(HTMLParser):
    """Reads a page and holds it to what HTML's nesting asks for: every element ends where it must."""

    def __init__(self, text: str) -> None:
        """Of a picture's texts what a wide one shows."""
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._pieces: dict[str, list[list[str]]] = {}
        self.feed(re.sub(r'<(tspan|text)[^>]* class="[^"]*less">.*?</\1>', "", text))
        self.close()
        assert self.open == []
        self.texts = {tag: ["".join(found) for found in pieces] for tag, pieces in self._pieces.items()}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self._pieces.setdefault(tag, []).append([])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self._pieces[tag][-1].append(data)

    def all(self, tag: str, class_: str = "") -> list[dict[str, str | None]]:
        return [found for name, found in self.elements if name == tag
                and (not class_ or class_ in (found.get("class") or "").split())]  # fmt: skip


def _verdict(name: str, outcome: Outcome, failure: Told | None = None, **more: Any) -> Verdict:
    return Verdict(CHECKS[name], outcome, told=failure and replace(failure, check=name), **more)


def _item(number: int, group: str, points: float, *verdicts: Verdict) -> ItemResult:
    checks = tuple(verdict.check.id for verdict in verdicts)
    return ItemResult(Item(number, f"item {number}", points, 0, checks, "visible", group), list(verdicts))


def _report(*results: ItemResult, language: str = "en", name: str = "a folder/aws") -> Report:
    rubric = Rubric("The whole contract", tuple(result.item for result in results), "full")
    return Report(name, rubric, 9, Isolation(True, True, True, True, None, ()), list(results), "cc -o aws", 12.34,
                  language=language)  # fmt: skip


def _failed(failure: Told) -> _Tree:
    """The page of a report with this failure alone."""
    return _Tree(page.render(_report(_item(1, "", 2, _verdict("static.small_equal", Outcome.FAILED, failure)))))


def _mixed(failure: Told, language: str = "en") -> Report:
    """A report with something of each kind."""
    skipped = _verdict("dynamic.small_equal", Outcome.SKIPPED, mend_first=("static.small_equal",))
    return _report(
        _item(1, "static files", 2, _verdict("static.small_equal", Outcome.FAILED, failure)),
        _item(2, "static files", 1, _verdict("static.large_equal", Outcome.PASSED, notes=("a note",))),
        _item(3, "dynamic files", 3, skipped),
        _item(4, "dynamic files", 4, _verdict("dynamic.large_equal", Outcome.FAILED, failure)),
        _item(5, "dynamic files", 5, _verdict("connect.one", Outcome.ERROR, reason="no tracer")),
        language=language,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_whole_and_every_link_and_label_leads_somewhere(language: str) -> None:
    tree = _Tree(page.render(_mixed(told(), language)))
    assert tree.all("html") == [{"lang": language}]
    ids = [found["id"] for _, found in tree.elements if "id" in found]
    assert len(ids) == len(set(ids))
    links = [found["href"] for _, found in tree.elements if "href" in found]
    urls = re.findall(r"url\((.*?)\)", tree.texts["style"][0])
    assert links and set(links + urls) <= {f"#{id}" for id in ids}
    labels = [name for _, found in tree.elements for name in (found.get("aria-labelledby") or "").split()]
    assert len(labels) == 2 * len(tree.all("svg", "exchange")) == 4
    assert set(labels) <= set(ids)
    assert {tag for tag, _ in tree.elements} >= {"header", "main", "h1", "h2", "h3", "title", "desc", "caption"}
    assert all(found.get("scope") for found in tree.all("th"))
    assert all("hidden" in found and found["type"] == "button" for found in tree.all("button"))


def test_at_a_glance_the_marks_what_was_lost_and_in_which_group() -> None:
    tree = _Tree(page.render(_mixed(told())))
    assert tree.texts["title"][0] == "6/15 · aws"
    (header,) = tree.texts["header"]
    for part in ("The whole contract", "aws", "6 of 15 points", "static files", "1 / 3", "dynamic files", "5 / 12"):
        assert part in header
    bars = [found["width"] for found in tree.all("rect") if found["height"] == "100%" and found["class"] == "lost"]
    assert bars[:2] == ["16.67%", "33.33%"], "of twelve points, which the widest group has"
    assert "1 of 3; failed: 2; not tried: 0" in tree.texts["title"]


def test_failures_stand_in_the_order_of_what_they_cost_and_the_first_is_open() -> None:
    tree = _Tree(page.render(_mixed(told())))
    failures = [found for found in tree.all("details") if "id" in found]
    assert [(found["id"], "open" in found) for found in failures] == [
        ("check-static.small_equal", True), ("check-dynamic.large_equal", False)]  # fmt: skip
    first, second = [text for text in tree.texts["summary"] if "−" in text]
    assert "−2" in first and "3 more wait" in first and "Stuck after the first EAGAIN" in first
    assert "−4" in second and "more wait" not in second


def test_a_failure_says_all_that_there_is_to_know() -> None:
    sample = told()
    (failure,) = [text for text in _failed(sample).texts["li"] if sample.done in text]
    assert sample.cause and sample.frame
    for part in (sample.got, sample.expected, sample.ending, *sample.cause.sentences, *sample.cause.read, sample.again,
                 sample.log, "aws.c:211", "send_body", "→ 211    n = sendfile(s, f);", sample.exchange,
                 "Check static.small_equal, of item 1; rule S2, S6 of the contract."):  # fmt: skip
        assert part in failure, part


def test_what_failed_without_a_telling_is_told_by_its_verdict() -> None:
    verdict = _verdict("static.small_equal", Outcome.FAILED, reason="no answer", got="silence", expected="status 200")
    text = page.render(_report(_item(1, "", 2, verdict)))
    assert all(part in text for part in ("no answer", "silence", "status 200"))
    assert not _Tree(text).all("svg", "exchange")


def test_skipped_errors_passed_notes_and_what_was_not_enforced_are_apart() -> None:
    report = _mixed(told())
    report.isolation = Isolation(True, True, True, True, None, ("no walls",))
    tree = _Tree(page.render(report))
    assert tree.texts["h2"] == ["What was lost, and why", "What could not be found out", "What was not tried",
                                "What passed", "Notes", "How it was graded"]  # fmt: skip
    (main,) = tree.texts["main"]
    for part in ("no tracer", "It costs no points", "Mend this first: " + CHECKS["static.small_equal"].title,
                 "static files: 1 check", "a note", "no walls", "with seed 9", "cc -o aws"):  # fmt: skip
        assert part in main
    whole = _Tree(page.render(_report(_item(1, "", 2, _verdict("connect.one", Outcome.PASSED)))))
    assert whole.texts["h2"] == ["What was lost, and why", "What passed", "How it was graded"]
    assert "Nothing: every check passed." in whole.texts["main"][0]


# -- the picture ------------------------------------------------------------------------------------------------------


def test_a_picture_shows_the_calls_with_their_results_and_where_it_went_wrong() -> None:
    shown = _failed(told()).texts["text"]
    order = ["client", "server", "connect", "send", "recv → 85", "→ CONN_READING", "sendfile → 2,629,496",
             "it fails here", "sendfile → EAGAIN", "3 left out", "receive", "2.1 s later", "end"]  # fmt: skip
    places = [shown.index(text) for text in order]
    assert places == sorted(places)
    assert shown.count("it fails here") == 1
    assert shown.count("2,629,496") == 1, "one arrow: what the server sent; that the client read it later is told"


def test_without_the_servers_calls_the_arrows_are_what_the_client_received() -> None:
    sample = told()
    client = tuple(moment for moment in sample.moments if moment.side == "client")
    shown = _failed(replace(sample, moments=client, moments_cut=0, traced=False)).texts["text"]
    assert "2,629,496" in shown and "sendfile → EAGAIN" not in shown
    assert not [text for text in shown if "left out" in text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_a_picture_fit_into_a_narrow_one(language: str) -> None:
    texts = load(language)
    calls = [texts("page.client_" + call.replace("-", "_")) for call in CLIENT_CALLS]
    assert [word for word in (texts("page.wrong_here"), *calls) if len(word) > LEFT[0]] == []


@pytest.mark.parametrize(
    "moment, says, draws",
    [
        (Moment(0, "client", "half-close", "", "", 0, "", False), "FIN", "#tip-right"),
        (Moment(0, "client", "reset", "", "", 0, "", False), "RST", "#cross"),
        (Moment(0, "client", "end", "the server closed", "FIN", 0, "", False), "FIN", "#tip-left"),
        (Moment(0, "client", "end", "it was reset", "RST", 0, "", False), "RST", "#cross"),
        (Moment(0, "fault", "send", "takes 1 byte of 600", "1", 0, "", False), "on purpose: send", "#diamond"),
        (Moment(0, "kernel", "SIGPIPE", "kills the server", "", 0, "", True), "SIGPIPE", "#cross"),
    ],
)
def test_ends_faults_and_signals_have_marks_of_their_own(moment: Moment, says: str, draws: str) -> None:
    tree = _failed(replace(told(), moments=(moment,), moments_cut=0))
    assert says in tree.texts["text"]
    assert [found["href"] for found in tree.all("use")] == [draws]


def test_the_line_of_life_of_a_server_ends_where_the_server_does() -> None:
    connect = Moment(0, "client", "connect", "", "", 0, "", False)
    death = Moment(0, "kernel", "SIGPIPE", "ends the server", "", 0, "", True)
    ends = {}
    for name, moments in (("lives", (connect, connect, connect)), ("dies", (connect, death, connect))):
        tree = _failed(replace(told(), moments=moments, moments_cut=0))
        lines = [(found["x1"], float(found["y2"] or 0)) for found in tree.all("line", "life")]
        ends[name] = {at: max(end for place, end in lines if place == at) for at in (CLIENT, SERVER)}
    assert ends["lives"][SERVER] == ends["lives"][CLIENT]
    assert ends["dies"][SERVER] < ends["dies"][CLIENT] - 20


def test_words_say_once_where_it_fails_though_two_moments_follow_each_other() -> None:
    wrong = Moment(0, "server", "send", "fd 6", "EPIPE", 0, "", True)
    death = Moment(0, "kernel", "SIGPIPE", "ends the server", "", 0, "", True)
    tree = _failed(replace(told(), moments=(wrong, death), moments_cut=0))
    assert tree.texts["text"].count("it fails here") == 1
    assert len(tree.all("rect", "wrong-band")) == 2


def test_pieces_with_pauses_between_them_take_a_line_each() -> None:
    piece = Moment(0, "client", "send", "G", "1", 1, "", False)
    pause = Moment(0, "client", "pause", "a while", "", 0, "", False)
    heights = []
    for moments in ((piece, pause), (piece, pause, piece, pause)):
        tree = _failed(replace(told(), moments=moments, moments_cut=0))
        heights.append(float(tree.all("svg", "exchange")[0]["height"] or 0))
    assert tree.texts["text"].count("send G") == 2
    assert tree.texts["text"].count("pause a while") == tree.texts["text"].count("pause") == 1
    assert heights[1] - heights[0] < 50


def test_a_long_text_is_short_in_the_picture_and_whole_in_the_table() -> None:
    long = "GET /static/" + "x" * 80
    send, recv = (Moment(0, *call, long, "92", 92, "", False) for call in (("client", "send"), ("server", "recv")))
    tree = _failed(replace(told(), moments=(send, recv), moments_cut=0))
    first, last = [text for text in tree.texts["text"] if "xxx" in text][:2]
    assert first + last.removesuffix("…") == long[: len(first + last) - 1], "two lines beside the client"
    assert len(first) == len(last) == LEFT[1] and last.endswith("…")
    assert long[: RIGHT[1] - 1] + "…" in tree.texts["text"]
    assert len([text for text in tree.texts["td"] if long in text]) == 2


def test_what_is_said_twice_is_shown_once_and_the_name_of_a_call_keeps_its_letters() -> None:
    tree = _failed(replace(told(), done="GET /x: no answer; it ended", got="no answer; it ended", ending="it ended"))
    assert tree.texts["dd"][:2] == ["GET /x", "no answer; it ended"]
    assert "How it ended" not in tree.texts["dt"]
    assert [capital(text) for text in ("send takes a part", "io_submit fails", "no answer", "a", "")] == [
        "send takes a part", "io_submit fails", "No answer", "A", ""]  # fmt: skip


def test_bytes_stand_side_by_side_and_the_first_that_differs_is_marked() -> None:
    tree = _Tree(bytes_table(Difference(1002, 997, b"abcdefgh", b"abcdeXg"), load()))
    assert tree.texts["caption"] == ["The body differs from its byte 1,002 on, counted from 0."]
    assert tree.texts["tr"] == [
        "GotExpected",
        "996   61 62 63 abc   61 62 63 abc",
        "1,00064 65 66 67defg64 65 58 67deXg",
        "1,00468         h                  ",
    ]
    assert tree.texts["mark"] == ["66", "58"]
    tree = _Tree(bytes_table(Difference(4, 0, b"abcd", b"abcdef"), load()))
    assert tree.texts["mark"] == ["··", "65"], "one side ends there"


# -- a hostile submission ---------------------------------------------------------------------------------------------

EVIL = (
    "</script></svg><script>alert(1)</script><img src=x onerror=alert(1)>\"'--><!--&#60;"
    "\x00\x1b[31m\u202e\u2066\ud800\ufffe"
)


def _evil_told(text: str) -> Told:
    moment = Moment(0, "server", text, text, text, 1, text, True)
    difference = Difference(3, 0, b"<b>" * 16, b"&" * 48)
    cause, frame = Cause(text, text, (text,), (text,)), Frame(text, 1, text, text, ((1, text),))
    return Told(text, text, (text,), 1, text, text, text, text, difference, (moment,) * 40, 9, 3, True, text, cause,
                frame, text, text, text, text)  # fmt: skip


def _evil_report(text: str, many: int) -> Report:
    names = sorted(CHECKS)[:many]
    results = [_item(number, "", 1, _verdict(name, Outcome.FAILED, _evil_told(text), notes=(text + str(number),)))
               for number, name in enumerate(names)]  # fmt: skip
    results.append(_item(999, "", 1, _verdict("connect.one", Outcome.ERROR, reason=text)))
    results.append(_item(998, "", 1, _verdict("connect.several", Outcome.SKIPPED, reason=text)))
    report = _report(*results, name=text.replace("\x00", ""))
    report.build_log = text
    report.isolation = Isolation(True, True, True, True, None, (text,))
    return report


def test_no_text_of_a_submission_becomes_an_element_an_attribute_or_a_control_character() -> None:
    usual = _Tree(page.render(_evil_report("harmless", 3)))
    text = page.render(_evil_report(EVIL, 3))
    evil = _Tree(text)
    assert [tag for tag, _ in evil.elements if tag not in ("tspan", "text")] == [
        tag for tag, _ in usual.elements if tag not in ("tspan", "text")]  # fmt: skip
    assert {key for _, found in evil.elements for key in found} == {key for _, found in usual.elements for key in found}
    assert text.count("<script>") == 1 and "<img" not in text and "onerror" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", text)
    assert r"\x00\x1b[31m\u202e\u2066\ud800\ufffe" in text


@pytest.mark.parametrize(
    "text",
    ["<" * 200_000, "\u202e\n" * 100_000, ("\"" * 500 + "\n") * 500],
    ids=["one long line", "many short lines", "many long lines"],
)
def test_a_page_has_a_bound_whatever_a_submission_says(text: str) -> None:
    shown = page.render(_evil_report(text, 90)).encode()
    assert len(shown) <= LIMIT
    tree = _Tree(shown.decode())
    assert len([found for found in tree.all("details") if "id" in found]) == 90, "none is left out altogether"
    assert "The page is full" in tree.texts["main"][0]
    assert tree.all("svg", "exchange"), "the first ones have their pictures"


# -- colours ----------------------------------------------------------------------------------------------------------

TEXTS = [("ink", "paper"), ("ink", "sheet"), ("ink", "tint"), ("soft", "paper"), ("soft", "sheet"), ("soft", "tint"),
         ("client", "paper"), ("client", "sheet"), ("wrong", "sheet"), ("wrong", "wrong-tint"), ("ink", "wrong-tint"),
         ("soft", "wrong-tint"), ("sheet", "wrong"), ("fault", "sheet"), ("fault", "fault-tint"),
         ("fault", "wrong-tint")]  # fmt: skip
SHAPES = [("edge", "paper"), ("edge", "sheet"), ("edge", "wrong-tint"), ("earned", "paper"), ("wrong", "paper"),
          ("client", "paper"), ("client", "sheet"), ("client", "wrong-tint")]  # fmt: skip


def _schemes() -> dict[str, dict[str, str]]:
    style = STYLE.read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    light, dark, print_ = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return {"light": light, "dark": dark, "print": print_}


def _luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_and_shapes_stand_out_from_their_ground(scheme: str) -> None:
    """WCAG 2.2: 1.4.3 (AA) for text, 1.4.11 for what a picture says."""
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    colours = _schemes()[scheme]
    weak = {f"{one} on {ground}": round(_contrast(colours[one], colours[ground]), 2)
            for least, pairs in ((4.5, TEXTS), (3.0, SHAPES)) for one, ground in pairs
            if _contrast(colours[one], colours[ground]) < least}  # fmt: skip
    assert weak == {}


def test_every_colour_is_one_of_the_scheme() -> None:
    style = STYLE.read_text(encoding="utf-8")
    rules = re.sub(r":root \{.*?\}", "", style, flags=re.DOTALL)
    assert not re.search(r"#[0-9a-f]{3,8}\b(?!\))|rgb|hsl|: *(?:white|black|red|gr[ae]y)\b", rules)
    used = set(re.findall(r"var\(--([\w-]+)\)", rules))
    assert used <= set(_schemes()["light"]) | {"sans", "mono"}
    assert _schemes()["light"].keys() == _schemes()["dark"].keys() == _schemes()["print"].keys()
