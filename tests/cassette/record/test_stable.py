"""A re-recording keeps the ids, ports and times of the old one, so that git shows what changed."""

import asyncio
import re
import subprocess

import pytest

from agy_nb.cassette import use_cassette
from agy_nb.cassette.cassette_labels import change_labels
from agy_nb.cassette.record.stable_lines import RenamedIds, stable_lines
from agy_nb.cassette.record.stable_sessions import renumbered
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import MODEL, WIRE, WireRecord, read_header
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.runtime.runtime import Runtime
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.testing import ScriptedModel, ScriptUsage, call, in_system, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the tests read files
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


TOKENS = ScriptUsage(prompt=100, candidates=5)
"""The harness's session id has 18 to 20 characters, so tokens that are counted by length differ."""


def weather(city: str) -> str:
    """Look at the weather.

    Args:
        city: Where.
    """
    return f"sunny in {city}"


async def talk(path, prompts=("How is Paris?", "And Rome?"), mode="all", **options):
    """Record, or replay, an agent that calls a tool in each turn."""
    calls = call("weather", city="Paris").having(usage=TOKENS), say("It is fine.", usage=TOKENS)
    script = [each for _ in prompts for each in calls]
    async with (
        ScriptedModel(script) as model,
        use_cassette(path, mode, **options),
        Runtime() as runtime,
    ):
        agent = await runtime.create_agent(model.config(), tools=[weather])
        return [await agent.chat_text(prompt) for prompt in prompts]


def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def changed_lines(before, after, name):
    one, other = (set(each[name].decode().splitlines()) for each in (before, after))
    return len(other - one), len(one - other)


@pytest.mark.parametrize("mode", ["all", "rewrite"])
async def test_recording_that_means_the_same_is_the_same(tmp_path, mode):
    path = tmp_path / "c"
    await talk(path)
    before = files(path)
    await talk(path, mode=mode)
    assert files(path) == before


async def test_labels_stay_when_a_cassette_is_recorded_again(tmp_path):
    path = tmp_path / "c"
    await talk(path, labels={"team": "one", "user": "bob"})
    change_labels(path, {"user": "ada"}, ["team"])
    await talk(path, ("How is Lyon?",))
    assert read_header(path).labels == {"user": "ada"}
    await talk(path, ("How is Lyon?",), labels={"run": "7"}, redact=[re.compile("ada")])
    assert read_header(path).labels == {"user": "{{agy:rule}}", "run": "7"}
    async with (
        ScriptedModel([say("Fine.")]) as model,
        Runtime(RuntimeConfig(keep_frames=True)) as runtime,
    ):
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("How is Rome?")
        await agent.save_cassette(path)
    assert read_header(path).labels["run"] == "7"


async def test_changed_prompt_changes_only_its_lines(tmp_path):
    path = tmp_path / "c"
    await talk(path)
    before, ids = files(path), conversations(path)
    await talk(path, ("How is Lyon now?", "And Rome?"))
    after = files(path)
    assert conversations(path) == ids
    added, removed = changed_lines(before, after, WIRE)
    # The prompt, its echo, and the counts of tokens, which depend on its length.
    assert max(added, removed) <= 12
    added, removed = changed_lines(before, after, MODEL)
    assert max(added, removed) <= 10
    assert read_header(path).id != load_id(before)
    assert await talk(path, ("How is Lyon now?", "And Rome?"), mode="none") == ["It is fine."] * 2


async def test_agents_that_run_side_by_side_are_recorded_in_the_same_order(tmp_path):
    path = tmp_path / "c"

    async def ask(runtime, model, city):
        agent = await runtime.create_agent(model.config(system_instructions=f"You know {city}."))
        return await agent.chat_text("How is it?")

    async def record(cities):
        answers = [
            (in_system(f"You know {city}."), [say(f"Nice in {city}.", usage=TOKENS)])
            for city in cities
        ]
        async with ScriptedModel(answers) as model, use_cassette(path, "all"), Runtime() as runtime:
            await asyncio.gather(*(ask(runtime, model, city) for city in cities))
        return files(path)

    before = await record(["Rome", "Oslo", "Bern"])
    after = await record(["Bern", "Rome", "Oslo"])
    assert after[MODEL] == before[MODEL]
    # Only the agents' numbers differ, as they were created in another order.
    assert changed_lines(before, after, WIRE) == (3, 3)


async def test_re_recording_replays_at_both_seams(tmp_path):
    path = tmp_path / "c"
    await talk(path)
    prompts = ("How is Lyon now?", "And Rome?", "And Oslo?")
    await talk(path, prompts)
    for seam in ("wire", "model"):
        assert await talk(path, prompts, mode="none", seam=seam) == ["It is fine."] * 3
    await talk(path, prompts[:1])
    for seam in ("wire", "model"):
        assert await talk(path, prompts[:1], mode="none", seam=seam) == ["It is fine."]


async def test_id_in_a_prompt_is_the_new_one(tmp_path):
    path = tmp_path / "c"
    one, other = "0b5c9d56-4e0f-4a4e-9a55-0a8f6e2f8f10", "7f0e6a0e-93c4-4b8e-8f4c-5d2b6c1f9a77"
    await talk(path, (f"Order {one}",))
    await talk(path, (f"Order {other}",))
    assert one not in (path / WIRE).read_text() + (path / MODEL).read_text()
    assert await talk(path, (f"Order {other}",), mode="none") == ["It is fine."]


async def test_old_recording_is_redacted_by_the_new_rules(tmp_path):
    path = tmp_path / "c"
    await talk(path, ("Project Bluebird?",))
    await talk(path, ("Project Bluebird?",), redact=[re.compile("Bluebird")])
    assert not any(b"Bluebird" in raw for raw in files(path).values())


async def test_damaged_recording_is_simply_replaced(tmp_path):
    path = tmp_path / "c"
    await talk(path, ("Hello",))
    (path / WIRE).write_bytes(b"{rubbish\n")
    await talk(path, ("Hello",))
    assert await talk(path, ("Hello",), mode="none") == ["It is fine."]


async def test_git_shows_what_has_changed(tmp_path):
    def git(*words):
        settings = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        run = subprocess.run(
            ["git", *settings, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return run.stdout.splitlines()

    await talk(tmp_path / "c")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "Record")
    await talk(tmp_path / "c", ("How is Lyon now?", "And Rome?"))
    changed = [line for line in git("diff", "-U0") if re.match(r"[+-](?![+-]{2} )", line)]
    assert len(changed) <= 60
    assert "+              How is Lyon now?" in changed


def conversations(path):
    return [
        line.frame["initializeConversationResponse"]["cascadeId"]
        for session in load(path).sessions
        for line in session.lines
        if "initializeConversationResponse" in line.frame
    ] + [re.findall(r"Conversation ID: (\w+)", m["request"]["body"]) for m in read_model(path)]


def load_id(before):
    return re.search(rb'"id": "(\w+)"', before["header.json"])[1].decode()


def lines_of(*sessions):
    """A recording of sessions with a prompt each, by their number."""
    return [
        WireRecord(number, "client", 0.0, frame)
        for number, prompt in sessions
        for frame in ({"config": {}}, {"userInput": {"parts": [{"text": prompt}]}})
    ]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ([(0, "a"), (1, "b")], [0, 1]),
        ([(0, "b"), (1, "a")], [1, 0]),  # they raced
        ([(0, "changed"), (1, "b")], [0, 1]),
        ([(0, "changed"), (1, "a")], [1, 0]),
        ([(0, "b"), (1, "a"), (2, "new")], [1, 0, 2]),
        ([(0, "new"), (1, "b"), (2, "a")], [2, 1, 0]),
        ([(0, "a"), (1, "a")], [0, 1]),
        ([(5, "b")], [1]),  # the rest is still to be added
    ],
)
def test_sessions_that_raced_keep_their_numbers(new, expected):
    found = renumbered(lines_of((0, "a"), (1, "b")), lines_of(*new))
    assert [line.session for line in found[::2]] == expected


MAIN, HELPER = "a" * 32, "b" * 32


def helped(*kinds, sent="2026-11-27T16:00:00Z", answer="They purr.", first=MAIN):
    """A turn of an agent with a subagent, as the harness tells it: both run at the same time."""

    def step(trajectory, number, text, source="SOURCE_MODEL"):
        about = {"trajectoryId": trajectory, "stepIndex": number, "source": source}
        return {"stepUpdate": {**about, "state": "STATE_DONE", "text": text}}

    def state(trajectory, name):
        return {"trajectoryStateUpdate": {"trajectoryId": trajectory, "state": name}}

    agents = [MAIN, HELPER] if first == MAIN else [HELPER, MAIN]
    message = f"[Message] timestamp={sent} sender={MAIN} content=look into cats"
    frames = {
        "asked": step(HELPER, 0, message, "SOURCE_SYSTEM"),
        "answered": step(HELPER, 1, answer),
        "waits": state(MAIN, "STATE_WAITING_FOR_SUBAGENTS"),
        "runs": state(MAIN, "STATE_RUNNING"),
        "said": step(MAIN, 1, "Wait."),
        "usage": {"usageUpdate": {"agents": [{"trajectoryId": each} for each in agents]}},
        "idle": state(MAIN, "STATE_FULLY_IDLE"),
    }
    asked = {"userInput": {"parts": [{"text": "Ask around"}]}}
    return [
        WireRecord(0, "client", 0.0, asked),
        *(WireRecord(0, "harness", 0.01, frames[kind]) for kind in (*kinds, "usage", "idle")),
    ]


OLD = helped("runs", "asked", "said", "waits", "answered", "runs")


@pytest.mark.parametrize(
    "new",
    [
        helped("runs", "said", "asked", "answered"),
        helped("runs", "asked", "answered", "said", "runs", "waits", "runs"),
        helped("runs", "said", "asked", "answered", sent="2026-11-28T09:30:00Z", first=HELPER),
    ],
)
def test_turn_with_a_subagent_keeps_its_lines_if_only_their_order_differs(new):
    assert stable_lines(OLD, new, RenamedIds(OLD, new)) == OLD


def test_turn_with_a_subagent_has_the_new_words():
    new = helped("runs", "said", "asked", "answered", answer="They meow.")
    found = stable_lines(OLD, new, RenamedIds(OLD, new))
    texts = [line.frame.get("stepUpdate", {}).get("text") for line in found]
    assert "They meow." in texts
    assert "They purr." not in texts


def test_subagents_that_start_in_another_order_get_the_ids_of_the_order():
    """Not promised: which of two subagents is an old one. No words are lost or mixed up."""

    def turn(*answers):
        asked = {"userInput": {"parts": [{"text": "Ask around"}]}}
        steps = [
            {"stepUpdate": {"trajectoryId": name * 32, "stepIndex": 0, "text": text}}
            for name, text in answers
        ]
        lines = [WireRecord(0, "harness", 0.01, frame) for frame in steps]
        return [WireRecord(0, "client", 0.0, asked), *lines]

    old = turn(("a", "They purr."), ("b", "They bark."))
    new = turn(("c", "They bark."), ("d", "They purr."))
    found = stable_lines(old, new, RenamedIds(old, new))
    assert found != old
    steps = [line.frame["stepUpdate"] for line in found[1:]]
    assert [(step["trajectoryId"][0], step["text"]) for step in steps] == [
        ("a", "They bark."),
        ("b", "They purr."),
    ]
