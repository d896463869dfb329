"""The class page: `index.html` of several gradings, for staff. Marks, their distribution, what most got wrong, and who.

One file that loads nothing, made of the same elements and style as a submission's page. Without JavaScript the table is
in the order of names; with it, by any column.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from .grade import CHECKS, memory_check
from .markup import Markup, document, element, join
from .roll import Roll, Row
from .texts import Texts

WHO = 60  # names in one list, at most: a page stays one that a browser opens at once
BINS = 20
HEIGHT, BASE = 150, 120  # of the histogram, in pixels: its columns stand on BASE; its width is the page's

# Sorting: a column's cells have what they are sorted by in `data-by`, as a number where it is one.
SCRIPT = """
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === (head.classList.contains("number") ? "descending" : "ascending");
      const turn = down === head.classList.contains("number") ? 1 : -1;
      const by = (row) => row.cells[column].dataset.by;
      const rows = [...table.tBodies[0].rows].sort((a, b) => turn * (head.classList.contains("number")
        ? Number(by(a)) - Number(by(b)) : by(a).localeCompare(by(b), document.documentElement.lang)));
      table.tBodies[0].append(...rows);
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
    });
  });
}
"""


def render(roll: Roll, texts: Texts) -> str:
    """The whole file."""
    title = texts("class.title", n=len(roll.rows))
    body = element(
        "main",
        _top(roll, texts, title),
        _distribution(roll, texts) if roll.scores else None,
        _marks(roll, texts),
        _causes(roll, texts),
        _checks(roll, texts),
        element("p", texts("class.for_staff"), class_="soft"),
    )
    return document(f"{title}: {texts.name(roll.rubric.title)}", body, texts, script=SCRIPT)


def _top(roll: Roll, texts: Texts, title: str) -> Markup:
    total = roll.rubric.total
    whole = sum(row.score == total and row.whole for row in roll.rows)
    unknown = sum(not row.whole for row in roll.rows)
    counts = [texts("class.with_all", n=whole), texts("class.with_less", n=len(roll.rows) - whole - unknown)]
    counts += [texts("class.not_judged", n=unknown)] if unknown else []
    told = element("p", f"{texts.name(roll.rubric.title)} · {' · '.join(counts)}", class_="soft")
    middle = None
    if roll.scores:
        middle = element("p", element("b", texts.number(roll.quartiles()[1])), f" / {texts.number(total)} ",
                         element("span", texts("class.median"), class_="soft"), class_="score")  # fmt: skip
    return element("header", element("div", element("h1", title), told), middle, class_="top")


# -- the distribution -------------------------------------------------------------------------------------------------


def _distribution(roll: Roll, texts: Texts) -> Markup:
    low, middle, high = roll.quartiles()
    told = texts("class.quartiles", low=low, middle=middle, high=high, least=roll.scores[0], most=roll.scores[-1])
    return element(
        "section",
        element("h2", texts("class.distribution"), id="distribution"),
        element("figure", _histogram(roll, texts), element("figcaption", told)),
        aria_labelledby="distribution",
    )


def _histogram(roll: Roll, texts: Texts) -> Markup:
    """A column for each range of marks, its number above it; the table behind it is its description."""
    total, counts = roll.rubric.total, roll.histogram(BINS)
    step, highest = 100 / BINS, max(counts)
    columns, ranges = [], []
    for at, count in enumerate(counts):
        if not count:
            continue
        height = max(2.0, count / highest * (BASE - 20))
        columns.append(element("rect", x=f"{at * step + 0.15:g}%", y=BASE - height, width=f"{step - 0.3:g}%",
                               height=height, class_="column"))  # fmt: skip
        columns.append(element("text", texts.number(count), x=f"{(at + 0.5) * step:g}%", y=BASE - height - 5,
                               class_="count"))  # fmt: skip
        ranges.append(texts("class.range", n=count, low=total * at / BINS, high=total * (at + 1) / BINS))
    ticks = [
        element("text", texts.number(total * part / 4), x=f"{25 * part}%", y=BASE + 24, class_=f"tick tick-{part}")
        for part in range(5)
    ]
    middle = 100 * roll.quartiles()[1] / total if total else 0
    median = element("svg", element("path", d="M0 0l-5 8h10z", class_="median"), x=f"{middle:g}%", y=BASE + 2,
                     width=1, height=1, overflow="visible")  # fmt: skip
    return element(
        "svg",
        element("title", texts("class.distribution"), id="histogram-title"),
        element("desc", "; ".join(ranges), id="histogram-told"),
        element("line", x1=0, y1=BASE, x2="100%", y2=BASE, class_="axis"),
        columns,
        ticks,
        median,
        height=HEIGHT,
        class_="histogram",
        role="img",
        aria_labelledby="histogram-title histogram-told",
    )


# -- the marks --------------------------------------------------------------------------------------------------------


def _marks(roll: Roll, texts: Texts) -> Markup:
    groups = roll.rubric.groups
    most = {group: sum(item.points + item.memory for item in roll.rubric.items if item.group == group)
            for group in groups}  # fmt: skip
    heads = [
        element("th", texts("class.submission"), scope="col", aria_sort="ascending"),
        element("th", texts("class.points"), scope="col", class_="number"),
        *(element("th", texts.name(group), element("small", f" / {texts.number(most[group])}"), scope="col",
                  class_="number") for group in groups),
        element("th", texts("class.failed"), scope="col", class_="number"),
    ]  # fmt: skip
    table = element(
        "table",
        element("thead", element("tr", heads)),
        element("tbody", [_row(row, groups, texts) for row in roll.rows]),
        class_="marks sorts",
    )
    # What scrolls can be reached by the keyboard, too, and then needs a name.
    scroll = element("div", table, class_="scroll", tabindex="0", role="region", aria_labelledby="marks")
    told = element("p", texts("class.marks_told", total=roll.rubric.total), class_="soft")
    return element("section", element("h2", texts("class.marks"), id="marks"), told, scroll)


def _row(row: Row, groups: Sequence[str], texts: Texts) -> Markup:
    points = [row.groups.get(group) for group in groups]
    note = None
    if not row.whole:
        note = element("span", texts("class.no_result" if row.score is None else "class.in_part"), class_="tag")
    link = element("a", row.name, href=f"{quote(row.folder)}/page.html") if row.score is not None else row.name
    return element(
        "tr",
        element("th", link, note, scope="row", data_by=row.name),
        _number(row.score, texts, "b"),
        *(_number(value, texts) for value in points),
        _number(len(row.failed) if row.score is not None else None, texts),
    )


def _number(value: float | None, texts: Texts, inside: str = "span") -> Markup:
    """A cell with a number; where there is none, it is sorted below all."""
    shown = "–" if value is None else texts.number(value)
    return element("td", element(inside, shown), class_="number", data_by=-1 if value is None else f"{value:.6f}")


# -- what went wrong --------------------------------------------------------------------------------------------------


def _causes(roll: Roll, texts: Texts) -> Markup | None:
    found = roll.by_cause()
    if not found:
        return None
    entries = []
    for cause, rows in found:
        name, sentences = texts.cause(cause.id, cause.name, cause.sentences)
        read = element("p", texts("page.read", where="; ".join(cause.read)), class_="soft") if cause.read else None
        inside = join(element("p", " ".join(sentences)), read, _who(rows, texts))
        entries.append(_entry(name, cause.id, rows, None, inside, texts))
    return element("section", element("h2", texts("class.causes")), element("p", texts("class.causes_told")),
                   element("ul", entries, class_="ranked"))  # fmt: skip


def _checks(roll: Roll, texts: Texts) -> Markup | None:
    found = roll.by_check()
    if not found:
        return None
    known = CHECKS | {check.id: check for item in roll.rubric.items if item.memory for check in [memory_check(item)]}
    entries = []
    for id, rows, skipped in found:
        does, why = texts.explained(id)
        inside = join(element("p", f"{does} {why}") if does else None, _who(rows, texts))
        more = texts("class.skipped", n=skipped) if skipped else None
        entries.append(_entry(texts.check(known[id]), id, rows, more, inside, texts))
    return element("section", element("h2", texts("class.checks")), element("p", texts("class.checks_told")),
                   element("ul", entries, class_="ranked"))  # fmt: skip


def _entry(title: str, id: str, rows: list[Row], more: str | None, inside: Markup, texts: Texts) -> Markup:
    """What some have in common: how many, what, and folded away what there is to say of it and who they are."""
    told = f"{id} · {more}" if more else id
    summary = element(
        "summary",
        element("span", texts("class.of_them", n=len(rows)), class_="many"),
        element("span", element("span", title, class_="what"), element("code", told, class_="soft")),
    )
    return element("li", element("details", summary, element("div", inside, class_="inside")))


def _who(rows: list[Row], texts: Texts) -> Markup:
    links = [element("li", element("a", row.name, href=f"{quote(row.folder)}/page.html")) for row in rows[:WHO]]
    if len(rows) > WHO:
        links.append(element("li", texts("class.more", n=len(rows) - WHO)))
    return element("ul", links, class_="who", aria_label=texts("class.who"))
