"""Samples kept as a change are graded where they are; a folder of somebody else's that looks like one is not."""

from __future__ import annotations

from pathlib import Path

from awskit import samples
from grading import awscheck
from known import SAMPLES


def test_a_kept_sample_is_made_whole_and_no_other_folder(tmp_path: Path) -> None:
    (tmp_path / "defect.diff").write_text("--- a/aws.c\n+++ b/aws.c\n")
    assert samples.whole(tmp_path, tmp_path / "whole") == tmp_path
    assert samples.whole(SAMPLES / "good" / "plain", tmp_path / "whole") == SAMPLES / "good" / "plain"
    assert samples.whole(SAMPLES / "defect" / "sendfile-once", tmp_path / "whole") == tmp_path / "whole"
    assert (tmp_path / "whole" / "Makefile").exists()


def test_it_is_graded_and_replayed_by_its_own_name(tmp_path: Path) -> None:
    sample, check, out = SAMPLES / "defect" / "sendfile-once", "static.large_received", tmp_path / "out"
    done = awscheck("grade", sample, "--rubric", "full", "--only", check, "--out", out, folder=tmp_path)
    case = out / "cases" / f"{check}.toml"
    assert done.code == 1 and f"awscheck replay {case} --server {sample}" in done.text
    assert [awscheck("replay", case, "--server", sample).code, awscheck("replay", case).code] == [1, 0]
