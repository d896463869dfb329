"""The page of a submission: one HTML file that says what was lost, why, and how to see it again.

From above: the marks by group; each failure, those that cost most first, with the picture of its exchange; what could
not be found out; what was not tried, and what to mend first; what passed; notes; how it was graded. It is made of the
report alone, loads nothing, and has a bound whatever the submission did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from . import failing, picture
from .losses import Loss, losses, skipped, waiting
from .markup import Content, Markup, document, element, join
from .model import Outcome, Verdict
from .plain import cut, line
from .results import ItemResult, Report
from .texts import Texts, load

ROOM = 1_200_000  # bytes of all failures that are shown in full; the rest of a page is some hundred thousand
NOTES = 50  # notes that are shown


def render(report: Report) -> str:
    """The page, in the language of the report: at most 2 MB."""
    texts = load(report.language)
    name = _name(report)
    main = element(
        "main",
        _failures(report, texts),
        _errors(report, texts),
        _not_tried(report, texts),
        _passed(report, texts),
        _notes(report, texts),
        _about(report, texts),
    )
    title = f"{texts.number(report.score)}/{texts.number(report.rubric.total)} · {name}"
    return document(title, join(picture.SHAPES, element("header", _top(report, texts, name)), main), texts)


def _name(report: Report) -> str:
    return line(Path(report.submission).absolute().name or report.submission)


# -- at a glance ------------------------------------------------------------------------------------------------------


def _top(report: Report, texts: Texts, name: str) -> Markup:
    title = element("div", element("p", texts.name(report.rubric.title), class_="soft"), element("h1", name))
    score = element("p", element("b", texts.number(report.score)), " ",
                    texts("page.of_points", n=report.rubric.total), class_="score")  # fmt: skip
    groups = {group: texts.name(group) for group in report.rubric.groups}
    if report.mark_of("")[1]:
        groups[""] = texts("page.other_items" if groups else "page.all_items")
    widest = max((report.mark_of(group)[1] for group in groups), default=0)
    rows = [_group(report, group, title, widest, texts) for group, title in groups.items()]
    table = element("table", element("caption", texts("page.by_group"), class_="hidden"), element("tbody", rows),
                    class_="groups")  # fmt: skip
    kinds = [element("li", element("svg", _rect(kind, 0, "100%"), aria_hidden="true"), texts(f"page.{kind}"))
             for kind in ("earned", "lost", "waits")]  # fmt: skip
    return join(element("div", title, score, class_="top"), table, element("ul", kinds, class_="key"))


def _group(report: Report, group: str, title: str, widest: float, texts: Texts) -> Markup:
    """A row: name, a bar as long as the group is worth, points."""
    earned, total = report.mark_of(group)
    waits = sum(map(waiting, _of_group(report, group)))
    lost = total - earned - waits
    begin, rects = 0.0, []
    for kind, points in (("earned", earned), ("lost", lost), ("waits", waits)):
        if points > 0:
            width = 100 * points / (widest or 1)
            rects.append(_rect(kind, f"{begin:.2f}%", f"{width:.2f}%"))
            begin += width
    said = texts("page.bar", earned=earned, total=total, lost=lost, waits=waits)
    bar = element("svg", element("title", said), rects, role="img", height=14)
    points = element("td", f"{texts.number(earned)} / {texts.number(total)}", class_="points")
    return element("tr", element("th", title, scope="row"), element("td", bar, class_="bar"), points)


def _rect(kind: str, x: object, width: object) -> Markup:
    return element("rect", x=x, y=0, width=width, height="100%", class_=kind)


def _of_group(report: Report, group: str) -> list[ItemResult]:
    return [result for result in report.results if result.item.group == group]


# -- failures ---------------------------------------------------------------------------------------------------------


def _failures(report: Report, texts: Texts) -> Markup:
    found = losses(report)
    lost = report.rubric.total - report.score
    if not found:
        words = texts("page.nothing_lost") if lost <= 0 else texts("page.lost_in_all", n=lost)
        return join(element("h2", texts("page.failures")), element("p", words))
    behind = sum(map(waiting, report.results))
    said = texts("page.lost_in_all", n=lost) + (" " + texts("page.wait_in_all", n=behind) if behind else "")
    fold = element("button", texts("page.open_all"), type="button", hidden=True, data_does="fold",
                   aria_pressed="false")  # fmt: skip
    room, entries = ROOM, []
    for number, loss in enumerate(found):
        entry = _failure(loss, texts, number, short=room <= 0)
        if len(entry.encode()) > room > 0:
            entry, room = _failure(loss, texts, number, short=True), 0  # and none of the cheaper ones after it
        room -= len(entry.encode())
        entries.append(entry)
    return join(
        element("div", element("h2", texts("page.failures")), fold, class_="beginning"),
        element("p", said),
        element("ol", entries, class_="failures"),
    )


def _failure(loss: Loss, texts: Texts, number: int, *, short: bool) -> Markup:
    told, check = failing.told_of(loss.verdict, texts), loss.verdict.check
    why = line(told.done, 200)
    if told.cause:
        why = line(texts.cause(told.cause.id, told.cause.name, told.cause.sentences)[0], 200)
    more = element("small", texts("page.more_wait", n=loss.waiting)) if loss.waiting else None
    head = element(
        "summary",
        element("h3", failing.capital(texts.check(check))),
        element("p", failing.capital(why), class_="why"),
        element("span", texts("page.minus", n=loss.lost), more, class_="points"),
    )
    belongs = _belongs(loss, texts)
    inside = failing.words(told, texts, belongs) if short else failing.body(told, texts, f"f{number}", belongs)
    return element("li", element("details", head, inside, open=number == 0, id=_anchor(check.id)))


def _belongs(loss: Loss, texts: Texts) -> str:
    """Which check of which items, by which rules it is due, and what waits behind it."""
    check = loss.verdict.check
    items = ", ".join(str(result.item.number) for result in loss.items)
    said = [texts("page.belongs", check=check.id, items=items, rules=", ".join(check.rules))]
    if loss.behind:
        said.append(texts("page.behind", n=len(loss.behind)))
    return " ".join(said)


def _anchor(check: str) -> str:
    return f"check-{check}"


# -- the others -------------------------------------------------------------------------------------------------------


def _errors(report: Report, texts: Texts) -> Markup | None:
    verdicts = _unique(report, Outcome.ERROR)
    if not verdicts:
        return None
    rows = [element("li", element("strong", texts.check(verdict.check)), f": {line(verdict.reason)}")
            for verdict in verdicts]  # fmt: skip
    return join(
        element("h2", texts("page.errors")), element("p", texts("page.errors_cost_nothing")), element("ul", rows)
    )


def _not_tried(report: Report, texts: Texts) -> Markup | None:
    groups = skipped(report)
    if not groups:
        return None
    failed = {verdict.check.id: texts.check(verdict.check) for verdict in _unique(report, Outcome.FAILED)}
    parts = []
    for root, waiting_ones in groups.items():
        verdict, _ = waiting_ones[0]
        first: list[Content] = [line(verdict.reason)]
        if root:
            shown = element("a", failed[root], href=f"#{_anchor(root)}") if root in failed else root
            first = [texts("page.mend_first"), " ", shown]
        parts.append(element("p", first))
        rows = [_title(verdict, texts, others) for verdict, others in waiting_ones]
        parts.append(_folded(texts("page.checks_wait", n=len(rows)), element("ul", rows)))
    return join(element("h2", texts("page.not_tried")), parts)


def _passed(report: Report, texts: Texts) -> Markup | None:
    verdicts = _unique(report, Outcome.PASSED)
    if not verdicts:
        return None
    parts = []
    for group in report.rubric.groups or ("",):
        inside = {verdict.check.id for result in _of_group(report, group) for verdict in result.all_verdicts}
        own = [verdict for verdict in verdicts if verdict.check.id in inside]
        verdicts = [verdict for verdict in verdicts if verdict.check.id not in inside]
        if own:
            title = texts("page.passed_in", group=texts.name(group), n=len(own)) if group else texts(
                "page.checks_passed", n=len(own))  # fmt: skip
            parts.append(_folded(title, _titles(own, texts)))
    if verdicts:
        parts.append(_folded(texts("page.checks_passed", n=len(verdicts)), _titles(verdicts, texts)))
    return join(element("h2", texts("page.passed")), parts)


def _titles(verdicts: Iterable[Verdict], texts: Texts) -> Markup:
    return element("ul", [_title(verdict, texts) for verdict in verdicts])


def _title(verdict: Verdict, texts: Texts, others: Sequence[str] = ()) -> Markup:
    """A check in a list, with what else it waits for."""
    more = " " + texts("page.waits_too", checks=", ".join(others)) if others else ""
    name = element("span", element("code", verdict.check.id), more, class_="soft")
    return element("li", texts.check(verdict.check), " ", name)


def _folded(title: str, *content: Content) -> Markup:
    return element("details", element("summary", title), content, class_="part")


def _unique(report: Report, outcome: Outcome) -> list[Verdict]:
    """The checks of that outcome, each once."""
    found = [verdict for result in report.results for verdict in result.all_verdicts if verdict.outcome is outcome]
    return list({verdict.check.id: verdict for verdict in found}.values())


def _notes(report: Report, texts: Texts) -> Markup | None:
    notes = report.notes
    if not notes:
        return None
    rows = [element("li", line(note)) for note in notes[:NOTES]]
    if len(notes) > NOTES:
        rows.append(element("li", texts("page.more_notes", n=len(notes) - NOTES)))
    return join(element("h2", texts("page.notes")), element("p", texts("page.notes_cost_nothing")), element("ul", rows))


def _about(report: Report, texts: Texts) -> Markup:
    missing = report.isolation.missing
    said: list[Content] = [element("p", texts("page.graded", name=line(report.submission), seed=str(report.seed),
                                              seconds=round(report.seconds, 1)))]  # fmt: skip
    if missing:
        said.append(element("p", texts("page.not_enforced")))
        said.append(element("ul", [element("li", line(text)) for text in missing]))
    else:
        said.append(element("p", texts("page.boxed")))
    if report.build_log.strip():
        log = element("pre", "\n".join(cut(report.build_log)), tabindex="0")
        said.append(_folded(texts("page.build_log"), log))
    return join(element("h2", texts("page.about")), said)
