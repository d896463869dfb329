"""Taking over what was handed in: a folder is copied, an archive unpacked, and neither is trusted.

An archive can write outside of its folder, a link can lead to a file that only the checker may read, a FIFO can block
who opens it, a small file can unpack to a terabyte. So: links are copied as links and never followed, links of an
archive are made last, nothing but regular files is opened, and everything is counted while it is written.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from .model import Failure, Trouble

MAX_BYTES = 256 << 20  # of a submission, unpacked; a course's submission has well under 1 MiB
MAX_ENTRIES = 20_000
MAX_DEPTH = 32  # folders within folders
CHUNK = 1 << 16

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
BINARY = "aws"
# No permission for the checker, a full or broken disk: no student can help that.
_MACHINES_FAULT = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Unusable(Failure):
    """What was handed in cannot be taken over or has nothing to build: a result, not the checker's trouble."""


class _Budget:
    """Counts what is written and refuses what is too much."""

    def __init__(self) -> None:
        self._bytes = MAX_BYTES
        self._entries = MAX_ENTRIES

    def entry(self, place: PurePosixPath) -> None:
        if len(place.parts) > MAX_DEPTH:
            raise Unusable(f"the submission holds folders nested more than {MAX_DEPTH} deep")
        self._entries -= 1
        if self._entries < 0:
            raise Unusable(f"the submission holds more than {MAX_ENTRIES:,} files")

    def bytes(self, count: int) -> None:
        self._bytes -= count
        if self._bytes < 0:
            raise Unusable(f"the submission is larger than {MAX_BYTES >> 20} MiB when unpacked")


def is_submission(path: Path) -> bool:
    """Whether `path` is of a kind that can be graded at all: a folder, or a file with an archive's name."""
    return path.is_dir() or path.is_file() and path.name.lower().endswith(ARCHIVES)


def take(path: Path, folder: Path) -> None:
    """Copy or unpack what was handed in into `folder`, which must not exist. Left behind: `.git`, `build` at the top,
    object files and a ready-made `aws`, so that the program is really built here. Raises Unusable."""
    try:
        folder.mkdir()
        (_copy if path.is_dir() else _unpack)(path, folder, _Budget())
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise Unusable(f"the archive {path.name} is damaged: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile: unknown compression; encrypted
        raise Unusable(f"the archive {path.name} cannot be read: {error}") from error
    except (OSError, ValueError) as error:  # a name too long or impossible, two members of one name
        if isinstance(error, OSError) and error.errno in _MACHINES_FAULT:
            raise Trouble(f"{path.name} cannot be copied: {error}") from error
        raise Unusable(f"{path.name} cannot be copied: {error}") from error


def _is_left_behind(name: PurePosixPath, *, is_folder: bool) -> bool:
    if ".git" in name.parts or name.parts[0] == "build":
        return True
    return not is_folder and (name.name == BINARY or name.suffix == ".o")


def _copy(source: Path, target: Path, budget: _Budget) -> None:
    """Copy a tree without following a link and without opening what could block (FIFO, device)."""
    for parent, folders, files in os.walk(source):
        here = PurePosixPath(Path(parent).relative_to(source))
        folders[:] = [name for name in folders if not _is_left_behind(here / name, is_folder=True)]
        for name in folders + files:
            mode = os.lstat(os.path.join(parent, name)).st_mode
            place = here / name
            if not stat.S_ISDIR(mode) and _is_left_behind(place, is_folder=False):
                continue
            budget.entry(place)
            if stat.S_ISLNK(mode):
                os.symlink(os.readlink(source / place), target / place)
            elif stat.S_ISDIR(mode):
                (target / place).mkdir()
            elif stat.S_ISREG(mode):
                descriptor = os.open(source / place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                with os.fdopen(descriptor, "rb") as stream:
                    _write(stream, target / place, mode, budget)


def _write(stream: BinaryIO | io.BufferedIOBase, target: Path, mode: int, budget: _Budget) -> None:
    """Copy a stream into a new file; of `mode` only whether it is executable counts."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        while piece := stream.read(CHUNK):
            budget.bytes(len(piece))
            out.write(piece)
        os.fchmod(out.fileno(), 0o755 if mode & 0o111 else 0o644)


@dataclass(frozen=True)
class _Member:
    """One entry of an archive. `link` is where a symbolic link leads; `stream` the content of a file."""

    name: PurePosixPath
    mode: int
    link: str | None = None
    stream: BinaryIO | io.BufferedIOBase | None = None


def _unpack(archive: Path, target: Path, budget: _Budget) -> None:
    """Write the members below `target`. Links come last, so that nothing can be written through one."""
    links: list[tuple[PurePosixPath, str]] = []
    members = _zip_members(archive) if archive.name.lower().endswith(".zip") else _tar_members(archive)
    for member in members:
        if not member.name.parts or _is_left_behind(member.name, is_folder=stat.S_ISDIR(member.mode)):
            continue
        budget.entry(member.name)
        place = target / member.name
        if member.link is not None:
            _refuse_unless_inside(member.name.parent / member.link, f"the link {member.name}")
            links.append((member.name, member.link))
        elif member.stream is None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)  # the last of several with one name counts, as with tar and unzip
            _write(member.stream, place, member.mode, budget)
    for name, text in links:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(text, target / name)


def _refuse_unless_inside(path: PurePosixPath, what: str) -> None:
    """Refuse a path that is absolute or climbs above the top at any point."""
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or path.is_absolute():
            raise Unusable(f"{what!r} in the archive leads out of it: refused")


def _member_name(text: str) -> PurePosixPath:
    name = PurePosixPath(text)
    if ".." in name.parts or name.is_absolute():
        raise Unusable(f"the name {text!r} in the archive leads out of it: refused")
    return name


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            name, mode = _member_name(info.filename), info.external_attr >> 16
            with ExitStack() as stack:
                if info.is_dir():
                    yield _Member(name, stat.S_IFDIR)
                elif stat.S_ISLNK(mode):
                    yield _Member(name, mode, link=stack.enter_context(opened.open(info)).read(4096).decode())
                else:
                    yield _Member(name, mode, stream=stack.enter_context(opened.open(info)))


class _Bounded(io.RawIOBase):
    """A decompressed stream that ends in Unusable when more is read than a submission may hold: tarfile believes
    lengths in headers, and reads extended headers into memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._rest = 2 * MAX_BYTES  # file contents and the tar format's own blocks

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._rest:
            raise Unusable(f"the archive is larger than {MAX_BYTES >> 20} MiB when unpacked")
        data = self._stream.read(size)
        self._rest -= len(data)
        return data


def _tar_members(archive: Path) -> Iterator[_Member]:
    packed = not archive.name.lower().endswith(".tar")
    with open(archive, "rb") as raw, gzip.open(raw) if packed else ExitStack() as unpacked:
        stream = _Bounded(unpacked if packed else raw)
        with tarfile.open(fileobj=stream, mode="r|") as opened:
            for info in opened:
                name = _member_name(info.name)
                if info.isdir():
                    yield _Member(name, stat.S_IFDIR)
                elif info.issym():
                    yield _Member(name, stat.S_IFLNK, link=info.linkname)
                elif info.isreg():
                    yield _Member(name, info.mode, stream=opened.extractfile(info))
                else:
                    raise Unusable(f"{info.name!r} in the archive is neither file, folder nor symbolic link: refused")
