"""What the tests of the checker share: submissions made on the spot, and gradings in the background.

A grading is mostly waiting for a compiler, for valgrind or for a server that never answers: four run at a time, and a
test asks for the result of its own.
"""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grading import Graded, awscheck

SERVERS = Path(__file__).resolve().parent / "servers"


@pytest.fixture(scope="session")
def submit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., concurrent.futures.Future[Graded]]]:
    """Start a grading in the background: `submit(path, *options).result()`."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:

        def start(path: Path, *options: object, **more: Any) -> concurrent.futures.Future[Graded]:
            folder = tmp_path_factory.mktemp("results")
            return pool.submit(awscheck, "grade", path, *options, folder=folder, **more)

        yield start


@pytest.fixture(scope="session")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder to hand in, made of one of `servers/` and a Makefile with these compiler options. Made once each."""

    @functools.cache
    def make(source: str, *options: str, compiler: str = "gcc") -> Path:
        folder = tmp_path_factory.mktemp("submission")
        (folder / source).write_bytes((SERVERS / source).read_bytes())
        (folder / "Makefile").write_text(f"aws: {source}\n\t{compiler} -g -O1 -o $@ $< {' '.join(options)}\n")
        return folder

    return make
