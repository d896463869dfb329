"""Taking a submission over: every form that the contract names, and archives and folders that mean harm."""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from awskit import handed_in
from awskit.handed_in import Unusable, take
from awskit.model import Trouble
from awskit.submission import REQUESTS_OF_BUILD, find_makefile, warnings
from grading import awscheck

FILES = {"Makefile": b"aws: aws.c\n", "aws.c": b"int main(void) { return 0; }\n"}


def _tar(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return path


def _zip(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for name, to in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, to)
    return path


def _special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


def _below(files: dict[str, bytes], folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


ARCHIVES: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "zip": lambda folder, files: _zip(folder / "handed.zip", files),
    "tar": lambda folder, files: _tar(folder / "handed.tar", files, mode="w"),
    "tar.gz": lambda folder, files: _tar(folder / "handed.tar.gz", files),
    "tgz": lambda folder, files: _tar(folder / "handed.TGZ", files),
}


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("place", [".", "src", "skel", "ana-homework", "ana-homework/src"])
def test_every_archive_is_unpacked_and_its_makefile_found(kind: str, place: str, tmp_path: Path) -> None:
    archive = ARCHIVES[kind](tmp_path, _below(FILES, place))
    assert handed_in.is_submission(archive)
    take(archive, tmp_path / "taken")
    assert find_makefile(tmp_path / "taken") == PurePosixPath(place)
    assert (tmp_path / "taken" / place / "aws.c").read_bytes() == FILES["aws.c"]


def test_two_folders_are_no_wrapping(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Makefile").touch()
    with pytest.raises(Unusable, match="no Makefile"):
        find_makefile(tmp_path)


def test_a_link_called_makefile_is_none(tmp_path: Path) -> None:
    (tmp_path / "Makefile").symlink_to("/etc/passwd")
    with pytest.raises(Unusable, match="no Makefile"):
        find_makefile(tmp_path)


def test_ready_made_binaries_and_build_folders_are_left_behind(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("aws", "aws.o", "build/x", ".git/config", "src/aws", "src/build/keep", "src/aws.c", "aws.d/aws.h"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    take(source, tmp_path / "taken")
    taken = {str(path.relative_to(tmp_path / "taken")) for path in (tmp_path / "taken").rglob("*") if path.is_file()}
    assert taken == {"src/build/keep", "src/aws.c", "aws.d/aws.h"}


def test_a_folders_links_stay_links_and_its_fifos_are_not_opened(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "secret").symlink_to("/etc/shadow")
    (source / "here").symlink_to(".")
    os.mkfifo(source / "fifo")
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o700)
    take(source, tmp_path / "taken")
    assert sorted(os.listdir(tmp_path / "taken")) == ["here", "run.sh", "secret"]
    assert os.readlink(tmp_path / "taken" / "secret") == "/etc/shadow"
    assert stat.S_IMODE((tmp_path / "taken" / "run.sh").stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "a/.."])
def test_a_name_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    for archive in (_tar(tmp_path / "a.tgz", {name: b"x"}), _zip(tmp_path / "a.zip", {name: b"x"})):
        with pytest.raises(Unusable, match="leads out of it"):
            take(archive, tmp_path / archive.suffix[1:])
    assert not list(tmp_path.rglob("out"))
    assert not Path("/out").exists()


@pytest.mark.parametrize("to", ["/etc", "..", "a/../../b", "../x"])
def test_a_link_that_leads_out_is_refused(to: str, tmp_path: Path) -> None:
    tar = _tar(tmp_path / "a.tgz", FILES, _special("l", tarfile.SYMTYPE, to))
    for archive in (tar, _zip(tmp_path / "a.zip", FILES, {"l": to})):
        with pytest.raises(Unusable, match="the link l"):
            take(archive, tmp_path / archive.suffix[1:])


def test_a_link_that_stays_inside_is_kept(tmp_path: Path) -> None:
    link = _special("dynamic/x", tarfile.SYMTYPE, "../static/x")
    take(_tar(tmp_path / "a.tgz", {**FILES, "static/x": b"x"}, link), tmp_path / "taken")
    assert (tmp_path / "taken" / "dynamic" / "x").read_bytes() == b"x"


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """The link is a member of its own, and then a file is to be written below it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as stream:
        stream.addfile(_special("a", tarfile.SYMTYPE, "b"))
        info = tarfile.TarInfo("a/planted")
        info.size = 1
        stream.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(Unusable, match="cannot be copied"):
        take(archive, tmp_path / "taken")
    assert not (tmp_path / "taken" / "b").exists()


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_hard_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tgz", FILES, _special("odd", kind, "Makefile"))
    with pytest.raises(Unusable, match="neither file, folder nor symbolic link"):
        take(archive, tmp_path / "taken")


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_bomb_is_refused_while_it_unpacks(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed_in, "MAX_BYTES", 1 << 20)
    with pytest.raises(Unusable, match="larger than 1 MiB"):
        take(ARCHIVES[kind](tmp_path, {**FILES, "bomb": bytes(2 << 20)}), tmp_path / "taken")
    assert sum(path.stat().st_size for path in (tmp_path / "taken").rglob("*")) < 2 << 20


def test_a_tar_header_that_claims_too_much_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extended header is read into memory as a whole: one of gigabytes must not be."""
    monkeypatch.setattr(handed_in, "MAX_BYTES", 1 << 20)
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    header.size = 8 << 30
    (tmp_path / "a.tgz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(3 << 20)))
    with pytest.raises(Unusable, match="larger than 1 MiB"):
        take(tmp_path / "a.tgz", tmp_path / "taken")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed_in, "MAX_ENTRIES", 10)
    with pytest.raises(Unusable, match="more than 10 files"):
        take(_zip(tmp_path / "a.zip", {f"f{number}": b"" for number in range(11)}), tmp_path / "taken")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tgz"])
def test_an_archive_cut_anywhere_is_told(kind: str, tmp_path: Path) -> None:
    whole = ARCHIVES[kind](tmp_path, {**FILES, "noise": os.urandom(3000)}).read_bytes()
    cut = tmp_path / f"cut.{kind}"
    for length in range(0, len(whole) - 1, 97):
        cut.write_bytes(whole[:length])
        with pytest.raises(Unusable, match="damaged"):
            take(cut, tmp_path / f"taken{length}")


def test_a_tar_cut_within_a_file_is_told(tmp_path: Path) -> None:
    """Cut between two members it is a shorter tar: the format asks for no end."""
    archive = ARCHIVES["tar"](tmp_path, {"Makefile": bytes(3000)})
    archive.write_bytes(archive.read_bytes()[: 512 + 1000])
    with pytest.raises(Unusable, match="damaged"):
        take(archive, tmp_path / "taken")


@pytest.mark.parametrize(
    "number, kind", [(errno.ENOSPC, Trouble), (errno.EACCES, Trouble), (errno.ENAMETOOLONG, Unusable)]
)
def test_a_full_disk_is_no_students_fault(
    number: int, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link").symlink_to("x")
    monkeypatch.setattr(os, "symlink", fail)
    with pytest.raises(kind, match="cannot be copied"):
        take(tmp_path / "source", tmp_path / "taken")


def test_an_encrypted_zip_is_told(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", FILES)
    data = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag word of both kinds of header
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + offset] |= 1
    archive.write_bytes(data)
    with pytest.raises(Unusable, match="encrypted"):
        take(archive, tmp_path / "taken")


def test_warnings_of_the_compiler_are_told_once() -> None:
    two = "gcc -Wall aws.c\naws.c:3:7: warning: unused x\nsock.c:9: warning: comparison\naws.c:5:1: note: so\n"
    assert warnings(two) == ("the compiler warns 2 times: aws.c:3:7: warning: unused x",)
    one = two.replace("sock.c:9: warning", "sock.c:9: note")
    assert warnings(one) == ("the compiler warns once: aws.c:3:7: warning: unused x",)
    assert warnings("gcc -Wall aws.c\necho this is a warning: none\n") == ()


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_folders_nested_too_deeply_are_refused(kind: str, tmp_path: Path) -> None:
    """Python's ways to copy and to remove a tree recurse; what is accepted stays within their reach."""
    handed = tmp_path / "in"
    if kind == "folder":
        (handed / "/".join("d" * (handed_in.MAX_DEPTH + 1))).mkdir(parents=True)
    else:
        handed = tmp_path / "in.tar"
        with tarfile.open(handed, "w") as archive:
            archive.addfile(tarfile.TarInfo("d/" * 3000 + "f"))
    with pytest.raises(Unusable, match="nested more than"):
        take(handed, tmp_path / "out")


@pytest.mark.parametrize(
    "recipe, said",
    [
        ("trap '' TERM; sleep 1000", "make did not end: it sleeps"),
        ("n=0; while [ $$n -lt 100 ]; do mkdir d && cd d; n=$$((n + 1)); done; :", "make nested folders more than"),
        ("for n in 1 2 3 4; do truncate -s 200M f$$n; fallocate -l 200M g$$n; done", "make wrote more than 512 MiB"),
    ],
    ids=["hangs", "digs", "fills"],
)
def test_a_build_is_bounded(recipe: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(f"aws:\n\t{recipe}\n\tprintf '#!/bin/sh\\n' > $@; chmod 755 $@\n")
    graded = awscheck("grade", tmp_path, "--only", "1")
    assert said in graded.text


def test_what_a_build_leaves_runs_as_nobody_else(tmp_path: Path) -> None:
    """Whoever grades keeps the folder: a set-user-ID program in it would be theirs to run for all."""
    source, kept = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "Makefile").write_text("aws:\n\tcp /usr/bin/true $@; cp $@ other; chmod 4755 $@; chmod 2755 other\n")
    awscheck("grade", source, "--only", "1", "--out", kept, "--keep")
    modes = [stat.S_IMODE(path.stat().st_mode) for name in ("aws", "other") for path in kept.rglob(name)]
    assert modes and set(modes) == {0o755}


TAKES_CONTEXTS = b"""#include <libaio.h>
#include <stdio.h>
int main(void)
{
    int most = 0;
    for (int size = 65536; size > 0; size /= 2) {
        io_context_t context = NULL;
        if (io_setup(size, &context) == 0)
            most += size;
    }
    fprintf(stderr, "%d requests\\n", most);
    return 1;
}
"""


def test_a_build_cannot_take_all_contexts_of_asynchronous_reads(tmp_path: Path) -> None:
    """fs.aio-max-nr holds for the whole machine: what a Makefile takes, a neighbour's server has not."""
    (tmp_path / "Makefile").write_text("aws:\n\tgcc -o t t.c -laio && ./t\n")
    (tmp_path / "t.c").write_bytes(TAKES_CONTEXTS)
    graded = awscheck("grade", tmp_path, "--only", 1, "--seed", 1)
    assert f"{REQUESTS_OF_BUILD} requests" in graded.text
