"""The traced run is made once for a grading, whoever asks first and however many at once."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from awskit import witness
from awskit.boxed import BoxedLauncher, Program
from awskit.isolation import Isolation
from awskit.model import Failure, Trouble
from awskit.sandbox import Sandbox


# Of a machine that can do nothing: no box is made here.
NOTHING = Isolation(network=False, box=False, landlock=False, warden=False, user=None, missing=())


def _bench(folder: Path) -> SimpleNamespace:
    """What `observed` asks of a bench: which program this grading has built."""
    return SimpleNamespace(launcher=BoxedLauncher(Sandbox(NOTHING), Program(folder, "aws")))


def test_who_asks_at_the_same_time_gets_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    all_asking, second_run = threading.Barrier(4), threading.Barrier(2)

    def observe(_: object) -> witness.Run:
        with contextlib.suppress(threading.BrokenBarrierError):
            second_run.wait(0.2)  # a second run would meet the first one here
        runs.append(witness.Run())
        return runs[-1]

    monkeypatch.setattr(witness, "_observe", observe)
    bench = _bench(tmp_path / "one")

    def ask(_: int) -> witness.Run:
        all_asking.wait()
        return witness.observed(bench)

    with ThreadPoolExecutor(4) as pool:
        assert all(run is runs[0] for run in pool.map(ask, range(4)))
    assert len(runs) == 1
    assert witness.observed(_bench(tmp_path / "other")) is not runs[0], "another grading has a run of its own"


@pytest.mark.parametrize("error", [Failure("it ended at start"), Trouble("strace is not installed")])
def test_what_went_wrong_is_told_to_each(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def observe(_: object) -> witness.Run:
        tries.append(1)
        raise error

    monkeypatch.setattr(witness, "_observe", observe)
    bench = _bench(tmp_path)
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            witness.observed(bench)
    assert len(tries) == 1
