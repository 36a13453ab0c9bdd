"""Agents of our runtime in a cassette: the same answers and usage, and clear errors."""

import dataclasses
import json

import pytest
from google.antigravity import types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.cassette import CassetteMismatchError, use_cassette
from agy_nb.protocol.events import Approval, Question
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, QUESTION, Answering, Setting
from tests.support.logs import logged

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks for its binary on the loop
]


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


async def talk(at, *prompts):
    shown = []
    async with agy.Runtime() as runtime:
        agent = await runtime.create_agent(
            at.config(tools=[get_weather], allow=False), ask_user=lambda request: True
        )
        for prompt in prompts:
            response = await agent.chat(prompt)
            shown.append((await response.text(), response.usage))
    return shown


@pytest.fixture
async def recorded(tmp_path):
    script = [call("get_weather", city="Rome"), say("Sunny."), say("Bye.")]
    async with ScriptedModel(script) as model, use_cassette(tmp_path / "c"):
        return await talk(Setting(model.base_url, tmp_path / "then"), "Weather?", "Thanks")


@pytest.fixture
def at(tmp_path):
    return Setting(NO_MODEL, tmp_path / "now")


async def test_runtime_replays_what_it_recorded(recorded, tmp_path, at):
    async with use_cassette(tmp_path / "c", "none"):
        assert await talk(at, "Weather?", "Thanks") == recorded


async def test_divergence_comes_out_as_a_mismatch(recorded, tmp_path, at):
    with pytest.raises(CassetteMismatchError, match="the prompt differs from the recording"):
        async with use_cassette(tmp_path / "c", "none"):
            await talk(at, "Weather?", "No thanks")


async def test_divergence_of_a_tool_is_told_to_whoever_chats(recorded, tmp_path, at, caplog):
    told = []

    async def chat_twice():
        async with use_cassette(tmp_path / "c", "none"), agy.Runtime() as runtime:
            config = at.config(tools=[other_weather], allow=False)
            agent = await runtime.create_agent(config, ask_user=lambda request: True)
            for prompt in ("Weather?", "Thanks"):
                with pytest.raises(CassetteMismatchError) as found:
                    await agent.chat_text(prompt)
                told.append(found.value)

    with pytest.raises(CassetteMismatchError) as found:
        await chat_twice()
    assert str(found.value) == str(told[0])  # what came of it says less
    assert found.value.differs_at == "toolResponse.responseJson.result"
    assert found.value.__cause__ is None
    assert not logged(caplog)


async def test_other_configuration_is_told_to_whoever_starts_the_agent(recorded, tmp_path, at):
    async def start():
        async with use_cassette(tmp_path / "c", "none"), agy.Runtime() as runtime:
            config = at.config(system_instructions="Be brief.")
            with pytest.raises(
                CassetteMismatchError, match="configuration differs from the recording"
            ) as found:
                await runtime.create_agent(config)
        return found.value

    with pytest.raises(CassetteMismatchError) as found:
        await start()
    assert found.value.__cause__ is None


def other_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}"


other_weather.__name__ = "get_weather"


# -- what a person said ----------------------------------------------------------------------------


def shown(event):
    """An event without what differs from run to run."""
    fields = dataclasses.asdict(event)
    for name in ("at", "wait", "approval_id", "decided_by"):
        fields.pop(name, None)
    return type(event).__name__, json.dumps(fields, sort_keys=True, default=str)


def same_events(replayed, recorded):
    """Whether two turns had the same events.

    Live, a burst of frames may be read before the tool is started that the first of them asks for,
    or not; so the order of what the two tell is chance, and only replays agree in it.
    """
    return sorted(map(shown, replayed)) == sorted(map(shown, recorded))


class Person:
    """Says the same to every request, and remembers what they were asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def __call__(self, request):
        self.asked.append(request.tool)
        return self.answer


async def events_of(config, prompt, **options):
    """All events of one turn, and the agent's last words."""
    async with agy.Runtime() as runtime:
        agent = await runtime.create_agent(config, **options)
        response = await agent.chat(prompt)
        events = [event async for event in response.events()]
        return events, await response.text()


DENIED = agy.ApprovalDecision(allowed=False, reason="not on a Friday")


@pytest.mark.parametrize("answer", [True, DENIED], ids=["granted", "refused"])
async def test_persons_decision_comes_from_the_cassette_with_its_events(tmp_path, answer):
    person, nobody = Person(answer), Person(False)
    async with ScriptedModel([call("get_weather", city="Rome"), say("So.")]) as model:
        then = Setting(model.base_url, tmp_path / "then")
        async with use_cassette(tmp_path / "c"):
            recorded, _ = await events_of(
                then.config(tools=[get_weather], allow=False), "Weather?", ask_user=person
            )
    replays = []
    for place in ("now", "again"):
        config = Setting(NO_MODEL, tmp_path / place).config(tools=[get_weather], allow=False)
        async with use_cassette(tmp_path / "c", "none"):
            replayed, _ = await events_of(config, "Weather?", ask_user=nobody)
        replays.append(list(map(shown, replayed)))
    assert replays[0] == replays[1]
    assert person.asked == ["get_weather"]
    assert nobody.asked == []
    assert same_events(replayed, recorded)
    decided = [event for event in replayed if isinstance(event, Approval)]
    assert [event.state.value for event in decided] == [
        "pending", "allowed" if answer is True else "denied",
    ]  # fmt: skip
    assert decided[-1].decided_by == "cassette"
    assert decided[-1].reason == ("" if answer is True else "not on a Friday")


async def test_person_is_asked_again_on_request(recorded, tmp_path, at):
    person = Person(True)
    config = at.config(tools=[get_weather], allow=False)
    async with use_cassette(tmp_path / "c", "none", approvals="ask", allow_unplayed=True):
        events, text = await events_of(config, "Weather?", ask_user=person)
    assert person.asked == ["get_weather"]
    assert text == "Sunny."
    assert [e.decided_by for e in events if isinstance(e, Approval)][-1] == "user"


async def test_handler_of_the_users_own_policy_is_not_asked(tmp_path, at):
    asked = []

    async def handler(tool_call):
        asked.append(tool_call.name)
        return True

    def config(setting):
        rules = [policy.ask_user("get_weather", handler=handler)]
        return setting.config(tools=[get_weather], policies=rules)

    async with ScriptedModel([call("get_weather", city="Rome"), say("So.")]) as model:
        then = Setting(model.base_url, tmp_path / "then")
        async with use_cassette(tmp_path / "c"):
            recorded, _ = await events_of(config(then), "Weather?")
    async with use_cassette(tmp_path / "c", "none"):
        replayed, _ = await events_of(config(at), "Weather?")
    assert asked == ["get_weather"]
    assert same_events(replayed, recorded)


async def test_answers_to_questions_come_from_the_cassette_with_their_events(tmp_path, at):
    asked = []

    class Asked(Answering):
        async def run(self, context, data):
            asked.append(data)
            return await super().run(context, data)

    def config(setting):
        capabilities = types.CapabilitiesConfig(
            agent_behavior=types.AgentBehavior.INTERACTIVE,
            enabled_tools=[types.BuiltinTools.ASK_QUESTION],
        )
        return setting.config(hooks=[Asked()], capabilities=capabilities)

    script = [call("ask_question", questions=[QUESTION]), say("Blue it is.")]
    async with ScriptedModel(script) as model:
        then = Setting(model.base_url, tmp_path / "then")
        async with use_cassette(tmp_path / "c"):
            recorded, _ = await events_of(config(then), "Pick")
    for questions, times in (("replay", 1), ("ask", 2)):
        async with use_cassette(tmp_path / "c", "none", questions=questions):
            replayed, _ = await events_of(config(at), "Pick")
        assert len(asked) == times
        assert same_events(replayed, recorded)
    assert [event.answers is None for event in replayed if isinstance(event, Question)] == [
        True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("answer", [True, DENIED], ids=["granted", "refused"])
async def test_decision_on_a_subagents_call_comes_from_the_cassette(tmp_path, answer, at):
    def config(setting):
        researcher = types.SubagentConfig(
            name="researcher", description="Looks things up.",
            system_instructions="You research.", tools=[get_weather],
        )  # fmt: skip
        rules = [policy.ask_user("get_weather"), policy.allow_all()]
        return setting.config(subagents=[researcher], tools=[get_weather], policies=rules)

    task = {"TypeName": "researcher", "Role": "Researcher", "Prompt": "look into cats"}
    script = [
        ("cats", [call("get_weather", city="Bern"), say("They purr.")]),
        ("Ask", [call("invoke_subagent", Subagents=[task]), say("Wait."), say("Done.")]),
    ]
    person, nobody = Person(answer), Person(not answer)
    async with ScriptedModel(script) as model:
        then = Setting(model.base_url, tmp_path / "then")
        async with use_cassette(tmp_path / "c"):
            recorded, _ = await events_of(config(then), "Ask around", ask_user=person)
    async with use_cassette(tmp_path / "c", "none"):
        replayed, _ = await events_of(config(at), "Ask around", ask_user=nobody)
    assert (person.asked, nobody.asked) == (["get_weather"], [])
    assert [shown(e) for e in replayed if isinstance(e, Approval)] == [
        shown(e) for e in recorded if isinstance(e, Approval)
    ]
