"""The cases of a grading: each check that failed leaves its file, and what is told of it names the command that replays
it, or says why there is none.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from ..model import Outcome, Verdict
from ..plain import clean
from ..results import Report
from .case import Case
from .found import NotSaid, case_of
from .read import BadCase, parse
from .write import to_text


def keep(report: Report, folder: Path) -> Report:
    """The report as it is told when the cases are in `folder`, to which they are written; it is made if there are
    any."""

    def kept(verdict: Verdict) -> Verdict:
        if verdict.outcome is not Outcome.FAILED or verdict.failure is None or verdict.told is None:
            return verdict
        path = folder / f"{verdict.check.id}.toml"
        try:
            _write(path, case_of(verdict.check, verdict.failure, report.seed))
        except NotSaid as reason:
            return replace(verdict, told=replace(verdict.told, no_case=clean(str(reason))))
        line = f"checker/awscheck replay {shlex.quote(str(path))} --server {shlex.quote(report.submission)}"
        return replace(verdict, told=replace(verdict.told, replay=clean(line)))

    return replace(report, results=[replace(result, verdicts=[kept(one) for one in result.verdicts],
                                            memory=result.memory and kept(result.memory))
                                    for result in report.results])  # fmt: skip


def _write(path: Path, case: Case) -> None:
    """Write the file, which is read again as the same case. NotSaid if it is not."""
    text = to_text(case)
    try:
        again = parse(text, "the case file")
    except BadCase as bad:
        raise NotSaid(str(bad)) from bad
    if again != case:
        raise NotSaid("the case file would not say the same")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
