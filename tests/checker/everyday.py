"""Which examples of a test the everyday run takes; a long run takes all (`tests/conftest.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def examples(values: Iterable[Any], everyday: Callable[[Any], bool]) -> list[Any]:
    """Parameters for a test: those that `everyday` chooses, and the others marked as long."""
    return [value if everyday(value) else pytest.param(value, marks=pytest.mark.long) for value in values]
