"""A replayed model names the ids of this run where the recording named its own."""

import re
import uuid

import pytest
from google.antigravity import Agent

from agy_nb.cassette import use_cassette
from agy_nb.cassette.matching.run_values import RunValues
from agy_nb.cassette.storage.format import WireRecord
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting

OTHER = "0b9f1c8e-22ad-4c0e-9a57-1f6b0f5a2f10"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def ids_in(request):
    return UUID.findall(request.user_text)


def repeats_its_ids(request):
    """A model that looks up the first order of the prompt, and then names both and another one."""
    first, second, *_ = ids_in(request)
    if not request.tool_results:
        return call("look_up", order=first, about={"reason": f"user asks for {second}"})
    cut = len(first) // 2
    return say([f"Order {first[:cut]}", first[cut:], f" is open, unlike {second} ", OTHER])


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK's own Agent resolves paths
async def test_model_calls_the_tool_with_the_id_of_this_run(tmp_path):
    called, calls = [], []

    def look_up(order: str, about: dict) -> str:
        """Look up an order."""
        called.append((order, about))
        return f"{order} is open"

    async def play(at):
        first, second = str(uuid.uuid4()), str(uuid.uuid4())
        calls.append((first, second))
        async with Agent(at.config(tools=[look_up])) as agent:
            response = await agent.chat(f"What about {first} and {second}?")
            chunks = [chunk async for chunk in response]
            steps = [step.content for step in agent.conversation.history]
        return "".join(map(str, chunks)), steps

    async with ScriptedModel(repeats_its_ids) as model, use_cassette(tmp_path / "c", "once"):
        await play(Setting(model.base_url, tmp_path / "then"))
    async with use_cassette(tmp_path / "c", "none", normalize=["uuid"]):
        answer, steps = await play(Setting(NO_MODEL, tmp_path / "now"))
    first, second = calls[1]
    assert called[1] == (first, {"reason": f"user asks for {second}"})
    assert answer == f"Order {first} is open, unlike {second} {OTHER}"
    assert not set(calls[0]) & set(UUID.findall(str(steps)))


def step(delta, text, state="STATE_ACTIVE"):
    update = {"stepIndex": 1, "state": state, "textDelta": delta, "text": text}
    return WireRecord(0, "harness", 0.0, {"stepUpdate": update})


def test_values_of_other_lengths_are_replaced_across_the_pieces_of_a_stream():
    values = RunValues([re.compile(r"\bjob-\d+\b")])
    assert values.learn({"text": "job-1 and job-22"}, {"text": "job-22 and job-3"})
    parts = ["See jo", "b-1, j", "ob-2", "2."]
    texts = ["".join(parts[: n + 1]) for n in range(4)]
    states = ["STATE_ACTIVE"] * 3 + ["STATE_DONE"]
    lines = values.lines(map(step, parts, texts, states))
    updates = [line.frame["stepUpdate"] for line in lines]
    whole = "See job-22, job-3."
    assert "".join(update["textDelta"] for update in updates) == whole
    assert updates[-1]["text"] == whole
    for number, update in enumerate(updates):
        assert update["text"] == "".join(each["textDelta"] for each in updates[: number + 1])


def test_value_that_is_escaped_in_json_stays_one_value():
    values = RunValues([re.compile(r"<[^>]*>")])
    values.learn({"text": "<a>"}, {"text": '<"b" \\>'})
    changed = values.frame({"argumentsJson": '{"name":"<a>"}', "text": "<a> <c>"})
    assert changed == {"argumentsJson": '{"name":"<\\"b\\" \\\\>"}', "text": '<"b" \\> <c>'}


@pytest.mark.parametrize(
    ("then", "now"),
    [("job-1", "no job"), ("job-1 job-2", "job-3"), ({"text": "job-1"}, None), ("same", "same")],
)
def test_values_that_cannot_be_tied_stay_as_they_were_recorded(then, now):
    values = RunValues([re.compile(r"job-\d+")])
    assert not values.learn({"text": then}, {"text": now})
    assert values.frame({"text": "job-1"}) == {"text": "job-1"}


def test_later_value_of_the_client_counts_from_then_on():
    values = RunValues([re.compile(r"\d\d:\d\d")])
    assert values.learn({"text": "at 09:05"}, {"text": "at 10:00"})
    assert values.learn({"text": "at 10:00"}, {"text": "at 11:00"})
    assert values.learn({"text": "at 09:05"}, {"text": "at 10:01"})
    assert values.frame({"text": "09:05, 10:00"}) == {"text": "10:01, 11:00"}
