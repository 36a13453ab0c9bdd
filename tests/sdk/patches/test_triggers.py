"""The SDK's triggers on the real harness: they wake the agent, and its turns are kept."""

import asyncio
import sys
from types import ModuleType

import pytest
from google.antigravity import types
from google.antigravity.hooks import hooks
from google.antigravity.triggers import every, on_file_change

import agy_nb as agy
from agy_nb.cassette import use_cassette
from agy_nb.protocol.events import TurnState
from agy_nb.testing import ScriptedModel, fail, hang, say
from tests.sdk.needs import needs_sdk

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]


first_thing = needs_sdk("0.1.19", "its harness fails a trigger that comes before any prompt")


class Doorbell:
    """A trigger that rings when it is told to."""

    def __init__(self):
        self._rings = asyncio.Queue()
        self.rung = asyncio.Event()
        self.stopped = asyncio.Event()

    def ring(self, words):
        self._rings.put_nowait(words)

    async def trigger(self, context):
        try:
            while True:
                await context.send(await self._rings.get())
                self.rung.set()
        finally:
            self.stopped.set()


@pytest.fixture
def doorbell():
    return Doorbell()


async def contents(agent):
    return " ".join(message.content for message in await agent.history())


async def has_said(agent, words):
    """Wait until the history has it; each thing that happens is a wake-up."""
    async with asyncio.timeout(10):
        while words not in await contents(agent):
            await agent.wait_for_wakeup(0.05)


@first_thing
async def test_ring_wakes_whoever_waits_and_its_turn_is_in_the_history(runtime, doorbell):
    async with ScriptedModel([say("on it")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        waiting = asyncio.create_task(agent.wait_for_wakeup(20))
        doorbell.ring("the build is red")
        assert await waiting is True
        await has_said(agent, "on it")
        assert "the build is red" in await contents(agent)


async def test_nothing_that_happens_is_no_wakeup(runtime):
    async with ScriptedModel([]) as model:
        agent = await runtime.create_agent(model.config())
        assert await agent.wait_for_wakeup(0.05) is False


@first_thing
async def test_chat_after_a_ring_goes_on_in_the_same_conversation(runtime, doorbell):
    async with ScriptedModel([say("on it"), say("it is green again")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        doorbell.ring("the build is red")
        await has_said(agent, "on it")
        response = await agent.chat("and now?")
        assert await response.text() == "it is green again"
        assert "the build is red" in str(model.requests[1].body)
        assert (await agent.total_usage()).total_tokens > 0


@first_thing
async def test_ring_that_ends_in_an_error_harms_no_later_chat(runtime, doorbell):
    async with ScriptedModel([fail(400), say("fine")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        doorbell.ring("the build is red")
        await model.requested(1)
        assert await agent.chat_text("how are you?") == "fine"


async def test_triggers_stop_with_the_agent(runtime, doorbell):
    async with ScriptedModel([]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        await asyncio.sleep(0)
        await agent.shutdown()
        await doorbell.stopped.wait()


async def test_trigger_that_raises_harms_nothing(runtime):
    async def broken(context):
        raise ValueError("no bell")

    async with ScriptedModel([say("fine")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[broken])
        assert await agent.chat_text("hi") == "fine"


@first_thing
async def test_every_ticks(runtime):
    async def tick(context):
        await context.send("tick")

    async with ScriptedModel(lambda _request: say("tock")) as model:
        agent = await runtime.create_agent(model.config(), triggers=[every(0.05, tick)])
        await has_said(agent, "tock")
        assert "tick" in await contents(agent)


@first_thing
async def test_file_change_is_told(runtime, tmp_path, monkeypatch):
    changed = asyncio.Event()

    async def awatch(path):
        await changed.wait()
        yield {(2, f"{path}/data.csv")}

    watchfiles = ModuleType("watchfiles")  # the SDK imports it on first use; it is optional
    watchfiles.awatch = awatch
    monkeypatch.setitem(sys.modules, "watchfiles", watchfiles)

    async def tell(context, changes):
        await context.send(f"{changes[0].kind.value}: {changes[0].path}")

    async with ScriptedModel([say("I see")]) as model:
        trigger = on_file_change(tmp_path, tell)
        agent = await runtime.create_agent(model.config(), triggers=[trigger])
        changed.set()
        await has_said(agent, "I see")
        assert f"modified: {tmp_path}/data.csv" in await contents(agent)


async def test_wait_for_idle_does_not_wait_for_triggers_to_come(runtime, doorbell):
    async with ScriptedModel([]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        async with asyncio.timeout(2):
            await agent.wait_for_idle()
        assert await agent.is_idle()


@first_thing
async def test_chat_that_comes_while_a_ring_is_answered_has_its_own_text_only(runtime, doorbell):
    slow = say(["on ", "it"], chunk_delay_s=0.2)
    async with ScriptedModel([slow, say("fine")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        doorbell.ring("the build is red")
        await doorbell.rung.wait()
        response = await agent.chat("how are you?")
        assert await response.text() == "fine"
        assert "on it" in await contents(agent)


@first_thing
async def test_chat_that_is_cancelled_while_a_ring_is_answered_is_never_sent(runtime, doorbell):
    async with ScriptedModel([hang("on it"), say("fine")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        doorbell.ring("the build is red")
        await model.requested(1)
        response = await agent.chat("how are you?")
        await response.cancel()
        assert response.state is TurnState.CANCELLED
        await agent.cancel()
        assert await agent.chat_text("and now?") == "fine"
        assert "how are you?" not in str(model.requests[-1].body)


# --- a turn of its own -----------------------------------------------------------------------


@first_thing
async def test_ring_has_a_response_like_any_other_turn(runtime, doorbell):
    async with ScriptedModel([say("on it"), say("fine")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        turns = agent.turns()
        doorbell.ring("the build is red")
        response = await anext(turns)
        assert await response.text() == "on it"
        assert (response.kind, response.prompt[0].text) == ("trigger", "the build is red")
        assert response.usage.total_tokens > 0
        assert response.stop_reason == "UNSPECIFIED"
        await agent.chat_text("and now?")
        assert (await anext(turns)).kind == "prompt"


@first_thing
async def test_rows_of_a_ring_are_the_same_live_and_recorded(runtime, doorbell, tmp_path):
    script = [say("on it"), say("fine")]
    async with use_cassette(tmp_path / "c", "all"), ScriptedModel(script) as model:
        agent = await runtime.create_agent(model.config(), triggers=[doorbell.trigger])
        turns = agent.turns()
        doorbell.ring("the build is red")
        await (await anext(turns))
        await agent.chat_text("and now?")
        await agent.shutdown()
    recorded = agy.load(tmp_path / "c")
    for table, columns in {
        "turns": ["turn_id", "kind", "status", "response_chars", "n_model_calls"],
        "model_calls": ["turn_id", "total_tokens"],
    }.items():
        live, kept = (
            getattr(tables, table)[columns].astype(str).to_dict("records")
            for tables in (agent.tables, recorded)
        )
        assert live == kept
    assert agent.tables.turns.kind.tolist() == ["trigger", "prompt"]


async def test_ring_after_a_prompt_is_answered_in_a_turn_of_its_own(runtime):
    def answer(request):
        if request.user_text == "how are you?":
            return say("fine")
        return say("on it" if "the build is red" in str(request.body) else "hello")

    async with ScriptedModel(answer) as model:
        agent = await runtime.create_agent(model.config())
        assert await agent.chat_text("hi") == "hello"
        response = await agent.trigger("the build is red")
        # Right after a turn, the harness sometimes asks the model twice about one trigger,
        # the second time in the same turn or in one of its own.
        assert set((await response.text()).split("\n\n")) == {"on it"}
        assert "the build is red" in str(model.requests[1].body)
        assert await agent.chat_text("how are you?") == "fine"
        kinds = [kind for kind in agent.tables.turns.kind if kind != "wakeup"]
        assert kinds == ["prompt", "trigger", "prompt"]


@first_thing
async def test_ring_from_outside_is_answered_in_a_turn_of_its_own(runtime):
    async with ScriptedModel([say("on it")]) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.trigger("the build is red")
        assert await response.text() == "on it"
        assert "the build is red" in str(model.requests[0].body)


async def test_ring_from_outside_starts_a_harness_that_is_gone_again(runtime):
    async with ScriptedModel([fail(400), say("on it")]) as model:
        agent = await runtime.create_agent(model.config())
        await (await agent.chat("hello"))
        assert await (await agent.trigger("the build is red")).text() == "on it"


@first_thing
async def test_trigger_that_fires_while_the_agent_starts_has_its_turn(runtime):
    async def at_once(context):
        await context.send("good morning")

    async with ScriptedModel([say("hello")]) as model:
        agent = await runtime.create_agent(model.config(), triggers=[at_once])
        await has_said(agent, "hello")
        await agent.wait_for_idle()
        turns = agent.tables.turns
        assert (turns.kind.tolist(), turns.status.tolist()) == (["trigger"], ["ok"])
        assert agent.tables.model_calls.turn_id.tolist() == turns.turn_id.tolist()


@first_thing
async def test_trigger_that_fires_while_the_agent_starts_is_recorded_and_replays(tmp_path, caplog):
    async def at_once(context):
        await context.send("good morning")

    async with ScriptedModel([say("hello"), say("fine")]) as model:
        config = model.config(save_dir=str(tmp_path / "state"))
        for mode in ("all", "none"):
            async with (
                use_cassette(tmp_path / "c", mode),
                agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
            ):
                agent = await runtime.create_agent(config, triggers=[at_once])
                await has_said(agent, "hello")  # its turn may be over already
                assert await agent.chat_text("how are you?") == "fine"
                assert agent.tables.turns.kind.tolist() == ["trigger", "prompt"]
    assert len(model.requests) == 2
    assert "failed" not in caplog.text


@first_thing
async def test_ring_that_fails_is_a_failed_turn(runtime):
    async with ScriptedModel([fail(401), say("fine")]) as model:
        agent = await runtime.create_agent(model.config())
        response = await (await agent.trigger("the build is red"))
        assert (response.state, response.error.http_code) == (TurnState.FAILED, 401)
        assert await agent.chat_text("how are you?") == "fine"


@first_thing
async def test_ring_that_is_cancelled_leaves_the_agent_ready(runtime):
    async with ScriptedModel([hang("on "), say("fine")]) as model:
        agent = await runtime.create_agent(model.config())
        response = await agent.trigger("the build is red")
        await model.requested(1)
        await agent.cancel()
        assert response.state is TurnState.CANCELLED
        assert await agent.chat_text("how are you?") == "fine"


@first_thing
async def test_pre_turn_hooks_do_not_see_a_ring(runtime):
    """Measured: the harness asks them about prompts only, so a gate must not rely on them."""
    seen = []

    @hooks.pre_turn
    async def deny(prompt):
        seen.append(prompt)
        return types.HookResult(allow=False, message="not now")

    async with ScriptedModel([say("on it")]) as model:
        agent = await runtime.create_agent(model.config(), hooks=[deny])
        assert await (await agent.trigger("the build is red")).text() == "on it"
        assert (await (await agent.chat("hello"))).state is TurnState.DENIED
        assert seen == ["hello"]
