"""Forks and rewinds in the tables: parents, abandoned turns, and tokens that count once."""

import pandas as pd
import pytest

import agy_nb as agy
from agy_nb.analysis.plotting.branch_chart import _places, branch_chart
from agy_nb.errors import InvalidInputError
from agy_nb.testing import ScriptedModel, say

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]


async def branching(config) -> None:
    """Two turns, a fork after the first, a rewind to it, and a fork of the abandoned turn."""
    agent = await agy.create_agent(config)
    await agent.chat_text("one")
    await agent.chat_text("two")
    fork = await agent.fork(1)
    await fork.chat_text("three")
    await (await fork.fork()).shutdown()
    await agent.rewind(1)
    await agent.chat_text("four")
    left = await agent.fork(branch=1)
    await left.chat_text("five")
    for each in (fork, agent, left):
        await each.shutdown()


@pytest.fixture
async def tables(tmp_path):
    """The live tables, and those of the recording."""
    await agy.runtime().close()
    runtime = agy.runtime(agy.RuntimeConfig(chat_pause=0, checkpoints="all"))
    async with ScriptedModel(lambda _: say("ok")) as model, agy.use_cassette(tmp_path / "c", "all"):
        await branching(model.config())
        requests = model.requests
    await runtime.close()
    return runtime.tables, agy.load(tmp_path / "c"), requests


def column(table, name):
    return [None if pd.isna(value) else value for value in table[name]]


async def test_agents_have_parents_and_turns_are_abandoned(tables):
    live, recorded, _ = tables
    agents = live.agents
    assert column(agents, "parent_agent_id") == [None, 1, 2, 1]
    assert column(agents, "forked_after_turn") == [None, 1, 2, 2]
    assert list(live.turns["abandoned"]) == [False, True, False, False, False]

    agents = recorded.agents  # the agent has a second connection after its rewind
    assert column(agents, "parent_agent_id") == [None, 1, 2, 1, 1]
    assert column(agents, "forked_after_turn") == [None, 1, 2, 1, 2]
    turns = recorded.frame("turns").sort_values(["agent_id", "turn_index"])
    assert list(turns["abandoned"]) == [False, True, False, False, False]


async def test_tokens_count_once(tables):
    live, recorded, requests = tables
    for found in (live, recorded):
        assert found.usage(by=[])["n_model_calls"].sum() == len(requests) == 5
        assert found.branches()["total_tokens"].sum() == found.usage(by=[])["total_tokens"].sum()
    assert live.usage(by=[])["total_tokens"].sum() == recorded.usage(by=[])["total_tokens"].sum()


async def test_branches_are_a_tree(tables):
    live, recorded, _ = tables
    tree = live.branches()
    assert list(zip(tree["agent_id"], tree["depth"], tree["n_turns"], strict=True)) == [
        (1, 0, 3), (2, 1, 1), (3, 2, 0), (4, 1, 1),
    ]  # fmt: skip
    assert list(tree["n_abandoned"]) == [1, 0, 0, 0]
    assert list(recorded.branches()["depth"]) == [0, 1, 2, 1, 1]


async def test_plot_has_a_row_per_agent_and_a_bar_per_turn(tables):
    live, recorded, _ = tables
    chart = branch_chart(live, live.branches(), None)
    assert [name.split(" · ")[0] for name in chart.rows] == [
        "agent 1", "agent 1, abandoned", "  agent 2", "    agent 3", "  agent 4",
    ]  # fmt: skip
    bars = {each.name: each for each in chart.series if each.kind == "span"}
    begin = {name: [round(x) for x in each.x] for name, each in bars.items()}
    assert begin == {"ok": [0, 1, 1, 2], "abandoned": [1]}
    assert bars["ok"].y == (0, 0, 2, 4)
    links = [(each.x[0], *each.y) for each in chart.series if each.kind == "line"]
    assert links == [(1, 0, 1), (1, 0, 2), (2, 2, 3), (2, 0, 4)]
    for tables_of in (live, recorded):
        assert tables_of.plot_branches().get_title() == "Branches"
        assert len(tables_of.plot_branches(backend="plotly").data) > 2


def test_plot_of_what_has_no_forks():
    cassettes = agy.load("cassettes")
    assert cassettes.plot_branches(session_id="plain_chat").get_title() == "plain_chat: branches"
    with pytest.raises(InvalidInputError, match="session 'nope' has no agents"):
        cassettes.plot_branches(session_id="nope")
    empty = cassettes.filter(since="2100-01-01")
    assert empty.plot_branches().texts[0].get_text() == "no agent"


@pytest.mark.parametrize(
    ("abandoned", "kept", "left"),
    [
        ([False, False], [0, 1], []),
        ([False, True, True, False], [0, 1], [1, 2]),
        ([True, False, True], [0], [0, 1]),
    ],
)
def test_a_turn_after_a_rewind_is_where_the_first_abandoned_one_was(abandoned, kept, left):
    turns = pd.DataFrame({"status": "ok", "abandoned": abandoned})
    places, others = _places(turns, 0)
    assert ([place for place, _ in places], others) == (kept, left)
