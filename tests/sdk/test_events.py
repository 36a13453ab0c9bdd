"""What a response tells of a real turn, and in which order."""

import asyncio

import pytest
from google.antigravity import types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.protocol.events import (
    State,
    Step,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    TurnState,
    Usage,
)
from agy_nb.protocol.values import TokenUsage
from agy_nb.testing import ScriptedModel, ScriptUsage as Tokens, call, hang, in_system, say, think
from tests.sdk.needs import needs_sdk

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


def weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def kinds(response, *wanted):
    return [type(event).__name__ for event in response.event_log if isinstance(event, wanted)]


async def test_turn_is_told_in_order(told):
    script = [think("hm") + call("weather", city="Oslo"), say("Sunny.")]
    response, model, _ = await told(script, tools=[weather], policies=[policy.allow_all()])
    assert kinds(response, Text, Thought, ToolCall, ToolResult) == [
        "Thought",
        "ToolCall",
        "ToolResult",
        "Text",
    ]
    assert len(kinds(response, Usage)) == len(model.requests)
    states = [event.state for event in response.event_log if isinstance(event, State)]
    assert (states[0], states[-1]) == (TurnState.RUNNING, TurnState.DONE)


async def test_every_step_is_told_of_and_ends(told):
    response, _, _ = await told([call("weather", city="Oslo"), say("ok")], tools=[weather])
    last = {step.step_index: step.status for step in response.event_log if isinstance(step, Step)}
    assert set(last.values()) == {"done"}
    assert {"text", "tool_call"} & {step.kind for step in response.steps}


async def test_call_and_result_share_their_id(told):
    script = [call("weather", city="Oslo") + call("weather", city="Rome"), say("ok")]
    response, _, _ = await told(script, tools=[weather], policies=[policy.allow_all()])
    calls = {each.call_id: each.args["city"] for each in response.tool_calls}
    results = {each.call_id: each.result for each in response.tool_results}
    assert {calls[key]: results[key] for key in calls} == {
        "Oslo": "sunny in Oslo",
        "Rome": "sunny in Rome",
    }


async def test_text_streams_before_the_turn_is_over(runtime):
    async with ScriptedModel([hang(say(["first ", "second "]))]) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("go")
        said = ""
        async for piece in response.text_stream():
            said += piece
            if said == "first second ":
                break
        assert not response.done
        await response.cancel()


async def test_view_that_nobody_reads_holds_nothing_up(runtime):
    async with ScriptedModel([say([f"{number} " for number in range(1000)])]) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("go")
        unread = aiter(response)
        await anext(unread)
        assert await response.text() == "".join(f"{number} " for number in range(1000))
        assert "".join([piece async for piece in response.text_stream()]) == response.partial_text


@needs_sdk("0.1.21", "its harness does not count cached tokens in input_tokens")
async def test_usage_is_what_the_model_metered(told):
    tokens = Tokens(prompt=100, cached=40, candidates=7, thoughts=3)
    response, _, _ = await told([think("hm") + say("ok", usage=tokens)])
    assert response.usage == TokenUsage(
        input_tokens=100,
        cache_read_tokens=40,
        output_tokens=10,
        reasoning_tokens=3,
        total_tokens=110,
    )


async def test_usage_of_turns_adds_up_to_the_sessions(runtime):
    async with ScriptedModel([say("one"), say("two"), say("three")]) as model:
        agent = await runtime.create_agent(model.config())
        total = TokenUsage()
        for _ in range(3):
            response = await (await agent.chat("go"))
            assert response.usage == await agent.last_turn_usage()
            total += response.usage
        assert total == await agent.total_usage()


async def test_usage_goes_on_after_a_resume_and_after_an_error(runtime, tmp_path):
    kept = {"save_dir": str(tmp_path)}
    async with ScriptedModel(lambda _request: say("ok", usage=Tokens(prompt=9))) as model:
        agent = await runtime.create_agent(model.config(**kept))
        first = await (await agent.chat("go"))
        name = agent.conversation_id
        await agent.disconnect()
        again = await runtime.create_agent(model.config(conversation_id=name, **kept))
        second = await (await again.chat("go"))
        assert first.usage + second.usage == await again.total_usage()


def ask(name):
    return {"TypeName": name, "Role": name, "Prompt": f"you are {name}"}


async def test_text_and_usage_of_two_subagents_are_told_apart(told):
    both = call("invoke_subagent", Subagents=[ask("counter"), ask("speller")])
    scripts = [
        (in_system("You count."), [say(["1 ", "2 "], usage=Tokens(prompt=11, candidates=1))]),
        (in_system("You spell."), [say(["x ", "y "], usage=Tokens(prompt=22, candidates=2))]),
        (
            "go",
            [both, say("Wait. "), say("Done. "), say("Done. ")],
        ),
    ]
    subagents = [
        types.SubagentConfig(name="counter", description="x", system_instructions="You count."),
        types.SubagentConfig(name="speller", description="x", system_instructions="You spell."),
    ]
    settings = {"subagents": subagents, "policies": [policy.allow_all()]}
    response, _, _ = await told(scripts, settings=settings)
    root, *children = response.trajectories
    assert {child.parent_id for child in children} == {root.id}
    said = {"".join(response.text_stream(child.id)) for child in children}
    assert said == {"1 2 ", "x y "}
    assert not set("12xy") & set(response.partial_text)
    spent = {
        event.trajectory.id: event.usage.total_tokens
        for event in response.event_log
        if isinstance(event, Usage)
    }
    assert sorted(spent[child.id] for child in children) == [12, 24]
    assert response.usage.total_tokens == sum(
        event.usage.total_tokens for event in response.event_log if isinstance(event, Usage)
    )


async def test_many_readers_see_the_same(runtime):
    async with ScriptedModel([say(["a", "b", "c"])]) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("go")

        async def read():
            return [piece async for piece in response.text_stream()]

        first, *others = await asyncio.gather(*(read() for _ in range(5)))
        assert "".join(first) == "abc"  # the harness may put pieces together
        assert others == [first] * 4


async def test_cancelled_turn_keeps_what_had_come(runtime):
    async with ScriptedModel([hang("partial"), say("next")]) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("go")
        await anext(aiter(response.text_stream()))
        await response.cancel()
        with pytest.raises(agy.TurnCancelledError) as raised:
            await response.text()
        assert raised.value.partial_text == response.partial_text == "partial"
        assert response.state is TurnState.CANCELLED
        assert await agent.chat_text("again") == "next"
