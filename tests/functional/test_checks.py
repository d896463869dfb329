"""Every check of the kit, on the reference: the same functions that judge a submission judge it here."""

from __future__ import annotations

import pytest

from awskit import checks  # noqa: F401 (fills the registry)
from awskit.bench import Bench
from awskit.checks.requests import FIXTURES, GROUPS
from awskit.model import REGISTRY, Trouble

# What comes after a head must not turn the end of the answer into RST. The server knows that something comes after it
# by the recv(2) that brought the head's end. Cut short, that may bring just the head's end, as it may on a wire only
# where the rest is microseconds late: a simplification that the server names.
PLAIN_ONLY = {f"exact.{fixture.name}" for fixture in FIXTURES if fixture.data.partition(b"\r\n\r\n")[2]}
PLAIN_ONLY |= {"request.bodies"}
PAIRS = [
    pytest.param(station, check_id, id=f"{station}-{check_id}")
    for station in ("plain", "short")
    for check_id in REGISTRY
    if station == "plain" or check_id not in PLAIN_ONLY
]


@pytest.mark.parametrize("station, check_id", PAIRS, indirect=["station"])
def test_check(bench: Bench, check_id: str) -> None:
    try:
        REGISTRY[check_id].run(bench)
    except Trouble as trouble:
        pytest.skip(f"not possible here: {trouble}")


def test_every_group_of_requests_is_judged() -> None:
    names = (check_id.partition(".") for check_id in REGISTRY)
    assert GROUPS == {name.replace("_", "-") for group, _, name in names if group == "request"}
