"""Rules about imports that docstrings of modules state."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.contract.test_layers import imports_of

PACKAGE = Path(__file__).parents[3] / "agy_nb"
NETWORK = {"socket", "ssl", "http", "urllib.request", "h11", "aiohttp", "httpx", "requests"}

MAY_NOT_IMPORT = {
    "analysis/builders/from_events.py": {"pandas", "numpy", "agy_nb.runtime"},
    "analysis/builders/column_buffer.py": {"pandas", "numpy"},
    "analysis/metrics/cost.py": NETWORK,
    "analysis/metrics/price_table.py": NETWORK,
    "kernel/environment.py": {"IPython", "ipykernel"},
    "runtime/limits/budgets.py": {"asyncio", "time", "datetime", "os", "pathlib", "subprocess"},
    "runtime/limits/quota.py": {"asyncio", "threading"},
    "sdk/interfaces/*.py": {"google"},
    "sdk/patches/install_on_import.py": {"google", "pandas", "asyncio"},
}
"""Modules, and what each may not import, at the top or on first use."""


def imported(file: Path) -> set[str]:
    """Return the full names of what a module imports, and of the packages around them."""
    names = (each.target.split(".") for each in imports_of(file))
    return {".".join(parts[:length]) for parts in names for length in range(1, len(parts) + 1)}


@pytest.mark.parametrize("pattern", MAY_NOT_IMPORT)
def test_module_imports_nothing_that_its_docstring_rules_out(pattern):
    files = list(PACKAGE.glob(pattern))
    assert files
    wrong = {file.name: imported(file) & MAY_NOT_IMPORT[pattern] for file in files}
    assert {name: names for name, names in wrong.items() if names} == {}


def test_shell_of_ipython_is_looked_up_in_one_module():
    found = [
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id == "get_ipython")
        or (isinstance(node, ast.Attribute) and node.attr == "get_ipython")
        or (isinstance(node, ast.alias) and node.name == "get_ipython")
    ]
    assert set(found) == {"kernel/environment.py"}
