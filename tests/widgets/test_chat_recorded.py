"""A recorded conversation as a chat: read only, or above the turns of an agent."""

from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.cassette import CassetteNotFound
from agy_nb.testing.memory import MemoryBackend
from agy_nb.widgets.chat import ChatPanel
from tests.widgets.test_chat import Page, through, until

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited

CASSETTES = Path(__file__).parents[2] / "cassettes"
CASSETTE = CASSETTES / "plain_chat"


async def test_recording_is_shown_with_its_prompts_and_says_that_nothing_can_be_sent():
    chat = agy.widgets.chat_ui(CASSETTE)
    await chat.read()
    html = chat.transcript.html()
    assert html.count("agy-prompt") == 2
    assert html.count("agy-footer") == 2
    assert "there is no agent to go on with" in html
    assert "<button" not in html
    quotes = [line for line in chat.to_markdown().splitlines() if line.startswith("> ")]
    assert len(quotes) == 2


async def test_what_load_gives_is_a_recording_too():
    chat = agy.widgets.chat_ui(agy.load(CASSETTE))
    await chat.read()
    assert "agy-prompt" in chat.transcript.html()


async def test_recording_of_several_agents_has_a_session_for_each():
    first, second = (
        agy.widgets.chat_ui(CASSETTES / "several_agents", session=number) for number in (0, 1)
    )
    await first.read()
    await second.read()
    assert first.to_markdown() != second.to_markdown()
    with pytest.raises(agy.InvalidInput, match=r"has \d+ sessions.*no session 99"):
        await agy.widgets.chat_ui(CASSETTES / "several_agents", session=99).read()


@pytest.mark.parametrize("what", [7, None, ["a"]])
def test_what_is_no_recording_is_refused(what):
    with pytest.raises(agy.InvalidInput, match="the path of a cassette"):
        agy.widgets.chat_ui(what)


def test_several_recordings_are_no_chat():
    with pytest.raises(agy.InvalidInput, match=r"these are \d+ \(.*give the path of one"):
        agy.widgets.chat_ui(agy.load(CASSETTES))


async def test_recording_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CassetteNotFound):
        await agy.widgets.chat_ui(tmp_path / "none").read()


def test_in_a_terminal_it_is_text(capsys):
    agy.widgets.chat_ui(CASSETTE)._ipython_display_()
    assert capsys.readouterr().out.startswith("> ")


@pytest.fixture
async def agent():
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend()) as runtime:
        yield await runtime.create_agent()


async def test_agent_goes_on_below_the_recording(agent, monkeypatch):
    panel = agy.widgets.chat_ui(CASSETTE, agent=agent)
    page = Page(panel, monkeypatch)
    page.say(type="send", text="And now?", files=[])  # before it is read
    await through(agent, page)
    await until(lambda: "And now?" in page.html() and "agy-footer" in page.html())
    html = page.html()
    assert html.count("agy-prompt") == 3
    assert html.index("the agent knows nothing of it") < html.index("And now?")
    assert "no agent to go on with" not in html
    exported = panel.to_markdown()
    recorded = agy.widgets.chat_ui(CASSETTE)
    await recorded.read()
    assert exported.startswith(recorded.to_markdown().strip())
    assert "> And now?" in exported
    panel.close()


async def test_turn_that_runs_already_is_shown_below_the_recording(agent, monkeypatch):
    response = await agent.chat("Running")
    panel = agy.widgets.chat_ui(CASSETTE, agent=agent)
    page = Page(panel, monkeypatch)
    await response.wait()
    await until(lambda: "knows nothing of it" in page.html())
    panel.close()


async def test_recording_that_cannot_be_read_says_so_and_the_chat_goes_on(
    agent, monkeypatch, tmp_path
):
    panel = ChatPanel(agent, past=(tmp_path / "none", 0))
    page = Page(panel, monkeypatch)
    await until(lambda: "CassetteNotFound" in page.html())
    page.say(type="send", text="Still there?", files=[])
    await through(agent, page)
    assert "Still there?" in page.html()
    panel.close()
