"""Which private attributes of the SDK our code touches, found in the source."""

from __future__ import annotations

import ast
import importlib.util
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "agy_nb"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _names_defined_or_stored_in(folder: Path) -> set[str]:
    """Private names that the files of a package give to anything."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return {name for name in found if _is_private(name)} - {"_"}


def _touched(path: Path) -> set[str]:
    """Private names that a file reads or writes on something that is not `self` or `cls`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            ours = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not ours:
                found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("google."):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # for getattr and its like
    return {name for name in found if _is_private(name)} - {"_"}


def private_names(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Private attributes of the SDK by name, each with the files that touch it."""
    spec = importlib.util.find_spec("google.antigravity")
    assert spec is not None
    assert spec.submodule_search_locations
    of_sdk = _names_defined_or_stored_in(Path(next(iter(spec.submodule_search_locations))))
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(package.rglob("*.py")):
        if path.match("patches/table.py"):
            continue
        text = path.read_text(encoding="utf-8")
        if "sdk" not in path.parts and "antigravity" not in text and "strategy" not in text:
            continue  # a private name of our own that the SDK has, too
        for name in _touched(path) & of_sdk:
            found[name].add(path.relative_to(package).as_posix())
    return dict(found)


if __name__ == "__main__":
    names = private_names()
    for name, files in sorted(names.items()):
        print(name, *sorted(files))
    print(len(names))
