"""Configurations that cannot work: one clear error of ours each, and nothing left behind."""

import sys

import pytest
from google.antigravity import types
from google.antigravity.hooks import policy
from google.antigravity.triggers import on_file_change

import agy_nb as agy
from agy_nb.testing import ScriptedModel, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

UNKNOWN = "0123456789abcdef" * 2
MODES = types.SessionContinuationMode


async def refusal(runtime, config, **parts):
    before = runtime.agent_ids
    with pytest.raises(agy.InvalidConfigError) as raised:
        await runtime.create_agent(config, **parts)
    assert runtime.agent_ids == before
    return raised.value


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"modle": "x"}, "modle"),
        ({"conversation_id": "short"}, "conversation_id"),
        ({"workspaces": 42}, "workspaces"),
        ({"budget_config": {"max_model_calls": -1}}, "budget_config.max_model_calls"),
        ({"session_continuation_mode": "perhaps"}, "session_continuation_mode"),
        ({"session_continuation_mode": MODES.RESUME}, ""),
    ],
)
async def test_refusal_names_the_field(runtime, config, field):
    error = await refusal(runtime, {"api_key": "k", **config})
    assert error.field.startswith(field)
    assert field.rpartition(".")[2] in str(error)


@pytest.mark.parametrize("config", [42, "gemini", ["x"], object()])
async def test_what_is_no_configuration_is_refused(runtime, config):
    error = await refusal(runtime, config)
    assert error.field == "config"
    assert type(config).__name__ in str(error)


@pytest.mark.parametrize("part", ["tools", "hooks", "triggers", "policies"])
async def test_part_that_is_none_of_its_kind_is_refused(runtime, part):
    error = await refusal(runtime, {"api_key": "k"}, **{part: ["weather"]})
    assert part[:4] in str(error).lower()


@pytest.mark.parametrize("part", ["tools", "triggers"])
async def test_value_that_is_not_a_function_is_refused_with_what_to_pass(runtime, part):
    error = await refusal(runtime, {"api_key": "k"}, **{part: [5]})
    assert error.field == part
    assert f"{part} must be functions, got 5; pass {part}=[my_function]" in str(error)


async def test_tool_whose_arguments_cannot_be_described_is_refused(runtime):
    error = await refusal(runtime, {"api_key": "k"}, tools=[lambda x: x])
    assert error.field == "tools"
    assert "parameter x" in str(error)
    assert "Annotate each parameter with a type" in str(error)


@pytest.mark.parametrize("part", ["tools", "hooks", "triggers", "policies"])
@pytest.mark.parametrize("alone", [refusal, None, "weather"], ids=["function", "none", "text"])
async def test_one_thing_that_is_in_no_list_is_refused(runtime, part, alone):
    error = await refusal(runtime, {"api_key": "k"}, **{part: alone})
    assert error.field == part
    assert f"{part}=[...]" in str(error)


async def test_field_is_a_place_and_names_no_type_that_was_tried(runtime):
    assert (await refusal(runtime, {"model": 5})).field == "model"
    assert (await refusal(runtime, {"api_key": "k"}, hooks=["x"])).field == "hooks.0"


async def test_handler_that_cannot_be_called_is_refused(runtime):
    error = await refusal(runtime, {"api_key": "k"}, ask_user=lambda: True)
    assert error.field == "ask_user"


async def test_no_key_for_the_public_endpoint_is_refused_and_says_what_to_do(runtime):
    error = await refusal(runtime, {"model": "gemini-3.8-flash"})
    assert "GEMINI_API_KEY" in str(error)


async def test_save_dir_that_cannot_be_written_to_is_refused(runtime, tmp_path):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    error = await refusal(runtime, {"api_key": "k", "save_dir": str(tmp_path / "taken" / "inside")})
    assert error.field == "save_dir"
    assert "taken" in str(error)


@pytest.mark.parametrize("mode", [None, MODES.RESUME])
async def test_conversation_that_is_not_there_cannot_be_resumed(runtime, tmp_path, mode):
    config = {"api_key": "k", "conversation_id": UNKNOWN, "save_dir": str(tmp_path)}
    if mode:
        config["session_continuation_mode"] = mode
    error = await refusal(runtime, config)
    assert error.field == "conversation_id"
    assert UNKNOWN in str(error)
    assert str(tmp_path) in str(error)


async def test_conversation_that_is_there_cannot_be_made_anew(runtime, tmp_path):
    settings = {"conversation_id": UNKNOWN, "save_dir": str(tmp_path)}
    async with ScriptedModel([say("x")]) as model:
        new = model.config(session_continuation_mode=MODES.CREATE_ONLY, **settings)
        agent = await runtime.create_agent(new)
        await agent.chat_text("go")
        assert agent.conversation_id == UNKNOWN
        await agent.shutdown()
        error = await refusal(runtime, new)
    assert error.field == "conversation_id"


def weather(city: str) -> str:
    """Weather of a city."""
    return city


def view_file(path: str) -> str:
    """Not the harness's own."""
    return path


def subagent(name, **settings):
    return types.SubagentConfig(name=name, description="x", **settings)


SERVER = types.McpStdioServer(name="files", command="true")
REFUSED_LATER = {
    "schema": ({"response_schema": {"type": "nonsense"}}, {}, "response_schema"),
    "inner schema": (
        {"response_schema": {"type": "object", "properties": {"n": {"type": "int"}}}},
        {},
        "response_schema",
    ),
    "schema with a reference to nothing": (
        {"response_schema": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}},
        {},
        "response_schema",
    ),
    "MCP servers of one name": ({"mcp_servers": [SERVER, SERVER]}, {}, "mcp_servers"),
    "subagents of one name": ({"subagents": [subagent("a"), subagent("a")]}, {}, "subagents"),
    "tools of one name": ({}, {"tools": [weather, weather]}, "tools"),
    "name of a built-in tool": ({}, {"tools": [view_file]}, "tools"),
    "skills": ({"skills_paths": ["no/such/folder"]}, {}, "skills_paths"),
    "skills in a file": ({"skills_paths": [__file__]}, {}, "skills_paths"),
    "policy without a tool": ({}, {"policies": [policy.allow("")]}, "policies"),
    "policy for an unknown tool": ({}, {"policies": [policy.deny("run_comand")]}, "policies"),
    "no workspace": (
        {"workspaces": []},
        {"policies": policy.workspace_only([])},
        "workspaces",
    ),
}


@pytest.mark.parametrize("case", REFUSED_LATER)
async def test_what_only_the_harness_would_refuse_is_refused_at_once(runtime, case):
    config, parts, field = REFUSED_LATER[case]
    error = await refusal(runtime, {"api_key": "k", **config}, **parts)
    assert error.field == field


async def test_policy_for_a_misspelled_tool_names_the_one_that_was_meant(runtime):
    error = await refusal(runtime, {"api_key": "k"}, policies=[policy.deny("run_comand")])
    assert "'run_command'" in str(error)


async def test_policies_for_every_tool_of_the_agent_are_accepted(runtime):
    rules = [policy.allow(name) for name in ("run_command", "*", "weather", "inner")]
    rules += [*policy.deny(SERVER), *policy.workspace_only(["."])]

    def inner(text: str) -> str:
        """Of a subagent."""
        return text

    async with ScriptedModel([]) as model:
        config = model.config(
            response_schema={
                "type": "object",
                "properties": {"n": {"$ref": "#/$defs/N"}, "$ref": {"enum": [{"$ref": "#/no"}]}},
                "$defs": {"N": {"type": "integer"}},
            },
            subagents=[subagent("a", tools=[inner]), subagent("b")],
            mcp_servers=[SERVER],
        )
        agent = await runtime.create_agent(config, tools=[weather], policies=rules)
        await agent.shutdown()


async def test_refused_agent_leaves_the_others_unharmed(runtime):
    async with ScriptedModel([say("one"), say("two")]) as model:
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("go")
        await refusal(runtime, {"api_key": "k", "modle": "x"})
        assert await agent.chat_text("again") == "two"


async def test_own_policies_of_a_configuration_stay(runtime):
    async with ScriptedModel([]) as model:
        config = model.config(policies=[policy.deny_all()])
        await runtime.create_agent(config)
        assert len(config.policies) == 1


async def test_trigger_on_files_without_its_package_is_refused(runtime, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "watchfiles", raising=False)
    monkeypatch.setattr("agy_nb.sdk.config.config_checks.find_spec", lambda _name: None)
    trigger = on_file_change(tmp_path, lambda _context, _changes: None)
    error = await refusal(runtime, {"api_key": "k"}, triggers=[trigger])
    assert error.field == "triggers"
    assert "agy-nb[files]" in str(error)
