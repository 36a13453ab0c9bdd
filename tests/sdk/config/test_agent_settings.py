"""The fields of the SDK's configuration as keywords of `create_agent`."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import TYPE_CHECKING

import pytest
from google.antigravity import LocalAgentConfig, SystemInstructionSection
from google.antigravity.types import TemplatedSystemInstructions

import agy_nb as agy
from agy_nb.sdk.config.agent_settings import AgentSettings, with_settings
from agy_nb.sdk.versions import NEWEST, sdk_version
from agy_nb.testing import ScriptedModel, say

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.blocking_allowed  # the SDK's configuration looks at the working folder
LISTS = {"tools", "policies", "hooks", "triggers"}
"""Fields that have been arguments all along: their items are added to those of a configuration."""


def test_every_field_of_the_installed_sdk_is_a_keyword():
    assert set(LocalAgentConfig.model_fields) <= {*AgentSettings.__annotations__, *LISTS}


@pytest.mark.skipif(sdk_version() != NEWEST, reason="older versions have fewer fields")
def test_every_keyword_is_a_field_of_the_newest_sdk():
    assert set(LocalAgentConfig.model_fields) == {*AgentSettings.__annotations__, *LISTS}


def test_help_and_completion_show_every_keyword():
    shown = inspect.signature(agy.create_agent).parameters
    assert {*AgentSettings.__annotations__, *LISTS, "config", "ask_user", "labels"} == set(shown)
    assert shown["model"].annotation == "str | ModelTarget | None"
    assert shown["model"].default is None


def test_help_documents_every_keyword_once():
    doc = inspect.getdoc(agy.create_agent) or ""
    for name in AgentSettings.__annotations__:
        assert len(re.findall(rf"^    {name}: .", doc, re.MULTILINE)) == 1
    assert "**settings" not in doc


MISSPELT = {
    "modle": "did you mean 'model'",
    "system_instruction": "did you mean 'system_instructions'",
    "ask_usr": "did you mean 'ask_user'",
    "tool": "did you mean 'tools'",
    "base_url": "LocalOpenAIAgentConfig",
    "temperature": "help",
}


@pytest.mark.parametrize("name", MISSPELT)
@pytest.mark.parametrize("config", [None, {}, LocalAgentConfig(api_key="k")], ids=type)
async def test_a_misspelt_keyword_names_the_one_that_was_meant(name, config):
    async with agy.Runtime() as runtime:
        with pytest.raises(agy.InvalidConfigError, match=MISSPELT[name]) as caught:
            await runtime.create_agent(config, **{name: "x"})
        assert caught.value.field == name
        assert repr(name) in str(caught.value)
        assert runtime.agent_ids == ()


@pytest.mark.real
async def test_keywords_reach_the_model(tmp_path: Path):
    async with ScriptedModel([say("one"), say("two"), say("three")]) as model:
        config = model.config()
        agent = await agy.create_agent(
            config,
            model="another-model",
            system_instructions="Speak like a pirate.",
            save_dir=tmp_path / "kept",
            workspaces=[tmp_path],
        )
        async with agent:
            await agent.chat_text("hello")
            (request,) = model.requests
            assert request.model == "another-model"
            assert "pirate" in request.system_text
            assert list((tmp_path / "kept").glob("*.db"))
            assert agent.workspaces == (str(tmp_path),)
            assert config.save_dir is None  # the configuration that was passed is not changed

            fork = await agent.fork(model="a-third-model")
            assert await fork.chat_text("again") == "two"
            assert model.requests[1].model == "a-third-model"
            assert "pirate" in model.requests[1].system_text
            other = await agent.spawn_subagent(system_instructions="Speak like a poet.")
            assert await other.chat_text("and you?") == "three"
            assert "poet" in model.requests[2].system_text
            assert model.requests[2].model == "another-model"
            await fork.close()
            await other.close()


@pytest.mark.real
async def test_without_a_key_other_settings_leave_the_echo_model(monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    async with agy.Runtime() as runtime:
        agent = await runtime.create_agent(system_instructions="Be brief.", model=None)
        assert (await agent.chat_text("Hello")).startswith("You said: Hello")


def test_none_is_the_default_of_a_setting():
    config = LocalAgentConfig(api_key="k", model="m")
    assert with_settings(config, {"model": None}) is config
    assert with_settings(None, {"model": None, "env": None}) is None
    assert with_settings({"model": "m"}, {"env": {"A": "b"}}) == {"model": "m", "env": {"A": "b"}}


def test_a_keyword_replaces_the_field_of_the_configuration():
    sections = [SystemInstructionSection(content="old")]
    old = TemplatedSystemInstructions(sections=sections)
    config = LocalAgentConfig(api_key="k", system_instructions=old)
    assert with_settings(config, {"system_instructions": "new"}).system_instructions == "new"
    assert config.system_instructions == old


@pytest.mark.real
async def test_blocking_agents_take_the_same_keywords():
    async with ScriptedModel([say("one"), say("two"), say("three")]) as model:
        agent = await agy.create_agent(model.config())
        await agent.chat_text("hello")
        for start in (agent.sync.spawn_subagent, agent.sync.fork):
            other = await asyncio.to_thread(start, model="another-model")
            await other.chat_text("hello")
            assert model.requests[-1].model == "another-model"
            await other.close()
