"""The checker's own folder for one submission: made so that a box's user can reach it, and gone at the end.

A checker that is killed leaves its folder behind. Each living one holds a lock on its own, so the next one to start
can tell and removes what nobody holds. What is in it is not trusted: it may be nested deeper than Python can follow.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "awscheck-work-"
# ioctl_iflags(2) and chattr(1), which calls it T: the folders in this one are not related.
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL = 0x80086601, 0x40086602, 0x00020000


@contextmanager
def working_folder(keep: Path | None) -> Iterator[Path]:
    """A folder that a box's user can reach, gone at the end; what is in it is moved to `keep` if that is given."""
    _remove_left_behind()
    # By another name until it is locked: the next checker to start must not take it for one that was left.
    unlocked = Path(tempfile.mkdtemp(prefix=f"new-{PREFIX}"))
    unlocked.chmod(0o711)
    lock = os.open(unlocked, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    _spread(lock)
    outer = unlocked.rename(unlocked.with_name(unlocked.name.removeprefix("new-")))
    folder = outer / outer.name.removeprefix(PREFIX)
    folder.mkdir()
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        if keep is not None:
            for name in folder.iterdir():
                shutil.move(name, keep / name.name)
        remove(outer)
        os.close(lock)


def _spread(folder: int) -> None:
    """Ask the file system to put the folders in this one where their names say, each with all that is made in it. So
    one with a name of its own is far from what the checkers before removed: ext4 without a journal passes over each
    file that was removed in the last minutes, one by one, whenever one is made there (20 times as slow after a few
    gradings, measured). Where a file system has no such flag, nothing is lost."""
    with contextlib.suppress(OSError):
        flags = fcntl.ioctl(folder, FS_IOC_GETFLAGS, bytes(8))
        (found,) = struct.unpack_from("i", flags)
        fcntl.ioctl(folder, FS_IOC_SETFLAGS, struct.pack("q", found | FS_TOPDIR_FL))


def remove(folder: Path) -> None:
    """Remove it and all below, whatever that is. What cannot be removed stays; links are not followed."""
    # rm(1) goes down by descriptors: neither recursion nor the length of a path bounds it.
    subprocess.run(["/bin/rm", "-rf", "--one-file-system", "--", folder], stderr=subprocess.DEVNULL, check=False)


def _remove_left_behind() -> None:
    """Remove the folders of this user's checkers that are not there any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(folder)
            finally:
                os.close(lock)
