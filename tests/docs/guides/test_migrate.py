"""The migration pages: the side of agy_nb runs as it stands, and names only what exists."""

from __future__ import annotations

import re

import pytest

import agy_nb as agy
from agy_nb.runtime.agent import Agent
from tests.docs import pages

PAGES = sorted(path.name for path in (pages.DOCS / "migrate").glob("*.md"))

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK makes its save_dir on the loop
]


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_both_sides(page):
    text = pages.read(f"migrate/{page}")
    assert "```{code-block} python" in text  # the other library, not run
    assert pages.blocks(f"migrate/{page}")
    assert f"migrate/{page.removesuffix('.md')}>" in pages.read("index.md")
    assert len(text.splitlines()) <= 90


@pytest.mark.parametrize("page", PAGES)
def test_names_of_the_agent_exist(page):
    ours = "\n".join(
        row.split("|")[2]
        for row in pages.read(f"migrate/{page}").splitlines()
        if row.startswith("| `")
    )
    for name in re.findall(r"\bagent\.(\w+)", ours):
        assert hasattr(Agent, name), name
    for name in re.findall(r"\bagy\.(\w+)", ours):
        assert hasattr(agy, name), name


async def test_sdk(sdk_alone, notebook, capsys):
    await pages.run("migrate/sdk.md", notebook)
    out = capsys.readouterr().out
    for city in ("Paris", "Rome", "Oslo"):
        assert f"get_weather says: sunny in {city}" in out
    await notebook["echo"].stop()


def test_names_of_the_sdk_exist():
    from google.antigravity import Agent as Theirs
    from google.antigravity.conversation.conversation import Conversation

    rows = [row for row in pages.read("migrate/sdk.md").splitlines() if row.startswith("| `")]
    theirs = "\n".join(row.split("|")[1] for row in rows)
    for name in re.findall(r"agent\.conversation\.(\w+)", theirs):
        assert hasattr(Conversation, name), name
    for name in re.findall(r"agent\.(?!conversation\.)(\w+)", theirs):
        assert hasattr(Theirs, name) or name == "beta", name


async def test_vcrpy(notebook, pytester):
    [test] = pages.blocks("migrate/vcrpy.md")
    pytester.makepyfile(test_weather=test.partition("\n")[2])
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    for line in "".join(pages.blocks("migrate/vcrpy.md", "sh")).splitlines():
        options = line.partition("#")[0].split()[1:]
        pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert (pytester.path / "cassettes" / "test_weather" / "test_answer" / "header.json").exists()


async def test_chatlas(notebook, capsys):
    *_, usage = await pages.run("migrate/chatlas.md", notebook)
    assert "sunny in Rome" in capsys.readouterr().out
    assert usage["n_model_calls"].tolist() == [2, 2]


async def test_inspect_ai(notebook):
    calls, summary, messages = await pages.run("migrate/inspect_ai.md", notebook)
    assert len(calls) > 0
    assert summary["n_turns"].sum() > 0
    assert len(messages) > 0
