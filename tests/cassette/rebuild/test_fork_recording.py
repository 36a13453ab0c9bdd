"""`agy.fork`: an agent that continues the conversation of a recording, on the real harness."""

import asyncio
import json
import shutil
import threading
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.cassette.http.response_fields import END
from agy_nb.cassette.shim import real_harness
from agy_nb.cassette.storage.format import MODEL, WIRE
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.cassette.storage.shared.model_yaml import write_model_yaml
from agy_nb.testing import EchoModel, ScriptedModel, call, say
from tests.support.wire_lines import whole_lines

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]

CASSETTES = Path(__file__).parents[3] / "cassettes"


async def record(path, *prompts, answer=None, tools=(), **options):
    """Record a conversation with one agent; returns who said what."""
    answer = answer or (lambda request: say(f"re: {request.user_text}"))
    async with ScriptedModel(answer) as model, agy.use_cassette(path, "all", **options):
        agent = await agy.create_agent(model.config(), tools=list(tools))
        for prompt in prompts:
            await agent.chat_text(prompt)
        history = await said(agent)
        await agent.shutdown()
    return history


async def said(agent):
    return [(message.role, message.content) for message in await agent.history()]


@pytest.mark.parametrize(("turn", "known"), [(1, 1), (2, 2), (-1, 3), (-2, 2), (None, 3)])
async def test_the_agent_knows_the_turns_up_to_the_one_named(tmp_path, turn, known):
    history = await record(tmp_path / "c", "one", "two", "three")
    async with ScriptedModel([say("live")]) as model:
        agent = await agy.fork(tmp_path / "c", turn, config=model.config())
        assert await said(agent) == history[: 2 * known]
        assert await agent.chat_text("four") == "live"
        (request,) = model.requests
        assert request.user_texts == [*["one", "two", "three"][:known], "four"]


async def test_recorded_results_of_tools_are_used_and_no_tool_runs(tmp_path):
    ran = []

    def look_up(city: str) -> str:
        """Look a city up."""
        ran.append(city)
        return f"found {city} {len(ran)}"

    def script(request):
        return say("Done.") if request.tool_results else call("look_up", city="Rome")

    await record(tmp_path / "c", "Look", answer=script, tools=[look_up])
    assert ran == ["Rome"]
    async with ScriptedModel([say("live")]) as model:
        agent = await agy.fork(tmp_path / "c", config=model.config(), tools=[look_up])
        await agent.chat_text("And?")
        assert "found Rome 1" in str(model.requests[-1].body)
    assert ran == ["Rome"]


async def test_the_agent_can_go_back_and_fork_where_the_recording_ended(tmp_path):
    await record(tmp_path / "c", "one", "two")
    async with ScriptedModel(lambda request: say(request.user_text)) as model:
        agent = await agy.fork(tmp_path / "c", config=model.config(), labels={"user": "ada"})
        await agent.chat_text("three")
        await agent.rewind(2)
        await agent.chat_text("four")
        assert model.requests[-1].user_texts == ["one", "two", "four"]
        other = await agent.fork(2)
        await other.chat_text("five")
        assert model.requests[-1].user_texts == ["one", "two", "five"]
        with pytest.raises(agy.CheckpointError, match=r"after turn 1 .*agy\.fork"):
            await agent.fork(1)
        agents = agy.runtime().tables.agents
        assert list(agents["forked_after_turn"])[-2:] == [2, 2]
        assert list(agents["parent_agent_id"].isna())[-2:] == [True, False]
        assert list(agents["user"])[-2:] == ["ada", "ada"]


async def test_turn_0_begins_a_new_conversation(tmp_path):
    await record(tmp_path / "c", "one")
    async with ScriptedModel([say("live")]) as model:
        agent = await agy.fork(tmp_path / "c", 0, config=model.config())
        assert await agent.chat_text("two") == "live"
        assert model.requests[-1].user_texts == ["two"]


async def test_a_conversation_with_a_save_dir_stays(tmp_path):
    await record(tmp_path / "c", "one")
    async with ScriptedModel(lambda request: say(request.user_text)) as model:
        config = model.config(save_dir=str(tmp_path / "kept"))
        agent = await agy.fork(tmp_path / "c", config=config)
        await agent.disconnect()
        config = model.config(
            save_dir=str(tmp_path / "kept"), conversation_id=agent.conversation_id
        )
        again = await agy.create_agent(config)
        await again.chat_text("two")
        assert model.requests[-1].user_texts == ["one", "two"]


async def test_marks_of_the_redaction_stay_marks(tmp_path):
    key = "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"
    await record(tmp_path / "c", f"my key is {key}")
    async with ScriptedModel([say("live")]) as model:
        agent = await agy.fork(tmp_path / "c", config=model.config())
        await agent.chat_text("two")
        assert model.requests[-1].user_texts[0] == "my key is {{agy:secret}}"


async def test_paths_of_the_recorded_workspace_are_paths_of_the_own_one(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    async with (
        ScriptedModel([say(f"I read {old}/data.csv")]) as model,
        agy.use_cassette(tmp_path / "c", "all"),
    ):
        agent = await agy.create_agent(model.config(workspaces=[str(old)]))
        await agent.chat_text(f"Read {old}/data.csv")
        await agent.shutdown()
    async with EchoModel() as model:
        agent = await agy.fork(tmp_path / "c", config=model.config(workspaces=[str(new)]))
        assert await said(agent) == [
            ("user", f"Read {new}/data.csv"),
            ("model", f"I read {new}/data.csv"),
        ]
    assert list(new.iterdir()) == []


async def test_a_cancelled_caller_stops_the_harness_and_starts_no_agent(tmp_path, monkeypatch):
    await record(tmp_path / "c", "one")
    found = read_model(tmp_path / "c")
    for made in found:
        made["response"][END] = "aborted"  # the answer has no end: the rebuild would wait for 30 s
    write_model_yaml(tmp_path / "c" / MODEL, found)
    started = threading.Event()
    harnesses = []

    class Watched(real_harness.RealHarness):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            harnesses.append(self._process)

        async def connect(self):
            started.set()
            return await super().connect()

    monkeypatch.setattr(real_harness, "RealHarness", Watched)
    async with EchoModel() as model:
        work = asyncio.ensure_future(agy.fork(tmp_path / "c", config=model.config()))
        await asyncio.to_thread(started.wait, 20)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(work, 20)
        assert [process.poll() is None for process in harnesses] == [False]
        assert agy.runtime().agent_ids == ()


async def test_the_folder_of_the_conversation_is_removed_with_the_agent(tmp_path):
    await record(tmp_path / "c", "one")
    async with EchoModel() as model:
        agent = await agy.fork(tmp_path / "c", config=model.config())
        folder = agent._state.session.database.parent
        await agent.shutdown()
        assert not folder.exists()


# -- several sessions, branches --------------------------------------------------------------------


async def test_the_session_must_be_named_if_there_are_several(tmp_path):
    async with (
        ScriptedModel(lambda request: say(f"answer {request.number}")) as model,
        agy.use_cassette(tmp_path / "c", "all"),
    ):
        for _ in range(2):  # the same prompts, other answers
            agent = await agy.create_agent(model.config())
            await agent.chat_text("one")
            await agent.chat_text("two")
            await agent.shutdown()
    async with EchoModel() as model:
        with pytest.raises(agy.InvalidInputError, match=r"0 \(2 turns\), 1 \(2 turns\)") as info:
            await agy.fork(tmp_path / "c", config=model.config())
        assert info.value.field == "session"
        with pytest.raises(agy.InvalidInputError, match="has no session 2"):
            await agy.fork(tmp_path / "c", session=2, config=model.config())
        for number, answers in enumerate((["answer 1", "answer 2"], ["answer 3", "answer 4"])):
            agent = await agy.fork(tmp_path / "c", session=number, config=model.config())
            assert [text for role, text in await said(agent) if role == "model"] == answers


async def test_only_the_beginning_of_a_conversation_can_be_rebuilt(tmp_path):
    async with (
        ScriptedModel(lambda request: say(request.user_text)) as model,
        agy.use_cassette(tmp_path / "c", "all"),
    ):
        agent = await agy.create_agent(model.config())
        await agent.chat_text("one")
        branch = await agent.fork()
        await branch.chat_text("two")
        await agent.chat_text("three")
        await agent.rewind(1)
        await agent.chat_text("four")
        await branch.shutdown()
        await agent.shutdown()
    async with EchoModel() as model:
        for number in (1, 2):
            with pytest.raises(agy.RebuildError, match="continues an earlier conversation"):
                await agy.fork(tmp_path / "c", session=number, config=model.config())
        agent = await agy.fork(tmp_path / "c", session=0, config=model.config())
        assert [text for role, text in await said(agent) if role == "user"] == ["one", "three"]


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [3, -3, 99])
async def test_a_turn_out_of_range_is_refused(turn):
    with pytest.raises(agy.InvalidInputError, match=r"out of range, .*plain_chat has 2 turns"):
        await agy.fork(CASSETTES / "plain_chat", turn)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("c", "1"), "turn"),
        (("c", True), "turn"),
        ((None,), "recording"),
        (("",), "recording"),
        ((7,), "recording"),
    ],
)
async def test_wrong_types_are_refused(arguments, field):
    with pytest.raises(agy.InvalidInputError) as info:
        await agy.fork(*arguments)
    assert info.value.field == field


@pytest.mark.parametrize("session", ["0", 0.5, False])
async def test_a_session_that_is_no_number_is_refused(session):
    with pytest.raises(agy.InvalidInputError, match="session must be a whole number"):
        await agy.fork(CASSETTES / "plain_chat", session=session)


async def test_a_missing_and_a_damaged_cassette_are_refused(tmp_path):
    with pytest.raises(agy.CassetteNotFoundError, match="no cassette at"):
        await agy.fork(tmp_path / "none")
    with pytest.raises(agy.CassetteInvalidError):
        await agy.fork(CASSETTES)
    for file in (WIRE, MODEL):
        copy = shutil.copytree(CASSETTES / "plain_chat", tmp_path / file)
        (copy / file).write_text("{damaged\n")
        async with EchoModel() as model:
            with pytest.raises(agy.CassetteInvalidError, match=file):
                await agy.fork(copy, config=model.config())
    assert agy.runtime().agent_ids == ()


async def test_a_recording_without_the_model_says_how_to_record_it(tmp_path):
    await record(tmp_path / "c", "one", record_model=False)
    with pytest.raises(agy.RebuildError, match="record_model=True"):
        await agy.fork(tmp_path / "c")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("builtin_file_tools", "turn 1 .* calls the built-in tool 'edit_file'"),
        ("mcp_server", "turn 1 .* calls the MCP tool 'price' of the server 'shop'"),
        ("subagents", "turn 1 .* starts a subagent"),
        ("unauthorised", "turn 1 .* has no end"),
    ],
)
async def test_turns_that_would_run_something_again_are_refused(name, words):
    with pytest.raises(agy.RebuildError, match=words):
        await agy.fork(CASSETTES / name)


async def test_hooks_answer_as_they_were_recorded():
    async with ScriptedModel([say("live")]) as model:
        agent = await agy.fork(CASSETTES / "every_hook", config=model.config())
        assert ("model", "Well.") in await said(agent)
        await agent.chat_text("And?")
        sent = json.dumps(model.requests[-1].body["contents"])
        assert "Try something else." in sent  # a hook has changed the message of the failed tool
        assert "no luck" not in sent


async def test_a_hook_that_allows_a_command_does_not_run_it(tmp_path):
    copy = shutil.copytree(CASSETTES / "every_hook", tmp_path / "c")
    ran = tmp_path / "ran"
    _call_instead(copy, '"name": "get_weather", "args": {"city": "Rome"}', _command(ran, tmp_path))
    async with EchoModel() as model:
        with pytest.raises(agy.RebuildError, match="cannot be rebuilt"):
            await agy.fork(copy, config=model.config())
    assert not ran.exists()


def _command(ran, folder):
    arguments = {
        "CommandLine": f"touch {ran}", "Cwd": str(folder), "WaitMsBeforeAsync": 500,
        "toolAction": "Running", "toolSummary": "Run",
    }  # fmt: skip
    return '"name":"run_command","args":' + json.dumps(arguments)


def _call_instead(path, old, new):
    """Change a call in the answers of the model."""
    found = read_model(path)
    whole = json.dumps(found)
    for made in found:
        body = made["response"]["body"]
        body["string"] = body["string"].replace(old, new)
    assert json.dumps(found) != whole
    write_model_yaml(path / MODEL, found)


async def test_compaction_is_refused(tmp_path):
    copy = shutil.copytree(CASSETTES / "plain_chat", tmp_path / "c")
    lines = whole_lines(copy)
    last = max(number for number, line in enumerate(lines) if "stepUpdate" in line["f"])
    lines[last]["f"]["stepUpdate"]["compaction"] = {}
    (copy / WIRE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(agy.RebuildError, match=r"turn 2 .* compacts .*turn=1"):
        await agy.fork(copy)
    async with EchoModel() as model:
        assert len(await said(await agy.fork(copy, 1, config=model.config()))) == 2


@pytest.mark.parametrize("change", ["prompt", "answer"])
async def test_a_conversation_that_differs_from_the_recording_is_refused(tmp_path, change):
    copy = shutil.copytree(CASSETTES / "plain_chat", tmp_path / "c")
    old, new = {"prompt": ("Say hello", "Say bye"), "answer": ('"Fine."', '"Bad."')}[change]
    (copy / WIRE).write_text((copy / WIRE).read_text().replace(old, new))
    async with EchoModel() as model:
        with pytest.raises(agy.RebuildError, match="differs from the recording"):
            await agy.fork(copy, config=model.config())
        assert agy.runtime().agent_ids == ()


async def test_a_command_that_only_the_model_side_holds_never_runs(tmp_path):
    await record(tmp_path / "c", "one")
    ran = tmp_path / "ran"
    call = '{"functionCall":{' + _command(ran, tmp_path) + "}}"
    _call_instead(tmp_path / "c", '{"text":"re: one"}', call)
    async with EchoModel() as model:
        with pytest.raises(agy.RebuildError, match="cannot be rebuilt"):
            await agy.fork(tmp_path / "c", config=model.config())
    assert not ran.exists()


async def test_the_echo_model_answers_only_if_it_is_passed(monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    for config in (None, {"system_instructions": "Be brief."}):
        with pytest.raises(agy.InvalidConfigError, match="no model can go on"):
            await agy.fork(CASSETTES / "plain_chat", config=config)


@pytest.mark.parametrize("name", ["conversation_id", "session_continuation_mode"])
async def test_the_configuration_names_no_conversation(name):
    with pytest.raises(agy.InvalidConfigError, match="continues the conversation of the recording"):
        await agy.fork(CASSETTES / "plain_chat", config={name: "resume"})
