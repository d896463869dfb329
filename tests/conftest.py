"""What all pytest suites share: what is left out of the everyday run, and the counts for the sum of `make test`."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--counts", type=Path, default=None, help="write `PASSED FAILED SKIPPED` to this file")
    parser.addoption("--long", action="store_true", help="run what is marked as long, too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: left out of the everyday run, where fewer examples stand for it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:  # noqa: ANN001
    count = {key: len(terminalreporter.stats.get(key, [])) for key in ("passed", "failed", "error", "skipped")}
    path: Path | None = config.getoption("--counts")
    if path is not None:
        path.write_text(f"{count['passed']} {count['failed'] + count['error']} {count['skipped']}\n")
