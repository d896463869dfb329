"""The files of a case, made below the server's root and removed again."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Callable

FILES: dict[str, object] = {}  # sizes or bytes, which the exported case says
SEED = 0


def contents(target: str) -> bytes:
    """The bytes that the file must have."""
    size = FILES[target]
    return size if isinstance(size, bytes) else random.Random(f"{SEED}{target}").randbytes(size)


def make_file(path: str, target: str) -> None:
    """A file of the case."""
    with open(path, "wb") as stream:
        stream.write(contents(target))


def make_sparse(path: str, size: int) -> None:
    """A file of zeros that takes no room."""
    with open(path, "wb") as stream:
        stream.truncate(size)


def make_socket(path: str) -> None:
    """A socket in the file system."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


def make_all(root: str, makers: dict[str, Callable[[str], object]]) -> list[str]:
    """Make the files below `root`, which nobody else may have made; what was made, to be removed at the end."""
    made = []
    for folder in ("/static", "/dynamic", *makers):
        parts = folder.strip("/").split("/")
        for count in range(1, len(parts) + (folder not in makers)):
            path = os.path.join(root, *parts[:count])
            if not os.path.isdir(path):
                os.mkdir(path)
                made.append(path)
        if folder in makers:
            path = os.path.join(root, *parts)
            if os.path.lexists(path):
                sys.exit(f"{path} is there already: run this in a folder of its own, which the server serves")
            makers[folder](path)
            made.append(path)
    return made


def remove_all(made: list[str]) -> None:
    """Remove what was made, as far as it is still there."""
    for path in reversed(made):
        try:
            os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        except OSError:
            pass
