"""What the views give to code: a conversation as a file, a list that is read again."""

import json

import pytest

import agy_nb as agy
from agy_nb.protocol import codec
from agy_nb.widgets import RecordedChat
from agy_nb.widgets.approvals.approver import Approver
from agy_nb.widgets.chat.panel import ChatPanel
from tests.support.memory import MemoryBackend

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited


@pytest.fixture
async def agent():
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend()) as runtime:
        yield await runtime.create_agent()


async def test_conversation_is_markdown_with_prompts_as_quotes(agent):
    panel = agent.chat_ui()
    assert isinstance(panel, ChatPanel)
    await agent.chat_text("How are\nyou?")
    await agent.chat_text("Bye")
    assert panel.to_markdown() == "> How are\n> you?\n\nHow are\nyou?\n\n> Bye\n\nBye\n"


async def test_conversation_is_json_with_every_event(agent):
    panel = agent.chat_ui()
    await agent.chat_text("Hello")
    [turn] = json.loads(panel.to_json())
    assert (turn["prompt"], turn["state"]) == ("Hello", "done")
    read = [codec.decode(json.dumps(event)) for event in turn["events"]]
    assert read == agent.latest.event_log


async def test_list_of_recordings_is_read_again_on_request(tmp_path):
    browser = agy.browse(tmp_path)
    await browser.settled()
    assert browser.rows == []
    broken = tmp_path / "c"
    broken.mkdir()
    (broken / "header.json").write_text("{}", encoding="utf-8")
    await browser.refresh()
    assert len(browser.rows) == 1
    browser.close()


def test_approve_makes_an_approver():
    approver = agy.widgets.approve(edit=True)
    assert isinstance(approver, Approver)
    assert approver.edits


def test_recording_without_an_agent_is_a_chat_to_be_read():
    chat = agy.widgets.chat_ui("cassettes/plain_chat", session=0)
    assert isinstance(chat, RecordedChat)
    assert (chat.path.name, chat.session) == ("plain_chat", 0)
    assert chat.to_markdown().strip() == ""  # nothing was read yet
