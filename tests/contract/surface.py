"""What is public: every name that a user may write, and what its docstring says.

Rule 1: a name is public because some `__all__` has it, or because a public name gives it to a user.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

# Modules all of whose names are public. Those without `__all__` define what they show.
MODULES = (
    "agy_nb",
    "agy_nb.errors",
    "agy_nb.analysis",
    "agy_nb.analysis.errors",
    "agy_nb.cassette",
    "agy_nb.kernel.errors",
    "agy_nb.protocol.events",
    "agy_nb.pytest_plugin.errors",
    "agy_nb.testing",
    "agy_nb.widgets",
)

# What public names give to users.
GIVEN = (
    "agy_nb.analysis.read.on_dask.DaskSessions",
    "agy_nb.analysis.export.otel.to_otel",
    "agy_nb.runtime.sync_agent.SyncAgent",
    "agy_nb.runtime.turns.response_stream.ResponseStream",
    "agy_nb.widgets.recordings.browser.Browser",
    "agy_nb.widgets.usage.usage_view.UsageView",
)

_SECTION = re.compile(r"^(Args|Attributes|Example|Examples|Raises|Returns|Yields):$", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\*{0,2}\w+)(?: \([^)]*\))?: ", re.MULTILINE)


@dataclass(frozen=True)
class Documented:
    """A public name.

    Attributes:
        name: Where a user finds it.
        value: What it stands for.
        owner: The class that has it, None for a name of a module.
    """

    name: str
    value: Any
    owner: type | None = None

    @property
    def function(self) -> Any:
        """What is called, None where nothing is."""
        if isinstance(self.value, property):
            return None
        value = self.value
        if isinstance(value, classmethod | staticmethod):
            value = value.__func__
        return value if inspect.isroutine(value) else None

    @property
    def doc(self) -> str:
        own = getattr(self.value, "__dict__", {}).get("__doc__") or (
            None if inspect.isclass(self.value) else self.value.__doc__
        )
        if own is None and self.function is not None:
            own = self.function.__doc__
        return inspect.cleandoc(own or "")

    def section(self, title: str) -> str:
        """The text below a title, empty where there is none."""
        pieces = _SECTION.split(self.doc)
        return "".join(
            text for name, text in zip(pieces[1::2], pieces[2::2], strict=True) if name == title
        )

    def entries(self, title: str) -> set[str]:
        """What a section has a line for."""
        return {name.lstrip("*") for name in _ENTRY.findall(self.section(title))}

    def parameters(self) -> dict[str, inspect.Parameter]:
        """What a caller passes."""
        signature = inspect.signature(self.function)
        return {
            name: parameter
            for name, parameter in signature.parameters.items()
            if name not in {"self", "cls"} and not name.startswith("_")
        }

    def raised(self) -> set[str]:
        """Names of the errors that stand in its own `raise` statements."""
        tree = ast.parse(textwrap.dedent(inspect.getsource(self.function)))
        return set(_raised(tree.body[0]))


def _raised(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            name = ast.unparse(child.exc.func).rpartition(".")[2]
            if name[0].isupper():  # otherwise it is a function that makes the error
                yield name
        yield from _raised(child)


def names() -> list[Documented]:
    """Every class and function that is a public name."""
    found: dict[int, Documented] = {}
    for module_name in MODULES:
        module = import_module(module_name)
        shown = getattr(module, "__all__", None) or [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module_name and not name.startswith("_")
        ]
        for name in shown:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                found.setdefault(id(value), Documented(f"{module_name}.{name}", value))
    for path in GIVEN:
        module_name, _, name = path.rpartition(".")
        value = getattr(import_module(module_name), name)
        found.setdefault(id(value), Documented(path, value))
    found[id(import_module("agy_nb").runtime)] = Documented(
        "agy_nb.runtime", import_module("agy_nb.runtime.default_runtime").runtime
    )
    return list(found.values())


def _is_part(base: type) -> bool:
    return base.__module__.startswith("agy_nb.runtime.") and inspect.isabstract(base)


def members(of: Documented) -> list[Documented]:
    """The public methods and properties that a class defines, itself or in abstract parts."""
    parts = [of.value, *(base for base in of.value.__bases__ if _is_part(base))]
    return [
        Documented(f"{of.name}.{name}", value, of.value)
        for part in parts
        for name, value in vars(part).items()
        if not name.startswith("_")
        and (isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value))
    ]


def everything() -> list[Documented]:
    """Public names, each class followed by its members."""
    return [
        each
        for name in names()
        for each in (name, *(members(name) if inspect.isclass(name.value) else ()))
    ]
