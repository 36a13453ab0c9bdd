"""`agy.expect` on live turns, replays, recordings and the SDK's own answers."""

from dataclasses import replace

import pytest
from google.antigravity import Agent
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.analysis.schema import TABLES
from agy_nb.assertions.expectations import DECISIONS
from agy_nb.errors import AgyError, ExpectationError, InvalidInputError
from agy_nb.testing import ScriptedModel, ScriptUsage, call, fail, say

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the price table is read at once


def get_weather(city: str) -> str:
    """Weather of a city."""
    if city == "Atlantis":
        raise LookupError("sunk")
    return f"sunny in {city}"


def delete_file(path: str) -> str:
    """Delete a file."""
    return f"deleted {path}"


def metered(turn, prompt, answer):
    return replace(turn, usage=ScriptUsage(prompt=prompt, candidates=answer))


SCRIPT = [
    metered(call("get_weather", city="Paris"), 100, 10),
    metered(call("get_weather", city="Rome"), 120, 10),
    metered(say("Both are sunny."), 140, 5),
]


async def ask(model, prompt="Paris or Rome?", *, name="gemini-2.5-flash", **options):
    config = model.config(model=name)
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
        options = {"tools": [get_weather, delete_file], **options}
        agent = await runtime.create_agent(config, **options)
        response = await agent.chat(prompt)
        return await response.wait()


@pytest.fixture(params=["live", "replayed", "recorded", "chunks"])
async def subject(request, tmp_path):
    """The same turn, from each source."""
    if request.param == "live":
        async with ScriptedModel(SCRIPT) as model:
            return await ask(model)
    async with ScriptedModel(SCRIPT) as model:
        if request.param == "chunks":
            config = model.config(tools=[get_weather], policies=[policy.allow_all()])
            async with Agent(config) as agent:
                response = await agent.chat("Paris or Rome?")
                return [chunk async for chunk in response.chunks]
        async with agy.use_cassette(tmp_path / "c", "once"):
            await ask(model)
        if request.param == "recorded":
            return agy.load(tmp_path / "c", text=True)
        async with agy.use_cassette(tmp_path / "c", "none"):
            return await ask(model)


async def test_every_source_says_the_same(subject):
    agy.expect(subject).called("get_weather", city="Paris").called("get_weather", times=2).says(
        "Both are sunny"
    ).not_called("delete_file").turns_below(2).calls(
        [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    ).calls(["get_weather"], order="in_order")
    with pytest.raises(
        ExpectationError, match=r"no call matches get_weather\(city='Oslo'\)"
    ) as failed:
        agy.expect(subject).called("get_weather", city="Oslo")
    assert str(failed.value).splitlines()[-4:] == [
        "> call      get_weather(city='Paris')",
        "            ^ city: expected 'Oslo', got 'Paris'",
        "  call      get_weather(city='Rome')",
        "  answer    'Both are sunny.'",
    ]


async def test_tokens_are_those_of_the_model_calls():
    async with ScriptedModel(SCRIPT) as model:
        response = await ask(model)
    agy.expect(response).tokens_below(386)
    with pytest.raises(ExpectationError, match="number of tokens is 385, expected below 385"):
        agy.expect(response).tokens_below(385)


async def test_cost_is_that_of_the_table(tmp_path):
    async with ScriptedModel(SCRIPT) as model, agy.use_cassette(tmp_path / "c", "once"):
        response = await ask(model)
    sessions = agy.load(tmp_path / "c")
    cost = float(sessions.usage("turn")["cost_usd"].sum())
    assert cost == pytest.approx(360 * 0.3e-6 + 25 * 2.5e-6)
    for subject in (response, [response], sessions):
        agy.expect(subject).cost_below(cost * 1.001)
        with pytest.raises(ExpectationError, match=r"the cost is \$0\.0001705, expected below"):
            agy.expect(subject).cost_below(cost)


async def test_cost_that_is_not_known_is_not_below_anything():
    async with ScriptedModel(SCRIPT) as model:
        response = await ask(model, name="a-model-of-mine")
    with pytest.raises(ExpectationError, match="the cost is not known: a model call has no price"):
        agy.expect(response).cost_below(1e9)


async def test_tokens_that_a_call_did_not_report_are_not_below_anything():
    script = [metered(call("get_weather", city="Rome"), 5, 5), say("Sunny.", metering="never")]
    async with ScriptedModel(script) as model:
        response = await ask(model)
    with pytest.raises(ExpectationError, match="at least 10, expected below 1,000,000: a model"):
        agy.expect(response).tokens_below(1_000_000)


async def test_approvals(tmp_path):
    script = [call("delete_file", path="a"), call("get_weather", city="Rome"), say("No.")]
    async with ScriptedModel(script) as model, agy.use_cassette(tmp_path / "c", "once"):
        live = await ask(
            model,
            policies=[policy.ask_user("delete_file"), policy.allow_all()],
            ask_user=lambda _: False,
        )
    for subject in (live, agy.load(tmp_path / "c")):
        agy.expect(subject).asked_approval("delete_file", path="a").asked_approval(
            "delete_file", decision="deny"
        )
        with pytest.raises(ExpectationError, match="expected 'allow', got 'deny'"):
            agy.expect(subject).asked_approval("delete_file", decision="allow")
        with pytest.raises(ExpectationError, match="a call of get_weather needed no approval"):
            agy.expect(subject).asked_approval("get_weather")


async def test_error_of_a_tool_is_printed():
    async with ScriptedModel([call("get_weather", city="Atlantis"), say("Gone.")]) as model:
        response = await ask(model)
    with pytest.raises(ExpectationError, match=r"call      get_weather.*\[error; .*sunk"):
        agy.expect(response).says("here")


async def test_one_turn_of_a_recording(tmp_path):
    script = [call("get_weather", city="Paris"), say("One."), say("Two.")]
    async with (
        ScriptedModel(script) as model,
        agy.use_cassette(tmp_path / "c", "once"),
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
    ):
        agent = await runtime.create_agent(model.config(), tools=[get_weather])
        responses = [await agent.chat("first"), await agent.chat("second")]
        for response in responses:
            await response.wait()
    agy.expect(responses).says(r"One\.\n\nTwo\.").turns_below(3)
    sessions = agy.load(tmp_path / "c", text=True)
    agy.expect(sessions, turn=1).called("get_weather").says("One").turns_below(2)
    agy.expect(sessions, turn=2).not_called().says("^Two")
    with pytest.raises(InvalidInputError, match="turn 3 does not exist; the turns are 1, 2"):
        agy.expect(sessions, turn=3)


async def test_texts_that_were_not_loaded_are_asked_for():
    sessions = agy.load("cassettes/plain_chat")
    with pytest.raises(ExpectationError, match="load the sessions with text=True"):
        agy.expect(sessions).says("Hello")


async def test_secret_is_not_printed(monkeypatch):
    monkeypatch.setenv("WEATHER_API_KEY", "zq81-vm20-ff17-ab55")
    async with ScriptedModel([say("It is zq81-vm20-ff17-ab55.")]) as model:
        response = await ask(model, "hi")
    with pytest.raises(ExpectationError) as failed:
        agy.expect(response).says("rain")
    assert "zq81" not in str(failed.value)


async def test_long_trajectory_is_cut_around_the_difference():
    script = [call("get_weather", city=f"c{number}") for number in range(100)] + [say("Done.")]
    async with ScriptedModel(script) as model:
        response = await ask(model)
    with pytest.raises(ExpectationError) as failed:
        agy.expect(response).not_called("get_weather", city="c70")
    lines = str(failed.value).splitlines()
    assert len(lines) < 70
    assert lines[1] == "  (41 steps before)"
    assert "> call      get_weather(city='c70')" in lines


async def test_failed_turn_can_be_looked_at():
    async with ScriptedModel([fail(400, "bad")]) as model:
        response = await ask_failed(model)
    agy.expect(response).not_called()
    with pytest.raises(ExpectationError, match="the answer does not match"):
        agy.expect(response).says("x")


async def ask_failed(model):
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("hi")
        await response.wait()
        assert isinstance(response.error, AgyError)
        return response


async def test_running_turn_is_refused():
    async with ScriptedModel([say("Hi.")]) as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config())
        response = await agent.chat("hi")
        with pytest.raises(InvalidInputError, match=r"still runs; wait .* `await response\.wait"):
            agy.expect(response)
        await response.wait()


async def test_answer_of_the_sdk_is_refused_with_what_to_pass():
    async with ScriptedModel([say("Hi.")]) as model, Agent(model.config()) as agent:
        response = await agent.chat("hi")
        with pytest.raises(InvalidInputError, match=r"pass `\[chunk async for chunk in response"):
            agy.expect(response)
        chunks = [chunk async for chunk in response.chunks]
    expected = agy.expect(chunks)
    for check in (
        lambda: expected.tokens_below(9),
        lambda: expected.cost_below(9),
        lambda: expected.asked_approval("x"),
    ):
        with pytest.raises(ExpectationError, match="not known"):
            check()


@pytest.mark.parametrize("subject", [None, "cassettes/plain_chat", [], {}, [1], object()])
async def test_other_subjects_are_refused(subject):
    with pytest.raises(InvalidInputError, match="expect\\(\\) takes a response"):
        agy.expect(subject)


async def test_limits_and_patterns_that_make_no_sense_are_refused():
    expected = agy.expect(agy.load("cassettes/plain_chat", text=True))
    for check in (
        lambda: expected.tokens_below(float("nan")),
        lambda: expected.turns_below("3"),
        lambda: expected.cost_below(True),
        lambda: expected.says("("),
        lambda: expected.says(3),
        lambda: expected.says(None),
        lambda: expected.says(b"Hello"),
        lambda: expected.calls("get_weather"),
        lambda: expected.calls({"get_weather": {}}),
        lambda: expected.calls(None),
    ):
        with pytest.raises(InvalidInputError):
            check()


@pytest.mark.parametrize("check", ["called", "not_called", "asked_approval"])
def test_argument_without_its_name_is_refused(check):
    expected = agy.expect(agy.load("cassettes/approval_granted"))
    with pytest.raises(InvalidInputError, match=r"args must be a mapping .* got 'Oslo'; .* names"):
        getattr(expected, check)("get_weather", "Oslo")
    with pytest.raises(InvalidInputError, match="the name of a tool must be a text, got 5"):
        getattr(expected, check)(5)


@pytest.mark.parametrize("times", ["2", -1, 1.0, True])
def test_number_of_calls_that_makes_no_sense_is_refused(times):
    expected = agy.expect(agy.load("cassettes/approval_granted"))
    with pytest.raises(
        InvalidInputError, match=f"times must be a whole number >= 0, got {times!r}"
    ):
        expected.called("get_weather", times=times)


def test_decision_that_does_not_exist_is_refused_and_all_others_are_known():
    expected = agy.expect(agy.load("cassettes/approval_granted"))
    with pytest.raises(InvalidInputError, match=r"one of 'pending', .* got 'maybe'"):
        expected.asked_approval("get_weather", decision="maybe")
    assert set(DECISIONS) == set(TABLES["approvals"].column("decision").words)


def test_turn_may_be_a_number_of_a_table():
    sessions = agy.load("cassettes/plain_chat", text=True)
    agy.expect(sessions, turn=sessions.turns["turn_id"].iloc[0]).says("")
    for turn in ("1", 1.0, True):
        with pytest.raises(InvalidInputError, match="turn must be a whole number"):
            agy.expect(sessions, turn=turn)
