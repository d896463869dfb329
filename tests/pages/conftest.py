"""The browser that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from browser import CHROMIUM, Browser, browser


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    """One browser for all tests of a file."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with browser() as one:
        yield one
