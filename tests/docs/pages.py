"""Runs the Python of a documentation page as a notebook would, block by block, in one namespace.

Rule 1: a block runs as it stands. What a page cannot have offline, such as the address of a server,
the test replaces by name, and fails where the page does not have it.
Rule 2: a block that starts with `# file: NAME` is written to that file.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# file: (\S+)\n")


def read(page: str) -> str:
    """The text of a page, by its name below `docs/`."""
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str, language: str = "python") -> list[str]:
    """The blocks of a page in one language, in order."""
    return [
        textwrap.dedent(code) for _, kind, code in _BLOCK.findall(read(page)) if kind == language
    ]


async def run(page: str, names: dict[str, Any], replaced: Mapping[str, str] | None = None) -> list:
    """Run all Python blocks of a page.

    Args:
        page: Its name below `docs/`.
        names: What the blocks start with; what they define is added.
        replaced: Code to run in place of other code.

    Returns:
        The value of each block's last expression, as a cell would show it; None where it has none.
    """
    codes = blocks(page)
    for old, new in (replaced or {}).items():
        assert any(old in code for code in codes), f"{page} has no {old!r}"
        codes = [code.replace(old, new) for code in codes]
    return [await _run(code, f"{page}, block {number}", names) for number, code in enumerate(codes)]


async def _run(code: str, where: str, names: dict[str, Any]) -> Any:
    if file := _FILE.match(code):
        _write(file[1], code[file.end() :])
        return None
    tree = ast.parse(code)
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        tree.body[-1] = ast.copy_location(
            ast.Assign(targets=[ast.Name("_shown", ast.Store())], value=last.value), last
        )
        ast.fix_missing_locations(tree)
    names["_shown"] = None
    waiting = eval(compile(tree, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.isawaitable(waiting):
        await waiting
    return names["_shown"]


def _write(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8")
