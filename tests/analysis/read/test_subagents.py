"""A subagent's own model and type: live, from frames alone, and from recorded HTTP requests."""

from __future__ import annotations

import asyncio

import pandas as pd
import pytest
from google.antigravity import types
from google.antigravity.hooks import policy

import agy_nb as agy
from agy_nb.analysis import load
from agy_nb.testing import ScriptedModel, call, in_system, say
from tests.analysis.conftest import CHILD, ROOT, Wire, save

RESEARCHER = {"name": "researcher", "model": {"name": "gemini-2.5-pro"}}


def with_subagents(*subagents):
    wire = Wire()
    models = [{"name": "gemini-2.5-flash", "types": ["MODEL_TYPE_TEXT"], "geminiApiEndpoint": {}}]
    config = {"models": models, "customSubagents": list(subagents)}
    wire.add("client", {"config": config}, 0.0)
    wire.add("harness", {"initializeConversationResponse": {"cascadeId": ROOT.id}})
    return wire.prompt()


def invoke(wire, *asked):
    body = {"Subagents": [{"TypeName": name, "Prompt": prompt} for name, prompt in asked]}
    return wire.add(
        "host",
        {
            "type": "approval",
            "trajectory": {"id": ROOT.id, "parent_id": None, "depth": 0},
            "approval_id": "a-1",
            "tool": "invoke_subagent",
            "args": body,
            "state": "pending",
        },
    )


def child(wire, prompt):
    text = f"[Message] timestamp=2026-11-21T02:44:55Z sender={ROOT.id} content={prompt}"
    wire.step(0, where=CHILD, source="SYSTEM", target="MODEL", text=text)
    return wire.step(1, where=CHILD, text="Purr.").usage(CHILD, prompt=1000, answer=1)


def calls_of(tmp_path, wire):
    sessions = load(save(tmp_path / "c", wire.idle().end()))
    [row] = sessions.model_calls.to_dict("records")
    [_, thread] = sessions.trajectories.sort_values("depth").to_dict("records")
    return row, thread


def test_a_subagent_of_a_known_type_has_its_own_model(tmp_path):
    wire = invoke(with_subagents(RESEARCHER), ("researcher", "What does a cat do?"))
    row, thread = calls_of(tmp_path, child(wire, "What does a cat do?"))
    assert (row["model"], row["model_source"]) == ("gemini-2.5-pro", "config")
    assert (thread["subagent"], thread["model"]) == ("researcher", "gemini-2.5-pro")
    assert row["cost_status"] == "priced"


def test_a_clone_has_the_model_of_its_agent(tmp_path):
    wire = invoke(with_subagents(RESEARCHER), ("researcher", "cats"), ("self", "dogs"))
    row, thread = calls_of(tmp_path, child(wire, "dogs"))
    assert (row["model"], row["model_source"]) == ("gemini-2.5-flash", "inherited")
    assert thread["subagent"] == "self"


@pytest.mark.parametrize(
    "asked",
    [
        (),  # no approval was needed, so that the frames do not show the type
        (("researcher", "cats"), ("self", "cats")),  # two types with one prompt
        (("browser", "cats"),),  # a type of the harness's own
    ],
)
def test_a_subagent_of_unknown_type_has_no_price_if_models_differ(tmp_path, asked):
    wire = with_subagents(RESEARCHER)
    row, _ = calls_of(tmp_path, child(invoke(wire, *asked) if asked else wire, "cats"))
    assert pd.isna(row["model"])
    assert row["cost_status"] == "unknown_model"
    usage = load(tmp_path / "c").usage(())
    assert usage["cost_is_lower_bound"].tolist() == [True]


@pytest.mark.parametrize("subagents", [(), ({"name": "helper"},)])
def test_a_subagent_of_unknown_type_has_the_agents_model_if_all_have(tmp_path, subagents):
    row, _ = calls_of(tmp_path, child(with_subagents(*subagents), "cats"))
    assert (row["model"], row["model_source"]) == ("gemini-2.5-flash", "inherited")


def test_the_tier_of_the_configuration_counts_if_none_is_reported(tmp_path):
    wire = Wire()
    endpoint = {"options": {"serviceTier": "priority"}}
    model = {"name": "gemini-3.8-flash", "types": ["MODEL_TYPE_TEXT"]}
    models = [model | {"geminiApiEndpoint": endpoint}]
    wire.add("client", {"config": {"models": models}}, 0.0)
    wire.add("harness", {"initializeConversationResponse": {"cascadeId": ROOT.id}})
    wire.prompt().step(1, text="Hi").usage(prompt=10, answer=1).idle().end()
    [row] = load(save(tmp_path / "c", wire)).model_calls.to_dict("records")
    assert (row["requested_tier"], row["cost_status"]) == ("priority", "unknown_tier")


# -- the real harness ----------------------------------------------------------------------------

TASKS = [
    {"TypeName": "researcher", "Role": "Researcher", "Prompt": "What does a cat do?"},
    {"TypeName": "self", "Role": "Clone", "Prompt": "What does a dog do?"},
]
SCRIPT = [
    (in_system("You are a researcher."), [say("It purrs.")] * 2),
    ("What does a dog do", [say("It barks.")] * 2),
    ("Ask", [call("invoke_subagent", Subagents=TASKS), *[say("I see.")] * 4]),
]


@pytest.fixture(scope="module", params=["asked", "allowed"])
def recorded(request, tmp_path_factory):
    """A recording of two subagents with and without approvals, and the live tables of it."""
    folder = tmp_path_factory.mktemp("subagents") / request.param
    researcher = types.SubagentConfig(
        name="researcher",
        description="Looks things up.",
        system_instructions=types.CustomSystemInstructions(text="You are a researcher."),
        model="gemini-2.5-pro",
    )
    allowed = {"policies": [policy.allow_all()]} if request.param == "allowed" else {}

    async def play():
        async with (
            ScriptedModel(SCRIPT) as model,
            agy.use_cassette(folder, "all"),
            agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as rt,
        ):
            config = model.config(subagents=[researcher], **allowed)
            agent = await rt.create_agent(config, ask_user=lambda _: True)
            await (await agent.chat("Ask around")).wait()
            return agent.tables.trajectories[["depth", "subagent", "model"]]

    return request.param, folder, asyncio.run(play())


def kinds(trajectories):
    rows = trajectories[trajectories["depth"] == 1][["subagent", "model"]]
    return sorted(map(tuple, rows.astype("object").fillna("unknown").to_numpy()))


KNOWN = [("researcher", "gemini-2.5-pro"), ("self", "scripted-model")]


@pytest.mark.real
@pytest.mark.blocking_allowed
def test_real_subagents_have_their_own_models(recorded):
    how, folder, live = recorded
    frames = load(folder, model_requests=False)
    unknown = [("unknown", "unknown")] * 2  # the harness names no type in its frames
    assert kinds(live) == kinds(frames.trajectories) == (KNOWN if how == "asked" else unknown)
    both = load(folder)
    assert kinds(both.trajectories) == KNOWN
    calls = both.model_calls
    own = calls[calls["model"].eq("gemini-2.5-pro")]
    assert len(own) >= 1
    assert own["cost_status"].eq("priced").all()
