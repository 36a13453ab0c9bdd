"""The chat panel: what its composer asks for, and that all panels of an agent show the same."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import pytest

import agy_nb as agy
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.protocol.values import MediaPart, TextPart
from agy_nb.testing import ScriptedModel, call, hang, say
from agy_nb.widgets.chat.panel import ChatPanel
from tests.support.memory import MemoryBackend
from tests.support.waiting import until

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited


class Page:
    """A front end: it says what a person does, and keeps what it is told."""

    def __init__(self, panel: ChatPanel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.told: list[dict] = []
        monkeypatch.setattr(panel.view.widget, "send", self.told.append)
        self.say(type="ready")

    def say(self, buffers=(), **message) -> None:
        self.panel.view._on_content(message, list(buffers))

    def html(self) -> str:
        return self.panel.transcript.html()

    def last(self, kind: str) -> dict:
        return [message for message in self.told if message["type"] == kind][-1]


@pytest.fixture
async def agent():
    async with agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend()) as runtime:
        yield await runtime.create_agent()


@pytest.fixture
def page(agent, monkeypatch):
    panel = agent.chat_ui()
    yield Page(panel, monkeypatch)
    panel.close()


async def through(agent, page, turns=1) -> None:
    """Wait until so many turns of the panel are over."""
    await until(lambda: len(page.panel.responses) >= turns)
    for response in page.panel.responses:
        await response.wait()


async def test_what_is_typed_is_sent_and_answered_on_the_page(agent, page):
    page.say(type="send", text="Hello you", files=[])
    await through(agent, page)
    assert "Hello you" in page.html()
    assert "agy-footer" in page.html()


def test_a_panel_works_on_a_loop_in_any_thread(monkeypatch):
    """Servers of other front ends run their loop where they like; none runs in the main thread."""

    async def serve() -> str:
        async with agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend()) as runtime:
            agent = await runtime.create_agent()
            page = Page(agent.chat_ui(), monkeypatch)
            page.panel.view._receive(None, {"type": "send", "text": "Hello you", "files": []}, [])
            await through(agent, page)
            page.panel.close()
            return page.html()

    with ThreadPoolExecutor(1) as threads:
        assert "Hello you" in threads.submit(asyncio.run, serve()).result()


async def test_files_travel_with_the_text(agent, page):
    about = [{"name": "cat.png", "mime_type": "image/png"}, {"name": "a.txt", "mime_type": ""}]
    page.say([b"\x89PNG", b"words"], type="send", text="look", files=about)
    await through(agent, page)
    text, image, document = page.panel.responses[0].prompt
    assert text == TextPart(text="look")
    assert image == MediaPart(
        kind="image", mime_type="image/png", data=b"\x89PNG", description="cat.png"
    )
    assert (document.kind, document.mime_type) == ("document", "text/plain")


@pytest.mark.parametrize(
    ("given", "data", "sent"),
    [
        ("text/markdown", "# Größe".encode(), "text/plain"),
        ("", b"print(1)", "text/plain"),
        ("application/pdf", b"%PDF-1.4", "application/pdf"),
        ("", b"\0\1", "application/octet-stream"),
    ],
)
async def test_text_of_any_kind_is_sent_as_plain_text(agent, page, given, data, sent):
    page.say([data], type="send", text="", files=[{"name": "a", "mime_type": given}])
    await through(agent, page)
    (document,) = page.panel.responses[0].prompt
    assert (document.kind, document.mime_type) == ("document", sent)


async def test_nothing_typed_and_nothing_attached_is_not_sent(agent, page):
    page.say(type="send", text="  \n", files=[])
    await asyncio.sleep(0)
    assert await agent.turn_count() == 0


async def test_turns_of_others_are_on_the_page_of_every_panel(agent, page, monkeypatch):
    other = Page(agent.chat_ui(), monkeypatch)
    await agent.chat_text("from a cell")
    assert "from a cell" in page.html()
    assert page.html() == other.html()
    other.panel.close()


async def test_panel_that_is_opened_late_shows_the_history(agent, monkeypatch):
    await agent.chat_text("said before")
    late = Page(agent.chat_ui(), monkeypatch)
    await until(lambda: "said before" in late.html())
    late.panel.close()


async def test_what_was_said_before_the_panel_is_exported_and_can_be_sent_again(agent, monkeypatch):
    await agent.chat_text("said before")
    answer = (await agent.last_response()).strip()
    late = Page(agent.chat_ui(), monkeypatch)
    await until(lambda: "said before" in late.html())
    late.say(type="export", format="copy")
    assert late.last("copy")["text"] == f"> said before\n\n{answer}\n"
    late.say(type="export", format="json")
    (turn,) = json.loads(late.last("download")["text"])
    assert (turn["prompt"], turn["state"]) == ("said before", None)
    assert turn["events"][-1]["message"]["text"].strip() == answer
    late.say(type="edit")
    assert late.last("compose")["text"] == "said before"
    late.say(type="retry")
    await through(agent, late)
    assert late.panel.responses[0].prompt == (TextPart(text="said before"),)
    late.say(type="clear")
    assert late.panel.to_markdown() == "\n"
    late.panel.close()


@asynccontextmanager
async def agent_whose_turns_do_not_end():
    async def endless(turn):
        await asyncio.Event().wait()

    config = agy.RuntimeConfig(chat_pause=0)
    async with agy.Runtime(config, backend=MemoryBackend(endless)) as runtime:
        yield await runtime.create_agent()


async def test_status_tells_how_two_hundred_turns_wait(monkeypatch):
    async with agent_whose_turns_do_not_end() as agent:
        page = Page(agent.chat_ui(), monkeypatch)
        for text in ("one", "two", "three"):
            page.say(type="send", text=text, files=[])
        await until(lambda: len(page.panel.responses) == 3)
        page.panel.view.flush()
        assert page.told[-1]["status"].endswith(" · 2 queued")
        await page.panel.responses[0].cancel()
        await until(lambda: page.panel.view.queued == 1)
        page.panel.close()


async def test_two_turns_that_wait_for_each_other_are_shown_in_order(agent, page):
    first, second = await agent.chat("one"), await agent.chat("two")
    await first.wait()
    await second.wait()
    html = page.html()
    assert html.index(">one<") < html.index("agy-footer") < html.index(">two<")


async def test_retry_sends_the_last_prompt_again(agent, page):
    await agent.chat_text("again please")
    (first,) = page.panel.responses
    page.say(type="retry")
    await until(lambda: agent.latest is not first and page.panel.responses == [agent.latest])
    await agent.latest.wait()
    assert agent.latest.prompt == first.prompt


async def test_edit_puts_the_last_prompt_into_the_composer(agent, page):
    await agent.chat_text("tpyo")
    page.say(type="edit")
    assert page.last("compose")["text"] == "tpyo"


async def test_clear_empties_the_page_and_the_history(agent, page):
    await agent.chat_text("secret")
    page.say(type="clear")
    await until(lambda: not page.panel._tasks.others)
    assert not await agent.history()
    assert page.html() == ""
    assert page.last("reset")["changes"] == []


async def test_export_gives_markdown_and_json(agent, page):
    await agent.chat_text("two\nlines")
    page.say(type="export", format="markdown")
    assert page.last("download")["text"].startswith("> two\n> lines\n\n")
    page.say(type="export", format="json")
    (turn,) = json.loads(page.last("download")["text"])
    assert (turn["prompt"], turn["state"]) == ("two\nlines", "done")
    assert {event["message"]["type"] for event in turn["events"]} >= {"text", "state"}


@pytest.mark.real
async def test_export_as_a_cassette_says_where_it_is_and_how_to_use_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = agy.RuntimeConfig(chat_pause=0, keep_frames=True)
    async with ScriptedModel([say("Hi.")]) as model, agy.Runtime(config) as runtime:
        agent = await runtime.create_agent(model.config())
        await agent.chat_text("Hello")
        page = Page(agent.chat_ui(), monkeypatch)
        page.say(type="export", format="cassette")
        await until(lambda: not page.panel._tasks.others)
        (path,) = await asyncio.to_thread(lambda: list(Path("cassettes").glob("chat-*")))
        assert f"agy.use_cassette(&quot;{path}&quot;)" in page.html()
        assert 'agy.browse("cassettes")' in unescape(page.html())
        page.panel.close()
    assert len(load(path).sessions) == 1


async def test_export_as_a_cassette_during_a_turn_says_that_it_waits(monkeypatch):
    async def endless(turn):
        await asyncio.Event().wait()

    config = agy.RuntimeConfig(chat_pause=0, keep_frames=True)
    async with agy.Runtime(config, backend=MemoryBackend(endless)) as runtime:
        agent = await runtime.create_agent()
        page = Page(agent.chat_ui(), monkeypatch)
        page.say(type="send", text="go", files=[])
        await until(lambda: page.panel.view.running)
        page.say(type="export", format="cassette")
        await until(lambda: "saved when the turn ends" in page.html())
        await agent.cancel()
        await until(lambda: "no agent has sent a message" in page.html())  # it has no harness
        page.panel.close()


async def test_export_as_a_cassette_where_nobody_listened_says_so(agent, page):
    page.say(type="export", format="cassette")
    await until(lambda: "keep_frames=True" in page.html())


async def test_chat_on_an_agent_that_is_gone_says_so_on_the_page(agent, page):
    await agent.shutdown()
    page.say(type="send", text="anybody?", files=[])
    await until(lambda: "AgentNotStartedError" in page.html())
    assert page.last("compose")["text"] == "anybody?"
    page.say(type="clear")
    await asyncio.sleep(0)
    assert page.html() == ""


async def test_panel_of_an_agent_that_is_gone_says_so(agent, monkeypatch):
    await agent.shutdown()
    page = Page(agent.chat_ui(), monkeypatch)
    await until(lambda: "was shut down" in page.html())
    assert page.last("reset")["ended"] == "This agent was shut down."
    page.panel.close()


@pytest.mark.parametrize("end", ["agent", "runtime"])
async def test_panel_of_an_agent_that_ends_says_so_at_once(agent, page, end):
    await (agent.shutdown() if end == "agent" else agent.runtime.close())
    await until(lambda: page.html().count("was shut down") == 1)
    page.panel.view.flush()
    assert page.last("changes")["ended"] == "This agent was shut down."


def queue(page) -> list[str]:
    return [each["words"] for each in page.last("changes")["queue"]]


async def test_prompts_that_wait_are_shown_at_once_and_can_be_removed(monkeypatch):
    async def echo(turn):
        if turn.prompt == "one":
            await asyncio.Event().wait()
        turn.say(f"said {turn.prompt}")

    config = agy.RuntimeConfig(chat_pause=0)
    async with agy.Runtime(config, backend=MemoryBackend(echo)) as runtime:
        agent = await runtime.create_agent()
        page = Page(agent.chat_ui(), monkeypatch)
        for text in ("one", "two", "three"):
            page.say(type="send", text=text, view="first")
            await until(lambda: len([m for m in page.told if m["type"] == "sent"]) > 0)
            page.told.clear()
        await until(lambda: [m for m in page.told if m.get("queue")] or page.panel.view.touch())
        assert queue(page) == ["two", "three"]
        assert "Queued" in page.panel._static().html
        page.say(type="unqueue", turn=page.panel.responses[1].turn_id)
        await until(lambda: queue(page) == ["three"])
        page.say(type="stop")
        await until(lambda: "said three" in page.html() and agent.latest.done)
        assert "two" not in page.html()
        assert page.panel.to_markdown().count("> ") == 2
        await until(lambda: queue(page) == [])
        page.panel.close()


async def test_queue_forgets_a_turn_that_is_cancelled_elsewhere(monkeypatch):
    async with agent_whose_turns_do_not_end() as agent:
        page = Page(agent.chat_ui(), monkeypatch)
        await agent.chat("one")
        second = await agent.chat("two")
        await until(lambda: [m for m in page.told if m.get("queue")])
        await second.cancel()
        await until(lambda: queue(page) == [])
        page.panel.close()


def weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


@pytest.mark.real
async def test_panel_opened_later_has_the_cards_and_the_earlier_turns(monkeypatch):
    script = [
        say("Let me see.") + call("weather", city="Paris"),
        say("It is *sunny*."),
        say("so far") + hang(),
    ]
    config = agy.RuntimeConfig(chat_pause=0, keep_frames=True)
    async with ScriptedModel(script) as model, agy.Runtime(config) as runtime:
        agent = await runtime.create_agent(model.config(), tools=[weather])
        response = await agent.chat("Weather?")
        assert await response.text() == "Let me see.\n\nIt is *sunny*."
        assert "".join(response.text_stream()) == await response.text()
        types = [event.type for event in await agent.past_events()]
        assert types.count("turn_began") == types.count("tool_call") == 1
        running = await agent.chat("And now?")
        async for _piece in running.text_stream():
            break
        page = Page(agent.chat_ui(), monkeypatch)
        await until(lambda: "so far" in page.html())
        assert page.html().count("Weather?") == page.html().count("And now?") == 1
        assert page.html().count("sunny in Paris") == 1  # the card of the call
        assert "agy-tool" in page.html()
        assert page.panel.to_markdown() == (
            "> Weather?\n\nLet me see.\n\nIt is *sunny*.\n\n> And now?\n\nso far\n"
        )
        await running.cancel()
        page.panel.close()


async def test_turn_that_waits_for_the_quota_can_be_given_up(monkeypatch):
    async def spent(_turn):
        raise agy.QuotaExceededError(3_600)

    config = agy.RuntimeConfig(chat_pause=0, max_quota_retries=1)
    async with agy.Runtime(config, backend=MemoryBackend(spent)) as runtime:
        agent = await runtime.create_agent()
        page = Page(agent.chat_ui(), monkeypatch)
        page.say(type="send", text="go", files=[])
        await until(lambda: "Waiting for the model" in page.html())
        assert page.panel.view.transcript.stop_label == "Give up"
        page.say(type="stop")
        await through(agent, page)
        assert "Stopped" in page.html()
        page.panel.close()


async def test_stop_cancels_the_turn_and_keeps_what_had_come(monkeypatch):
    async def endless(turn):
        turn.say("so far")
        await asyncio.Event().wait()

    config = agy.RuntimeConfig(chat_pause=0)
    async with agy.Runtime(config, backend=MemoryBackend(endless)) as runtime:
        agent = await runtime.create_agent()
        page = Page(agent.chat_ui(), monkeypatch)
        page.say(type="send", text="go", files=[])
        await until(lambda: "so far" in page.html())
        assert page.panel.view.running
        page.say(type="stop")
        await through(agent, page)
        assert "so far" in page.html()
        assert "Stopped" in page.html()
        page.panel.close()


async def test_message_that_makes_no_sense_changes_nothing(agent, page):
    for message in ({}, {"type": "no such"}, {"type": "decide", "id": 7}, {"type": "answer"}):
        page.say(**message)
    assert page.html() == ""


async def test_second_view_gets_all_and_the_first_only_what_is_new(agent, page):
    page.say(type="ready", view="first")
    await agent.chat_text("Hello")
    page.told.clear()
    page.say(type="ready", view="second")
    kinds = [(message["type"], message.get("view")) for message in page.told]
    assert kinds == [("changes", None), ("reset", "second")]
    assert len(page.last("reset")["changes"]) >= len(page.last("changes")["changes"])


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"type": "edit"}, "compose"),
        ({"type": "export", "format": "json"}, "download"),
        ({"type": "export", "format": "markdown"}, "download"),
        ({"type": "export", "format": "copy"}, "copy"),
    ],
)
async def test_view_that_asks_gets_the_answer_and_no_other(agent, page, wanted, kind):
    await agent.chat_text("Hello")
    page.say(**wanted, view="second")
    assert page.last(kind)["view"] == "second"
