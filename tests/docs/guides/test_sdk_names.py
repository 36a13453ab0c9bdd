"""The page "Names of the SDK" has every name of the installed SDK, and only names that we have."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.antigravity import connections, hooks, policy, triggers, types
from google.antigravity.agent import Agent
from google.antigravity.connections.connection import AgentConfig
from google.antigravity.conversation.conversation import Conversation

import agy_nb as agy
from agy_nb.sdk.versions import NEWEST, sdk_version

PAGE = (Path(__file__).parents[3] / "docs" / "sdk_names.md").read_text(encoding="utf-8")
if TYPE_CHECKING:
    from collections.abc import Callable

OURS = {"agent": agy.Agent, "response": agy.Response, "agy": agy}


def section(title: str) -> str:
    return re.split(r"^## ", PAGE, flags=re.MULTILINE)[titles().index(title) + 1]


def titles() -> list[str]:
    return re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE)


def rows(title: str) -> list[str]:
    return re.findall(r"^\| `([\w.]+)` \|", section(title), flags=re.MULTILINE)


def attributes(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def functions(module: object) -> set[str]:
    names = typing.cast("list[str]", getattr(module, "__all__", []))
    return {name for name in names if inspect.isfunction(getattr(module, name))}


def configurations() -> set[str]:
    found = set()
    for each in pkgutil.walk_packages(connections.__path__, f"{connections.__name__}."):
        if each.name.endswith(("_test", "test_utils")):
            continue
        try:
            module = importlib.import_module(each.name)
        except ImportError:  # an extra of the SDK
            continue
        found |= {
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, AgentConfig)
        }
    return found - {"AgentConfig", "BaseLocalAgentConfig"}


def prompts() -> set[str]:
    return {each.__name__ for each in typing.get_args(types.ContentPrimitive)} - {"str"}


INSTALLED = {
    "Agent": lambda: attributes(Agent),
    "Conversation": lambda: attributes(Conversation),
    "ChatResponse": lambda: attributes(types.ChatResponse),
    "Hooks": lambda: functions(hooks) - {"policy"},
    "Policies": lambda: functions(policy),
    "Triggers": lambda: functions(triggers),
    "Prompts": prompts,
    "Configurations and connections": configurations,
}


@pytest.mark.parametrize("title", INSTALLED)
def test_the_page_has_every_name_of_the_installed_sdk(title):
    listed, installed = rows(title), INSTALLED[title]()
    assert len(installed) >= 3
    assert installed - set(listed) == set()
    if sdk_version() == NEWEST:  # older ones have fewer names
        assert set(listed) - installed == set()
    assert listed == sorted(listed)


def test_every_section_is_compared():
    assert set(titles()) - set(INSTALLED) == {"Budgets, subagents and workflows"}


def test_every_name_of_ours_exists():
    named = set(re.findall(r"`(agent|response|agy)\.(\w+)", PAGE))
    assert len(named) > 30
    missing = []
    for owner, name in named:
        known = hasattr(OURS[owner], name) or (
            owner == "response" and f"self.{name}" in inspect.getsource(agy.Response.__init__)
        )
        if not known:
            missing.append(f"{owner}.{name}")
    assert missing == []


@pytest.mark.skipif(sdk_version() != NEWEST, reason="older ones have fewer names")
def test_the_other_names_of_the_sdk_exist():
    owners = (types, Agent.beta, importlib.import_module("google.antigravity"))
    for name in rows("Budgets, subagents and workflows"):
        get = attrgetter(name)
        assert any(_has(owner, get) for owner in owners), name


def _has(owner: object, get: Callable[[object], object]) -> bool:
    try:
        return get(owner) is not None
    except AttributeError:
        return False


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK's configuration looks at the working folder
async def test_the_example_runs(monkeypatch, capsys):
    import ast

    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names = {"agy": agy}
    run = eval(compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    await run
    assert "You said: Hello" in capsys.readouterr().out
    await names["agent"].close()
    await agy.runtime().close()
