"""One name for one thing: list classes and modules of the package whose names mean two.

`python -m tests.contract.names` prints each name that two modules define; the test asks for none.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "agy_nb"
COMMON = {"__init__", "__main__", "cli", "errors"}
"""Names of modules that mean the same wherever they are."""


def modules() -> dict[str, list[str]]:
    """List the modules of each name."""
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.stem not in COMMON:
            found[path.stem].append(path.relative_to(PACKAGE).as_posix())
    return found


def classes() -> dict[str, list[str]]:
    """List the modules that define a public class, or an alias of a type, of each name."""
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            name = _defined(node)
            if name and not name.startswith("_"):
                found[name].append(path.relative_to(PACKAGE).as_posix())
    return found


def _defined(node: ast.stmt) -> str | None:
    if isinstance(node, ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
        is_type = name[:1].isupper() and not name.isupper()
        return name if is_type and not isinstance(node.value, ast.Call) else None
    return None


def collisions() -> dict[str, list[str]]:
    """List the names that more than one module has."""
    named = {**modules(), **classes()}
    return {k: v for k, v in named.items() if len(v) > 1}


if __name__ == "__main__":
    for name, where in (found := collisions()).items():
        print(f"{name}: {', '.join(where)}")
    sys.exit(bool(found))
