"""The files of a case, made below the server's root and removed again."""

from __future__ import annotations

import os
import random
import socket
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
    """A socket in the file system. Its address may have 107 bytes: so it is bound below a short name of its folder."""
    folder, name = os.path.split(path)
    opened = os.open(folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{opened}/{name}")
    finally:
        os.close(opened)


def replace_file(root: str, target: str, data: bytes) -> None:
    """Another file in place of this one (rename(2)): who has it open goes on reading the old one."""
    FILES[target] = data
    path = f"{root}/.new-{os.getpid()}"
    make_file(path, target)
    os.replace(path, root + target)


def make_all(root: str, makers: dict[str, Callable[[str], object]], made: list[str]) -> None:
    """Make the files below `root`, which nobody else may have made. What was made is put into `made`, to be removed at
    the end."""
    for folder in ("/static", "/dynamic", *makers):
        parts = folder.strip("/").split("/")
        for count in range(1, len(parts) + (folder not in makers)):
            path = os.path.join(root, *parts[:count])
            if os.path.islink(path):
                raise FileExistsError(f"{path} is a link: the case's files would be made elsewhere")
            if not os.path.isdir(path):
                os.mkdir(path)
                made.append(path)
        if folder in makers:
            path = os.path.join(root, *parts)
            if path in made:
                continue  # a directory, which was made for a file in it
            if os.path.lexists(path):
                raise FileExistsError(f"{path} is there already: run this in a folder of its own, that the server has")
            makers[folder](path)
            made.append(path)


def remove_all(made: list[str]) -> None:
    """Remove what was made, as far as it is still there."""
    for path in reversed(made):
        try:
            os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        except OSError:
            pass
