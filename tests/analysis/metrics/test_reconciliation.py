"""Tokens in the tables against the HTTP requests of the same recording.

The truth is read here from `model.yaml` alone. A sum must be equal to it, or be flagged as a lower
bound and not exceed it. A sum that is equal must not be flagged, unless the truth is not known
either: an answer without usage, or a stream that was cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import random
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.analysis.loading import load
from agy_nb.cassette.storage.model_log import read_model
from agy_nb.testing import (
    ScriptedModel,
    block,
    call,
    drop,
    empty,
    fail,
    image,
    say,
    think,
)
from tests.wire.test_equality import QUICK, add, broken, get_weather

SHIPPED = sorted(
    path.parent for path in (Path(__file__).parents[3] / "cassettes").glob("*/model.yaml")
)


class Truth(NamedTuple):
    """The tokens of some requests, and whether some used tokens that they did not report."""

    tokens: int
    exact: bool
    requests: int


def truth(folder: Path, conversations: set[str] | None = None) -> Truth:
    """The tokens of the requests of some trajectories; None for all requests."""
    tokens, exact, requests = 0, True, 0
    for each in read_model(folder):
        named = re.findall(r"Conversation ID: ([0-9a-f]{32})", str(each["request"]["body"]))
        if conversations is not None and not conversations & set(named):
            continue
        requests += 1
        response = each["response"]
        if response["status"]["code"] >= 400:
            continue
        body = response["body"]["string"]
        text = body if isinstance(body, str) else body.decode(errors="replace")
        found = re.findall(r'"usageMetadata": ?(\{[^{}]*\})', text)
        exact &= bool(found) and response["x_agy_end"] == "ok"
        tokens += json.loads(found[-1])["totalTokenCount"] if found else 0
    return Truth(tokens, exact, requests)


def total(usage: Any) -> int:
    return 0 if str(usage["total_tokens"]) == "<NA>" else int(usage["total_tokens"])


def assert_agrees(usage: Any, known: Truth) -> None:
    """Sums of a recording with its HTTP requests are the truth."""
    assert total(usage) == known.tokens
    assert usage["tokens_are_lower_bound"] == (not known.exact)
    assert usage["n_requests"] == known.requests


def is_honest(usage: Any, known: Truth) -> bool:
    """Say whether sums of frames alone are the truth, or flagged and less."""
    if total(usage) == known.tokens:
        return bool(usage["tokens_are_lower_bound"]) == (not known.exact)
    return total(usage) < known.tokens and bool(usage["tokens_are_lower_bound"])


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
@pytest.mark.slow
def test_shipped_cassette_has_the_tokens_of_its_requests(folder):
    known = truth(folder)
    assert_agrees(load(folder, prices=None).usage("session").iloc[0], known)
    frames = load(folder, prices=None, model_requests=False)
    assert is_honest(frames.usage("session").iloc[0], known)


# -- generated sessions --------------------------------------------------------------------------


def unmetered(turn):
    return dataclasses.replace(turn, metering="never")


ACTS = (
    lambda: [say("text")],
    lambda: [say(["in", " two"], metering="every_chunk")],
    lambda: [think("Hm.") + say("thought")],
    lambda: [call("add", x=1)],
    lambda: [call("add", x=1) + call("get_weather", city="Rome")],
    lambda: [say("Let me see.") + call("add", x=1)],
    lambda: [call("broken")],
    lambda: [call("no_such_tool", x=1) + call("add", x=1)],
    lambda: [fail(429, retry_after=0)],
    lambda: [fail(503)],
    lambda: [fail(500)],
    lambda: [empty()],
    lambda: [unmetered(empty())],
    lambda: [block("SAFETY")],
    lambda: [unmetered(block("SAFETY"))],
    lambda: [say("no", finish_reason="SAFETY")],
    lambda: [say("too much", finish_reason="MAX_TOKENS")],
    lambda: [unmetered(say("free"))],
    lambda: [unmetered(call("add", x=2))],
    lambda: [unmetered(say("First") + call("add", x=2))],
    lambda: [drop("half")],
    lambda: [drop()],
    lambda: [drop(say(["one ", "two"], metering="every_chunk"))],
    lambda: [call("search_web", query="green tea")],
    lambda: [call("generate_image", Prompt="a grey cat", ImageName="cat")],
)
BY_TOOLS = {
    "green tea": [say("found")] * 50,
    "a grey cat": [image(b"\x89PNG" + b"0" * 50)] * 50,
}
SESSIONS, AGENTS, PROMPTS = 5 if os.environ.get("AGY_SOAK") else 3, 9, 2


def script(seed: int) -> list[Any]:
    """The answers of one agent."""
    dice = random.Random(seed)
    turns = [turn for _ in range(dice.randint(1, 7)) for turn in dice.choice(ACTS)()]
    return [*turns, *([say("the end")] * 8)]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Recordings of several agents each, with different answers of the model."""
    folder = tmp_path_factory.mktemp("generated")
    limits = agy.RuntimeConfig(chat_pause=0, max_quota_retries=0)

    async def play(number: int) -> Path:
        path = folder / f"c{number}"
        names = [f"conversation {number * AGENTS + each:03}" for each in range(AGENTS)]
        answers = {name: script(int(name[-3:])) for name in names} | BY_TOOLS
        async with (
            ScriptedModel(list(answers.items())) as model,
            agy.use_cassette(path, "all"),
            agy.Runtime(limits) as rt,
        ):
            await asyncio.gather(*(chat(rt, model, name) for name in names))
        return path

    async def chat(rt: agy.Runtime, model: ScriptedModel, name: str) -> None:
        config = model.config(retry_config=QUICK, policies=[policy.allow_all()])
        agent = await rt.create_agent(config, tools=[get_weather, add, broken])
        with contextlib.suppress(agy.AgyError):  # the harness can end with the model
            for number in range(PROMPTS):
                await (await agent.chat(f"{name}, part {number}")).wait()
        with contextlib.suppress(agy.AgyError):
            await agent.shutdown()

    async def play_all() -> list[Path]:
        return [await play(number) for number in range(SESSIONS)]

    return asyncio.run(play_all())


@pytest.mark.timeout(240)
@pytest.mark.real
@pytest.mark.blocking_allowed
def test_generated_sessions_have_the_tokens_of_their_requests(generated):
    """A conversation can go on with another agent, after its harness has ended."""
    checked = missed = 0
    for folder in generated:
        both, frames = (load(folder, prices=None, model_requests=asked) for asked in (True, False))
        assert total(both.usage("session").iloc[0]) == truth(folder).tokens
        calls, usage = both.model_calls, frames.usage("trajectory")
        for conversation in both.trajectories["trajectory_id"].unique():
            known = truth(folder, {conversation})
            mine = calls[calls["trajectory_id"].eq(conversation)]
            own = mine[mine["tool"].isna()]
            assert own["total_tokens"].sum() == known.tokens, (folder, conversation)
            assert own["status"].isin(["usage_unknown", "cut"]).any() == (not known.exact)
            assert len(own) == known.requests
            # Requests of built-in tools name no conversation, and their rows do.
            with_tools = known._replace(tokens=int(mine["total_tokens"].sum()))
            rows = usage[usage["trajectory_id"].eq(conversation)]
            summed = {
                "total_tokens": rows["total_tokens"].sum(),
                "tokens_are_lower_bound": rows["tokens_are_lower_bound"].any(),
            }
            missed += not is_honest(summed, with_tools)
            checked += 1
    assert checked >= SESSIONS * AGENTS - 5
    # Frames alone do not tell all: an answer without usage that has both text and a call, say.
    assert missed <= checked / 10
