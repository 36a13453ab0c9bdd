"""Every public name says what it does, takes, gives and raises, in which units, with an example."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import re
import sys
from pathlib import Path

from agy_nb import errors
from tests.contract import surface
from tests.contract.surface import Documented

EVERYTHING = surface.everything()
NAMES = surface.names()
CALLED = [each for each in EVERYTHING if each.function is not None]
DATA = [each for each in NAMES if dataclasses.is_dataclass(each.value)]

SENTENCE = re.compile(r"[A-Z`].*[.;:]$")
ROOT = Path(__file__).parents[2]
DESCRIPTIONS = {
    *("A", "All", "An", "Each", "Every", "Gives", "How", "More", "Says", "Some", "Tells"),
    *("The", "What", "Where", "Whether", "Which"),
}
"""Begin a sentence that describes a thing, as the docstring of a property does."""
UNITS = re.compile(
    r"\b(seconds?|days?|US dollars|bytes|tokens|pace|share|ratio|chars|characters)\b", re.IGNORECASE
)


def test_surface_has_what_the_package_shows():
    shown = {each.name for each in EVERYTHING}
    assert "agy_nb.Agent.chat" in shown
    assert "agy_nb.testing.say" in shown
    assert "agy_nb.runtime" in shown


def test_every_docstring_starts_with_a_sentence():
    first = {each.name: each.doc.split("\n\n")[0].replace("\n", " ") for each in EVERYTHING}
    assert {name: line for name, line in first.items() if not SENTENCE.match(line)} == {}


def test_docstring_of_a_function_begins_with_an_imperative():
    assert [
        f"{path.relative_to(ROOT)}:{node.lineno}: {doc.splitlines()[0]}"
        for path in sorted((ROOT / "agy_nb").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (doc := ast.get_docstring(node)) and doc.split()[0] in DESCRIPTIONS
        if not any("property" in ast.unparse(each) for each in node.decorator_list)
    ] == []


def test_every_name_has_an_example_that_can_be_run():
    assert [each.name for each in NAMES if ">>> " not in each.section("Example")] == []


def test_every_function_says_what_it_takes():
    taken = {each.name: set(each.parameters()) - each.entries("Args") for each in CALLED}
    assert {name: missing for name, missing in taken.items() if missing} == {}


def test_no_function_names_what_it_does_not_take():
    named = {each.name: each.entries("Args") - set(each.parameters()) for each in CALLED}
    assert {name: more for name, more in named.items() if more} == {}


def test_every_function_says_what_it_gives():
    assert [each.name for each in CALLED if not _says_what_it_gives(each)] == []


def _says_what_it_gives(each: Documented) -> bool:
    gives = inspect.signature(each.function).return_annotation
    if gives is inspect.Signature.empty:
        return False
    return gives in {"None", None} or bool(each.section("Returns").strip())


def test_every_function_says_what_it_raises():
    assert {each.name: left for each in CALLED if (left := _unlisted_errors(each))} == {}


def _unlisted_errors(each: Documented) -> list[str]:
    listed = tuple(_error(each, name) for name in each.entries("Raises"))
    return [name for name in each.raised() if not issubclass(_error(each, name), listed)]


def _error(each: Documented, name: str) -> type[BaseException]:
    import agy_nb

    module = sys.modules[each.function.__module__]
    for place in (module, errors, agy_nb, builtins):
        if isinstance(found := getattr(place, name, None), type):
            return found
    for known in NAMES:
        if isinstance(known.value, type) and known.name.endswith(f".{name}"):
            return known.value
    raise AssertionError(f"{each.name}: {name} is no error that this module knows")


def test_data_say_what_their_fields_are():
    assert {each.name: left for each in DATA if (left := _fields_without_words(each))} == {}


def _fields_without_words(each: Documented) -> set[str]:
    own = set(each.value.__annotations__) - {"type"}  # the tag is the class's own business
    fields = {field.name for field in dataclasses.fields(each.value) if field.name[0] != "_"} & own
    return fields - each.entries("Attributes")


def test_numbers_have_units():
    assert {each.name: left for each in EVERYTHING if (left := _numbers_without_unit(each))} == {}


def _numbers_without_unit(each: Documented) -> list[str]:
    if each.function is not None:
        title = "Args"
        annotations = {name: one.annotation for name, one in each.parameters().items()}
    elif dataclasses.is_dataclass(each.value):
        title = "Attributes"
        annotations = {field.name: field.type for field in dataclasses.fields(each.value)}
    else:
        return []
    floats = [name for name, kind in annotations.items() if "float" in str(kind) and name[0] != "_"]
    general = each.doc.partition("\n\nA")[0]
    return [name for name in floats if not _has_unit(each.section(title), name, general)]


def _has_unit(section: str, name: str, general: str) -> bool:
    own = re.search(rf"^ {{4}}\*{{0,2}}{name}: (.*(?:\n {{8}}.*)*)", section, re.MULTILINE)
    return own is not None and bool(UNITS.search(own[1]) or UNITS.search(general))
