"""Labels of agents and recordings: columns of every table, live and recorded."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import agy_nb as agy
from agy_nb.analysis import load
from agy_nb.analysis.schema import TABLES
from agy_nb.cassette.cassette_labels import change_labels
from agy_nb.cli import main
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.commands import CreateAgent
from agy_nb.testing import ScriptedModel, say
from tests.analysis.conftest import Wire, save, two_calls
from tests.runtime.conftest import runtime_with
from tests.support.memory import MemoryBackend

pytestmark = pytest.mark.blocking_allowed
SECRET = "sk-0123456789abcdefghijklmnop"


def of_agent(session=0, **labels):
    wire = Wire(session).begin()
    wire.add("host", {"type": "agent_started", "agent_id": session + 1, "labels": labels})
    return wire.prompt().step(1, text="Hi").usage(prompt=10 * (session + 1)).idle().end()


@pytest.mark.slow
def test_labels_of_a_recording_are_columns_of_every_table(tmp_path):
    save(tmp_path / "a", two_calls(), labels={"user": "ada", "experiment": "b"})
    save(tmp_path / "b", two_calls(), labels={"user": "bob"})
    save(tmp_path / "c", two_calls())
    sessions = load(tmp_path)
    for name in TABLES:
        table = sessions.frame(name)
        assert [*table.columns[-2:]] == ["experiment", "user"]
        assert str(table["user"].dtype) == "string"
    assert sessions.sessions["user"].fillna("?").tolist() == ["ada", "bob", "?"]
    assert sessions.turns["experiment"].fillna("?").tolist() == ["b", "?", "?"]
    usage = sessions.usage(["user", "model"])
    assert usage["user"].fillna("?").tolist() == ["ada", "bob", "?"]
    assert usage["total_tokens"].tolist() == [243, 243, 243]
    assert sessions.summary("experiment")["n_turns"].tolist() == [1, 2]
    assert sessions.filter(where={"user": "ada"}).latency("user")["user"].tolist() == ["ada"]
    assert [*sessions["a"].model_calls["user"].unique()] == ["ada"]
    assert load(tmp_path, where="user == 'bob'").usage(())["total_tokens"].tolist() == [243]


@pytest.mark.slow
def test_labels_of_agents_come_before_those_of_the_recording(tmp_path):
    wires = of_agent(0, user="ada", team="x"), of_agent(1, user="bob", team="x"), of_agent(2)
    sessions = load(save(tmp_path / "c", *wires, labels={"user": "all", "run": "7"}))
    assert sessions.agents["user"].tolist() == ["ada", "bob", "all"]
    usage = sessions.usage("user")
    assert dict(zip(usage["user"], usage["total_tokens"], strict=True)) == {
        "ada": 10, "all": 30, "bob": 20
    }  # fmt: skip
    assert sessions.sessions[["user", "run"]].to_numpy().tolist() == [["all", "7"]]
    assert sessions.sessions["team"].isna().all()  # not all agents have it
    assert sessions.model_calls["run"].tolist() == ["7"] * 3


def test_a_session_has_the_labels_that_all_its_agents_share(tmp_path):
    sessions = load(save(tmp_path / "c", of_agent(0, user="ada"), of_agent(1, user="ada")))
    assert sessions.sessions["user"].tolist() == ["ada"]


def test_without_labels_tables_have_no_more_columns(recording):
    sessions = load(recording)
    for name, table in TABLES.items():
        assert tuple(sessions.frame(name).columns) == table.names


def test_a_label_that_is_a_column_has_another_name(tmp_path):
    sessions = load(save(tmp_path / "c", two_calls(), labels={"status": "draft"}))
    assert sessions.turns["status"].tolist() == ["ok"]
    assert sessions.usage("label_status")["label_status"].tolist() == ["draft"]


@pytest.mark.parametrize(
    "labels",
    [[], "x", 5, {"user": 5}, {"": "x"}, {"a b": "x"}, {"user": "x" * 300}, {"user": "a\nb"}],
)
def test_labels_of_a_damaged_header_are_left_out(tmp_path, labels):
    sessions = load(save(tmp_path / "c", two_calls(), labels=labels))
    assert "user" not in sessions.sessions
    assert sessions.sessions["labels"].isna().all()


@pytest.mark.slow
def test_labels_that_you_add_fill_gaps_and_come_first(tmp_path):
    save(tmp_path / "a", two_calls(), labels={"user": "ada"})
    save(tmp_path / "b", two_calls(), labels={"user": "bob"})
    sessions = load(tmp_path).with_labels({"a": {"user": "eve", "arm": 1}})
    assert sessions.turns["user"].tolist() == ["eve", "bob"]
    assert sessions.usage("arm")["arm"].fillna(0).tolist() == [1, 0]
    frame = pd.DataFrame({"session_name": ["b"], "cohort": ["x"]})
    assert sessions.with_labels(frame).tool_calls["cohort"].fillna("?").tolist() == ["?", "x"]


@pytest.mark.parametrize("labels", [["ada"], {"a": "ada"}, None])
def test_labels_that_are_no_table_are_refused(recording, labels):
    with pytest.raises(InvalidInputError, match="labels must be a DataFrame, or a mapping"):
        load(recording).with_labels(labels)


# -- from the start of an agent to the tables ----------------------------------------------------


@pytest.mark.real
async def test_agents_have_labels_live_recorded_and_saved(tmp_path):
    async with (
        ScriptedModel([say("Hi")] * 3) as model,
        agy.use_cassette(tmp_path / "c", "all", labels={"experiment": "b", "note": SECRET}),
        agy.Runtime(agy.RuntimeConfig(chat_pause=0, keep_frames=True)) as rt,
    ):
        agent = await rt.create_agent(model.config(), labels={"user": "ada", "key": SECRET})
        await agent.chat_text("Hello")
        other = await agent.spawn_subagent()
        assert agent.tables.turns["user"].tolist() == ["ada"]
        assert rt.tables.usage("user")["user"].tolist() == ["ada"]
        assert rt.tables.now(["turns"]).turns["user"].tolist() == ["ada"]
        assert other.tables.agents["user"].tolist() == ["ada"]
        await agent.save_cassette(tmp_path / "saved")
    recorded = load(tmp_path / "c")
    assert recorded.usage(["experiment", "user"])["user"].tolist() == ["ada"]
    assert load(tmp_path / "saved").turns["user"].tolist() == ["ada"]
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET not in file.read_text(errors="replace"), file
    async with (
        agy.use_cassette(tmp_path / "c", "none", labels={"experiment": "other"}),
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as rt,
    ):
        agent = await rt.create_agent(model.config(), labels={"user": "bob"})
        await agent.chat_text("Hello")  # labels do not have to match
        assert rt.tables.turns["user"].tolist() == ["bob"]
        await rt.create_agent(model.config())
    assert load(tmp_path / "c").sessions["experiment"].tolist() == ["b"]


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"run": 5}, "must be a text, got 5"),
        ({5: "x"}, "must begin with a letter"),
        ({"a b": "x"}, "must begin with a letter"),
        ({"model": "x"}, "is a key of the tables"),
        ({"user": "x" * 257}, "one line of at most 256"),
        ({"user": "a\nb"}, "one line of at most 256"),
        ({f"n{n}": "x" for n in range(33)}, "has 33 labels; use at most 32"),
        (["user"], "must be a mapping of names to texts"),
    ],
)
async def test_labels_that_are_not_valid_are_refused(tmp_path, labels, why):
    with pytest.raises(InvalidInputError, match=why):
        await agy.Runtime().create_agent(labels=labels)
    with pytest.raises(InvalidInputError, match=why):
        agy.use_cassette(tmp_path / "c", labels=labels)


# -- agy-nb cassette label -----------------------------------------------------------------------


def test_command_sets_lists_and_removes_labels(tmp_path, capsys):
    for name in ("a", "b"):
        save(tmp_path / name, two_calls())
    wire = (tmp_path / "a" / "wire.jsonl").read_bytes()
    command = ["cassette", "label", str(tmp_path / "a")]
    assert main([*command, "--set", "user=ada", "--set", f"note=x={SECRET}"]) == 0
    out = capsys.readouterr().out
    assert "user=ada" in out
    assert SECRET not in out + (tmp_path / "a" / "header.json").read_text()
    assert load(tmp_path / "a").turns["user"].tolist() == ["ada"]
    assert (tmp_path / "a" / "wire.jsonl").read_bytes() == wire
    assert main(["cassette", "label", str(tmp_path), "--json", "--remove", "note"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [found[str(tmp_path / name)] for name in ("a", "b")] == [{"user": "ada"}, {}]
    assert main([*command, "--remove", "user", "--remove", "never"]) == 0
    assert capsys.readouterr().out.endswith("no labels\n")
    assert "labels" not in json.loads((tmp_path / "a" / "header.json").read_text())


def test_command_names_what_is_wrong(tmp_path, capsys):
    save(tmp_path / "a", two_calls())
    for text, why in (("user", "write NAME=VALUE"), ("model=x", "is a key"), ("=x", "begin with")):
        assert main(["cassette", "label", str(tmp_path / "a"), "--set", text]) == 2
        assert why in capsys.readouterr().err
    assert main(["cassette", "label", str(tmp_path / "nothing")]) == 1
    assert "there is no cassette" in capsys.readouterr().err


def test_a_cassette_keeps_its_labels_when_it_is_redacted(tmp_path):
    folder = save(tmp_path / "a", two_calls())
    change_labels(folder, {"user": "ada", "place": "Paris"})
    assert main(["cassette", "redact", str(folder), "--regex", "Paris"]) == 0
    labels = json.loads((folder / "header.json").read_text())["labels"]
    assert labels["user"] == "ada"
    assert "Paris" not in labels["place"]


async def test_a_command_of_the_protocol_has_labels():
    async with runtime_with(MemoryBackend()) as rt:
        await rt.submit(CreateAgent(labels={"user": "ada"}))
        assert rt.tables.agents["user"].tolist() == ["ada"]
        with pytest.raises(InvalidInputError, match="is a key of the tables"):
            await rt.submit(CreateAgent(labels={"model": "x"}))
