"""Who is asked about a call may change what it runs with: on the real harness, tool by tool."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from google.antigravity import types
from google.antigravity.hooks import hooks, policy

import agy_nb as agy
from agy_nb.protocol.events import Approval, ApprovalState
from agy_nb.sdk.interfaces.approval_request import ApprovalDecision
from agy_nb.testing import ScriptedModel, call, in_system, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


def weather(city: str, when: str = "now") -> str:
    """Weather of a city."""
    return f"sunny in {city} {when}"


SCRIPT = [call("weather", city="Oslo"), say("ok")]


class Editor:
    """Allows each call with these arguments in the place of its own."""

    edits = True

    def __init__(self, **args):
        self.requests = []
        self.args = args

    async def __call__(self, request):
        self.requests.append(request)
        return ApprovalDecision(allowed=True, args=self.args)


def decisions(response):
    return [
        event
        for event in response.event_log
        if isinstance(event, Approval) and event.state is not ApprovalState.PENDING
    ]


async def test_host_tool_runs_with_other_arguments_and_is_asked_about_once(told):
    editor = Editor(city="Rome")
    response, model, _ = await told(SCRIPT, tools=[weather], ask_user=editor)
    (request,) = editor.requests
    assert (request.args, request.editable) == ({"city": "Oslo"}, True)
    assert [each.result for each in response.tool_results] == ["sunny in Rome now"]
    assert "sunny in Rome" in model.requests[1].tool_results[0].text
    (decision,) = decisions(response)
    assert (decision.args, decision.edited) == ({"city": "Oslo"}, {"city": "Rome"})


async def test_command_runs_as_it_was_changed(told, tmp_path):
    flag, other = tmp_path / "flag", tmp_path / "other"
    command = call(
        "run_command", CommandLine=f"touch {flag}", Cwd=str(tmp_path), WaitMsBeforeAsync=5000
    )
    await told(
        [command, say("ok")],
        settings={"workspaces": [str(tmp_path)]},
        ask_user=Editor(CommandLine=f"touch {other}"),
    )
    assert (flag.exists(), other.exists()) == (False, True)


async def test_file_is_written_where_and_as_it_was_changed(told, tmp_path):
    write = call(
        "write_to_file", TargetFile=str(tmp_path / "a"), CodeContent="one", Overwrite=False,
        Description="a file", EmptyFile=False,
    )  # fmt: skip
    await told(
        [write, say("ok")],
        settings={"workspaces": [str(tmp_path)]},
        ask_user=Editor(TargetFile=str(tmp_path / "b"), CodeContent="two"),
    )
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").read_text(encoding="utf-8").strip() == "two"


async def test_change_of_a_file_is_made_as_it_was_changed(told, tmp_path):
    (tmp_path / "a").write_text("before\n", encoding="utf-8")
    edit = call(
        "replace_file_content", TargetFile=str(tmp_path / "a"), TargetContent="before",
        ReplacementContent="after", StartLine=1, EndLine=1, Instruction="x", Description="y",
        AllowMultiple=False,
    )  # fmt: skip
    await told(
        [edit, say("ok")],
        settings={"workspaces": [str(tmp_path)]},
        ask_user=Editor(ReplacementContent="mine"),
    )
    assert (tmp_path / "a").read_text(encoding="utf-8") == "mine\n"


async def test_tool_of_an_mcp_server_runs_with_other_arguments(told):
    server = types.McpStdioServer(
        name="shop",
        command=sys.executable,
        args=[str(Path(__file__).parents[1] / "mcp_server.py")],
    )
    _, model, _ = await told(
        [
            call("call_mcp_tool", ServerName="shop", ToolName="price", Arguments={"item": "tea"}),
            say("ok"),
        ],
        settings={"mcp_servers": [server]},
        ask_user=Editor(Arguments={"item": "coffee"}),
    )
    assert "coffee costs 3 euros" in model.requests[1].tool_results[0].text


async def test_call_of_a_subagent_cannot_be_changed_and_a_change_denies_it(told):
    task = {"TypeName": "researcher", "Role": "Researcher", "Prompt": "look into cats"}
    scripts = [
        (in_system("You research."), [call("weather", city="Oslo"), say("They purr.")]),
        ("go", [call("invoke_subagent", Subagents=[task]), say("Wait. "), say("Done.")]),
    ]
    researcher = types.SubagentConfig(
        name="researcher",
        description="Looks things up.",
        system_instructions="You research.",
        tools=[weather],
    )
    editor = Editor(city="Rome")
    rules = [policy.ask_user("weather"), policy.allow_all()]
    response, model, _ = await told(
        scripts, settings={"subagents": [researcher]}, policies=rules, ask_user=editor
    )
    assert [request.editable for request in editor.requests] == [False]
    (decision,) = decisions(response)
    assert (decision.state, decision.edited) == (ApprovalState.FAILED, None)
    assert "sunny" not in json.dumps([request.body for request in model.requests])


async def test_handler_that_does_not_say_that_it_edits_may_not(told):
    editor = Editor(city="Rome")
    response, model, _ = await told(
        SCRIPT, tools=[weather], ask_user=lambda request: asyncio.run(editor(request))
    )
    assert [request.editable for request in editor.requests] == [False]
    assert [each.state for each in decisions(response)] == [ApprovalState.FAILED]
    assert "edits = True" in model.requests[1].tool_results[0].text


async def test_denial_in_the_hook_reaches_the_model_in_its_words(told):
    class Strict(Editor):
        async def __call__(self, request):
            return ApprovalDecision(allowed=False, reason="not on a Friday", args={"city": "x"})

    response, model, _ = await told(SCRIPT, tools=[weather], ask_user=Strict())
    assert [result.denied for result in response.tool_results] == [True]
    assert "not on a Friday" in model.requests[1].tool_results[0].text
    (decision,) = decisions(response)
    assert (decision.state, decision.edited) == (ApprovalState.DENIED, None)


async def test_silence_in_the_hook_is_a_denial_in_time(told):
    class Silent(Editor):
        async def __call__(self, request):
            await asyncio.Event().wait()

    limits = agy.RuntimeConfig(chat_pause=0, approval_timeout=0.2)
    async with agy.Runtime(limits) as impatient:
        response, model, _ = await told(SCRIPT, on=impatient, tools=[weather], ask_user=Silent())
    assert [each.state for each in decisions(response)] == [ApprovalState.TIMED_OUT]
    assert "no answer within 0.2 s" in model.requests[1].tool_results[0].text
    assert response.partial_text == "ok"


async def test_waiting_in_the_hook_takes_no_time_of_the_turn(told):
    class Slow(Editor):
        async def __call__(self, request):
            await asyncio.sleep(1.5)
            return await super().__call__(request)

    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0, chat_timeout=1)) as impatient:
        response, _, _ = await told(
            SCRIPT, on=impatient, tools=[weather], ask_user=Slow(city="Rome")
        )
    assert response.partial_text == "ok"


async def test_cancelled_turn_takes_the_question_in_the_hook_back(runtime):
    asked = asyncio.Event()

    class Silent(Editor):
        async def __call__(self, request):
            asked.set()
            await asyncio.Event().wait()

    async with ScriptedModel([call("weather", city="Oslo"), say("next")]) as model:
        agent = await runtime.create_agent(model.config(), tools=[weather], ask_user=Silent())
        response = await agent.chat("go")
        await asked.wait()
        await response.cancel()
        assert await agent.chat_text("again") == "next"
    assert [each.state for each in decisions(response)] == [ApprovalState.CANCELLED]


async def test_only_what_a_policy_asks_about_is_asked_in_the_hook(told):
    editor = Editor()
    script = [call("weather", city="Oslo"), call("weather", city="Bern"), say("ok")]
    rules = [
        policy.ask_user("weather", when=lambda args: args.get("city") == "Bern"),
        policy.allow("*"),
    ]
    response, _, _ = await told(script, tools=[weather], policies=rules, ask_user=editor)
    assert [request.args for request in editor.requests] == [{"city": "Bern"}]
    assert len(list(response.tool_results)) == 2


async def test_policy_refuses_what_was_made_of_a_call(told):
    """A person may change a command into one that no policy of the agent would let pass."""
    rules = [
        policy.deny("weather", when=lambda args: args.get("city") == "Rome"),
        policy.ask_user("*"),
    ]
    response, model, _ = await told(
        SCRIPT, tools=[weather], policies=rules, ask_user=Editor(city="Rome")
    )
    assert [result.denied for result in response.tool_results] == [True]
    assert "denied" in model.requests[1].tool_results[0].text.lower()


async def test_handler_of_a_policies_own_is_asked_as_ever(told):
    asked = []

    def own(tool_call):
        asked.append(tool_call.args)
        return True

    editor = Editor(city="Rome")
    rules = [policy.ask_user("weather", handler=own), policy.ask_user("*")]
    response, _, _ = await told(SCRIPT, tools=[weather], policies=rules, ask_user=editor)
    assert asked == [{"city": "Oslo"}]
    assert editor.requests == []
    assert [each.result for each in response.tool_results] == ["sunny in Oslo now"]


async def test_person_sees_and_changes_what_the_users_own_hooks_made_of_a_call(told):
    @hooks.pre_tool_call_decide
    async def elsewhere(tool_call):
        return types.HookResult(allow=True, modified_args={"city": "Bern"})

    editor = Editor(when="then")
    response, _, _ = await told(SCRIPT, tools=[weather], hooks=[elsewhere], ask_user=editor)
    assert [request.args for request in editor.requests] == [{"city": "Bern"}]
    assert [each.result for each in response.tool_results] == ["sunny in Bern then"]


async def test_predicate_that_fails_denies(told):
    def fails(args):
        raise KeyError("no idea")

    editor = Editor()
    rules = [policy.ask_user("weather", when=fails), policy.ask_user("*")]
    response, model, _ = await told(SCRIPT, tools=[weather], policies=rules, ask_user=editor)
    assert [result.denied for result in response.tool_results] == [True]
    assert "no idea" in model.requests[1].tool_results[0].text


async def test_two_calls_of_one_answer_are_each_changed(told):
    class PerCity(Editor):
        async def __call__(self, request):
            self.requests.append(request)
            return ApprovalDecision(allowed=True, args={"city": request.args["city"] + "-Nord"})

    script = [call("weather", city="Oslo") + call("weather", city="Rome"), say("ok")]
    editor = PerCity()
    response, _, _ = await told(script, tools=[weather], ask_user=editor)
    assert len(editor.requests) == 2
    assert [each.result for each in response.tool_results] == [
        "sunny in Oslo-Nord now",
        "sunny in Rome-Nord now",
    ]


@pytest.mark.parametrize("allowed", [True, False])
async def test_change_comes_from_the_cassette_with_its_events(runtime, tmp_path, allowed):
    class Person(Editor):
        async def __call__(self, request):
            decision = await super().__call__(request)
            return replace(decision, allowed=allowed, reason="" if allowed else "no")

    async def turn(config, person):
        agent = await runtime.create_agent(config, tools=[weather], ask_user=person)
        response = await (await agent.chat("go"))
        await agent.shutdown()
        return response

    async with ScriptedModel(SCRIPT) as model:
        config = model.config()
        async with agy.use_cassette(tmp_path / "c"):
            recorded = await turn(config, Person(city="Rome"))
    nobody = Editor(city="Bern")
    async with agy.use_cassette(tmp_path / "c", "none"):
        replayed = await turn(config, nobody)
    assert nobody.requests == []
    (then,), (now,) = decisions(recorded), decisions(replayed)
    assert (then.state, then.edited) == (now.state, now.edited)
    assert now.decided_by == "cassette"
    assert [(each.result, each.denied) for each in replayed.tool_results] == [
        ("sunny in Rome now", False) if allowed else (None, True)
    ]


async def test_audit_trail_says_that_a_call_was_changed(told):
    response, _, agent = await told(SCRIPT, tools=[weather], ask_user=Editor(city="Rome"))
    approvals = agent.tables.approvals
    assert list(approvals.decision) == ["edited"]
    assert list(agent.tables.tool_calls.approval_id) == list(approvals.approval_id)
    del response
