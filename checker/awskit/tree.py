"""A document root whose every byte is known: made from a seed, so that a failure can be had again from its number.

`static/` and `dynamic/` hold the same names with different bytes, so that a server that mixes them up is seen. Files
are made when a check first asks for them: a check that needs 2 KiB does not pay for 100 MiB. The expected bytes are
computed again for each comparison and never read back from the disk, which the server under test may have written on.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import os
import random
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KINDS = ("static", "dynamic")
KIB = 1024
MIB = 1024 * KIB

FILE_MODE = 0o666

# Contents are made by blocks of this many bytes: any part is to be had without the rest.
BLOCK = MIB


@functools.cache
def _noise() -> bytes:
    return random.Random("awskit").randbytes(BLOCK)


@functools.lru_cache(maxsize=4096)
def _cipher(key: str, index: int) -> bytes:
    """A permutation of the 256 bytes for one block of one file. All blocks are the same noise, each by a permutation of
    its own: as different as noise from new seeds, at a tenth of the time (0.5 ms for each MiB, measured)."""
    order = hashlib.shake_128(f"{key}/{index}".encode()).digest(256)
    return bytes(sorted(range(256), key=order.__getitem__))


def _block(key: str, index: int, start: int, end: int) -> bytes:
    return _noise()[start:end].translate(_cipher(key, index))


def _stamp(path: Path | str) -> tuple[int, int, int]:
    """Which file it is, when it was changed and its size; zeros where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_ctime_ns, found.st_size


class Content:
    """The bytes that a file must have: `size` pseudo-random bytes that `key` decides, or the bytes of `literal`."""

    def __init__(self, key: str, size: int, literal: bytes | None = None) -> None:
        self.key = key
        self.size = size
        self._literal = literal

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, `length` of them or as many as there are (like pread(2))."""
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        if self._literal is not None:
            return self._literal[offset:end]
        parts = []
        while offset < end:
            index, start = divmod(offset, BLOCK)
            parts.append(_block(self.key, index, start, min(start + end - offset, BLOCK)))
            offset += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @functools.cached_property
    def begin(self) -> bytes:
        """The first bytes, eight at most."""
        return self.read(0, 8)

    def chunks(self) -> Iterator[bytes]:
        """All the bytes, in pieces of at most BLOCK."""
        for offset in range(0, self.size, BLOCK):
            yield self.read(offset, BLOCK)


class Tree:
    """A document root below `root`, a directory that is there or can be made. `seed` decides all contents.

    Directories are 0755 and files 0666 whatever the umask: the server may run as another user, and may open a file for
    writing as it may on its author's machine. What it has written is made good by `mend`.
    Methods take targets as a client writes them without any escape: `/static/small00.dat`. Checks that run side by side
    have a tree each: the same bytes, and no way into each other's files.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.seed = seed
        self._contents: dict[str, Content] = {}
        self._stamps: dict[str, tuple[int, int, int]] = {}  # of each file of those, when it was made
        self.made: dict[str, tuple[str, Any]] = {}  # what was asked for by what: "file" its size, "link" its text, …
        self._making = threading.Lock()
        for folder in (root, *(root / kind for kind in KINDS)):
            self._make_directory(folder)

    def for_one_check(self) -> Tree:
        """The same tree, whose `made` has what is asked for from here on."""
        own = copy.copy(self)
        own.made = {}
        return own

    def path(self, target: str) -> Path:
        """The place on disk of `target`."""
        return self.root / target.lstrip("/")

    def file(self, target: str, size: int) -> Content:
        """Make sure that the file is there with `size` bytes of its own, and say which. The same again is free."""
        self.made.setdefault(target, ("file", size))
        with self._making:
            known = self._contents.get(target)
            if known is not None and known.size == size:
                return known
            return self._add(target, Content(f"{self.seed}{target}", size))

    def pair(self, name: str, size: int) -> dict[str, str]:
        """`name` with `size` bytes in both folders, different ones; the target of each kind: `{"static": …}`."""
        for kind in KINDS:
            self.file(f"/{kind}/{name}", size)
        return {kind: f"/{kind}/{name}" for kind in KINDS}

    def text(self, target: str, data: bytes) -> Content:
        """Make sure that the file is there with just these bytes. The same again is free."""
        self.made.setdefault(target, ("text", data))
        with self._making:
            known = self._contents.get(target)
            if known is not None and known.size == len(data) and known.read(0, len(data)) == data:
                return known
            return self._add(target, Content(target, len(data), data))

    def content(self, target: str) -> Content | None:
        """What a 200 for `target` must bring; None where the tree made no such file."""
        return self._contents.get(target)

    def targets(self) -> list[str]:
        """The files that were made so far."""
        return list(self._contents)

    def other(self, target: str) -> Content | None:
        """The file of the same name in the other folder, or None: what a mix-up of the two would bring."""
        for kind, twin in (KINDS, KINDS[::-1]):
            if target.startswith(f"/{kind}/"):
                return self._contents.get(f"/{twin}/" + target.removeprefix(f"/{kind}/"))
        return None

    def owner(self, piece: bytes, offset: int) -> str | None:
        """The target of the file that has `piece` at `offset`: whose bytes are these? At least 8 bytes are needed."""
        if len(piece) < 8:
            return None
        for target, content in list(self._contents.items()):
            if offset == 0 and content.begin != piece[: len(content.begin)]:
                continue  # as for nearly all of them, often
            if content.read(offset, len(piece)) == piece:
                return target
        return None

    def directory(self, target: str) -> Path:
        """Make a directory."""
        self.made.setdefault(target, ("special", "directory"))
        path = self.path(target)
        self._make_directory(path)
        return path

    def symlink(self, target: str, to: str) -> Path:
        """Make `target` a symbolic link with the text `to` (not followed, need not exist)."""
        path = self._fresh(target, "link", to)
        path.symlink_to(to)
        return path

    def fifo(self, target: str) -> Path:
        """Make a FIFO that nobody writes to: open(2) for reading blocks on it without O_NONBLOCK."""
        path = self._fresh(target, "special", "fifo")
        os.mkfifo(path, 0o644)
        path.chmod(0o644)
        return path

    def unix_socket(self, target: str) -> Path:
        """Make a socket in the file system (open(2) on it gives ENXIO)."""
        path = self._fresh(target, "special", "socket")
        # bind(2) takes no more than 107 bytes: bind by a short name through the directory's descriptor.
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
        return path

    def sparse(self, target: str, size: int) -> Path:
        """Make a file of `size` zeros that takes no room, for what is not read to its end."""
        path = self._fresh(target, "sparse", size)
        with path.open("wb") as stream:
            stream.truncate(size)
        path.chmod(FILE_MODE)
        return path

    def truncate(self, target: str) -> None:
        """Cut a file of ours to nothing, in place, as a program does that writes it anew."""
        os.truncate(self.path(target), 0)
        self.forget(target)

    def forget(self, target: str) -> None:
        """The file is not any more what it was made: it will be made again when it is asked for again."""
        self._contents.pop(target, None)

    def as_it_was(self, target: str, content: Content) -> Tree:
        """The tree as one knew it for whom this was the file's content: of one who asked before it was changed."""
        past = copy.copy(self)
        past._contents = {**self._contents, target: content}
        return past

    def unreadable(self, target: str, size: int) -> Path:
        """Make a file of mode 000. Root reads it none the less."""
        self.made.setdefault(target, ("unreadable", size))
        path = self.path(target)
        self._contents.pop(target, None)
        self._add(target, Content(f"{self.seed}{target}", size))
        path.chmod(0)
        self._stamps[target] = _stamp(path)
        return path

    def mend(self) -> None:
        """Make those files anew that are not as they were made. Nobody can write into a file, or make it another, and
        leave its time of change (ctime) as it was; contents are not read."""
        with self._making:
            root = os.fspath(self.root)
            for target, content in list(self._contents.items()):
                if _stamp(f"{root}{target}") != self._stamps[target]:
                    self._add(target, content)

    def damaged(self) -> list[str]:
        """The targets whose file on disk is no longer what was made, unreadable ones left out."""
        return [target for target, content in list(self._contents.items()) if not self._intact(target, content)]

    def _intact(self, target: str, content: Content) -> bool:
        try:
            with self.path(target).open("rb") as stream:
                return all(stream.read(len(chunk)) == chunk for chunk in content.chunks()) and not stream.read(1)
        except PermissionError:
            return True
        except OSError:
            return False

    def _add(self, target: str, content: Content) -> Content:
        """Write beside the two folders and rename: a server never sees half a file, nor do two of us making one."""
        path = self.path(target)
        self._make_directory(path.parent)
        descriptor, name = tempfile.mkstemp(prefix=".making-", dir=self.root)
        with os.fdopen(descriptor, "wb") as stream:
            for chunk in content.chunks():
                stream.write(chunk)
            os.fchmod(stream.fileno(), FILE_MODE)
        os.replace(name, path)
        self._contents[target], self._stamps[target] = content, _stamp(path)
        return content

    def _fresh(self, target: str, *made: Any) -> Path:
        self.made.setdefault(target, made)
        path = self.path(target)
        self._make_directory(path.parent)
        self._contents.pop(target, None)
        path.unlink(missing_ok=True)
        return path

    def _make_directory(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
