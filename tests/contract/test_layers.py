"""A layer imports only what the table in docs/architecture.md allows it."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "agy_nb"
ANYTHING = "anything"


@dataclass(frozen=True)
class Rule:
    always: frozenset[str]
    on_first_use: frozenset[str]


class Import(NamedTuple):
    file: str
    line: int
    target: str
    deferred: bool  # inside a function, or for the type checker only


def read_rules(text: str) -> dict[str, Rule]:
    rules = {}
    for row in re.findall(r"^\| `(\w+)` \|(.*)\|$", text, flags=re.MULTILINE):
        name, cells = row[0], row[1].split("|")
        always, on_first_use = (frozenset(re.findall(r"`([\w.]+)`", cell)) for cell in cells[-2:])
        rules[name] = Rule(always, always | on_first_use)
    return rules


def imports_of(path: Path) -> Iterator[Import]:
    file = path.relative_to(ROOT)
    module = file.with_suffix("").parts
    package = module[:-1]

    def walk(node: ast.AST, *, deferred: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                inside = True
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(str(file), child.lineno, alias.name, deferred)
            elif isinstance(child, ast.ImportFrom):
                base = ".".join(package[: len(package) - child.level + 1]) if child.level else ""
                full = ".".join(part for part in (base, child.module) if part)
                for alias in child.names:
                    yield Import(str(file), child.lineno, f"{full}.{alias.name}", deferred)
            else:
                yield from walk(child, deferred=inside)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), deferred=False)


def layer_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "agy_nb" if parts == ("__init__",) else parts[0]


def target_layer(target: str) -> str | None:
    """The layer or the distribution that an import needs; None for the standard library."""
    parts = target.split(".")
    if parts[0] == "agy_nb":
        return parts[1] if (PACKAGE / parts[1]).is_dir() or _is_module(parts[1]) else "agy_nb"
    if parts[0] in sys.stdlib_module_names:
        return None
    return ".".join(parts[:2]) if parts[0] == "google" else parts[0]


def _is_module(name: str) -> bool:
    return (PACKAGE / f"{name}.py").is_file()


def covers(allowed: frozenset[str], target: str | None, full_name: str) -> bool:
    """A row may name a whole layer (`sdk`) or one module of it (`sdk.base`)."""
    modules = (f"agy_nb.{name}" for name in allowed if "." in name)
    return target in allowed or any(f"{full_name}.".startswith(f"{m}.") for m in modules)


def violations(rules: dict[str, Rule], path: Path) -> list[str]:
    layer = layer_of(path)
    if layer not in rules:
        return [f"{layer} has no row in the table of docs/architecture.md"]
    rule, found = rules[layer], []
    for item in imports_of(path):
        target = target_layer(item.target)
        allowed = rule.on_first_use if item.deferred else rule.always
        if target in {None, layer} or ANYTHING in allowed or covers(allowed, target, item.target):
            continue
        later = covers(rule.on_first_use, target, item.target)
        when = "outside functions" if later else "at all"
        found.append(f"{item.file}:{item.line}: {layer} may not import {target} {when}")
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def rules() -> dict[str, Rule]:
    return read_rules((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


def test_layers_import_only_what_the_table_allows(rules):
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    found = [line for file in files for line in violations(rules, file)]
    assert not found, "\n".join(found)


def test_table_has_no_cycle_between_packages_at_import_time(rules):
    done: set[str] = set()

    def visit(layer: str, path: tuple[str, ...]) -> None:
        assert layer not in path, f"cycle: {' -> '.join((*path, layer))}"
        if layer in done or layer not in rules or ANYTHING in rules[layer].always:
            return
        for target in sorted(rules[layer].always):
            visit(target, (*path, layer))
        done.add(layer)

    for layer in rules:
        visit(layer, ())


def test_only_the_seams_may_import_the_sdk(rules):
    sdk = "google.antigravity"
    assert {name for name, rule in rules.items() if sdk in rule.always} == {"sdk"}
    assert {name for name, rule in rules.items() if sdk in rule.on_first_use} == {
        "cassette",
        "sdk",
        "testing",
    }


def test_nothing_below_the_top_imports_widgets_before_the_runtime_shows_something(rules):
    assert not [name for name, rule in rules.items() if "widgets" in rule.always]
    importers = {name for name, rule in rules.items() if "widgets" in rule.on_first_use}
    assert importers == {"runtime", "views"}  # types only
    assert {name for name, rule in rules.items() if ANYTHING in rule.on_first_use} == {
        "agy_nb",
        "cli",
        "magics",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import json", []),
        ("from agy_nb.errors import AgyError", []),
        ("from agy_nb.sdk import harness", ["protocol may not import sdk at all"]),
        ("import google.antigravity", ["protocol may not import google.antigravity at all"]),
        ("from google import antigravity", ["protocol may not import google.antigravity at all"]),
        ("from ..runtime import loop", ["protocol may not import runtime at all"]),
        ("def f():\n    import pandas", ["protocol may not import pandas at all"]),
    ],
)
def test_checker_sees_every_form_of_import(rules, tmp_path, monkeypatch, source, expected):
    package = tmp_path / "agy_nb"
    for layer in ("protocol", "runtime", "sdk"):
        (package / layer).mkdir(parents=True)
    (package / "errors.py").touch()
    file = package / "protocol" / "example.py"
    file.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert [line.split(": ", 1)[1] for line in violations(rules, file)] == expected


def test_checker_tells_imports_on_first_use_apart(rules, tmp_path, monkeypatch):
    package = tmp_path / "agy_nb"
    for layer in ("runtime", "sdk"):
        (package / layer).mkdir(parents=True)
    file = package / "runtime" / "example.py"
    file.write_text(
        "def f():\n    from agy_nb.sdk import x\n"
        "from agy_nb.sdk import y\n"
        "from agy_nb.sdk.interfaces import z\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert violations(rules, file) == [
        "agy_nb/runtime/example.py:3: runtime may not import sdk outside functions"
    ]


@pytest.mark.parametrize("root", [PACKAGE, ROOT / "tests"], ids=["package", "tests"])
def test_no_folder_has_more_modules_than_a_reader_can_scan(root):
    counts = Counter(
        str(path.parent.relative_to(ROOT))
        for path in root.rglob("*.py")
        if path.name != "__init__.py"
    )
    assert {folder: count for folder, count in counts.items() if count > 12} == {}
