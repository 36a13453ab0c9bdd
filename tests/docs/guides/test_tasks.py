"""The guides of everyday tasks run as they stand, without a key."""

from __future__ import annotations

import re
import shlex

import pandas as pd
import pytest

import agy_nb as agy
from agy_nb import cli
from agy_nb.testing.echo_prompts import EXAMPLES
from tests.docs import pages

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK makes its save_dir on the loop
]

SEARCHES = {
    "parallel": "parallel.md",
    "gather": "parallel.md",
    "choose a model": "choose_model.md",
    "without a key": "no_key.md",
    "stop a tool": "stop_a_tool.md",
    "label": "labels.md",
    "outlier": "outlier.md",
    "personal data": "personal_data.md",
    "upgrade": "upgrade.md",
    "changed prompt": "changed_prompt.md",
    "share a notebook": "share_notebook.md",
    "budget": "budgets.md",
    "leaves my machine": "what_leaves_my_machine.md",
}
"""What a user types into the search of the documentation, and the page that answers it."""


@pytest.mark.parametrize(("words", "page"), SEARCHES.items())
def test_words_that_a_user_searches_for_are_in_a_heading_of_the_page(words, page):
    headings = re.findall(r"^#+ (.+)$", pages.read(f"howto/{page}"), re.MULTILINE)
    assert any(words in heading.lower() for heading in headings)


async def test_parallel(notebook, capsys):
    await pages.run("howto/parallel.md", notebook)
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if line.startswith("You said")] == [
        f"You said: Hello, {name}" for name in ("Ada", "Bob", "Cleo")
    ]
    assert out[-1] == "[False, False, False]"  # the turns still run
    assert len(notebook["texts"]) == 3
    assert notebook["failed"] == []
    assert len(notebook["answers"]) == 3


async def test_choose_model(notebook, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "made-up")
    *_, models = await pages.run("howto/choose_model.md", notebook)
    assert models["model"].tolist() == ["gemini-2.5-pro"]
    for name in re.findall(r"`(\w+AgentConfig|ScriptedModel)", pages.read("howto/choose_model.md")):
        assert name in {"LocalAgentConfig", "LocalOpenAIAgentConfig", "ScriptedModel"}


async def test_stop_a_tool(notebook, capsys):
    await pages.run("howto/stop_a_tool.md", notebook)
    assert capsys.readouterr().out.splitlines()[-2:] == ["I am here.", "cleaned up"]
    with pytest.raises(TimeoutError):
        await notebook["look_up"]("tea")
    await notebook["model"].stop()


async def test_labels(notebook, monkeypatch, capsys):
    by_user, recorded, labelled = await pages.run("howto/labels.md", notebook)
    assert by_user["user"].tolist() == ["ada", "bob"]
    assert by_user["n_model_calls"].tolist() == [2, 1]
    assert recorded[["team", "user"]].to_numpy().tolist() == [["search", "ada"]]
    assert labelled["customer"].tolist() == ["ACME"]
    for line in "".join(pages.blocks("howto/labels.md", "sh")).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "agy-nb"
        assert cli.main(arguments) == 0, capsys.readouterr().err
    assert "A-17" in capsys.readouterr().out


async def test_outlier(notebook, capsys):
    top, unusual, calls, tools, *_, costs = await pages.run("howto/outlier.md", notebook)
    assert top["total_tokens"].is_monotonic_decreasing
    assert len(calls) > 0
    assert isinstance(tools, pd.DataFrame)
    assert set(unusual["turn_id"]) <= set(notebook["usage"]["turn_id"])
    assert notebook["axes"].get_title() == "Cost over time"
    assert costs["total_tokens"].sum() == notebook["usage"]["total_tokens"].sum()
    assert capsys.readouterr().out.startswith("agy-nb cassette show cassettes/")


async def test_personal_data(notebook, capsys):
    await pages.run("howto/personal_data.md", notebook)
    assert capsys.readouterr().out.splitlines()[-1] == "False False"
    for line in "".join(pages.blocks("howto/personal_data.md", "sh")).splitlines():
        assert cli.main(shlex.split(line)[1:]) in {0, 1}
    assert "{{agy:rule}}" in capsys.readouterr().out


async def test_changed_prompt(notebook, capsys):
    await pages.run("howto/changed_prompt.md", notebook)
    said = capsys.readouterr().out
    assert "userInput.parts[0].text differs" in said
    assert "How is the weather today?" in said
    await notebook["model"].stop()


async def test_no_key(notebook, capsys, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    await pages.run("howto/no_key.md", notebook)
    said = capsys.readouterr().out
    assert "The agent wants get_weather: {'city': 'Paris'}" in said
    assert "get_weather says: sunny in Paris" in said
    assert "The agent wants run_command" in said
    assert "The command exited with code 0." in said
    assert "You skipped the question." in said
    assert "HTTP 400" in said
    _, answer, table = said.rpartition("You said: Hello again\n")
    assert answer
    header, *rows = table.splitlines()
    assert header.split() == ["turn_id", "total_tokens", "cost_usd"]
    costs = [row.split()[-1] for row in rows]
    assert costs.pop(-2) == "<NA>"  # the turn that failed
    assert all(float(cost) > 0 for cost in costs)


def test_no_key_lists_the_prompts_of_the_echo_model():
    listed = re.findall(r"^\| (\w[^|]*?) \|", pages.read("howto/no_key.md"), re.MULTILINE)
    assert set(EXAMPLES) <= set(listed)


async def test_share_notebook(notebook, capsys):
    await pages.run("howto/share_notebook.md", notebook)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("You said")]
    assert lines == ["You said: Which files are here?"] * 2


async def test_budgets(notebook, capsys):
    await agy.runtime().close()  # the guide configures the default runtime
    await pages.run("howto/budgets.md", notebook)
    await agy.runtime().close()
    out = capsys.readouterr().out
    assert "max_turn_tokens" in out
    await notebook["model"].stop()


async def test_what_leaves_my_machine(notebook, capsys):
    await pages.run("howto/what_leaves_my_machine.md", notebook)
    assert "You said: Hello" in capsys.readouterr().out


def test_upgrade(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = [
        shlex.split(line)
        for block in pages.blocks("howto/upgrade.md", "sh")
        for line in block.splitlines()
    ]
    ours = [arguments for program, *arguments in commands if program == "agy-nb"]
    assert len(ours) == 3
    for arguments in ours:
        assert cli.main([*arguments, "--help"]) == 0


def test_names_of_settings_exist():
    settings = set(agy.RuntimeConfig.__dataclass_fields__)
    named = set(re.findall(r"`((?:max|chat)_\w+)`", pages.read("howto/budgets.md")))
    assert named
    assert named <= settings
