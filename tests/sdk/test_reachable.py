"""Features of the SDK that are reached through an agent of ours, on the real harness."""

import pytest
from google.antigravity import types, workflows

import agy_nb as agy
from agy_nb.protocol.values import SlashCommandPart
from agy_nb.testing import ScriptedModel, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


@workflows.define
async def audit():
    """Audit what there is."""
    workflows.phase("Audit")
    workflows.log("all is well")


def run_the_script(request):
    """As a model that is asked to run a workflow; the harness reports the end in a message."""
    prompt = request.user_texts[-1]
    if request.tool_results or "using the `run_workflow` tool" not in prompt:
        return say("It ran.")
    path = prompt.split("`")[1]
    return call("run_workflow", ScriptPath=path, Description="audit")


async def test_workflow_runs_in_a_turn_and_leaves_no_file(runtime, tmp_path):
    async with ScriptedModel(run_the_script) as model:
        agent = await runtime.create_agent(
            model.config(workspaces=[str(tmp_path)]), ask_user=lambda request: True
        )
        response = await agent.run_workflow(audit)
        assert "Audit what there is." in response.prompt[0].text
        assert (await response.text()).startswith("It ran.")
        (result,) = (each for each in response.tool_results if each.name == "run_workflow")
        assert "all is well" in str(result.result)
        await agent.shutdown()
    assert [path.name for path in tmp_path.iterdir() if "agy_workflow" in path.name] == []


async def test_workflow_of_a_script_is_read_from_the_workspace(runtime, tmp_path):
    (tmp_path / "audit.py").write_text('log("from the script")\n')
    async with ScriptedModel(run_the_script) as model:
        agent = await runtime.create_agent(
            model.config(workspaces=[str(tmp_path)]), ask_user=lambda request: True
        )
        response = await agent.run_workflow(script_path="audit.py")
        assert str(tmp_path / "audit.py") in response.prompt[0].text
        await response.text()
        assert (tmp_path / "audit.py").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "either a workflow or script_path"),
        ({"workflow": audit, "script_path": "x.py"}, "either a workflow or script_path"),
        ({"script_path": "no such.py"}, "workflow script not found: 'no such.py'"),
        ({"workflow": lambda: 1}, "the SDK rejects this workflow"),
    ],
)
async def test_what_is_no_workflow_is_said(runtime, arguments, words):
    async with ScriptedModel([]) as model:
        agent = await runtime.create_agent(model.config())
        with pytest.raises(agy.InvalidInputError, match=words):
            await agent.run_workflow(**arguments)


async def test_agent_that_may_not_run_workflows_says_so(runtime):
    async with ScriptedModel([]) as model:
        few = types.CapabilitiesConfig(enabled_tools=[types.BuiltinTools.VIEW_FILE])
        agent = await runtime.create_agent(model.config(capabilities=few))
        with pytest.raises(agy.InvalidInputError, match="may not run workflows"):
            await agent.run_workflow(audit)


async def test_sandbox_status_is_the_sdks(runtime):
    async with ScriptedModel([]) as model:
        agent = await runtime.create_agent(model.config())
        assert isinstance(agent.sandbox_status, types.SandboxStatus)


async def test_usage_of_each_trajectory_adds_up(runtime):
    task = {"TypeName": "self", "Role": "Helper", "Prompt": "help out"}
    script = [
        ("help out", [say("Done.")]),
        ("go", [call("invoke_subagent", Subagents=[task]), say("Wait. "), say("Done.")]),
    ]
    async with ScriptedModel(script) as model:
        agent = await runtime.create_agent(model.config(), ask_user=lambda request: True)
        assert agent.trajectory_usages == {}
        response = await (await agent.chat("go"))
        usages = agent.trajectory_usages
        assert set(usages) == {each.id for each in response.trajectories}
        total = sum(usage.total_tokens for usage in usages.values())
        assert total == (await agent.total_usage()).total_tokens


async def test_stop_reason_is_the_sdks_enum_and_a_word_in_the_tables(runtime):
    settings = {"budget_config": types.BudgetConfig(max_model_calls=1)}
    script = [call("no_such_tool"), say("never")]
    async with ScriptedModel(script) as model:
        agent = await runtime.create_agent(model.config(**settings))
        response = await (await agent.chat("go"))
        assert response.stop_reason is types.StopReason.MAX_MODEL_CALLS_EXCEEDED
        assert agent.tables.turns.stop_reason.tolist() == ["MAX_MODEL_CALLS_EXCEEDED"]


async def test_slash_command_reaches_the_harness(runtime):
    plan = types.SlashCommand(name=types.BuiltinSlashCommandName.PLAN)
    async with ScriptedModel([say("First I would look around.")]) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat([plan, "tidy up"])
        assert await response.text() == "First I would look around."
        assert response.prompt[0] == SlashCommandPart(name="plan")
        assert "plan" in str(model.requests[0].user_texts).lower()
