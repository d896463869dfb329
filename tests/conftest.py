"""What all pytest suites share: leaving their counts for the sum that `make test` prints."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--counts", type=Path, default=None, help="write `PASSED FAILED SKIPPED` to this file")


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:  # noqa: ANN001
    count = {key: len(terminalreporter.stats.get(key, [])) for key in ("passed", "failed", "error", "skipped")}
    path: Path | None = config.getoption("--counts")
    if path is not None:
        path.write_text(f"{count['passed']} {count['failed'] + count['error']} {count['skipped']}\n")
