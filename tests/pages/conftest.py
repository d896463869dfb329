"""The browser that the tests of a file share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import CHROMIUM, Browser, browser

if keep := os.environ.get("PAGES"):  # where pages and their pictures are kept
    Path(keep).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    """One browser for all tests of a file."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with browser() as one:
        yield one
