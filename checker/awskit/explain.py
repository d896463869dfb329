"""`awscheck explain ID`: what a check does, why it matters, which rule it is about, what it is worth, how to run it; or
what a misconception is, or what a rule says.

All of it is read from where it stands already: the check itself, the texts, the rubrics that come with the checker, the
table of misconceptions.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from . import misconceptions
from .grade import CHECKS, memory_check
from .model import Check, WrongUsage
from .rubric import RUBRICS, Item, Rubric, load
from .texts import Texts, add_option
from .texts import load as load_texts
from .told import Cause

WIDTH = 100  # characters of a line


class Unknown(WrongUsage):
    """There is no such id; the text says so, and which are near it."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command."""
    explaining = commands.add_parser(
        "explain",
        help="tell what a check does, why, and what it is worth",
        description="Tell what a check does, why it matters, its rule and its points; without ID, list all.",
    )
    explaining.add_argument("id", nargs="?", metavar="ID", help="of a check or a misconception, as a report names it")
    add_option(explaining)
    explaining.set_defaults(run=_explain)


def _explain(options: argparse.Namespace) -> int:
    language = load_texts(options.lang)
    sys.stdout.write(explain(options.id, language) if options.id is not None else contents(language))
    return 0


def explain(id: str, texts: Texts) -> str:
    """All there is to say of the check, misconception or rule `id`, for a terminal. Raises Unknown."""
    if texts.has_rule(id):
        return "\n".join([id, *_paragraph("", texts.rule(id))]) + "\n"
    rubrics = _rubrics()
    checks = _all_checks(rubrics)
    causes = {one.cause.id: one.cause for one in misconceptions.table()}
    if id in causes:
        return "\n".join(_of_cause(causes[id], texts)) + "\n"
    if id not in checks:
        raise Unknown(_unknown(id, [*checks, *causes], texts))
    return "\n".join(_of_check(checks[id], checks, rubrics, texts)) + "\n"


def contents(texts: Texts) -> str:
    """The ids of all checks that submissions are judged by, with their titles, of all misconceptions, and of rules."""
    checks = [(check.id, texts.check(check)) for check in CHECKS.values() if check.submission]
    causes = [one.cause for one in misconceptions.table()]
    names = [(cause.id, texts.cause(cause.id, cause.name, cause.sentences)[0]) for cause in causes]
    width = max(len(id) for id, _ in [*checks, *names])
    lines = [texts("explain.list"), "", *(f"{id:{width}}  {title}" for id, title in checks)]
    lines += ["", texts("explain.list_causes"), "", *(f"{id:{width}}  {name}" for id, name in names)]
    rules = [(id, texts.rule(id)) for id in texts.data["rules"]]
    lines += ["", texts("explain.list_rules"), "", *(f"{id:{width}}  {_first(text)}" for id, text in rules)]
    return "\n".join(lines) + "\n"


def _first(text: str) -> str:
    """The first sentence."""
    return text.partition(". ")[0].rstrip(".")


def _rubrics() -> list[Rubric]:
    return [load(path.stem, CHECKS) for path in sorted(RUBRICS.glob("*.toml"))]


def _all_checks(rubrics: list[Rubric]) -> dict[str, Check]:
    """Every check by its id, with those that stand behind the items' memory points."""
    behind = [memory_check(item) for rubric in rubrics for item in rubric.items if item.memory]
    return {check.id: check for check in behind} | CHECKS


def _of_check(check: Check, checks: Mapping[str, Check], rubrics: list[Rubric], texts: Texts) -> Iterator[str]:
    behind_item = check.id not in CHECKS
    yield f"{check.id}: {texts.check(check)}"
    does, why = texts.explained(check.id)
    for label, text in (("does", does), ("why", why)):
        if text:
            yield from _paragraph(texts(f"explain.{label}"), text)
    for rule in check.rules:
        yield from _paragraph(texts("explain.rule", id=rule), texts.rule(rule))
    if check.needs:
        yield from _paragraph(texts("explain.needs"), "")
        yield from (f"    {need}: {texts.check(checks[need])}" for need in check.needs)
    if not check.submission:
        yield from _paragraph("", texts("explain.reference_only"))
        return
    places = [(rubric, item) for rubric in rubrics for item in rubric.items if _counts(check, item)]
    yield from _paragraph(texts("explain.points"), "" if places else texts("explain.no_points"))
    yield from (f"    {_place(rubric, item, behind_item, texts)}" for rubric, item in places)
    if places:
        rubric, item = places[-1]
        option = "" if rubric.name == "assignment" else f" --rubric {rubric.name}"
        yield from _paragraph(texts("explain.alone"), "")
        yield f"    checker/awscheck grade PATH{option} --only {item.number if behind_item else check.id}"


def _of_cause(cause: Cause, texts: Texts) -> Iterator[str]:
    name, sentences = texts.cause(cause.id, cause.name, cause.sentences)
    yield f"{cause.id}: {name}"
    yield from _paragraph("", " ".join(sentences))
    if cause.read:
        yield from _paragraph(texts("explain.read"), "; ".join(cause.read))


def _counts(check: Check, item: Item) -> bool:
    """Whether an item's points hang on the check."""
    return check.id in item.checks or bool(item.memory) and check.id == f"memory.{item.number}"


def _place(rubric: Rubric, item: Item, behind_item: bool, texts: Texts) -> str:
    points = item.memory if behind_item else item.points
    others = len(item.checks) - 1
    label = "explain.place_shared" if others and not behind_item else "explain.place"
    return texts(label, rubric=rubric.name, number=item.number, name=texts.name(item.name),
                 worth=texts("explain.worth", n=points), others=others)  # fmt: skip


def _paragraph(label: str, text: str) -> Iterator[str]:
    """An empty line, the label, and the text below it, indented."""
    yield ""
    if label:
        yield f"  {label}"
    yield from textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _unknown(id: str, known: Sequence[str], texts: Texts) -> str:
    """What to say of an id that is none: the near ones, or where all are listed."""
    same_group = [name for name in known if id and name.partition(".")[0] == id.rstrip(".")]
    near = same_group or difflib.get_close_matches(id, known, n=5, cutoff=0.6)
    if near:
        return texts("explain.unknown_near", id=id, near=", ".join(near))
    return texts("explain.unknown", id=id)
