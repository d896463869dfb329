"""The checker's folder for a submission."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from awskit.workplace import working_folder


@pytest.mark.skipif(shutil.which("lsattr") is None, reason="there is no lsattr on this machine")
def test_what_is_made_in_it_is_asked_to_be_put_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else can be seen of it than the flag, this is what can be seen."""
    probe = tmp_path / "probe"
    probe.mkdir()
    if subprocess.run(["chattr", "+T", probe], capture_output=True, check=False).returncode:
        pytest.skip("this file system does not know the flag")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with working_folder(None) as folder:
        listed = subprocess.run(["lsattr", "-d", folder.parent], capture_output=True, text=True, check=True).stdout
    assert "T" in listed.split()[0]
    assert not folder.parent.exists()


def test_it_has_a_name_of_its_own_each_time() -> None:
    """By which ext4 finds a place for it (fs/ext4/ialloc.c, find_group_orlov)."""
    names = []
    for _ in range(3):
        with working_folder(None) as folder:
            names.append(folder.name)
            assert folder.parent.name == f"awscheck-work-{folder.name}"
    assert len(set(names)) == 3
