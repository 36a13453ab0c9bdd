"""The real SDK and its real harness, with nothing but the model stood in for.

These pin what was measured of the harness: what it asks the model, and how it takes each answer.
"""

from __future__ import annotations

import asyncio
import contextlib

import pydantic
import pytest
from google.antigravity import Agent, types
from google.antigravity.hooks import hooks, policy

from agy_nb.testing import (
    EchoModel,
    ScriptedModel,
    ScriptUsage,
    call,
    drop,
    fail,
    garbage,
    hang,
    image,
    in_system,
    say,
    think,
)

pytestmark = [
    pytest.mark.real,
    # The SDK itself blocks the loop while it starts and stops the harness.
    pytest.mark.blocking_allowed,
]

QUICK = types.RetryConfig(
    # A sleep of 0 means the default of four seconds to the harness.
    api_retry=types.ModelAPIRetryConfig(
        max_retries=2, initial_sleep_duration_ms=1, exponential_multiplier=1.0, jitter_range=0.0
    ),
    model_output_retry=types.ModelOutputRetryConfig(max_retries=1),
)


@contextlib.asynccontextmanager
async def started(config):
    """An agent whose pipes are closed in the end: the SDK leaves them to the garbage collector."""
    process = None
    try:
        async with Agent(config) as agent:
            process = agent.conversation.connection._process
            yield agent
    finally:
        if process is not None:
            for pipe in (process.stdout, process.stderr):
                pipe.close()


def get_weather(city: str) -> str:
    """Tell the weather of a city.

    Args:
        city: The city.
    """
    return f"sunny in {city}"


@pytest.fixture
def settings(tmp_path):
    return {
        "workspaces": [str(tmp_path)],
        "save_dir": str(tmp_path / "save"),
        "app_data_dir": str(tmp_path / "app"),
        "retry_config": QUICK,
    }


async def steps_of(agent, prompt):
    """All steps of a turn, and what it raised."""
    steps = []
    try:
        await agent.conversation.send(prompt)
        async for step in agent.conversation.receive_steps():
            steps.append(step)  # noqa: PERF401 - what came before an error counts
    except (types.AntigravityConnectionError, types.AntigravityExecutionError) as error:
        return steps, error
    return steps, None


async def cancel_after(text, agent):
    async for step in agent.conversation.receive_steps():
        if step.content_delta == text:
            await agent.conversation.connection.cancel()


async def test_text_thoughts_and_usage_arrive(settings):
    usage = ScriptUsage(prompt=100, cached=40, candidates=7, thoughts=3)
    async with (
        ScriptedModel([think("hm") + say(["Hel", "lo"], usage=usage)]) as model,
        started(model.config(**settings)) as agent,
    ):
        response = await agent.chat("Say hello")
        assert await response.text() == "Hello"
        assert response.usage_metadata.total_token_count == 110
        assert response.usage_metadata.cached_content_token_count == 40
    assert model.requests[0].user_text == "Say hello"


async def test_two_tools_in_one_answer_are_both_called(settings):
    script = [call("get_weather", city="Paris") + call("get_weather", city="Rome"), say("Both.")]
    async with (
        ScriptedModel(script, strict=True) as model,
        started(model.config(tools=[get_weather], **settings)) as agent,
    ):
        assert await (await agent.chat("Weather?")).text() == "Both."
    results = model.requests[1].tool_results
    assert [result.value for result in results] == ["sunny in Paris", "sunny in Rome"]


async def test_a_tool_that_raises_tells_the_model(settings):
    def broken() -> str:
        """Fail."""
        raise ValueError("no luck")

    async with (
        ScriptedModel([call("broken"), say("A pity.")]) as model,
        started(model.config(tools=[broken], **settings)) as agent,
    ):
        await (await agent.chat("Try")).text()
    assert "no luck" in model.requests[1].tool_results[0].text


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_command_waits_for_its_approval(settings, allowed):
    asked = []

    async def ask(tool_call):
        asked.append(tool_call.args["CommandLine"])
        return allowed

    cwd = settings["workspaces"][0]
    script = [
        call("run_command", CommandLine="echo agy", Cwd=cwd, WaitMsBeforeAsync=5000),
        say("ok"),
    ]
    policies = [policy.ask_user("run_command", handler=ask)]
    async with (
        ScriptedModel(script) as model,
        started(model.config(policies=policies, **settings)) as agent,
    ):
        await (await agent.chat("Run it")).text()
    assert asked == ["echo agy"]
    assert ("exited with code 0" in model.requests[1].tool_results[0].text) is allowed


async def test_a_subagent_has_its_own_conversation_and_script(settings):
    task = {"TypeName": "researcher", "Role": "Researcher", "Prompt": "look into cats"}
    scripts = [
        (in_system("You research."), [say("Cats are nice.")]),
        ("Ask around", [call("invoke_subagent", Subagents=[task]), say("Wait."), say("Done.")]),
    ]
    researcher = types.SubagentConfig(
        name="researcher", description="Looks things up.", system_instructions="You research."
    )
    async with (
        ScriptedModel(scripts, strict=True) as model,
        started(model.config(subagents=[researcher], **settings)) as agent,
    ):
        assert "Done." in await (await agent.chat("Ask around")).text()
    by_key = {request.conversation_key: request.first_user_text for request in model.requests}
    assert sorted(by_key.values()) == ["Ask around", "look into cats"]


async def test_a_question_to_the_user_is_answered(settings):
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
    config = {"hooks": [Answering()], "capabilities": capabilities, **settings}
    async with (
        ScriptedModel([call("ask_question", questions=[question]), say("Blue.")]) as model,
        started(model.config(**config)) as agent,
    ):
        await (await agent.chat("Pick")).text()
    assert "blue" in model.requests[1].tool_results[0].text


async def test_a_response_schema_is_filled_by_finish(settings):
    class Answer(pydantic.BaseModel):
        city: str
        degrees: int

    async with (
        ScriptedModel([call("finish", city="Paris", degrees=21)]) as model,
        started(model.config(response_schema=Answer, **settings)) as agent,
    ):
        response = await agent.chat("Weather?")
        assert await response.structured_output() == {"city": "Paris", "degrees": 21}
    assert len(model.requests) == 1


async def test_an_image_is_made_by_the_non_streaming_call(settings):
    def draw(request):
        if not request.streaming:
            return image(b"\x89PNG\r\n\x1a\n")
        if not request.tool_results:
            return call("generate_image", Prompt="a dot", ImageName="dot")
        return say("There.")

    config = {"policies": [policy.allow_all()], **settings}
    async with ScriptedModel(draw) as model, started(model.config(**config)) as agent:
        assert await (await agent.chat("Draw a dot")).text() == "There."
    assert [request.streaming for request in model.requests] == [True, False, True]


@pytest.mark.parametrize(
    ("turn", "calls", "http_code"),
    [
        (fail(400), 1, 400),
        (fail(401), 1, 401),
        (fail(403), 1, 403),
        (fail(404), 1, 404),
        (fail(429), 3, 429),
        (fail(429, retry_after=60), 3, 429),  # the harness takes no notice of Retry-After
        (fail(500), 1, 500),
        (fail(503), 3, 503),
        (drop(), 3, 2),
        (drop("so far"), 3, 2),
        (garbage(), 1, 2),
        (say("so far", finish_reason="SAFETY"), 2, 0),
        (say("so far", finish_reason="MAX_TOKENS"), 2, 0),
    ],
    ids=lambda value: str(value)[:60] if not isinstance(value, int) else None,
)
async def test_the_harness_takes_errors_as_measured(settings, turn, calls, http_code):
    async with ScriptedModel(turn) as model, started(model.config(**settings)) as agent:
        steps, error = await steps_of(agent, "Hello")
    assert len(model.requests) == calls
    assert isinstance(error, (types.AntigravityConnectionError, types.AntigravityExecutionError))
    failed = [step for step in steps if step.source == types.StepSource.SYSTEM]
    assert {step.http_code for step in failed} == {http_code}


async def test_an_error_that_passes_ends_well(settings):
    async with (
        ScriptedModel([fail(503), say("Sorry, here I am.")], strict=True) as model,
        started(model.config(**settings)) as agent,
    ):
        assert "here I am" in await (await agent.chat("Hello")).text()


async def test_a_hanging_answer_can_be_cancelled(settings):
    async with (
        ScriptedModel([hang("so far"), say("next")]) as model,
        started(model.config(**settings)) as agent,
    ):
        await agent.conversation.send("Hello")
        with pytest.raises(types.AntigravityCancelledError):
            await cancel_after("so far", agent)
        assert await (await agent.chat("Again")).text() == "next"


async def test_the_harness_learns_that_the_script_is_over(settings):
    model = await ScriptedModel([]).start()
    async with started(model.config(**settings)) as agent:
        _, error = await steps_of(agent, "Hello")
    await model.stop()
    assert "has no turn" in str(error)
    assert len(model.errors) == 1


async def test_the_openai_form_works_too(settings):
    script = [think("hm") + call("get_weather", city="Paris"), say("Sunny.")]
    async with (
        ScriptedModel(script, strict=True) as model,
        started(model.openai_config(tools=[get_weather], **settings)) as agent,
    ):
        response = await agent.chat("Weather?")
        assert await response.text() == "Sunny."
        assert response.usage_metadata.total_token_count > 0
    assert [request.api for request in model.requests] == ["openai", "openai"]
    assert model.requests[1].tool_results[0].value == "sunny in Paris"


async def test_two_agents_share_one_model(settings, tmp_path):
    scripts = {"cats": [say("Meow."), say("Purr.")], "dogs": [say("Woof.")]}

    async def talk(model, topic, *prompts):
        mine = {**settings, "save_dir": str(tmp_path / topic)}
        async with started(model.config(**mine)) as agent:
            return [await (await agent.chat(prompt)).text() for prompt in prompts]

    async with ScriptedModel(scripts, strict=True) as model:
        cats, dogs = await asyncio.gather(
            talk(model, "cats", "on cats", "more"), talk(model, "dogs", "on dogs")
        )
    assert (cats, dogs) == (["Meow.", "Purr."], ["Woof."])


async def test_the_echo_model_talks_and_calls_tools(settings):
    async with (
        EchoModel(word_delay_s=0) as model,
        started(model.config(tools=[get_weather], **settings)) as agent,
    ):
        assert (await (await agent.chat("Hello there")).text()).startswith("You said: Hello there")
        response = await agent.chat("Use get_weather for Paris")
        assert await response.text() == "get_weather says: sunny in Paris"
        assert response.usage_metadata.candidates_token_count > 0
