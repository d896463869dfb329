"""Each misconception is named where its evidence stands, and nowhere else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import known
import pytest

from awskit import facts, misconceptions
from awskit.grade import CHECKS
from awskit.misconceptions import Misconception, recognise, table
from awskit.model import Failure, Outcome, Verdict
from awskit.reply import Reply
from awskit.transcript import Transcript

OBSERVATIONS = tomllib.loads(Path(__file__).with_name("observations.toml").read_text(encoding="utf-8"))["observation"]
COST_NOTHING = {"D25", "D32"}  # told as notes: no check fails for them
DEFECTS = {f"D{number:02}" for number in range(1, 41)}


def _facts(observation: dict[str, Any]) -> facts.Facts:
    return {
        name: frozenset([value] if isinstance(value, str) else value)
        for name, value in observation.items()
        if name != "cause"
    }


def _word(globs: tuple[str, ...]) -> str | None:
    """A word that one of these globs fits, made of it; None where all of them say what must not be."""
    glob = next((glob for glob in globs if not glob.startswith("!")), None)
    if glob is None:
        return None
    plain = re.sub(r"\[([^!\]]).*?\]", r"\1", re.sub(r"\[!.*?\]", "~", glob))
    return plain.replace("*", "x").replace("?", "0")


PATTERNS = [pytest.param(one, number, id=f"{one.cause.id}-{number}")
            for one in table() for number in range(len(one.when))]  # fmt: skip


def test_the_table_is_well_formed() -> None:
    ids = [one.cause.id for one in table()]
    assert len(ids) == len(set(ids))
    for one in table():
        cause = one.cause
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", cause.id)
        assert 2 <= len(cause.sentences) <= 3 and cause.read, cause.id
        assert all(len(text) < 320 and text.endswith(".") for text in cause.sentences), cause.id
        assert {name for pattern in one.when for name in pattern} <= facts.NAMES, cause.id
        assert set(one.defects) <= DEFECTS, cause.id


def test_every_defect_that_costs_points_has_its_misconception() -> None:
    assert {defect for one in table() for defect in one.defects} >= DEFECTS - COST_NOTHING


def test_no_pattern_knows_a_samples_name() -> None:
    text = misconceptions.TABLE.read_text(encoding="utf-8")
    patterns = "\n".join(line for line in text.splitlines() if " = " in line and line.startswith(("when", " ")))
    names = {sample.path.name for sample in known.samples()}
    assert not [name for name in names if re.search(rf'"{re.escape(name)}"', patterns)]


@pytest.mark.parametrize("observation", OBSERVATIONS, ids=lambda observation: observation["cause"])
def test_an_observation_is_recognised_as_its_cause(observation: dict[str, Any]) -> None:
    cause = recognise(_facts(observation))
    assert cause is not None and cause.id == observation["cause"]


def test_every_misconception_has_an_observation() -> None:
    assert {one.cause.id for one in table()} == {observation["cause"] for observation in OBSERVATIONS}


@pytest.mark.parametrize("one, number", PATTERNS)
def test_a_pattern_wants_every_one_of_its_facts(one: Misconception, number: int) -> None:
    pattern = one.when[number]
    alone = Misconception(one.cause, one.defects, (pattern,))
    right = {name: frozenset([word]) for name, globs in pattern.items() if (word := _word(globs)) is not None}
    assert alone.fits(right)
    for name, globs in pattern.items():
        if name in right:
            assert not alone.fits({other: words for other, words in right.items() if other != name}), name
            assert not alone.fits(right | {name: frozenset(["something else"])}) or "*" in globs, name
        for glob in globs:
            if glob.startswith("!"):
                assert not alone.fits(right | {name: frozenset([_word((glob[1:],)) or ""])}), name


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_guessed_from_the_name_of_a_check(check: str) -> None:
    nothing = {"check": frozenset([check]), "ended": frozenset(["no"]), "reason": frozenset(["it failed"])}
    cause = recognise(nothing)
    # What came before these is known to work, so their failing at all is the evidence.
    assert cause is None or check == "mixed.sequence" or check.endswith("one_then_another")


def test_a_cause_needs_its_evidence_whole() -> None:
    """Near misses: what differs in one fact from an observation that is recognised has another cause, or none."""
    slow = {"check": "pieces.static_slow_reader", "ended": "no", "answer": "200", "body": "short", "kind": "static"}
    for more, expected in (
        ({"ending": "fin"}, "eagain-ends-transfer"),
        ({"ending": ["silence", "asleep"]}, "stuck-after-eagain"),
        ({"ending": ["silence", "busy"]}, "spins-on-eagain"),
        ({"ending": "fin", "body": "differs", "mixed": "skipped"}, "rest-of-send-lost"),
        ({"ending": "fin", "body": "differs", "mixed": "other folder"}, "folders-mixed-up"),
        ({"ending": "fin", "ended": "SIGPIPE"}, "sigpipe"),
        ({"ending": "silence"}, None),
    ):
        cause = recognise(_facts(slow | more))
        assert (cause.id if cause else None) == expected, more


@pytest.mark.parametrize(
    "observation",
    [
        # A connection's place in the file is left from the one before.
        {"check": "dynamic.small_received", "ended": "no", "answer": "200", "body": "none", "came": "0",
         "ending": "fin", "kind": "dynamic", "length": ["right", "less came"]},
        {"check": "abort.ten_thousand", "ended": "no", "answer": "200", "body": "none", "came": "0", "ending": "fin"},
        # The program ends itself when a client hangs up that has had its answer, whatever it asked for.
        {"check": "request.forms", "ended": "exit code 1", "answer": "nothing", "answered": "yes", "ending": "rst"},
        {"check": "async.left_meanwhile", "ended": "exit code 1", "answer": "nothing", "fault": "hold:1"},
    ],
)  # fmt: skip
def test_of_what_may_have_several_causes_none_is_named(observation: dict[str, Any]) -> None:
    assert recognise(_facts(observation)) is None


@pytest.mark.parametrize(
    "observation",
    [
        {"answer": "404", "bytes": "none", "ending": "fin"},  # always 404
        {"answer": "200", "body": "none", "came": "0", "length": ["too small", "as announced"], "ending": "fin"},
        {"answer": "200", "body": "too long", "came": "twice", "length": ["too large", "as announced"]},
    ],
    ids=["always 404", "always an empty 200", "the same for everybody"],
)
def test_a_server_that_does_nothing_has_no_misconception(observation: dict[str, Any]) -> None:
    for check in ("static.small_received", "dynamic.small_received"):
        assert recognise(_facts({"check": check, "ended": "no", "kind": "static"} | observation)) is None


def test_the_request_that_a_check_is_about_is_the_one_before_the_plain_one() -> None:
    def asked(answer: bytes, *, ends: bool = True) -> Transcript:
        transcript = Transcript(1)
        transcript.add_sent(b"GET /static/a HTTP/1.1\r\n\r\n")
        if answer:
            transcript.add_received(answer)
        if ends:
            transcript.note("end", "the server closed the connection")
        return transcript

    def answered(*transcripts: Transcript, of_last: bool = False, after: bool = False) -> frozenset[str]:
        plain, failure = Failure("the plain one"), Failure("the check's")
        if of_last or after:
            plain.evidence.reply = Reply()
            plain.evidence.reply.transcript = transcripts[-1]
        if after:
            failure.__cause__ = plain
        failure = failure if after or not of_last else plain
        failure.evidence.transcripts = transcripts
        verdict = Verdict(CHECKS["request.forms"], Outcome.FAILED, failure=failure)
        return facts.of(verdict).get("answered", frozenset())

    some, none, left = asked(b"HTTP/1.1 404 Not Found"), asked(b""), asked(b"", ends=False)
    assert answered(some, none) == {"no"}
    assert answered(none, some) == {"yes"}
    assert answered(none, some, of_last=True) == {"yes"}
    assert answered(some, none, after=True) == {"yes"}
    assert answered(none, some, after=True) == {"no"}
    assert answered(left) == answered() == frozenset()


def test_an_entry_that_is_not_well_formed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = 'id = "x"\nname = "n"\nsentences = ["s."]\nread = ["r"]\ndefects = []\n'
    table_file = tmp_path / "misconceptions.toml"
    monkeypatch.setattr(misconceptions, "TABLE", table_file)
    for text in (whole, whole + "when = []", whole + "when = [{}]", whole + 'when = [{a = "b"}]\nmore = 1'):
        table_file.write_text(f"[[misconception]]\n{text}\n", encoding="utf-8")
        with pytest.raises(ValueError):
            misconceptions.table.__wrapped__()
