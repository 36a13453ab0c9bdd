"""Real sessions, recorded and replayed: the user sees the same, without harness and model."""

import asyncio
import contextlib
import importlib.metadata
import itertools
import json
import re
import shutil
import threading
import time

import pytest
from blockbuster import blockbuster_ctx
from google.antigravity import Agent, types
from google.antigravity.hooks import policy

import agy_nb.cassette
from agy_nb.cassette import (
    CassetteActiveError,
    CassetteInvalidError,
    CassetteMismatchError,
    CassetteNotFoundError,
    use_cassette,
)
from agy_nb.cassette.http.proxy import THREAD as GATEWAY
from agy_nb.cassette.inspect.session_digests import digest_of
from agy_nb.cassette.replay.fake_process import FakeProcess
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import WIRE
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.cassette.storage.shared.vcr_file import write_vcr
from agy_nb.errors import InvalidInputError
from agy_nb.testing import ScriptedModel, call, hang, say
from tests.cassette.scenarios import (
    NO_MODEL,
    SCENARIOS,
    Scenario,
    Setting,
    get_weather,
    seen,
    talk,
    turn,
)
from tests.processes import forgotten_pipes

pytestmark = [
    pytest.mark.real,
    # The SDK itself blocks the loop while it stops the harness, and leaves its pipes open.
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


async def record(scenario, path, folder, **options):
    with forgotten_pipes():
        async with ScriptedModel(scenario.script(folder)) as model, use_cassette(path, **options):
            at = Setting(model.base_url, folder)
            return seen(await scenario.play(at), at)


async def replay(scenario, path, folder, **options):
    async with use_cassette(path, "none", **options):
        at = Setting(NO_MODEL, folder)
        return seen(await scenario.play(at), at)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """What the user saw in each scenario that was recorded here, by its name, and the cassette."""
    return tmp_path_factory.mktemp("recordings"), {}


@pytest.fixture
def recorded_once(recordings, tmp_path):
    """Record a scenario the first time; gives a cassette of one's own and what the user saw."""
    folder, shown = recordings

    async def recorded_once(name):
        if name not in shown:
            shown[name] = await record(SCENARIOS[name], folder / name, folder / f"at_{name}")
        if (shared := folder / "_shared").is_dir():
            shutil.copytree(shared, tmp_path / "_shared")
        return shutil.copytree(folder / name, tmp_path / "c"), shown[name]

    return recorded_once


QUICK = [name for name in SCENARIOS if name != "two_hundred_turns"]


@pytest.mark.parametrize("name", QUICK)
async def test_replay_shows_what_the_recording_showed(name, recorded_once, tmp_path, no_process):
    path, recorded = await recorded_once(name)
    no_process()
    for place in ("now", "again"):
        assert await replay(SCENARIOS[name], path, tmp_path / place) == recorded
    assert not load(path).partial


@pytest.mark.slow
async def test_long_session(tmp_path, no_process):
    """Forty turns; the tests of shipped cassettes replay two hundred."""
    turns = range(40)
    scenario = Scenario(
        "forty_turns",
        lambda _: [say(f"Answer {number}.") for number in turns],
        lambda at: talk(at.config(), *[f"Question {number}" for number in turns]),
    )
    recorded = await record(scenario, tmp_path / "c", tmp_path / "then")
    no_process()
    assert await replay(scenario, tmp_path / "c", tmp_path / "now") == recorded


# When a cancel hits is chance, and so is what comes between an error and the end.
FOLDS_AGREE = [name for name in QUICK if name not in ("cancel", "unauthorised")]


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDS_AGREE)
async def test_two_recordings_agree_in_their_folds(name, recorded_once, tmp_path):
    first, _ = await recorded_once(name)
    await record(SCENARIOS[name], tmp_path / "second", tmp_path / "at")
    folds = [
        sorted(json.dumps(digest_of(session), sort_keys=True) for session in load(path).sessions)
        for path in (first, tmp_path / "second")
    ]
    assert folds[0] == folds[1]


async def play(path, config, *prompts, **options):
    async with use_cassette(path, "none", **options), Agent(config) as agent:
        return [await (await agent.chat(prompt)).text() for prompt in prompts]


@pytest.fixture
async def hello(recorded_once):
    """A recorded session of two turns; gives its folder."""
    path, _ = await recorded_once("plain_chat")
    return path


@pytest.fixture
def at(tmp_path):
    return Setting(NO_MODEL, tmp_path / "now")


async def test_other_prompt_is_explained_at_once(hello, at):
    with pytest.raises(
        CassetteMismatchError, match="the prompt differs from the recording"
    ) as caught:
        await play(hello, at.config(), "Say good bye", "How are you?")
    assert "+Say good bye" in caught.value.diff


async def test_prompt_too_many_is_explained_at_once(hello, at):
    with pytest.raises(CassetteMismatchError, match="none is left in the recording"):
        await play(hello, at.config(), "Say hello", "How are you?", "And now?")


async def test_prompt_too_few_is_a_failure_unless_allowed(hello, at):
    with pytest.raises(CassetteMismatchError, match="not played to its end"):
        await play(hello, at.config(), "Say hello")
    assert await play(hello, at.config(), "Say hello", allow_unplayed=True) == ["Hello"]


@pytest.mark.parametrize("mode", ["once", "none"])
async def test_block_that_starts_no_agent_is_told_so(hello, mode):
    with pytest.raises(CassetteMismatchError, match="session 0 was never started"):
        async with use_cassette(hello, mode):
            pass
    with (
        pytest.raises(CassetteMismatchError, match="session 0 was never started"),
        use_cassette(hello, mode),
    ):
        pass
    with use_cassette(hello, mode, allow_unplayed=True):
        pass


async def test_missing_cassette_is_told_where_no_agent_starts(tmp_path):
    with pytest.raises(CassetteNotFoundError), use_cassette(tmp_path / "gone", "none"):
        pass
    with use_cassette(tmp_path / "gone"):
        pass
    assert not (tmp_path / "gone").exists()


async def test_check_tells_what_is_left_while_the_agent_still_runs(hello, at):
    async with use_cassette(hello, "none") as cassette, Agent(at.config()) as agent:
        await turn(agent, "Say hello")
        with pytest.raises(CassetteMismatchError, match="not played to its end"):
            cassette.check()
        await turn(agent, "How are you?")
        cassette.check()


async def test_other_configuration_is_explained_at_once(hello, at):
    config = at.config(system_instructions="Be brief.")
    with pytest.raises(
        CassetteMismatchError, match="the agent's configuration differs from the recording"
    ) as caught:
        await play(hello, config, "Say hello", "How are you?")
    assert "Be brief." in caught.value.diff


async def test_other_result_of_a_tool_is_explained_at_once(recorded_once, at):
    path, _ = await recorded_once("host_tools")

    def get_weather(city: str) -> dict:
        """Tell the weather of a city.

        Args:
            city: The city.
        """
        return {"city": city, "sky": "cloudy", "degrees": len(city)}

    prompt = "Weather in Paris and Rome?"
    config = at.config(tools=[get_weather])
    with pytest.raises(CassetteMismatchError, match=r"-sunny\s+\+cloudy"):
        await play(path, config, prompt)
    ignore = ["toolResponse.responseJson.sky"]
    for options in ({"tools": "run"}, {"ignore": ignore}, {"tools": "replay"}):
        assert await play(path, config, prompt, **options) == ["Sunny in both."]


async def test_replayed_tool_is_not_called(recorded_once, at):
    path, _ = await recorded_once("host_tools")

    def get_weather(city: str) -> dict:
        """Tell the weather of a city.

        Args:
            city: The city.
        """
        raise AssertionError("called")

    config = at.config(tools=[get_weather])
    played = await play(path, config, "Weather in Paris and Rome?", tools="replay")
    assert played == ["Sunny in both."]


@pytest.mark.parametrize(("approvals", "asked"), [("replay", []), ("run", ["Oslo"])])
async def test_person_is_asked_only_on_request(recorded_once, at, approvals, asked):
    path, _ = await recorded_once("approval_granted")
    seen = []

    async def ask(call):
        seen.append(call.args["city"])
        return True

    policies = [policy.ask_user("get_weather", handler=ask)]
    config = at.config(tools=[get_weather], policies=policies)
    await play(path, config, "Weather in Oslo?", approvals=approvals)
    assert seen == asked


async def test_other_decision_of_a_person_is_explained(recorded_once, at):
    path, _ = await recorded_once("approval_granted")

    async def ask(call):
        return False

    policies = [policy.ask_user("get_weather", handler=ask)]
    config = at.config(tools=[get_weather], policies=policies)
    with pytest.raises(
        CassetteMismatchError, match="decision on a tool call differs from the recording"
    ):
        await play(path, config, "Weather in Oslo?", approvals="run")


async def test_cancel_that_never_comes_is_no_hang(recorded_once, at):
    path, _ = await recorded_once("cancel")
    with pytest.raises(CassetteMismatchError, match="was cancelled at this point"):
        await play(path, at.config(), "Count", "Are you there?", stall_after=0.05)


async def test_partial_recording_says_where_it_ends(hello, at):
    wire = (hello / WIRE).read_bytes().splitlines(keepends=True)
    (hello / WIRE).write_bytes(b"".join(wire[: len(wire) // 3]) + b'{"s":0,"d":"har')
    with pytest.raises(CassetteMismatchError, match="partial and ends here"):
        await play(hello, at.config(), "Say hello", "How are you?")


async def test_missing_cassette_is_told_before_anything_starts(tmp_path, at):
    with pytest.raises(CassetteNotFoundError):
        await play(tmp_path / "missing", at.config(), "Say hello")


async def test_harness_that_dies_dies_in_the_replay_too(tmp_path, at):
    errors = []
    with forgotten_pipes():
        async with ScriptedModel([hang("One")]) as model:
            for mode, url in (("all", model.base_url), ("none", NO_MODEL)):
                async with use_cassette(tmp_path / "c", mode):
                    config = Setting(url, at.folder).config()
                    with (
                        pytest.raises(types.AntigravityExecutionError)
                        if mode == "all"
                        else (contextlib.nullcontext())
                    ):
                        async with Agent(config) as agent:

                            async def die(step, agent=agent):
                                if step.content_delta == "One":
                                    agent.conversation.connection._process.kill()

                            errors.append((await turn(agent, "Go", on_step=die))["raised"])
    assert "exited unexpectedly" in errors[0]
    assert errors[0].splitlines()[0] == errors[1].splitlines()[0]


async def test_new_episodes_replays_the_known_and_records_the_new(hello, tmp_path):
    scenario = SCENARIOS["thoughts"]
    old = Setting(NO_MODEL, tmp_path / "old")
    thinking = {"system_instructions": "Think."}
    with forgotten_pipes():
        async with (
            ScriptedModel(scenario.script(tmp_path)) as model,
            use_cassette(hello, "new_episodes"),
        ):
            await SCENARIOS["plain_chat"].play(old)
            new = Setting(model.base_url, tmp_path / "new")
            async with Agent(new.config(**thinking)) as agent:
                first = await turn(agent, "2 + 2?")
    assert len(load(hello).sessions) == 2
    async with use_cassette(hello, "none"):
        await SCENARIOS["plain_chat"].play(old)
        async with Agent(old.config(**thinking)) as agent:
            assert await turn(agent, "2 + 2?") == first


async def test_new_episodes_records_an_agent_whose_first_prompt_is_new(tmp_path):
    """Agents with one configuration: the prompt decides which ones were recorded."""

    async def ask(base_url, folder, *prompts):
        config = Setting(base_url, tmp_path / folder).config(tools=[get_weather])
        return await talk(config, *prompts)

    def answer(request):
        if "weather" in request.user_text and not request.tool_results:
            return call("get_weather", city="Paris")
        return say(f"You said {request.user_text}")

    path = tmp_path / "c"
    conversations = [("One", "Two"), ("Three", "The weather?"), ("Four",)]
    async with ScriptedModel(answer) as model:
        async with use_cassette(path):
            first = [await ask(model.base_url, "a", *conversations[0])]
        async with use_cassette(path, "new_episodes") as used:
            first += [await ask(model.base_url, "b", *each) for each in conversations[1:]]
            assert used.recording
            # It was recorded, and is still free although other agents began with its session.
            assert await ask(NO_MODEL, "c", *conversations[0]) == first[0]
    assert len(load(path).sessions) == 3
    async with use_cassette(path, "none"):
        again = [await ask(NO_MODEL, "d", *each) for each in reversed(conversations)]
    assert list(reversed(again)) == first


async def test_agent_that_is_live_from_its_first_prompt_on_keeps_what_the_runtime_notes(tmp_path):
    path = tmp_path / "c"

    async def chat(prompt, user):
        async with ScriptedModel(say("Yes.")) as model, agy_nb.Runtime() as runtime:
            agent = await runtime.create_agent(model.config(), labels={"user": user})
            await agent.chat_text(prompt)

    async with use_cassette(path):
        await chat("One", "ada")
    async with use_cassette(path, "new_episodes", allow_unplayed=True):
        await chat("Two", "bob")
    sessions = agy_nb.load(path)
    assert sessions.agents["user"].tolist() == ["ada", "bob"]
    assert sessions.turns["status"].tolist() == ["ok", "ok"]
    first, second = load(path).sessions
    for session in (first, second):
        notes = [line.frame for line in session.story if line.direction == "host"]
        assert [note["type"] for note in notes] == ["agent_started", "state", "state"]
        known = {str(line.frame) for line in session.lines if line.direction == "harness"}
        assert any(notes[-1]["trajectory"]["id"] in frame for frame in known)


async def test_once_replays_what_is_there_and_all_records_anew(hello, tmp_path):
    before = (hello / WIRE).read_bytes()
    async with use_cassette(hello):
        await SCENARIOS["plain_chat"].play(Setting(NO_MODEL, tmp_path / "x"))
    assert (hello / WIRE).read_bytes() == before
    await record(SCENARIOS["thoughts"], hello, tmp_path / "y", record_mode="all")
    assert "2 + 2?" in (hello / WIRE).read_text()
    assert "Say hello" not in (hello / WIRE).read_text()


async def test_nesting_is_refused(tmp_path):
    async with use_cassette(tmp_path / "outer"):
        with pytest.raises(CassetteActiveError, match="outer is in use; cassettes do not nest"):
            async with use_cassette(tmp_path / "inner"):
                pass
    async with use_cassette(tmp_path / "inner"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seam", ["wire", "model"])
async def test_agent_that_outlives_its_recording_goes_on(tmp_path, seam):
    path = tmp_path / "c"
    script = [say("one"), say("two"), say("three")]
    async with (
        ScriptedModel(script) as model,
        agy_nb.Runtime(agy_nb.RuntimeConfig(chat_pause=0)) as runtime,
    ):
        async with use_cassette(path):
            agent = await runtime.create_agent(model.config())
            assert await agent.chat_text("1") == "one"
        assert await agent.chat_text("2") == "two"
        async with use_cassette(path, "all"):  # its place is free
            other = await runtime.create_agent(model.config())
            assert await other.chat_text("3") == "three"
        gateways = [thread for thread in threading.enumerate() if thread.name == GATEWAY]
        assert len(gateways) == 2
        await agent.shutdown()
        await other.shutdown()
        for thread in gateways:
            await asyncio.to_thread(thread.join)
        async with use_cassette(path, "none", seam=seam):
            agent = await runtime.create_agent(model.config())
            assert await agent.chat_text("3") == "three"
    assert len(model.requests) == 3


async def test_plain_with_works_on_a_running_loop(tmp_path, at):
    scenario = SCENARIOS["plain_chat"]
    with forgotten_pipes():
        async with ScriptedModel(scenario.script(tmp_path)) as model:
            with use_cassette(tmp_path / "c") as cassette:
                await scenario.play(Setting(model.base_url, tmp_path / "then"))
                assert cassette.recording
    with use_cassette(tmp_path / "c", "none") as cassette:
        await scenario.play(at)
        assert cassette.recording is False


@pytest.fixture
def own_code_does_not_block():
    """Fail where our code, not the SDK below or above it, blocks the loop."""
    with blockbuster_ctx(scanned_modules=[agy_nb.cassette]) as detector:
        for function in detector.functions.values():
            function.can_block_in("<frozen importlib._bootstrap>", {"_find_and_load"})
            function.can_block_in("linecache.py", {"updatecache", "checkcache"})
        yield


@pytest.mark.parametrize("manager", ["with", "async with"])
async def test_loop_is_never_blocked(tmp_path, at, own_code_does_not_block, manager):
    scenario = SCENARIOS["host_tools"]
    with forgotten_pipes():
        async with ScriptedModel(scenario.script(tmp_path)) as model:
            for url in (model.base_url, NO_MODEL):
                here = Setting(url, at.folder)
                if manager == "with":
                    with use_cassette(tmp_path / "c"):
                        await scenario.play(here)
                else:
                    async with use_cassette(tmp_path / "c"):
                        await scenario.play(here)


async def test_decorator_makes_a_block_of_each_call(hello, at):
    @use_cassette(hello, "none")
    async def talk():
        return await SCENARIOS["plain_chat"].play(at)

    assert await talk() == await talk()
    assert talk.__name__ == "talk"


def test_decorator_takes_plain_functions(recorded_once, at):
    path, _ = asyncio.run(recorded_once("plain_chat"))

    @use_cassette(path, "none")
    def talk():
        return asyncio.run(SCENARIOS["plain_chat"].play(at))

    assert talk() == talk()


async def test_block_that_raises_keeps_its_own_error(hello, at):
    with pytest.raises(ZeroDivisionError):
        async with use_cassette(hello, "none"):
            raise ZeroDivisionError


async def test_mismatch_that_the_block_catches_is_raised_at_its_end(hello, at):
    async def catching():
        async with use_cassette(hello, "none"), Agent(at.config()) as agent:
            with contextlib.suppress(Exception):
                await agent.chat("Say good bye")

    with pytest.raises(CassetteMismatchError, match="the prompt differs from the recording"):
        await catching()


async def test_recorded_pace_is_kept_on_request(hello, at):
    recorded = sum(line.dt for line in load(hello).sessions[0].lines if line.direction == "harness")
    start = time.monotonic()
    await play(hello, at.config(), "Say hello", "How are you?", speed=1.0)
    assert time.monotonic() - start >= recorded


async def test_header_names_sdk_and_harness(hello):
    header = load(hello).header
    assert header.sdk == importlib.metadata.version("google-antigravity")
    assert re.fullmatch(r"localharness \d+ bytes", header.harness)


async def test_nothing_secret_is_on_disk(hello, tmp_path_factory):
    text = "".join(file.read_text() for file in hello.iterdir())
    assert "scripted-key-0" not in text
    assert str(tmp_path_factory.getbasetemp()) not in text


@pytest.mark.parametrize("wrong", [{"record_mode": "sometimes"}, {"seam": "http"}, {"speed": -1},
    {"tools": "maybe"}, {"match_on": ["body"]}, {"stall_after": "soon"}])  # fmt: skip
def test_setting_that_is_none_is_refused(tmp_path, wrong):
    with pytest.raises(InvalidInputError):
        use_cassette(tmp_path / "c", **wrong)


@pytest.mark.parametrize("mode", ["once", "all", "new_episodes", "none"])
async def test_folder_that_is_no_cassette_is_never_overwritten(tmp_path, mode):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").write_text("years of work")
    with pytest.raises(CassetteInvalidError):
        async with use_cassette(tmp_path / "c", mode):
            pass
    assert (tmp_path / "c" / "thesis.txt").read_text() == "years of work"


# How often the harness tries again, and when a subagent reports, is its own timing.
UNSTEADY = ("cancel", "subagents", "resume", "safety", "token_limit")
MODEL_SEAM = [name for name in QUICK if name not in UNSTEADY]


@pytest.mark.parametrize("name", MODEL_SEAM)
async def test_model_seam_replays_the_model_behind_the_real_harness(name, recorded_once, tmp_path):
    scenario = SCENARIOS[name]
    path, recorded = await recorded_once(name)
    scenario.script(tmp_path / "now")  # puts there what is outside of harness and model
    with forgotten_pipes():
        assert await replay(scenario, path, tmp_path / "now", seam="model") == recorded


async def test_model_seam_explains_another_request(hello, at):
    with (
        forgotten_pipes(),
        pytest.raises(CassetteMismatchError, match="request to the model") as caught,
    ):
        await play(hello, at.config(), "Say good bye", "How are you?", seam="model")
    assert "good bye" in caught.value.diff


ORDERS = "1111-aaaa", "9999-bbbb"


async def test_model_seam_answers_each_order_with_its_own_answer(tmp_path):
    """Agents with one configuration, whose prompts differ by an id, ask in the other order."""
    uuids = [f"{o[:4]}5678-1234-1234-1234-123456789abc" for o in ORDERS]
    script = [(uuid, [say(f"Cancelled {uuid}.")]) for uuid in uuids]
    path, prompt = tmp_path / "c", "Cancel order {} by 2026-01-01 10:00"
    with forgotten_pipes():
        async with ScriptedModel(script) as model, use_cassette(path):
            at = Setting(model.base_url, tmp_path / "then")
            for uuid in uuids:
                await talk(at.config(), prompt.format(uuid))
        at = Setting(NO_MODEL, tmp_path / "now")
        async with use_cassette(path, "none", seam="model"):
            for uuid in reversed(uuids):
                (result,) = await talk(at.config(), prompt.format(uuid))
                assert f"Cancelled {uuid}." in json.dumps(result)
        with pytest.raises(CassetteMismatchError, match="request to the model"):
            async with use_cassette(path, "none", seam="model"):
                await talk(at.config(), prompt.format("99999999-1234-1234-1234-123456789abc"))


def log_in() -> dict:
    """Log in."""
    return {"api_key": KEYS.pop()}


KEYS = ["k-93hf83hf9w-now", "k-93hf83hf9w-then"]


async def test_model_seam_accepts_other_values_where_secrets_were_learned(tmp_path, monkeypatch):
    then, now = KEYS[::-1]
    monkeypatch.setattr(f"{__name__}.KEYS", [now, then])
    path = tmp_path / "c"
    script = [say("I will."), call("log_in"), say("Done."), say("Yes.")]
    config = {"tools": [log_in]}
    with forgotten_pipes():
        async with ScriptedModel(script) as model, use_cassette(path):
            at = Setting(model.base_url, tmp_path / "then")
            await talk(at.config(**config), f"Later use {then}", "Log in", f"Was it {then}?")
        assert then not in (path / "model.yaml").read_text()
        at = Setting(NO_MODEL, tmp_path / "now")
        async with use_cassette(path, "none", seam="model"):
            await talk(at.config(**config), f"Later use {now}", "Log in", f"Was it {now}?")


async def test_model_seam_tells_what_was_never_asked(hello, at):
    with forgotten_pipes(), pytest.raises(CassetteMismatchError, match="were never made"):
        await play(hello, at.config(), "Say hello", seam="model")


async def test_model_seam_needs_a_recording_of_it(tmp_path, at):
    folder = tmp_path / "then"
    await record(SCENARIOS["plain_chat"], tmp_path / "c", folder, record_model=False)
    with pytest.raises(CassetteInvalidError, match="no recorded requests to the model"):
        await play(tmp_path / "c", at.config(), "Say hello", seam="model")


async def test_vcrpy_opens_what_was_recorded(hello, tmp_path):
    import vcr

    write_vcr(tmp_path / "model.yaml", read_model(hello))  # as `cassette export --vcr` does it
    with vcr.use_cassette(str(tmp_path / "model.yaml"), record_mode="none") as cassette:
        assert len(cassette) == 2
        assert b"Hel" in cassette.responses[0]["body"]["string"]


async def test_tools_may_finish_in_any_order(cassette, frames, at):
    """Four calls at once, as several subagents make them; the SDK runs each in a task."""
    cities = ["Bern", "Oslo", "Paris", "Rome"]
    gates, finished, done = {}, {}, []

    async def greet(city: str) -> str:
        """Greet a city."""
        await gates[city].wait()
        done.append(city)
        finished[city].set()
        return f"Hello {city}"

    calls = [frames.call(f"call-{city}", "greet", city=city) for city in cities]
    results = []
    for number, city in enumerate(cities, start=1):
        step = frames.step(f"after {city}", index=number)
        results += [frames.result(f"call-{city}", f"Hello {city}"), step]
    config = at.config(tools=[greet])
    path = cassette(
        [await sent_config(config), frames.ready(), frames.prompt("Go"), *calls, *results,
         frames.idle()]
    )  # fmt: skip

    async def open_gates(order):
        for city in order:
            gates[city].set()
            await finished[city].wait()

    for order in itertools.permutations(cities):
        gates |= {city: asyncio.Event() for city in cities}
        finished |= {city: asyncio.Event() for city in cities}
        done.clear()
        async with use_cassette(path, "none"), Agent(config) as agent:
            _, shown = await asyncio.gather(open_gates(order), turn(agent, "Go"))
        assert done == list(order)
        texts = [step[5] for step in shown["steps"] if step[5].startswith("after")]
        assert texts == [f"after {city}" for city in cities]


async def sent_config(config):
    """The frame that the SDK opens a session of that configuration with."""
    frames = []

    class Listening:
        async def send(self, message):
            frames.append(json.loads(message))
            raise ConnectionError

    from agy_nb.sdk.process import interception, launch

    async def connect(start):
        return launch.Connected(FakeProcess(), Listening())

    with interception.intercepted(connect), contextlib.suppress(RuntimeError):
        async with Agent(config):
            pass
    return frames[0]
