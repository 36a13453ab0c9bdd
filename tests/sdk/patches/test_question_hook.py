"""`ask_user` on the real harness: who is asked, about what, and what comes of each answer."""

import asyncio

import pytest
from google.antigravity import types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.protocol.events import Approval, ApprovalState, Question, State, TurnState
from agy_nb.protocol.values import Answer
from agy_nb.testing import ScriptedModel, call, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


def weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def news(city: str) -> str:
    """News of a city."""
    return f"nothing new in {city}"


SCRIPT = [call("weather", city="Oslo"), say("ok")]
COLOUR = {"question": "Which colour?", "options": ["red", "blue"], "is_multi_select": False}
INTERACTIVE = types.CapabilitiesConfig(
    agent_behavior=types.AgentBehavior.INTERACTIVE,
    enabled_tools=[types.BuiltinTools.ASK_QUESTION],
)


def decisions(response):
    return [
        event.state
        for event in response.event_log
        if isinstance(event, Approval) and event.state is not ApprovalState.PENDING
    ]


async def test_reading_is_not_asked_about_and_all_else_is(told, tmp_path):
    asked = []

    def decide(tool, args):
        asked.append(tool)
        return True

    (tmp_path / "note").write_text("remember the milk", encoding="utf-8")
    script = [
        call("view_file", AbsolutePath=str(tmp_path / "note")),
        call("run_command", CommandLine="true", Cwd=str(tmp_path), WaitMsBeforeAsync=5000),
        call("weather", city="Oslo"),
        say("ok"),
    ]
    settings = {"workspaces": [str(tmp_path)]}
    _, model, _ = await told(script, settings=settings, tools=[weather], ask_user=decide)
    assert asked == ["run_command", "weather"]
    assert "remember the milk" in model.requests[1].tool_results[0].text


async def test_without_handler_and_policy_a_command_does_not_run(told, tmp_path):
    flag = tmp_path / "flag"
    command = call("run_command", CommandLine=f"touch {flag}", Cwd=str(tmp_path))
    response, model, _ = await told([command, say("ok")], settings={"workspaces": [str(tmp_path)]})
    assert not flag.exists()
    assert "denied" in model.requests[1].tool_results[0].text
    assert response.partial_text == "ok"


@pytest.mark.parametrize("answer", ["yes", None, 1])
async def test_answer_that_is_none_denies(told, answer):
    response, model, _ = await told(SCRIPT, tools=[weather], ask_user=lambda _request: answer)
    assert decisions(response) == [ApprovalState.FAILED]
    assert repr(answer) in model.requests[1].tool_results[0].text


async def test_handler_that_raises_denies_and_the_model_hears_why(told):
    def raises(request):
        raise KeyError("no idea")

    response, model, _ = await told(SCRIPT, tools=[weather], ask_user=raises)
    assert decisions(response) == [ApprovalState.FAILED]
    assert "no idea" in model.requests[1].tool_results[0].text
    assert response.partial_text == "ok"


async def test_handler_that_never_answers_is_a_denial_in_time(told):
    async def hangs(request):
        await asyncio.Event().wait()

    limits = agy.RuntimeConfig(chat_pause=0, approval_timeout=0.2)
    async with agy.Runtime(limits) as impatient:
        response, model, _ = await told(SCRIPT, on=impatient, tools=[weather], ask_user=hangs)
    assert decisions(response) == [ApprovalState.TIMED_OUT]
    assert "no answer within 0.2 s" in model.requests[1].tool_results[0].text
    assert response.partial_text == "ok"


async def test_waiting_for_the_user_takes_no_time_of_the_turn(told):
    async def slow(request):
        await asyncio.sleep(0.6)
        return True

    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0, chat_timeout=0.4)) as impatient:
        response, _, _ = await told(SCRIPT, on=impatient, tools=[weather], ask_user=slow)
    assert response.partial_text == "ok"
    states = [event.state for event in response.event_log if isinstance(event, State)]
    assert TurnState.WAITING_FOR_USER in states


async def test_two_calls_of_one_answer_are_asked_about_one_by_one(told):
    asked = []

    async def decide(request):
        asked.append(request.args["city"])
        await asyncio.sleep(0)
        return request.args["city"] != "Oslo"

    script = [call("weather", city="Oslo") + call("weather", city="Rome"), say("ok")]
    response, model, _ = await told(script, tools=[weather], ask_user=decide)
    assert asked == ["Oslo", "Rome"]
    assert decisions(response) == [ApprovalState.DENIED, ApprovalState.ALLOWED]
    denied, allowed = model.requests[1].tool_results
    assert "the user said no" in denied.text
    assert "sunny in Rome" in allowed.text


async def test_two_agents_are_asked_about_side_by_side(runtime):
    both = asyncio.Barrier(2)

    async def decide(request):
        await both.wait()  # neither is answered before the other is asked
        return request.args["city"] == "Oslo"

    scripts = {
        city: [call("weather", city=city), say(f"done with {city}")] for city in ("Oslo", "Rome")
    }
    async with ScriptedModel(scripts) as model:
        agents = [
            await runtime.create_agent(model.config(), tools=[weather], ask_user=decide)
            for _ in scripts
        ]
        responses = await asyncio.gather(
            *(agent.chat(city) for agent, city in zip(agents, scripts, strict=True))
        )
        for response in responses:
            await response.text()
    assert [decisions(response) for response in responses] == [
        [ApprovalState.ALLOWED],
        [ApprovalState.DENIED],
    ]


async def test_cancelled_turn_takes_the_question_back(runtime):
    asked, dropped = asyncio.Event(), asyncio.Event()

    async def decide(request):
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()

    async with ScriptedModel([call("weather", city="Oslo"), say("next")]) as model:
        agent = await runtime.create_agent(model.config(), tools=[weather], ask_user=decide)
        response = await agent.chat("go")
        await asked.wait()
        await response.cancel()
        await dropped.wait()
        assert await agent.chat_text("again") == "next"
    assert [result.denied for result in response.tool_results] == [True]


async def test_policies_given_are_asked_before_the_handler(told):
    asked = []

    def decide(tool, args):
        asked.append(tool)
        return True

    script = [call("weather", city="Oslo"), call("news", city="Oslo"), say("ok")]
    rules = [policy.allow("weather"), policy.ask_user("news")]
    response, _, _ = await told(script, tools=[weather, news], policies=rules, ask_user=decide)
    assert asked == ["news"]
    assert [each.name for each in response.tool_results] == ["weather", "news"]


async def test_handler_learns_what_is_asked(told):
    requests = []

    async def decide(request):
        requests.append(request)
        return True

    response, _, _ = await told(SCRIPT, tools=[weather], ask_user=decide)
    (request,) = requests
    assert (request.tool, request.args, request.server) == ("weather", {"city": "Oslo"}, None)
    assert request.trajectory.id == response.root.id


async def test_object_with_an_async_call_is_a_handler_too(told):
    class Friendly:
        async def __call__(self, request):
            return True

    response, _, _ = await told(SCRIPT, tools=[weather], ask_user=Friendly())
    assert decisions(response) == [ApprovalState.ALLOWED]


class Person:
    """Answers every question with blue, and takes note of what it is asked to allow."""

    def __init__(self, allows=True):
        self.asked = []
        self.allows = allows

    async def __call__(self, request):
        self.asked.append(request.tool)
        return self.allows

    async def answer(self, question_id, questions):
        return (Answer(selected=("2",)),) * len(questions)


async def test_question_to_the_user_needs_no_permission(told):
    person = Person(allows=False)
    script = [call("ask_question", questions=[COLOUR]), say("ok")]
    settings = {"capabilities": INTERACTIVE}
    response, model, _ = await told(script, settings=settings, ask_user=person)
    assert person.asked == []
    assert decisions(response) == []
    assert [each.type for each in response.event_log if isinstance(each, Question)] == [
        "question"
    ] * 2
    assert "blue" in model.requests[1].tool_results[0].text


async def test_rule_that_names_the_question_is_asked_about(told):
    person = Person(allows=False)
    script = [call("ask_question", questions=[COLOUR]), say("ok")]
    settings = {"capabilities": INTERACTIVE}
    rules = [policy.ask_user("ask_question")]
    response, _, _ = await told(script, settings=settings, policies=rules, ask_user=person)
    assert person.asked == ["ask_question"]
    assert decisions(response) == [ApprovalState.DENIED]


HALF = "not now \ud800"
"""Half a surrogate pair, which UTF-8 cannot hold."""


async def test_reason_that_utf_8_cannot_hold_denies_and_does_not_hang(runtime):
    def decide(_request):
        return agy.ApprovalDecision(allowed=False, reason=HALF)

    async with ScriptedModel(SCRIPT) as model:
        agent = await runtime.create_agent(model.config(), tools=[weather], ask_user=decide)
        assert await asyncio.wait_for(agent.chat_text("go"), 20) == "ok"
    assert "not now \ufffd" in model.requests[-1].tool_results[0].text


@pytest.mark.parametrize(("value", "runs_with"), [(float("inf"), "Infinity"), (HALF, "\ufffd")])
async def test_edited_argument_that_the_wire_cannot_hold_is_replaced(runtime, value, runs_with):
    class Edits:
        edits = True

        def __call__(self, request):
            return agy.ApprovalDecision(allowed=True, args={"city": value})

    async with ScriptedModel(SCRIPT) as model:
        agent = await runtime.create_agent(model.config(), tools=[weather], ask_user=Edits())
        response = await (await agent.chat("go"))
        assert response.error is None
        (result,) = response.tool_results
        assert runs_with in str(result.result)
