"""Totals agree: the sum over model calls is what the harness counted, by trajectory and in all.

The counters are read here once more, straight from the lines, so that nothing of what is tested
says what it should give.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agy_nb.analysis import load
from tests.analysis.conftest import CHILD, ROOT, Wire, counts, save

SHIPPED = sorted(path.parent for path in Path(__file__).parents[3].glob("cassettes/*/wire.jsonl"))
FIELDS = {
    "input_tokens": ("promptTokenCount",),
    "cache_read_tokens": ("cachedContentTokenCount",),
    "output_tokens": ("candidatesTokenCount", "thoughtsTokenCount"),
    "reasoning_tokens": ("thoughtsTokenCount",),
    "total_tokens": ("totalTokenCount",),
}


def sums(usage):
    """What a message of the harness says, in the words of the tables."""
    return {name: sum(int(usage.get(f, 0)) for f in fields) for name, fields in FIELDS.items()}


def less(now, before):
    return {name: now[name] - before.get(name, 0) for name in now}


def counters(folder):
    """What the harness counted in a recording: by agent and trajectory, and by agent.

    A resumed conversation begins with what earlier ones had counted.
    """
    first, last = {}, {}
    for line in (folder / "wire.jsonl").read_text().splitlines():
        data = json.loads(line)
        agent, frame = data["s"] + 1, data["f"]
        if "initializeConversationResponse" in frame:
            body = frame["initializeConversationResponse"]
            if "cumulativeUsage" in body:
                first[agent, None] = sums(body["cumulativeUsage"])
            for entry in body.get("trajectoryUsage", ()):
                first[agent, entry["trajectoryId"]] = sums(entry["usage"])
        elif "usageUpdate" in frame:
            body = frame["usageUpdate"]
            last[agent, None] = sums(body["total"])
            for entry in body["agents"]:
                last[agent, entry["trajectoryId"]] = sums(entry["usage"])
    return {key: less(now, first.get(key, {})) for key, now in last.items()}


def counted(table, agent, trajectory):
    """The sums of rows of `model_calls`, or of `usage()`."""
    rows = table[table["agent_id"] == agent]
    if trajectory is not None:
        rows = rows[rows["trajectory_id"] == trajectory]
    return {name: int(rows[name].sum()) for name in FIELDS}


def agree(sessions, folder):
    told = counters(folder)
    for (agent, trajectory), expected in told.items():
        assert counted(sessions.model_calls, agent, trajectory) == expected
        by = "agent" if trajectory is None else "trajectory"
        assert counted(sessions.usage(by), agent, trajectory) == expected
    every = [counter for (_, trajectory), counter in told.items() if trajectory is None]
    for by in ("turn", "session", "model", "day"):
        table = sessions.usage(by)
        for name in FIELDS:
            assert table[name].sum() == sum(counter[name] for counter in every)
    return told


def test_there_are_shipped_cassettes():
    assert len(SHIPPED) >= 20


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
@pytest.mark.slow
def test_calls_of_a_shipped_cassette_are_what_the_harness_counted(folder):
    sessions = load(folder)
    told = agree(sessions, folder)
    known = {agent for agent, trajectory in told if trajectory is None}
    uncounted = set(sessions.agents["agent_id"]) - known
    calls = sessions.model_calls
    assert not calls[calls["status"].eq("metered")]["agent_id"].isin(uncounted).any()
    wrong = ["totals_differ", "damaged", "partial", "counter_went_back"]
    assert not sessions.problems["problem"].isin(wrong).any()


def test_all_shipped_cassettes_together_are_the_sum_of_each():
    told = [counters(folder) for folder in SHIPPED]
    expected = sum(
        counter["total_tokens"]
        for recording in told
        for (_, trajectory), counter in recording.items()
        if trajectory is None
    )
    sessions = load(SHIPPED[0].parent)
    assert len(sessions) == len(SHIPPED)
    assert sessions.model_calls["total_tokens"].sum() == expected
    assert sessions.usage("session")["total_tokens"].sum() == expected


def test_refused_request_leaves_the_sum_exact():
    sessions = load(next(folder for folder in SHIPPED if folder.name == "unauthorised"))
    assert sessions.usage("session")["total_tokens"].isna().all()
    assert sessions.usage("session")["n_refused"].tolist() == [1]
    assert not sessions.usage("session")["tokens_are_lower_bound"].any()
    assert not len(sessions.problems)


# -- any session ---------------------------------------------------------------------------------

amounts = st.tuples(*[st.integers(0, 10**6)] * 4).map(
    lambda four: (four[0], min(four[:2]), *four[2:])  # what is cached is part of the prompt
)
trajectories = st.sampled_from([ROOT, CHILD])
acts = st.lists(
    st.one_of(
        st.tuples(st.just("call"), trajectories, amounts),
        st.tuples(st.just("repeat"), st.none(), st.none()),
        st.tuples(st.just("turn"), st.none(), st.none()),
        st.tuples(st.just("cancel"), st.none(), st.none()),
        st.tuples(st.just("fail"), trajectories, st.integers(0, 9)),
        st.tuples(st.just("say"), trajectories, st.integers(0, 9)),
        st.tuples(st.just("tool"), trajectories, st.integers(0, 9)),
    ),
    max_size=15,
)
pasts = st.one_of(st.none(), amounts)


def played(acts, past, session):
    """A recording of such a session; its past is that of a resumed conversation."""
    wire = Wire(session)
    if past is None:
        wire.begin()
    else:
        usage = counts(past)
        entries = [{"trajectoryId": ROOT.id, "usage": usage}]
        wire.begin(cumulativeUsage=usage, trajectoryUsage=entries, history=[])
        wire.totals[ROOT.id] = list(past)
    wire.prompt()
    failed = {"error": {"errorMessage": "exhausted", "httpCode": 429}}
    for kind, where, what in acts:
        if kind == "call":
            wire.usage(where, *what)
        elif kind == "repeat" and wire.totals:
            wire.add("harness", wire.usage_frame())
        elif kind == "turn":
            wire.idle().prompt()
        elif kind == "cancel":
            wire.add("client", {"haltRequest": True}).idle().prompt()
        elif kind == "fail":
            wire.step(what, where=where, state="ERROR", source="SYSTEM", **failed)
        elif kind == "say":
            wire.step(what, where=where, text="word")
        elif kind == "tool":
            wire.tool(f"call-{what}", where=where)
    return wire.idle().end()


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 2)
@given(st.lists(st.tuples(acts, pasts), min_size=1, max_size=3))
def test_calls_of_any_session_are_what_the_harness_counted(tmp_path_factory, sessions):
    wires = [played(acts, past, number) for number, (acts, past) in enumerate(sessions)]
    folder = save(tmp_path_factory.mktemp("c") / "c", *wires)
    found = load(folder, prices=None)
    agree(found, folder)
    assert not found.problems["problem"].isin(["totals_differ", "counter_went_back"]).any()
    agents = found.agents
    told = agents["reported_total_tokens"].fillna(0) - agents["baseline_total_tokens"].fillna(0)
    calls = found.model_calls.groupby("agent_id")["total_tokens"].sum()
    assert told.tolist() == [calls.get(number, 0) for number in agents["agent_id"]]
