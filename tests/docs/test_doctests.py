"""The examples in docstrings run as they stand, and do what they say."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
import pkgutil
import shutil
from pathlib import Path

import pytest

import agy_nb as agy
from tests.contract import surface
from tests.docs import examples

CASSETTES = Path(__file__).parents[2] / "cassettes"


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def documented() -> dict[str, list[str]]:
    """The docstrings with examples, by the public name that they belong to."""
    found: dict[str, list[str]] = {}
    for name in surface.names():
        parts = [name, *(surface.members(name) if inspect.isclass(name.value) else ())]
        docs = [part.doc for part in parts if ">>> " in part.doc]
        if docs:
            found[name.name] = docs
    return found


PUBLIC = documented()


@pytest.fixture
async def notebook(tmp_path, monkeypatch):
    """What the examples of the reference start from, see docs/reference.md."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CASSETTES, tmp_path / "cassettes")
    runtime = agy.runtime(agy.RuntimeConfig(chat_pause=0))
    testing = {name: getattr(agy.testing, name) for name in agy.testing.__all__}
    yield {"agy": agy, "asyncio": asyncio, "get_weather": get_weather, **testing}
    await runtime.close()


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK makes its save_dir on the loop
@pytest.mark.parametrize("name", PUBLIC)
async def test_examples_do_what_they_say(name, notebook, capsys):
    reports = []
    for doc in PUBLIC[name]:
        names = dict(notebook)
        if any("agent" in example.source for example in examples.examples(doc)):
            names["agent"] = await agy.create_agent(tools=[get_weather], ask_user=lambda _: True)
        reports += await examples.run(doc, names)
    assert not reports, "\n".join(reports)


def other_modules() -> list[str]:
    return [
        name
        for _, name, _ in pkgutil.walk_packages(agy.__path__, "agy_nb.")
        if not name.endswith("__main__")
    ]


def test_examples_of_what_is_not_public_run_too():
    """By Python's own doctest, with the names of their module."""
    public = {doc for docs in PUBLIC.values() for doc in docs}
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for name in other_modules():
        for test in doctest.DocTestFinder().find(importlib.import_module(name), name):
            if test.docstring and inspect.cleandoc(test.docstring) not in public:
                runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        (">>> 1 + 1\n2\n", 0),
        (">>> 1 + 1\n3\n", 1),
        (">>> import asyncio\n>>> await asyncio.sleep(0, 'done')\n'done'\n", 0),
        (">>> async def f():\n...     return 7\n>>> await f()\n7\n", 0),
        (">>> {}['a']\nTraceback (most recent call last):\nKeyError: 'a'\n", 0),
        (">>> {}['a']\n", 1),
        (">>> 1\nTraceback (most recent call last):\nKeyError: 'a'\n", 1),
        (">>> print('a long line')\na ... line\n", 0),
    ],
)
async def test_runner_sees_what_is_wrong(text, reports):
    assert len(await examples.run(text, {})) == reports
