"""Each "see `name`" and each map of a package leads to something that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "agy_nb"
MODULES = sorted(PACKAGE.rglob("*.py"))
REFERENCE = re.compile(r"\b[Ss]ee `(?P<name>[A-Za-z_][\w.]*)`")
LINE_BREAK = re.compile(r"\n[ \t]*(?:# )?")
OF_OTHERS = re.compile(r"[A-Z]\w+Hook|importlib\..*")
"""Names of the SDK and of the standard library."""
COLUMNS = {"tokens_are_lower_bound"}
MAP = re.compile(r"^```\n(?P<lines>.*?)^```$", re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"^ {0,6}(?P<module>\w+)", re.MULTILINE)


@cache
def defined(path: Path) -> frozenset[str]:
    """Every name that a module defines or imports, at any level."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                found.add(name)
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                found |= {each.asname or each.name.rpartition(".")[2] for each in names}
    return frozenset(found)


def exists(reference: str) -> bool:
    """Whether each part is a module, or a name of the module or of any that has the part before."""
    modules = {path.parent.name if path.stem == "__init__" else path.stem: path for path in MODULES}
    everywhere = frozenset().union(*map(defined, MODULES))
    *before, last = reference.removeprefix("agy.").split(".")
    if any(part not in modules and part not in everywhere for part in before):
        return False
    if before and before[-1] in modules and before[-1] not in everywhere:
        return last in defined(modules[before[-1]]) or last in modules
    return last in everywhere or last in modules


@pytest.mark.parametrize(
    ("reference", "there"),
    [
        ("cassette_reader.load", True),
        ("SessionMatcher.acquire", True),
        ("wire.client_config.paths_of", True),
        ("session_matcher.load", False),
        ("server.Actor", False),
        ("Tape", False),
    ],
)
def test_reference_is_judged_by_each_of_its_parts(reference, there):
    assert exists(reference) is there


def test_every_reference_leads_somewhere():
    lost = {
        f"{path.relative_to(PACKAGE.parent)}: {name}"
        for path in MODULES
        for name in REFERENCE.findall(LINE_BREAK.sub(" ", path.read_text(encoding="utf-8")))
        if not (OF_OTHERS.fullmatch(name) or name in COLUMNS or exists(name))
    }
    assert lost == set()


def test_every_map_of_a_package_names_its_modules():
    lost = {
        f"{init.relative_to(PACKAGE.parent)}: {module}"
        for init in PACKAGE.rglob("__init__.py")
        for listed in MAP.findall(init.read_text(encoding="utf-8"))
        for module in ENTRY.findall(listed)
        if module not in {path.stem for path in init.parent.rglob("*")}
    }
    assert lost == set()
