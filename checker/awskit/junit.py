"""JUnit XML of a grading: a test case for each check, as CI servers read it.

The shape is that of Jenkins' xUnit plugin (junit-10.xsd). A failure is the server's, an error the checker's.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

from .model import Outcome, Verdict
from .plain import clean, cut
from .report import explanation, reason
from .results import ItemResult, Report
from .texts import load

# What XML 1.0 has no way to say (section 2.2), but for what `clean` has spelled out already.
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {Outcome.FAILED: "failure", Outcome.SKIPPED: "skipped", Outcome.ERROR: "error"}


def write(path: Path, suites: Iterable[ElementTree.Element]) -> None:
    """Write the file."""
    root = ElementTree.Element("testsuites")
    root.extend(suites)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def suite(report: Report) -> ElementTree.Element:
    """The grading as one test suite. Each check once, under the first item that names it."""
    cases: dict[str, tuple[ItemResult, Verdict]] = {}
    for result in report.results:
        for verdict in result.all_verdicts:
            cases.setdefault(verdict.check.id, (result, verdict))
    outcomes = [verdict.outcome for _, verdict in cases.values()]
    element = ElementTree.Element(
        "testsuite",
        name=_text(report.submission),
        tests=str(len(cases)),
        failures=str(outcomes.count(Outcome.FAILED)),
        errors=str(outcomes.count(Outcome.ERROR)),
        skipped=str(outcomes.count(Outcome.SKIPPED)),
        time=f"{report.seconds:.3f}",
    )
    properties = ElementTree.SubElement(element, "properties")
    for name, value in (("rubric", report.rubric.title), ("seed", str(report.seed)), ("score", f"{report.score:g}"),
                        ("max_score", f"{report.rubric.total:g}")):  # fmt: skip
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    for result, verdict in cases.values():
        element.append(_case(report, result, verdict))
    if report.notes:
        notes = "\n".join(f"note: {cut(note)[0]}" for note in report.notes)
        ElementTree.SubElement(element, "system-out").text = _text(notes)
    return element


def _case(report: Report, result: ItemResult, verdict: Verdict) -> ElementTree.Element:
    texts = load(report.language)
    case = ElementTree.Element(
        "testcase",
        classname=_text(texts.name(result.item.group or report.rubric.title)),
        name=_text(f"{verdict.check.id}: {texts.check(verdict.check)}"),
        time=f"{verdict.seconds:.3f}",
    )
    if verdict.outcome is not Outcome.PASSED:
        found = ElementTree.SubElement(case, _ELEMENTS[verdict.outcome], message=_text(reason(verdict, texts)))
        if verdict.outcome is not Outcome.SKIPPED:
            found.text = _text("\n".join(explanation(report, verdict)))
    return case


def _text(text: str) -> str:
    return _IMPOSSIBLE.sub("\ufffd", clean(text))
