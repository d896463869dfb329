"""Every check of the kit, on the reference: the same functions that judge a submission judge it here."""

from __future__ import annotations

import pytest

from awskit import checks  # noqa: F401 (fills the registry)
from awskit.bench import Bench
from awskit.model import REGISTRY, Trouble


@pytest.mark.parametrize("check_id", list(REGISTRY))
def test_check(bench: Bench, check_id: str) -> None:
    try:
        REGISTRY[check_id].run(bench)
    except Trouble as trouble:
        pytest.skip(f"not possible here: {trouble}")
