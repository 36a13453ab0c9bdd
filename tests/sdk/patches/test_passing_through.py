"""The SDK's own objects, through our runtime, on the real harness: each does what the SDK says."""

import asyncio
import base64
import json
import sys
import threading
from pathlib import Path

import pydantic
import pytest
from google.antigravity import ToolContext, types
from google.antigravity.hooks import hooks, policy

import agy_nb as agy
from agy_nb.protocol.events import Approval, Question, ToolResult, Usage
from agy_nb.protocol.values import MediaPart, TokenUsage
from agy_nb.testing import ScriptedModel, call, in_system, say, think
from tests.sdk.needs import except_sdk, needs_sdk

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

ASK_AROUND = {"TypeName": "researcher", "Role": "Researcher", "Prompt": "look into cats"}


async def told(runtime, script, *, prompt="go", settings=None, **parts):
    """One turn: the response, the model and the agent."""
    model = ScriptedModel(script)
    async with model:
        agent = await runtime.create_agent(model.config(**(settings or {})), **parts)
        response = await agent.chat(prompt)
        await response.text()
        await agent.shutdown()
    return response, model


def weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


async def slow_weather(city: str) -> str:
    """Weather of a city."""
    await asyncio.sleep(0)
    return f"rainy in {city}"


def broken(city: str) -> str:
    """Weather of a city."""
    raise ValueError(f"no such city: {city}")


def odd(city: str) -> object:
    """Weather of a city."""
    return {1, 2} if city else object()


def picture(city: str) -> types.Image:
    """A picture of a city."""
    return types.Image(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png", description=city)


def of_conversation(city: str, context: ToolContext) -> str:
    """Weather of a city."""
    return f"{city} in {context.conversation_id[:4]}"


# --- tools ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "result"), [(weather, "sunny in Oslo"), (slow_weather, "rainy in Oslo")]
)
async def test_tool_runs_and_its_result_reaches_the_model(runtime, tool, result):
    script = [call(tool.__name__, city="Oslo"), say("ok")]
    response, model = await told(runtime, script, tools=[tool])
    assert [(each.name, each.result) for each in response.tool_results] == [(tool.__name__, result)]
    assert [(each.name, each.args) for each in response.tool_calls] == [
        (tool.__name__, {"city": "Oslo"})
    ]
    assert result in model.requests[1].tool_results[0].text


async def test_tool_that_raises_tells_the_model_why(runtime):
    script = [call("broken", city="Oslo"), say("sorry")]
    response, model = await told(runtime, script, tools=[broken])
    assert [each.error for each in response.tool_results] == ["ValueError: no such city: Oslo"]
    assert "no such city" in model.requests[1].tool_results[0].text
    assert response.partial_text == "sorry"


async def test_tool_may_return_what_is_no_json(runtime):
    response, _ = await told(runtime, [call("odd", city="x"), say("ok")], tools=[odd])
    assert response.partial_text == "ok"
    assert [each.error for each in response.tool_results] == [None]


async def test_tool_that_hangs_is_a_timeout_and_the_next_turn_works():
    async def hangs(city: str) -> str:
        """Weather of a city."""
        await asyncio.Event().wait()

    limits = agy.RuntimeConfig(chat_pause=0, chat_timeout=0.5)
    script = [call("hangs", city="x"), say("next")]
    async with ScriptedModel(script) as model, agy.Runtime(limits) as runtime:
        agent = await runtime.create_agent(model.config(), tools=[hangs])
        with pytest.raises(agy.AgyTimeoutError):
            await agent.chat_text("go")
        assert await agent.chat_text("again") == "next"


async def test_tool_may_return_a_picture(runtime):
    _, model = await told(runtime, [call("picture", city="Oslo"), say("ok")], tools=[picture])
    assert "iVBORw0KGgo" in json.dumps(model.requests[1].body)


async def test_tool_may_ask_for_the_sdks_context(runtime):
    script = [call("of_conversation", city="Oslo"), say("ok")]
    response, model = await told(runtime, script, tools=[of_conversation])
    assert next(iter(response.tool_results)).result.startswith("Oslo in ")
    assert '"context"' not in json.dumps(model.requests[0].body["tools"])


async def test_tool_that_hangs_is_left_behind_by_a_cancel(runtime):
    started, stopped = asyncio.Event(), asyncio.Event()

    async def hangs(city: str) -> str:
        """Weather of a city."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with ScriptedModel([call("hangs", city="x"), say("next")]) as model:
        agent = await runtime.create_agent(model.config(), tools=[hangs])
        response = await agent.chat("go")
        await started.wait()
        await response.cancel()
        await stopped.wait()
        assert await agent.chat_text("again") == "next"


async def test_tool_that_was_just_called_does_not_outlive_a_cancel(runtime):
    began, ended = [], []
    last_began, last_ended = asyncio.Event(), asyncio.Event()

    async def counts(city: str) -> str:
        """Weather of a city."""
        began.append(city)
        if city == "y":
            last_began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(city)
            if city == "y":
                last_ended.set()

    script = [call("counts", city="x"), say("next"), call("counts", city="y"), say("last")]
    async with ScriptedModel(script) as model:
        agent = await runtime.create_agent(model.config(), tools=[counts])
        response = await agent.chat("go")
        async for _ in response.tool_calls:
            break  # the call is here, and the tool has not begun
        await response.cancel()
        assert await agent.chat_text("again") == "next"
        assert began == ended
        third = await agent.chat("once more")  # tools run again
        await last_began.wait()
        await third.cancel()
        await last_ended.wait()


async def test_methods_of_an_object_that_cannot_be_copied_pass_through(runtime):
    class Station:
        """Keeps what no copy can be made of, as a widget or a database connection does."""

        def __init__(self):
            self.lock = threading.Lock()
            self.asked = []

        def weather(self, city: str) -> str:
            """Weather of a city."""
            with self.lock:
                self.asked.append(city)
            return "sunny"

        async def trigger(self, context):
            with self.lock:
                self.asked.append("trigger")

        async def decide(self, request):
            with self.lock:
                return True

    class Watching(hooks.PostToolCallHook):
        def __init__(self):
            self.lock = threading.Lock()
            self.seen = []

        async def run(self, context, data):
            self.seen.append(data.name)

    station, watching = Station(), Watching()
    researcher = types.SubagentConfig(
        name="researcher", description="x", system_instructions="x", tools=[station.weather]
    )
    await told(
        runtime,
        [call("weather", city="Oslo"), say("ok")],
        tools=[station.weather],
        triggers=[station.trigger],
        hooks=[watching],
        ask_user=station.decide,
        settings={"subagents": [researcher]},
    )
    assert (station.asked, watching.seen) == (["trigger", "Oslo"], ["weather"])


async def test_tools_of_the_agent_are_listed_with_their_source(runtime):
    async with ScriptedModel([]) as model:
        config = model.config(policies=[policy.allow_all()], tools=[weather])
        agent = await runtime.create_agent(config, tools=[slow_weather])
        found = {tool.name: tool for tool in agent.available_tools()}
        assert found["view_file"].source == "builtin"
        assert found["weather"].description == "Weather of a city."
        assert found["slow_weather"].parameters["required"] == ["city"]


# --- policies and approvals ----------------------------------------------------------------


async def test_approval_handler_decides_and_its_reason_reaches_the_model(runtime):
    def decide(request):
        return agy.ApprovalDecision(allowed=False, reason="not on a Friday")

    script = [call("weather", city="Oslo"), say("ok")]
    response, model = await told(runtime, script, tools=[weather], ask_user=decide)
    approvals = [event for event in response.event_log if isinstance(event, Approval)]
    assert [(event.tool, event.args, event.state) for event in approvals] == [
        ("weather", {"city": "Oslo"}, "pending"),
        ("weather", {"city": "Oslo"}, "denied"),
    ]
    assert [result.denied for result in response.tool_results] == [True]
    assert "not on a Friday" in model.requests[1].tool_results[0].text


async def test_builtin_tools_ask_too(runtime, tmp_path):
    asked = []

    def decide(tool, args):
        asked.append((tool, args["CommandLine"]))
        return True

    command = call("run_command", CommandLine="echo agy", Cwd=str(tmp_path), WaitMsBeforeAsync=5000)
    response, model = await told(
        runtime, [command, say("ok")], ask_user=decide, settings={"workspaces": [str(tmp_path)]}
    )
    assert asked == [("run_command", "echo agy")]
    assert "agy" in model.requests[1].tool_results[0].text
    result = next(iter(response.tool_results))
    assert result.name == "run_command"
    assert "agy" in json.dumps(result.result)


@needs_sdk("0.1.18", "policies have no reason")
async def test_policies_given_take_the_place_of_the_default_ones(runtime):
    script = [call("weather", city="Oslo"), say("ok")]
    response, _ = await told(
        runtime, script, tools=[weather], policies=[policy.deny("weather", reason="never")]
    )
    assert [result.denied for result in response.tool_results] == [True]


async def test_policy_keeps_its_own_handler(runtime):
    asked = []

    def own(tool_call):
        asked.append(tool_call.name)
        return True

    script = [call("weather", city="Oslo"), say("ok")]
    await told(
        runtime,
        script,
        tools=[weather],
        policies=[policy.ask_user("weather", handler=own), policy.allow_all()],
        ask_user=lambda request: False,
    )
    assert asked == ["weather"]


async def test_policy_that_asks_and_finds_nobody_denies(runtime):
    script = [call("weather", city="Oslo"), say("ok")]
    response, model = await told(
        runtime, script, tools=[weather], policies=[policy.ask_user("weather")]
    )
    assert [result.denied for result in response.tool_results] == [True]
    assert "there is no approval handler" in model.requests[1].tool_results[0].text


async def test_policy_may_look_at_the_arguments(runtime):
    script = [call("weather", city="Oslo"), call("weather", city="Rome"), say("ok")]
    rules = [policy.deny("weather", when=lambda args: args["city"] == "Oslo"), policy.allow_all()]
    response, _ = await told(runtime, script, tools=[weather], policies=rules)
    assert [(each.result, each.denied) for each in response.tool_results] == [
        (None, True),
        ("sunny in Rome", False),
    ]


async def test_files_outside_of_the_workspace_are_denied(runtime, tmp_path):
    inside, outside = tmp_path / "inside.txt", Path(__file__)
    inside.write_text("found it", encoding="utf-8")
    script = [
        call("view_file", AbsolutePath=str(inside)),
        call("view_file", AbsolutePath=str(outside)),
        say("ok"),
    ]
    workspaces = [str(tmp_path)]
    rules = [*policy.workspace_only(workspaces), policy.allow_all()]
    _, model = await told(runtime, script, settings={"workspaces": workspaces, "policies": rules})
    found, denied = (request.tool_results[0].text for request in model.requests[1:])
    assert "found it" in found
    assert "outside the allowed workspace" in denied


# --- hooks ---------------------------------------------------------------------------------


async def test_hooks_of_every_kind_are_called(runtime):
    seen = []

    @hooks.on_session_start
    async def session_start():
        seen.append("session start")

    @hooks.pre_turn
    async def pre_turn(prompt):
        seen.append("pre turn")
        return types.HookResult(allow=True)

    @hooks.pre_tool_call_decide
    async def pre_tool(tool_call):
        seen.append(f"pre {tool_call.name}")
        return types.HookResult(allow=True)

    @hooks.post_tool_call
    async def post_tool(result):
        seen.append(f"post {result.name}")

    @hooks.on_tool_error
    async def tool_error(error):
        seen.append("tool error")
        return "reworded"

    @hooks.post_turn
    async def post_turn(text):
        seen.append("post turn")

    @hooks.on_session_end
    async def session_end():
        seen.append("session end")

    script = [call("weather", city="Oslo"), call("broken", city="x"), say("ok")]
    all_hooks = [session_start, pre_turn, pre_tool, post_tool, tool_error, post_turn, session_end]
    _, model = await told(runtime, script, tools=[weather, broken], hooks=all_hooks)
    assert {"session start", "pre turn", "post turn", "session end"} <= set(seen)
    assert {"pre weather", "post weather", "pre broken", "tool error"} <= set(seen)
    assert "reworded" in model.requests[2].tool_results[-1].text


async def test_decide_hook_denies_with_its_message(runtime):
    @hooks.pre_tool_call_decide
    async def deny(tool_call):
        return types.HookResult(allow=False, message="house rules")

    script = [call("weather", city="Oslo"), say("ok")]
    response, model = await told(runtime, script, tools=[weather], hooks=[deny])
    assert [result.denied for result in response.tool_results] == [True]
    assert "house rules" in model.requests[1].tool_results[0].text


async def test_question_is_answered_by_an_interaction_hook_and_told_of(runtime):
    class Answering(hooks.OnInteractionHook):
        async def run(self, context, data):
            return types.QuestionHookResult(
                responses=[types.QuestionResponse(selected_option_ids=["2"])]
            )

    question = {"question": "Which colour?", "options": ["red", "blue"], "is_multi_select": False}
    capabilities = types.CapabilitiesConfig(
        agent_behavior=types.AgentBehavior.INTERACTIVE,
        enabled_tools=[types.BuiltinTools.ASK_QUESTION],
    )
    response, model = await told(
        runtime,
        [call("ask_question", questions=[question]), say("Blue.")],
        hooks=[Answering()],
        settings={"capabilities": capabilities},
    )
    asked, answered = (event for event in response.event_log if isinstance(event, Question))
    assert [option.text for option in asked.questions[0].options] == ["red", "blue"]
    assert (asked.answers, answered.answers[0].selected) == (None, ("2",))
    assert "blue" in model.requests[1].tool_results[0].text


# --- subagents, triggers, MCP, skills ------------------------------------------------------


async def test_subagents_speak_on_trajectories_of_their_own(runtime):
    scripts = [
        (in_system("You research."), [call("weather", city="Oslo"), say("Cats are nice.")]),
        ("go", [call("invoke_subagent", Subagents=[ASK_AROUND]), say("Wait. "), say("Done.")]),
    ]
    researcher = types.SubagentConfig(
        name="researcher",
        description="Looks things up.",
        system_instructions="You research.",
        tools=[weather],
    )
    asked = []

    def decide(request):
        asked.append((request.tool, request.trajectory.is_root))
        return True

    response, _ = await told(
        runtime, scripts, ask_user=decide, settings={"subagents": [researcher]}
    )
    root, child = response.trajectories
    assert (root.is_root, child.parent_id, child.depth) == (True, root.id, 1)
    assert response.partial_text == "Wait. \n\nDone."
    assert "".join(response.text_stream(child.id)) == "Cats are nice."
    assert ("weather", False) in asked
    usage = [event for event in response.event_log if isinstance(event, Usage)]
    assert {event.trajectory.id for event in usage} == {root.id, child.id}
    total = sum((event.usage for event in usage), TokenUsage())
    assert total.total_tokens == usage[-1].session_total.total_tokens
    results = [event for event in response.event_log if isinstance(event, ToolResult)]
    assert [event.trajectory.id for event in results if event.name == "weather"] == [child.id]


async def test_subagents_host_tools_are_gated_though_the_harness_does_not_ask(runtime):
    scripts = [
        (in_system("You research."), [call("weather", city="Oslo"), say("Denied, it seems.")]),
        ("go", [call("invoke_subagent", Subagents=[ASK_AROUND]), say("Wait. "), say("Done.")]),
    ]
    researcher = types.SubagentConfig(
        name="researcher", description="x", system_instructions="You research.", tools=[weather]
    )

    def decide(request):
        if request.trajectory.is_root:
            return True
        return agy.ApprovalDecision(allowed=False, reason="not you")

    response, _ = await told(
        runtime, scripts, ask_user=decide, settings={"subagents": [researcher]}
    )
    result = next(each for each in response.tool_results if each.name == "weather")
    assert (result.result, result.error, result.trajectory.is_root) == (None, "not you", False)


def clone_that(*turns):
    """A script in which the agent starts a clone of itself, which takes these turns."""
    task = {"TypeName": "self", "Role": "Helper", "Prompt": "help out"}
    start = call("invoke_subagent", Subagents=[task])
    return [("help out", list(turns)), ("go", [start, say("Wait. "), say("Done.")])]


@pytest.mark.parametrize("kind", ["handler", "editing handler", "policy"])
@pytest.mark.parametrize("allowed", [True, False])
async def test_call_of_a_clone_is_asked_about_once(runtime, kind, allowed):
    """Measured: about clones the harness asks by itself; of subagents with a name it does not."""
    asked = []

    class Decide:
        edits = kind == "editing handler"

        def __call__(self, request):
            asked.append(request.tool)
            return request.tool != "weather" or allowed

    async def decide(tool_call):
        asked.append(tool_call.name)
        return tool_call.name != "weather" or allowed

    rules = [policy.ask_user("weather", handler=decide), policy.allow_all()]
    parts = {"policies": rules} if kind == "policy" else {"ask_user": Decide()}
    scripts = clone_that(call("weather", city="Oslo"), say("It is sunny."))
    response, model = await told(runtime, scripts, tools=[weather], **parts)
    assert asked.count("weather") == 1
    approvals = [event for event in response.event_log if isinstance(event, Approval)]
    if kind != "policy":
        assert len([each for each in approvals if each.tool == "weather"]) == 2
    results = [each for each in response.tool_results if each.name == "weather"]
    assert [each.error is None for each in results] == [allowed]
    assert any("sunny in Oslo" in str(request.body) for request in model.requests) is allowed


@needs_sdk("0.1.22", "a hook sees invoke_subagent as start_subagent")
async def test_hooks_see_the_calls_of_a_clone_and_not_those_of_a_subagent_with_a_name(runtime):
    seen = []

    @hooks.pre_tool_call_decide
    async def look(tool_call):
        seen.append(tool_call.name)
        return types.HookResult(allow=True)

    scripts = clone_that(call("weather", city="Oslo"), say("It is sunny."))
    await told(runtime, scripts, tools=[weather], hooks=[look])
    assert seen == ["invoke_subagent", "weather"]
    seen.clear()
    researcher = types.SubagentConfig(
        name="researcher", description="x", system_instructions="You research.", tools=[weather]
    )
    scripts = [
        (in_system("You research."), [call("weather", city="Oslo"), say("It is sunny.")]),
        ("go", [call("invoke_subagent", Subagents=[ASK_AROUND]), say("Wait. "), say("Done.")]),
    ]
    await told(runtime, scripts, hooks=[look], settings={"subagents": [researcher]})
    assert seen == ["invoke_subagent"]


@needs_sdk("0.1.18", "its harness denies a path outside the workspace before it asks")
async def test_builtin_tools_of_a_clone_are_asked_about(runtime):
    asked = []

    def decide(request):
        asked.append((request.tool, request.trajectory.is_root))
        return request.tool != "run_command"

    command = call("run_command", CommandLine="echo hi", Cwd="/tmp", WaitMsBeforeAsync=500)
    await told(runtime, clone_that(command, say("No.")), ask_user=decide)
    assert ("run_command", False) in asked


async def test_subagents_builtin_tools_that_no_policy_reaches_are_warned_of(runtime):
    researcher = types.SubagentConfig(
        name="researcher",
        description="x",
        system_instructions="x",
        capabilities=types.SubagentCapabilities(enabled_tools=[types.BuiltinTools.RUN_COMMAND]),
    )
    with pytest.warns(
        UserWarning, match="policies do not apply to run_command of subagent 'researcher'"
    ):
        await told(runtime, [say("ok")], settings={"subagents": [researcher]})


@needs_sdk("0.1.19", "its harness fails a trigger that comes before any prompt")
async def test_trigger_wakes_the_agent_and_its_turn_is_kept(runtime):
    fire = asyncio.Event()

    async def trigger(context):
        await fire.wait()
        await context.send("the build is red")

    async with ScriptedModel([say("on it")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[trigger])
        waiting = asyncio.create_task(agent.wait_for_wakeup(20))
        fire.set()
        assert await waiting is True
        await model.requested(1)
        assert "the build is red" in model.requests[0].user_text


@needs_sdk("0.1.22", "an MCP tool has no name of its own for the model")
async def test_mcp_server_is_called_and_told_of(runtime):
    server = types.McpStdioServer(
        name="shop",
        command=sys.executable,
        args=[str(Path(__file__).parents[1] / "mcp_server.py")],
        force_all_tools_eager=True,
    )
    response, model = await told(
        runtime,
        [call("mcp_shop_price", item="tea"), say("ok")],
        settings={"mcp_servers": [server], "policies": [policy.allow_all()]},
    )
    assert "tea costs 3 euros" in model.requests[1].tool_results[0].text
    assert [(each.name, each.source, each.server) for each in response.tool_calls] == [
        ("price", "mcp", "shop")
    ]


@needs_sdk("0.1.22", "an MCP tool has no name of its own for the model")
async def test_mcp_tool_asks_too(runtime):
    asked = []

    def decide(request):
        asked.append((request.server, request.tool, request.args))
        return False

    server = types.McpStdioServer(
        name="shop",
        command=sys.executable,
        args=[str(Path(__file__).parents[1] / "mcp_server.py")],
        force_all_tools_eager=True,
    )
    _, model = await told(
        runtime,
        [call("mcp_shop_price", item="tea"), say("ok")],
        settings={"mcp_servers": [server]},
        ask_user=decide,
    )
    assert asked == [("shop", "price", {"item": "tea"})]
    assert "the user said no" in model.requests[1].tool_results[0].text


async def test_mcp_server_that_does_not_start_fails_the_turn_and_is_named(runtime):
    server = types.McpStdioServer(name="shop", command="no such program")
    settings = {"mcp_servers": [server], "policies": [policy.allow_all()]}
    with pytest.raises(agy.BackendError, match=r"the MCP servers are running: .*shop"):
        await told(runtime, [say("never")], settings=settings)


@except_sdk("0.1.19", "its harness does not show the skills of a folder")
async def test_skills_in_a_folder_are_shown_to_the_model(runtime, tmp_path):
    skill = tmp_path / "juggling" / "SKILL.md"
    skill.parent.mkdir()
    skill.write_text("---\nname: juggling\ndescription: How to juggle.\n---\nThrow.")
    _, model = await told(runtime, [say("ok")], settings={"skills_paths": [str(tmp_path)]})
    assert "How to juggle." in json.dumps(model.requests[0].body)


@needs_sdk("0.1.22", "inline skills do not reach the harness")
async def test_skills_are_shown_to_the_model(runtime):
    skill = types.InlineSkill(name="juggling", description="How to juggle.", content="Throw.")
    _, model = await told(runtime, [say("ok")], settings={"inline_skills": [skill]})
    assert "How to juggle." in json.dumps(model.requests[0].body)


# --- prompts, answers, sessions ------------------------------------------------------------


async def test_picture_in_a_prompt_reaches_the_model(runtime):
    image = types.Image(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png")
    _, model = await told(runtime, [say("ok")], prompt=["What is this?", image])
    assert "What is this?" in model.requests[0].user_text
    assert "iVBORw0KGgo" in json.dumps(model.requests[0].body)


@pytest.mark.parametrize(
    ("kind", "mime_type", "data"),
    [
        (types.Document, "application/pdf", b"%PDF-1.4 and more"),
        (types.Audio, "audio/wav", b"RIFF----WAVE"),
        (types.Video, "video/mp4", b"\x00\x00\x00\x18ftypmp42"),
    ],
)
async def test_other_media_in_a_prompt_reach_the_model(runtime, kind, mime_type, data):
    prompt = ["What is this?", kind(data=data, mime_type=mime_type)]
    _, model = await told(runtime, [say("ok")], prompt=prompt)
    assert base64.b64encode(data).decode() in json.dumps(model.requests[0].body)


async def test_media_that_the_sdk_does_not_take_is_refused_by_name_and_the_next_turn_works(runtime):
    async with ScriptedModel([say("ok")]) as model:
        agent = await runtime.create_agent(model.config())
        note = MediaPart(kind="document", mime_type="text/x-odd", data=b"x", description="a.odd")
        with pytest.raises(
            agy.InvalidPromptError, match=r"no document of the type 'text/x-odd' \(a.odd\)"
        ):
            await agent.chat_text(["Read this.", note])
        assert await agent.chat_text("Hello") == "ok"


async def test_thoughts_and_text_stream_apart(runtime):
    response, _ = await told(runtime, [think(["h", "m"]) + say(["a", "b"])])
    assert "".join(response.thoughts) == "hm"
    assert response.partial_text == "ab"


async def test_answer_fits_the_schema(runtime):
    class Answer(pydantic.BaseModel):
        total: int

    script = [call("finish", total=7)]
    response, _ = await told(runtime, script, settings={"response_schema": Answer})
    assert await response.structured_output() == {"total": 7}


async def test_session_is_taken_up_again(runtime, tmp_path):
    kept = {"save_dir": str(tmp_path)}
    async with ScriptedModel([say("one"), say("two")]) as model:
        agent = await runtime.create_agent(model.config(**kept))
        await agent.chat_text("first")
        before, conversation_id = await agent.total_usage(), agent.conversation_id
        await agent.disconnect()
        again = await runtime.create_agent(model.config(conversation_id=conversation_id, **kept))
        assert await again.total_usage() == before
        assert [message.content for message in await again.history()] == ["first", "one"]
        response = await again.chat("second")
        await response
        usage = [event.usage for event in response.event_log if isinstance(event, Usage)]
        assert len(usage) == 1
        assert (await again.total_usage()).total_tokens == (
            before.total_tokens + usage[0].total_tokens
        )
        assert again.conversation_id == conversation_id


async def test_delete_removes_the_conversation_and_disconnect_keeps_it(runtime, tmp_path):
    for end, left in (("disconnect", True), ("delete", False)):
        folder = tmp_path / end
        async with ScriptedModel([say("one")]) as model:
            agent = await runtime.create_agent(model.config(save_dir=str(folder)))
            await agent.chat_text("first")
            name = agent.conversation_id
            await getattr(agent, end)()
        assert bool(list(folder.glob(f"{name}*"))) is left


async def test_delete_leaves_conversations_alone_whose_id_begins_with_its_own(runtime, tmp_path):
    settings = {"save_dir": str(tmp_path), "session_continuation_mode": "create_or_resume"}
    names = [f"0123456789abcdef0123456789abcdef-run-{number}" for number in (1, 10)]
    async with ScriptedModel(lambda _request: say("fine")) as model:
        for name in names:
            agent = await runtime.create_agent(model.config(conversation_id=name, **settings))
            await agent.chat_text("first")
            if name == names[1]:
                await agent.disconnect()
            else:
                first = agent
        await first.delete()
    assert {path.name.partition(".")[0] for path in tmp_path.glob("*.db*")} == {names[1]}


async def test_id_that_only_begins_like_a_known_one_is_not_resumed(runtime, tmp_path):
    name = "0123456789abcdef0123456789abcdef-run-10"
    async with ScriptedModel(lambda _request: say("fine")) as model:
        settings = {"save_dir": str(tmp_path), "session_continuation_mode": "create_or_resume"}
        agent = await runtime.create_agent(model.config(conversation_id=name, **settings))
        await agent.chat_text("first")
        await agent.disconnect()
        with pytest.raises(agy.errors.InvalidConfigError) as raised:
            await runtime.create_agent(
                model.config(conversation_id=name[:-1], save_dir=str(tmp_path))
            )
    assert raised.value.field == "conversation_id"


async def test_delete_of_an_agent_that_never_chatted_leaves_no_file(runtime, tmp_path):
    async with ScriptedModel([]) as model:
        agent = await runtime.create_agent(model.config(save_dir=str(tmp_path)))
        assert list(tmp_path.glob("*.db"))
        await agent.delete()
    assert not list(tmp_path.glob("*.db*"))


async def test_openai_form_works_too(runtime):
    async with ScriptedModel([say("hello")]) as model:
        agent = await runtime.create_agent(model.openai_config())
        assert await agent.chat_text("hi") == "hello"


@needs_sdk("0.1.22", "its harness meters no tokens for the OpenAI form")
async def test_openai_form_calls_tools_and_asks(runtime):
    asked = []

    def decide(tool, args):
        asked.append(tool)
        return True

    script = [think("hm") + call("weather", city="Oslo"), say("Sunny.")]
    async with ScriptedModel(script) as model:
        agent = await runtime.create_agent(model.openai_config(), tools=[weather], ask_user=decide)
        response = await agent.chat("hi")
        assert await response.text() == "Sunny."
        assert response.usage.total_tokens > 0
    assert asked == ["weather"]
    assert [request.api for request in model.requests] == ["openai", "openai"]


async def test_many_agents_chat_side_by_side(runtime):
    async with ScriptedModel(lambda request: say(f"to {request.user_text[:1]}")) as model:
        agents = [await runtime.create_agent(model.config()) for _ in range(4)]
        texts = await asyncio.gather(
            *(agent.chat_text(str(number)) for number, agent in enumerate(agents))
        )
    assert texts == ["to 0", "to 1", "to 2", "to 3"]


async def test_hook_that_raises_denies_its_tool_and_harms_nothing_else(runtime):
    @hooks.pre_tool_call_decide
    async def broken_hook(tool_call):
        raise RuntimeError("hook bug")

    async with ScriptedModel([call("weather", city="Oslo"), say("ok"), say("next")]) as model:
        agent = await runtime.create_agent(model.config(), tools=[weather], hooks=[broken_hook])
        response = await agent.chat("go")
        await response
        assert [result.denied for result in response.tool_results] == [True]
        assert await agent.chat_text("again") in {"ok", "next"}


async def test_hook_that_never_answers_is_a_timeout():
    @hooks.pre_turn
    async def never(prompt):
        await asyncio.Event().wait()

    limits = agy.RuntimeConfig(chat_pause=0, chat_timeout=0.5)
    async with agy.Runtime(limits) as runtime, ScriptedModel([say("x")]) as model:
        agent = await runtime.create_agent(model.config(), hooks=[never])
        with pytest.raises(agy.AgyTimeoutError) as raised:
            await agent.chat_text("go")
        assert (raised.value.operation, raised.value.duration) == ("chat", 0.5)
