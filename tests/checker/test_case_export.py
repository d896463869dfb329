"""Exported cases: programs of their own, which say the same of a server as the case does."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import exported
from awskit.cases.export import curl, export
from awskit.cases.read import parse, read
from awskit.cases.target import Unfit
from bugs import BUGS, cases
from grading import ROOT

# Of each kind: pieces, a way out of the tree, a stalled client and a file that changes, silence, descriptors, a stop.
SHOWN = {
    "D11-target-in-two-pieces": "url-piece-overwrites",
    "D02-dots-lead-out": "dots-not-looked-at",
    "file-replaced": "file-reopened-for-each-window",
    "D12-answers-too-early": "answers-at-first-field",
    "D01-head-send-error-kills": "head-send-error-kills",
    "D24-status-line": "field-in-status-line",
}


def run(program: Path, name: str, folder: Path) -> tuple[int, str]:
    """Export a case of the museum and run it; exit code and output."""
    code, said = exported.run(program, BUGS / f"{name}.toml", folder)
    if code == 77:
        pytest.skip(f"no network namespace here: {said}")
    return code, said


@pytest.mark.parametrize("name", SHOWN)
def test_it_fails_on_the_bug_and_holds_on_the_reference(name: str, tmp_path: Path) -> None:
    assert run(ROOT / "aws", name, tmp_path) == (0, "right: the server did all that is expected here\n")
    code, said = run(exported.build(f"defect/{SHOWN[name]}", tmp_path), name, tmp_path)
    assert code == 1 and said.startswith("WRONG: "), said


def test_what_is_exported_needs_nothing_but_the_standard_library() -> None:
    count = 0
    for path in cases():
        try:
            text = export(read(path))
        except Unfit:
            continue
        count += 1
        tree = ast.parse(text)
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names, path.name
        assert "awskit" not in text and str(ROOT) not in text
    assert count > 80


def test_every_definition_that_is_exported_is_used() -> None:
    text = export(read(BUGS / "D11-target-in-two-pieces.toml"))
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert text.count(node.name) > 1, node.name
    assert "signal" not in text and "make_sparse" not in text


@pytest.mark.parametrize("name", ["D14-waits-for-the-disk", "D15-no-aio", "D07-head-in-parts", "course-stress"])
def test_a_case_of_which_nothing_would_be_left_is_refused(name: str) -> None:
    with pytest.raises(Unfit, match="awscheck replay"):
        export(read(BUGS / f"{name}.toml"))


def test_what_is_left_out_is_said() -> None:
    text = (BUGS / "D08-slow-static-reader-blocks.toml").read_text()
    faults = """faults = [
        { cut = "sendfile", share = "half" },
        { cut = "send", most = 7, first = 3, every = 2, connection = 4 },
        { refuse = "accept", error = "EINTR" },
    ]
    """
    exported = export(parse(text.replace("steps = [", f"{faults}steps = [", 1), "a.toml"))
    for told in ("each sendfile moves half", "the 3. send, and every 2. after it, on connection 4 moves 7 at most",
                 "the 1. accept fails with EINTR"):  # fmt: skip
        assert f"Left out, because only the checker can do it: {told}." in exported


HOSTILE = r'''
title = 'a""" + __import__("os").system("x") + """\'
about = '"""'
rule = "S4"
steps = [
    { client = "import", send = "\"\"\"\u0000'\\" },
    { client = "import", answer = "any" },
]
[files]
"/static/'); import os; ('" = 1
'''


def test_no_text_of_a_case_becomes_a_statement() -> None:
    tree = ast.parse(export(parse(HOSTILE, "a.toml")))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "__import__" not in names and "import_" in names
    assert ast.get_docstring(tree).startswith('a""" + __import__')


def test_a_line_for_a_shell_shows_the_same(tmp_path: Path) -> None:
    line = curl(read(BUGS / "D02-dots-lead-out.toml"))
    assert line == "curl --path-as-is --include --output - http://127.0.0.1:8888'/static/../secret.txt'"
    line = curl(read(BUGS / "D31-malformed-hangs.toml"))
    sent = subprocess.run(["sh", "-c", line.partition(" | nc")[0]], capture_output=True, check=True).stdout
    assert sent == b"what\r\n\r\n"
    with pytest.raises(Unfit):
        curl(read(BUGS / "D11-target-in-two-pieces.toml"))
