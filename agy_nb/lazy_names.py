"""Load the public names of a package on first use.

The package lists them once, in its `__init__.pyi`, which type checkers read too. `lazy_loader` does
the same, but hides the package `agy_nb.runtime` behind the function of that name.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any


def read(file: str) -> dict[str, str]:
    """Read the stub beside a package's `__init__.py`.

    Args:
        file: The package's `__file__`.

    Returns:
        The module of each public name, in the order of the alphabet.
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    return dict(
        sorted(
            (alias.name, node.module)
            for node in stub.body
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        )
    )


def load(package: str, name: str, modules: dict[str, str]) -> Any:
    """Import a public name and keep it in its package.

    Args:
        package: The package's `__name__`.
        name: The name that was asked for.
        modules: The module of each name, as `read` gives it.

    Raises:
        AttributeError: The package has no such name.
    """
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    if modules[name] == package:
        return import_module(f"{package}.{name}")
    value = getattr(import_module(modules[name]), name)
    setattr(sys.modules[package], name, value)
    return value


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Set up the lazily loaded names of a package.

    Args:
        package: The package's `__name__`.
        file: The package's `__file__`.

    Returns:
        Its `__getattr__`, `__dir__` and `__all__`.
    """
    modules = read(file)
    names = list(modules)
    return partial(load, package, modules=modules), names.copy, names
