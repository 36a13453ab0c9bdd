"""The examples in docstrings run as they stand, and do what they say."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import shutil
from pathlib import Path

import dask
import pytest

import agy_nb as agy
from tests.contract import surface
from tests.docs import examples

PACKAGE = Path(agy.__file__).parent
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
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
    runtime = agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))  # as in a notebook
    testing = {name: getattr(agy.testing, name) for name in agy.testing.__all__}
    yield {"agy": agy, "asyncio": asyncio, "get_weather": get_weather, **testing}
    await runtime.close()


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK makes its save_dir on the loop
@pytest.mark.timeout(240)  # a method after the other, each with an agent of its own
@pytest.mark.parametrize("name", PUBLIC)
async def test_examples_do_what_they_say(name, notebook, capsys):
    reports, fresh = [], None
    dask.config.set(scheduler=None)  # a closed client of another test is still named there
    for doc in PUBLIC[name]:
        names = dict(notebook)
        if fresh is None and "agent" in doc:
            fresh = await agy.create_agent(tools=[get_weather], ask_user=lambda _: True)
        if examples.needs(doc, "agent"):
            names["agent"], fresh = fresh, None
        reports += await examples.run(doc, names)
    assert not reports, "\n".join(reports)


def others() -> dict[str, list[tuple[str, str]]]:
    """The other docstrings with examples: module, then where in it and what they are."""
    public = {_examples_of(doc) for docs in PUBLIC.values() for doc in docs}
    found: dict[str, list[tuple[str, str]]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        if ">>> " not in (text := file.read_text(encoding="utf-8")):
            continue
        name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, DOCUMENTED):
                doc = ast.get_docstring(node) or ""
                if ">>> " in doc and _examples_of(doc) not in public:
                    where = getattr(node, "name", name)
                    found.setdefault(name.removesuffix(".__init__"), []).append((where, doc))
    return found


def _examples_of(doc: str) -> str:
    """Return what follows the description, which `show_settings` completes."""
    return doc.partition(">>> ")[2]


OTHERS = others()


@pytest.mark.real
@pytest.mark.blocking_allowed  # as above
@pytest.mark.parametrize("name", OTHERS)
async def test_examples_of_what_is_not_public_run_too(name, notebook, capsys):
    """With the names of their module."""
    module = importlib.import_module(name)
    reports = []
    for _, doc in OTHERS[name]:
        reports += await examples.run(doc, {**notebook, **vars(module)})
    assert not reports, "\n".join(reports)


@pytest.mark.slow
def test_no_example_in_a_docstring_is_left_out():
    """One that is fenced is neither run nor looked at."""
    fenced = [
        f"{file.name}: {getattr(node, 'name', 'module')}"
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, DOCUMENTED) and "```python" in (ast.get_docstring(node) or "")
    ]
    assert fenced == []


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
