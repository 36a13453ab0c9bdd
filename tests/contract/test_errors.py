"""Errors: each is reachable from `agy_nb.errors`, and its name says that it is one."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import agy_nb
from agy_nb import errors


def raised_by_the_package() -> dict[str, type]:
    """Every exception class that the package defines, whichever module has it."""
    found = {}
    for module in pkgutil.walk_packages(agy_nb.__path__, "agy_nb."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            of_here = getattr(value, "__module__", None) == module.name and name[0] != "_"
            if of_here and isinstance(value, type) and issubclass(value, Exception):
                found[name] = value
    return found


def test_every_exception_ends_in_error_or_warning():
    names = raised_by_the_package()
    assert len(names) > 40
    assert [name for name in names if not name.endswith(("Error", "Warning"))] == []


def test_every_error_of_ours_can_be_imported_from_errors():
    ours = {n: c for n, c in raised_by_the_package().items() if issubclass(c, errors.AgyError)}
    assert {
        name for name, error in ours.items() if getattr(errors, name, None) is not error
    } == set()


@pytest.mark.parametrize("name", ["NoSuchError", "Path", "os"])
def test_other_names_are_no_attribute(name):
    with pytest.raises(AttributeError, match=name):
        getattr(errors, name)
