"""Every public name is used by a test, which therefore fails without it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.contract import surface

TESTS = Path(__file__).parents[1]


def test_uses_are_found_in_code_and_in_cells():
    code = 'x.called(y.read)\nfrom a import taken\ncell = "import agy_nb\\nagent.shown()"'
    found = set(used_in(ast.parse(code)))
    assert {"called", "read", "taken", "shown"} <= found
    assert "import" not in found


@pytest.mark.slow
def test_every_public_name_is_used_by_a_test():
    unused = [
        each.name for each in surface.everything() if each.name.rpartition(".")[2] not in used()
    ]
    assert unused == [], "no test uses these: they could go, and no test would fail"


@cache
def used() -> frozenset[str]:
    """Names that tests read, call or import; this folder does not count, as it names them all."""
    files = [path for path in TESTS.rglob("*.py") if "contract" not in path.parts]
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in files)
    return frozenset(name for tree in trees for name in used_in(tree))


def used_in(tree: ast.AST) -> Iterator[str]:
    """Every name in some code, and in the cells and scripts that it holds as text."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
                yield name.rpartition(".")[2]
            case ast.Constant(value=str(text)) if "agy" in text and "\n" in text:
                yield from used_in(_parsed(text))


def _parsed(text: str) -> ast.AST:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])
