"""Shrinking: what is left fails alike, holds on the reference, and no part of it can go."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import tracemalloc
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from awskit.cases import shrink, smaller
from awskit.cases.case import Answer, Case, Connect, Cut, Get, Hold, Receive, Refuse, Send, Silence
from awskit.cases.play import Played
from awskit.cases.read import parse, read
from awskit.model import Failure
from bugs import BUGS, SAMPLES
from grading import awscheck

# One step of these matters, and one place of its split.
FAT = """\
title = "Much that does not matter"
about = "A file, a crowd and a request in many pieces. One of the pieces ends in the middle of the target."
rule = "S4"

steps = [
    { client = "first", get = "/dynamic/b.dat" },
    { client = "first", answer = 200 },
    { client = "crowd", connect = 3 },
    { client = "crowd", get = "/static/a.dat" },
    { client = "crowd", answer = 200 },
    { client = "one", get = "/static/a.dat", split = [14, 30] },
    { client = "one", answer = 200 },
]

[files]
"/static/a.dat" = 20480
"/dynamic/b.dat" = 10000
"""


def shrunk(tmp_path: Path, *more: str, text: str = FAT) -> tuple[int, str, Path]:
    """Shrink it on a server that overwrites one piece of the target by the next; exit code, what was said, the case."""
    (tmp_path / "fat.toml").write_text(text)
    small = tmp_path / "small.toml"
    server = SAMPLES / "defect" / "url-piece-overwrites"
    done = awscheck("shrink", tmp_path / "fat.toml", "--server", server, "--out", small, *more)
    return done.code, done.errors, small


def test_only_what_matters_is_left(tmp_path: Path) -> None:
    code, said, small = shrunk(tmp_path)
    assert code == 0, said
    case = read(small)
    assert case.steps == (Get(client="one", target="/static/a.dat", split=(14,)), Answer(client="one", expected=200))
    assert case.files[0][1].size == 0 and len(case.files) == 1
    assert "removed: client crowd" in said and "steps 7 -> 2" in said and "no part of it can go" in said
    server = SAMPLES / "defect" / "url-piece-overwrites"
    assert [awscheck("replay", small, "--server", server).code, awscheck("replay", small).code] == [1, 0]


def test_what_was_tried_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of a hundred candidates has its own bytes."""
    step = Send(data=random.Random(1).randbytes(1 << 20))
    case = Case(title="a", about="b", rule="S4", steps=(step,))
    fails, holds = Played(case, Failure("")), Played(case)
    monkeypatch.setattr(shrink, "play", lambda one, target: fails if (one, target) == (case, "its server") else holds)
    monkeypatch.setattr(shrink.Shrinking, "_fails_alike", lambda self, one, *_: one == case)

    class Named(str):
        name = "a server"

        def hasty(self) -> str:
            return self

    shrinking = shrink.Shrinking(case, Named("its server"), Named("the reference"), 60)
    tracemalloc.start()
    assert shrinking.run() == case and shrinking.tried > 100
    assert tracemalloc.get_traced_memory()[1] < 48 << 20
    tracemalloc.stop()


def test_what_was_removed_is_a_line_each() -> None:
    case = Case(title="a", about="b", rule="S4", steps=(Send(data=b"x"),))
    shrinking = shrink.Shrinking(case, None, None, 1, removed=["file /a\n::error::\x1b[31m", "steps " + "x" * 10**6])
    lines = shrink.told(case, shrinking).splitlines()
    assert lines[0] == "removed: file /a […]" and len(lines) == 3 and len(lines[1]) < 500


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_has_two_servers_at_once_too() -> None:
    """Whose process moves into a namespace of its own for that, once."""
    user = ("/usr/bin/setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups")
    server = SAMPLES / "defect" / "folder-by-strstr"
    case = BUGS / "D03-folder-anywhere-in-path.toml"
    if subprocess.run([*user, "test", "-r", case], check=False).returncode:
        pytest.skip("other users cannot read this project")
    done = awscheck("shrink", case, "--server", server, wrapper=user)
    assert done.code == 0, done.errors
    assert parse(done.text, "small.toml").steps == read(case).steps


def test_what_is_sent_loses_lines_and_runs_of_bytes_and_its_pieces_stay_where_they_were() -> None:
    step = Send(data=b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", split=(5, 20, 27))
    case = Case(title="a", about="b", rule="S4", steps=(step,))
    made = [made.steps[0] for _, made in smaller._smaller_steps(case)]
    assert Send(data=b"GET /a HTTP/1.1\r\n\r\n", split=(5, 17, 18)) in made  # without Host
    assert Send(data=step.data, split=()) in made and Send(data=step.data, split=(5, 27)) in made
    assert Send(data=step.data[:14], split=(5,)) in made  # without its second half
    assert all(len(one.data) + len(one.split) < len(step.data) + len(step.split) for one in made)


def test_which_calls_a_fault_hits_goes_where_it_does_not_matter() -> None:
    faults = (Cut("send", 7, first=3, every=0, connection=2), Refuse("accept", "EINTR", every=2), Hold("reads", 2))
    case = Case(title="a", about="b", rule="S4", steps=(Get(target="/x"),), faults=faults)
    made = {words: [one for one, before in zip(made.faults, faults) if one != before]
            for words, made in smaller._plainer_faults(case)}  # fmt: skip
    cut = '{ cut = "send", most = 7, first = 3, every = 0, connection = 2 }'
    assert made == {
        f"first of {cut}": [Cut("send", 7, every=0, connection=2)],
        f"every of {cut}": [Cut("send", 7, first=3, connection=2)],
        f"connection of {cut}": [Cut("send", 7, first=3, every=0)],
        'every of { refuse = "accept", error = "EINTR", every = 2 }': [Refuse("accept", "EINTR")],
        'first of { hold = "reads", first = 2 }': [Hold("reads")],
    }
    plain = replace(case, faults=(Cut("send", 7), Refuse("accept", "EINTR"), Hold("reads")))
    assert list(smaller._plainer_faults(plain)) == []


@dataclass(frozen=True)
class Imagined:
    """A server that fails, or holds, whatever is left of a case: if it is waited for briefly, or in any case."""

    fails: bool
    fails_hastily: bool

    def hasty(self) -> Imagined:
        return Imagined(self.fails_hastily, self.fails_hastily)


BAD, GOOD = Imagined(True, True), Imagined(False, False)


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imagined servers are played on, by a clock on which each look takes a second."""
    clock = itertools.count()
    monkeypatch.setattr(shrink.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(shrink, "play", lambda case, on: Played(case, Failure("no") if on.fails else None))


@pytest.mark.parametrize("holds_each", [2, 6, 20])
def test_what_holds_now_and_then_is_not_given_back(holds_each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has less than this case fails on the server mostly, and holds each second time, or each twentieth."""
    case = parse('title = "a"\nabout = "b"\nrule = "S4"\nsteps = [{ get = "/x" }, { silence = true }]', "race.toml")
    times: Counter[Case] = Counter()

    def played(one: Case, on: Imagined) -> Played:
        times[one] += on is BAD
        return Played(one, Failure("no") if on is BAD and (one == case or times[one] % holds_each) else None)

    monkeypatch.setattr(shrink, "play", played)
    monkeypatch.setattr(Imagined, "hasty", lambda self: self)
    shrinking = shrink.Shrinking(case, BAD, GOOD, 60)
    assert shrinking.run() == case and shrinking.removed == []
    assert shrinking.tried >= 1


def test_clients_that_live_alike_become_a_crowd() -> None:
    lives = "".join(f'{{ client = "c{n}", connect = 1, receive_buffer = 99 }}, {{ client = "c{n}", get = "/x" }}, '
                    for n in range(5))  # fmt: skip
    text = f'title = "a"\nabout = "b"\nrule = "S4"\nsteps = [{lives}{{ client = "d", get = "/y" }}, {{ silence = true, '
    case = parse(f'{text}client = "c3" }}]', "alike.toml")
    ((_, crowd),) = smaller.crowds(case)
    assert crowd.steps == (
        Connect(client="c0", count=4, receive_buffer=99), Get(client="c0", target="/x"), *case.steps[6:8],
        Get(client="d", target="/y"), Silence(client="c3", flag=True),
    )  # fmt: skip
    assert list(smaller.crowds(crowd)) == []


def test_a_number_comes_near_the_smallest_that_will_do_in_a_few_rounds() -> None:
    for least, start in ((300_000, 2 << 20), (7, 200), (1, 8 << 20), (9, 10)):
        value, tried, smaller_one = Receive(client="a", count=start), 0, True
        while smaller_one:
            made = list(smaller._numbers(value, "count", 1))
            smaller_one = next((one for one in made if one.count >= least), None)
            tried += made.index(smaller_one) + 1 if smaller_one else len(made)
            value = smaller_one or value
        assert least <= value.count <= least * 8 / 7 + 1 and tried < 60, (value, tried)


@pytest.mark.usefixtures("imagined")
@pytest.mark.parametrize(("seconds", "sure"), [(5, shrink.SURE_LEAST), (1000, shrink.SURE_MOST)])
def test_how_often_the_end_is_tried_is_a_matter_of_time(
    seconds: int, sure: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: Counter[Case] = Counter()

    def played(case: Case, on: Imagined) -> Played:
        times[case] += on is BAD
        return Played(case, Failure("no") if on is BAD else None)

    monkeypatch.setattr(shrink, "play", played)
    monkeypatch.setattr(Imagined, "hasty", lambda self: self)
    end = shrink.Shrinking(parse(FAT, "fat.toml"), BAD, GOOD, seconds).run()
    assert times[end] == shrink.TAKEN + 1 + sure


@pytest.mark.usefixtures("imagined")
def test_it_ends_when_the_time_is_over() -> None:
    done = {}
    for seconds in (5, 1000):
        done[seconds] = shrink.Shrinking(parse(FAT, "fat.toml"), BAD, GOOD, seconds)
        done[seconds].run()
    assert (done[5].tried, done[5].in_time, len(done[5].removed)) == (3, False, 3)
    assert done[1000].in_time and len(done[1000].case.steps) == 1
    assert "the time is over" in shrink.told(parse(FAT, "fat.toml"), done[5])


def test_what_only_a_hurried_look_shows_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all patience the server fails as long as two steps are left."""
    fat = parse(FAT, "fat.toml")

    def play(case: Case, on: Imagined) -> Played:
        return Played(case, Failure("no") if on.fails and (len(case.steps) >= 2 or on.hurried) else None)

    @dataclass(frozen=True)
    class Slow(Imagined):
        hurried: bool = False

        def hasty(self) -> Slow:
            return Slow(self.fails, self.fails, True)

    monkeypatch.setattr(shrink, "play", play)
    shrinking = shrink.Shrinking(fat, Slow(True, True), Slow(False, False), 60)
    assert len(shrinking.run().steps) >= 2
    assert shrinking.case == shrinking._taken[-1] and len(shrinking.removed) == len(shrinking._taken) - 1


def test_runs_of_clients_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred clients of which one matters, a few dozen candidates find it."""
    steps = "".join(f'{{ client = "c{n}", get = "/x" }}, {{ client = "c{n}", answer = 404 }}, ' for n in range(100))
    case = parse(f'title = "a"\nabout = "b"\nrule = "S4"\nsteps = [{steps}]', "many.toml")

    def play(case: Case, on: Imagined) -> Played:
        matters = len(case.steps) > 1 and any(step.client == "c70" for step in case.steps)
        return Played(case, Failure("no") if on.fails and matters else None)

    monkeypatch.setattr(shrink, "play", play)
    shrinking = shrink.Shrinking(case, BAD, GOOD, 60)
    assert [step.client for step in shrinking.run().steps] == ["c70", "c70"] and shrinking.tried < 40


def test_a_case_that_holds_is_not_shrunk(tmp_path: Path) -> None:
    code, said, small = shrunk(tmp_path, text=FAT.replace("split = [14, 30]", "split = [30]"))
    assert code == 2 and "it holds on" in said and not small.exists()


def test_a_case_that_is_wrong_itself_is_not_shrunk(tmp_path: Path) -> None:
    code, said, small = shrunk(tmp_path, text=FAT.replace("answer = 200", "answer = 201"))
    assert code == 2 and "it fails on the reference, too" in said and not small.exists()
