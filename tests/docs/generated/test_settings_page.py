"""docs/settings.md has every setting with its default, as signatures and docstrings have them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import agy_nb as agy
from tests.docs.generated import settings_page

PACKAGE = Path(agy.__file__).parent


def test_page_is_what_the_code_says():
    found = settings_page.PAGE.read_text(encoding="utf-8")
    assert found == settings_page.page(), (
        "write it again: python -m tests.docs.generated.settings_page"
    )


@pytest.mark.parametrize("value", [agy.RuntimeConfig, agy.create_agent, agy.use_cassette, agy.load])
def test_no_setting_is_missing(value):
    settings = set(re.findall(r"^\| `(\w+)` \|", settings_page.page(), re.MULTILINE))
    names = {name for name in inspect.signature(value).parameters if name != "self"}
    assert names <= settings


def test_default_that_a_factory_makes_is_the_one_that_the_page_has():
    made = [
        field.name
        for field in dataclasses.fields(agy.RuntimeConfig)
        if field.default_factory is not dataclasses.MISSING
    ]
    assert made == ["chat_timeout"]
    assert agy.RuntimeConfig().chat_timeout == 120.0


def read_from_the_environment() -> set[str]:
    """Names of variables in the source: constants in capitals, where the environment is read."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If):
                source = ast.unparse(node)
                if "os.environ" in source:
                    found |= set(re.findall(r"'([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*)'", source))
            elif (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Constant)
                and re.fullmatch(r"(AGI|AGY|GEMINI|ANTIGRAVITY)_[A-Z_]+", str(node.value.value))
            ):
                found.add(node.value.value)
    return found


@pytest.mark.slow
def test_every_variable_of_the_environment_has_a_row():
    set_for_a_child = {
        "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY",
        "AGY_CASSETTE_IN_USE", "AGY_HARNESS_PATH_BEFORE", "AGY_HARNESS_REFUSAL",
    }  # fmt: skip
    assert read_from_the_environment() - set_for_a_child == set(settings_page.VARIABLES)
