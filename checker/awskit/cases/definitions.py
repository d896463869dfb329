"""Which definitions of runtime/ an exported case needs: those that its script mentions, and what these mention."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from . import runtime

_SOURCES = [Path(runtime.__file__).with_name(f"{name}.py")
            for name in ("place", "files", "client", "right", "events", "whole")]  # in this order


def definitions(use: str) -> str:
    """Of runtime/ what `use`, the rest of the file, needs, and what that needs in its turn."""
    nodes = _runtime()
    names, attributes = _mentioned(ast.parse(use))
    defined = names & {"SEED", "FILES", "MAKERS"}
    while True:
        before = len(names), len(attributes)
        for node, _ in nodes:
            for part in _parts(node, names, attributes):
                more = _mentioned_once(part)
                names |= more[0]
                attributes |= more[1]
        if (len(names), len(attributes)) == before:
            break
    imports, constants, others = [], [], []
    for node, lines in nodes:
        if _defines(node) & defined or not _defines(node) & names:
            continue
        text = _segment(lines, node, attributes)
        kind = imports if isinstance(node, ast.Import | ast.ImportFrom) else others
        (constants if isinstance(node, ast.Assign) else kind).append(text)
    imports = sorted(set(imports), key=lambda text: (text.startswith("from"), text))
    return "\n\n\n".join(["\n".join(imports) + "\n\n" + "\n".join(constants), *others])


@functools.cache
def all_names() -> frozenset[str]:
    """All that these definitions and what they import are called: a script names nothing else so."""
    return frozenset(name for node, _ in _runtime() for name in _defines(node))


@functools.cache
def _runtime() -> tuple[tuple[ast.stmt, tuple[str, ...]], ...]:
    """The statements of runtime/, each with the lines of its module."""
    texts = [path.read_text(encoding="utf-8") for path in _SOURCES]
    return tuple((node, tuple(text.splitlines())) for text in texts for node in ast.parse(text).body)


def _defines(node: ast.stmt) -> set[str]:
    """The names that a statement of the module defines."""
    if isinstance(node, ast.ImportFrom) and node.level:
        return set()  # from another module of runtime/, which comes into the same file
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.name for alias in node.names} - {"annotations"}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}


def _parts(node: ast.stmt, names: set[str], attributes: set[str]) -> list[ast.AST]:
    """What of a statement is used: of a class the methods that somebody calls."""
    if not _defines(node) & names:
        return []
    if isinstance(node, ast.ClassDef):
        return [part for part in node.body if _is_used(part, attributes)]
    return [node]


def _is_used(part: ast.stmt, attributes: set[str]) -> bool:
    return not isinstance(part, ast.FunctionDef) or part.name.startswith("__") or part.name in attributes


@functools.cache
def _mentioned_once(node: ast.AST) -> tuple[set[str], set[str]]:
    """The same as `_mentioned`, for a part of runtime/: it is asked for in each round of each case."""
    return _mentioned(node)


def _mentioned(tree: ast.AST) -> tuple[set[str], set[str]]:
    """The names and attributes in it."""
    found = list(ast.walk(tree))
    return ({one.id for one in found if isinstance(one, ast.Name)},
            {one.attr for one in found if isinstance(one, ast.Attribute)})  # fmt: skip


def _segment(lines: tuple[str, ...], node: ast.stmt, attributes: set[str]) -> str:
    if not isinstance(node, ast.ClassDef):
        return "\n".join(lines[node.lineno - 1 : node.end_lineno])
    kept = ["\n".join(lines[part.lineno - 1 : part.end_lineno]) for part in node.body if _is_used(part, attributes)]
    return "\n\n".join([f"{lines[node.lineno - 1]}\n{kept[0]}", *kept[1:]])
