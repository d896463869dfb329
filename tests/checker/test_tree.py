"""The document root: its bytes are those of the seed, and what a server has done to its files is made good."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from awskit.tree import MIB, Tree

TARGET = "/static/a.dat"
SIZE = 2 * MIB + 77


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "site", 7)


def test_a_part_of_a_file_is_the_same_bytes_as_in_the_whole(tree: Tree) -> None:
    content = tree.file(TARGET, SIZE)
    whole = tree.path(TARGET).read_bytes()
    assert len(whole) == SIZE
    for offset, length in ((0, 10), (MIB - 5, 10), (MIB, MIB), (5, 2 * MIB), (SIZE - 3, 100), (SIZE, 1)):
        assert content.read(offset, length) == whole[offset : offset + length]


def test_files_and_blocks_are_as_different_as_noise(tree: Tree) -> None:
    one, other = tree.file(TARGET, SIZE).read(0, SIZE), tree.file("/dynamic/a.dat", SIZE).read(0, SIZE)
    same = sum(a == b for a, b in zip(one, other)) / SIZE
    again = sum(a == b for a, b in zip(one[:MIB], one[MIB:])) / MIB
    # Two permutations agree in one byte value of 256 in the mean; in eight of them never, for all that matters.
    assert same < 8 / 256
    assert again < 8 / 256


def _truncate(path: Path) -> None:
    os.truncate(path, 0)


def _overwrite_in_place(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("damage", [_truncate, _overwrite_in_place, _replace, Path.unlink])
def test_a_damaged_file_is_made_anew(damage: Callable[[Path], None], tree: Tree) -> None:
    content = tree.file(TARGET, SIZE)
    damage(tree.path(TARGET))
    tree.mend()
    assert tree.path(TARGET).read_bytes() == content.read(0, SIZE)
    assert not tree.path(TARGET).is_symlink()


def test_whole_files_are_left_alone(tree: Tree) -> None:
    tree.file(TARGET, SIZE)
    tree.unreadable("/static/secret.dat", 100)
    before = [tree.path(target).stat() for target in (TARGET, "/static/secret.dat")]
    tree.path(TARGET).read_bytes()
    tree.mend()
    after = [tree.path(target).stat() for target in (TARGET, "/static/secret.dat")]
    assert [(stat.st_ino, stat.st_ctime_ns, stat.st_mode) for stat in after] == [
        (stat.st_ino, stat.st_ctime_ns, stat.st_mode) for stat in before
    ]


def test_what_is_truncated_on_purpose_stays_so(tree: Tree) -> None:
    tree.file(TARGET, SIZE)
    tree.truncate(TARGET)
    tree.mend()
    assert tree.path(TARGET).stat().st_size == 0
