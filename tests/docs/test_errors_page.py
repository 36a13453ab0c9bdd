"""docs/errors.md has every error, with its cause, what to do and an example, as the code says."""

from __future__ import annotations

import importlib
import inspect

import pytest

from tests.docs import errors_page


def test_page_is_what_the_docstrings_say():
    found = errors_page.PAGE.read_text(encoding="utf-8")
    assert found == errors_page.page(), "write it anew: python -m tests.docs.errors_page"


def test_every_error_says_what_to_do():
    assert [each.name for each in errors_page.errors() if not errors_page.remedy(each)] == []


@pytest.mark.parametrize("name", errors_page.GROUPS)
def test_no_error_is_missing(name):
    public = {each.value for each in errors_page.errors()}
    for value in vars(importlib.import_module(name)).values():
        if inspect.isclass(value) and issubclass(value, BaseException):
            assert value in public, value
