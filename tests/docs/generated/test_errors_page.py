"""docs/errors.md has every error, with its cause, what to do and an example, as the code says."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

import agy_nb as agy
from tests.docs.generated import errors_page


def test_page_is_what_the_docstrings_say():
    found = errors_page.PAGE.read_text(encoding="utf-8")
    assert found == errors_page.page(), "write it again: python -m tests.docs.generated.errors_page"


def test_every_error_says_what_to_do():
    assert [each.name for each in errors_page.errors() if not errors_page.remedy(each)] == []


@pytest.mark.parametrize("name", errors_page.GROUPS)
def test_no_error_is_missing(name):
    public = {each.value for each in errors_page.errors()}
    for value in vars(importlib.import_module(name)).values():
        if inspect.isclass(value) and issubclass(value, BaseException):
            assert value in public, value


def test_every_class_in_the_table_of_the_bridge_is_public():
    named = re.findall(r"\b\w+Error\b", " ".join(errors_page.BRIDGE.values()))
    assert len(named) >= len(errors_page.BRIDGE)
    assert [name for name in named if name != "OSError" and not hasattr(agy, name)] == []
