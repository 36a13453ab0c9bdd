"""A recorded conversation as a chat: read only, or above the turns of an agent."""

import asyncio
import itertools
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.cassette import CassetteNotFoundError
from agy_nb.protocol.events import Approval
from agy_nb.runtime.approvals import approval_gate
from agy_nb.widgets.chat.conversation_export import read_events
from agy_nb.widgets.chat.panel import ChatPanel
from tests.support.memory import MemoryBackend
from tests.widgets.chat.test_panel import Page, through, until

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited

CASSETTES = Path(__file__).parents[3] / "cassettes"
CASSETTE = CASSETTES / "plain_chat"


async def test_recording_is_shown_with_its_prompts_and_says_that_nothing_can_be_sent():
    chat = agy.widgets.chat_ui(CASSETTE)
    await chat.read()
    html = chat.transcript.html()
    assert html.count("agy-prompt") == 2
    assert html.count("agy-footer") == 2
    assert "you cannot reply" in html
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
    with pytest.raises(agy.InvalidInputError, match=r"got 99: .* has \d+ session"):
        await agy.widgets.chat_ui(CASSETTES / "several_agents", session=99).read()


@pytest.mark.parametrize("what", [7, None, ["a"]])
def test_what_is_no_recording_is_refused(what):
    with pytest.raises(agy.InvalidInputError, match="the path of a cassette"):
        agy.widgets.chat_ui(what)


def test_several_recordings_are_no_chat():
    with pytest.raises(agy.InvalidInputError, match=r"got \d+ \(.*Pass the path of one"):
        agy.widgets.chat_ui(agy.load(CASSETTES))


async def test_recording_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CassetteNotFoundError):
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
    assert html.index("The agent does not know this conversation") < html.index("And now?")
    assert "you cannot reply" not in html
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
    await until(lambda: "does not know this conversation" in page.html())
    panel.close()


async def test_recording_that_cannot_be_read_says_so_and_the_chat_goes_on(
    agent, monkeypatch, tmp_path
):
    panel = ChatPanel(agent, past=(tmp_path / "none", 0))
    page = Page(panel, monkeypatch)
    await until(lambda: "CassetteNotFoundError" in page.html())
    page.say(type="send", text="Still there?", files=[])
    await through(agent, page)
    assert "Still there?" in page.html()
    panel.close()


async def test_turns_that_end_while_the_recording_is_read_are_shown_once(agent, monkeypatch):
    from agy_nb.widgets.chat import panel_turns as chat

    reading = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read_slowly(path, session):
        asyncio.run_coroutine_threadsafe(reading.wait(), loop).result(20)
        return read_events(path, session)

    monkeypatch.setattr(chat, "read_events", read_slowly)
    panel = agy.widgets.chat_ui(CASSETTE, agent=agent)
    page = Page(panel, monkeypatch)
    for number in range(30):
        await agent.chat_text(f"turn {number}")
    reading.set()
    await until(lambda: "turn 29" in page.html())
    html = page.html()
    assert html.count("agy-prompt") == 2 + 30
    assert html.count("agy-footer") == 2 + 30
    assert (panel.view.running, panel.view.queued) == (False, 0)
    assert await agent.chat_text("one more") == "one more "
    await until(lambda: page.html().count("agy-footer") == 2 + 31)
    panel.close()


async def test_live_approval_leaves_a_recorded_one_where_it_is(monkeypatch):
    """Numbers of approvals begin at 1 in each kernel, and so do those of a recording."""

    async def play(turn):
        await turn.call("look_up", {"city": "Oslo"})

    def look_up(city: str) -> str:
        return city

    recorded = await asyncio.to_thread(read_events, CASSETTES / "approval_granted")
    ids = [event.approval_id for event in recorded if isinstance(event, Approval)]
    number = int(ids[0].rpartition("-")[2])
    monkeypatch.setattr(approval_gate, "_numbers", itertools.count(number))
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend(play)) as runtime:
        agent = await runtime.create_agent({}, tools=[look_up], ask_user=lambda request: True)
        panel = agy.widgets.chat_ui(CASSETTES / "approval_granted", agent=agent)
        page = Page(panel, monkeypatch)
        await until(lambda: "does not know this conversation" in page.html())
        before = page.html()
        response = await agent.chat("go")
        await response.wait()
        live = [event for event in response.event_log if isinstance(event, Approval)]
        assert live[0].approval_id == ids[0]
        html = page.html()
        assert html.startswith(before)
        assert html.count("agy-decided") == before.count("agy-decided") + 1
        panel.close()
