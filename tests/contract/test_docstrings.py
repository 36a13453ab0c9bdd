"""Every public name says what it does, takes, gives and raises, in which units, with an example."""

from __future__ import annotations

import builtins
import dataclasses
import inspect
import re
import sys

import pytest

from agy_nb import errors
from tests.contract import surface
from tests.contract.surface import Documented

EVERYTHING = surface.everything()
NAMES = surface.names()
CALLED = [each for each in EVERYTHING if each.function is not None]
DATA = [each for each in NAMES if dataclasses.is_dataclass(each.value)]

UNITS = re.compile(
    r"\b(seconds?|days?|US dollars|bytes|tokens|pace|share|ratio|chars|characters)\b", re.IGNORECASE
)


def ids(values: list[Documented]) -> list[str]:
    return [each.name for each in values]


def test_surface_has_what_the_package_shows():
    shown = set(ids(EVERYTHING))
    assert "agy_nb.Agent.chat" in shown
    assert "agy_nb.testing.say" in shown
    assert "agy_nb.runtime" in shown


@pytest.mark.parametrize("each", EVERYTHING, ids=ids(EVERYTHING))
def test_has_a_docstring_that_starts_with_a_sentence(each):
    assert re.match(r"[A-Z`].*[.;:]$", each.doc.split("\n\n")[0].replace("\n", " ")), each.doc


@pytest.mark.parametrize("each", NAMES, ids=ids(NAMES))
def test_has_an_example_that_can_be_run(each):
    assert ">>> " in each.section("Example"), f"{each.name} has no example"


@pytest.mark.parametrize("each", CALLED, ids=ids(CALLED))
def test_says_what_it_takes(each):
    assert set(each.parameters()) <= each.entries("Args")


@pytest.mark.parametrize("each", CALLED, ids=ids(CALLED))
def test_names_nothing_that_it_does_not_take(each):
    assert each.entries("Args") <= set(each.parameters())


@pytest.mark.parametrize("each", CALLED, ids=ids(CALLED))
def test_says_what_it_gives(each):
    gives = inspect.signature(each.function).return_annotation
    assert gives is not inspect.Signature.empty
    assert (gives in {"None", None}) or each.section("Returns").strip()


@pytest.mark.parametrize("each", CALLED, ids=ids(CALLED))
def test_says_what_it_raises(each):
    listed = [_error(each, name) for name in each.entries("Raises")]
    for name in each.raised():
        assert issubclass(_error(each, name), tuple(listed)), f"{name} is not among {listed}"


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


@pytest.mark.parametrize("each", DATA, ids=ids(DATA))
def test_data_says_what_its_fields_are(each):
    own = set(each.value.__annotations__) - {"type"}  # the tag is the class's own business
    fields = {field.name for field in dataclasses.fields(each.value) if field.name[0] != "_"} & own
    assert fields <= each.entries("Attributes")


@pytest.mark.parametrize("each", EVERYTHING, ids=ids(EVERYTHING))
def test_numbers_have_units(each):
    if each.function is not None:
        floats = {
            name: "Args"
            for name, one in each.parameters().items()
            if "float" in str(one.annotation)
        }
    elif dataclasses.is_dataclass(each.value):
        floats = {
            field.name: "Attributes"
            for field in dataclasses.fields(each.value)
            if "float" in str(field.type) and field.name[0] != "_"
        }
    else:
        return
    general = each.doc.partition("\n\nA")[0]
    for name, title in floats.items():
        text = each.section(title)
        own = re.search(rf"^ {{4}}\*{{0,2}}{name}: (.*(?:\n {{8}}.*)*)", text, re.MULTILINE)
        assert own, name
        assert UNITS.search(own[1]) or UNITS.search(general), f"{name} has no unit: {own[1]}"
