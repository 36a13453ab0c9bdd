"""Continue an open recording from its page: an agent goes on, and its chat opens below."""

from pathlib import Path

import pytest
from google.antigravity import LocalAgentConfig

import agy_nb as agy
from agy_nb.testing import EchoModel, ScriptedModel, say
from tests.widgets.recordings.test_browser import Page

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK looks at the working folder and at its binary
]

SHIPPED = Path(__file__).parents[3] / "cassettes"


@pytest.fixture(autouse=True)
async def _default_runtime(monkeypatch):
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    await agy.runtime().close()
    agy.runtime(agy.RuntimeConfig(chat_pause=0))
    yield
    await agy.runtime().close()


@pytest.fixture
async def page_of(monkeypatch):
    browsers = []

    async def show(name, **live) -> Page:
        browser = agy.browse(SHIPPED, **live)
        browsers.append(browser)
        await browser.settled()
        page = Page(browser, monkeypatch)
        await page.act("open", name)
        return page

    yield show
    for browser in browsers:
        for panel in browser.continuation.panels:
            await panel.agent.shutdown()
        browser.close()
        await browser.continuation.settled()


async def act(page, name, value="") -> None:
    await page.act(name, value)
    await page.browser.continuation.settled()
    page.browser.view.live.flush()


async def said(panel) -> list[str]:
    return [message.content for message in await panel.agent.history()]


async def test_the_chat_of_the_new_agent_opens_below(page_of):
    async with ScriptedModel([say("live")]) as model:
        page = await page_of("plain_chat", config=model.config())
        await act(page, "turn", "1")
        assert "turn=1)" in page.html
        await act(page, "continue")
        (panel,) = page.browser.continuation.panels
        assert await said(panel) == ["Say hello", "Hello"]
        (chat,) = page.told[-1]["chats"]
        assert chat == {"key": panel.key, "title": "plain_chat, continued after turn 1"}
        assert await panel.agent.chat_text("And now?") == "live"
        assert model.requests[-1].user_texts == ["Say hello", "And now?"]
        assert "And now?" in page.browser._static().html
        await act(page, "close-chat", panel.key)
        assert page.told[-1]["chats"] == []
        assert agy.runtime().agent_ids == ()


async def test_the_turn_follows_the_player_and_can_be_chosen(page_of):
    page = await page_of("plain_chat")
    continuation = page.browser.continuation
    path = SHIPPED / "plain_chat"
    assert continuation.code == f'await agy.fork("{path}", turn=2)'
    await page.act("start")
    assert continuation.code == f'await agy.fork("{path}", turn=1)'
    await page.act("whole")
    assert continuation.code == f'await agy.fork("{path}", turn=2)'
    for wrong in ("0", "3", "-1", "x", "²", ""):
        await act(page, "turn", wrong)
    assert continuation.code == f'await agy.fork("{path}", turn=2)'
    await page.act("open", "several_agents")
    await page.act("session", "1")
    assert continuation.code.endswith(", session=1)")
    assert f"To continue: {continuation.code}" in page.browser._static().text


def test_a_terminal_shows_the_code_that_continues_a_recording(capsys):
    async def show():
        agy.browse(SHIPPED)._ipython_display_()

    agy.run(show())
    path = SHIPPED / "approval_granted"
    assert f'To continue: await agy.fork("{path}", turn=1)' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("builtin_file_tools", "calls the built-in tool"),
        ("mcp_server", "calls the MCP tool"),
        ("subagents", "starts a subagent"),
    ],
)
async def test_the_page_says_why_a_recording_cannot_be_continued(page_of, name, words):
    async with EchoModel() as model:
        page = await page_of(name, config=model.config())
        await act(page, "continue")
        assert f"Cannot continue: turn 1 of session 0 of {SHIPPED / name} {words}" in page.html
        assert "Continue from here" in page.html
        assert page.browser.continuation.panels == []


async def test_without_a_key_the_page_asks_for_a_model(page_of):
    page = await page_of("plain_chat")
    await act(page, "continue")
    assert "No model can answer yet" in page.html
    assert "Key from GEMINI_API_KEY (not set)" in page.html
    assert page.browser.continuation.panels == []
    await act(page, "with-model")
    assert "GEMINI_API_KEY is not set in this kernel." in page.html
    await act(page, "with-echo")
    (panel,) = page.browser.continuation.panels
    assert "You said: Hi" in await panel.agent.chat_text("Hi")
    assert "Continue from here" in page.html


@pytest.mark.parametrize(
    "config",
    [{"system_instructions": "Be brief."}, LocalAgentConfig(system_instructions="Be brief.")],
    ids=["a mapping", "the SDK's object"],
)
async def test_a_model_that_is_chosen_in_the_page_joins_the_given_settings(page_of, config):
    page = await page_of("plain_chat", config=config)
    await act(page, "continue")
    assert "No model can answer yet" in page.html
    await act(page, "with-echo")
    (panel,) = page.browser.continuation.panels
    assert "You said: Hi" in await panel.agent.chat_text("Hi")


async def test_a_key_is_taken_from_the_environment_and_never_from_the_page(page_of, monkeypatch):
    from agy_nb.runtime.checkpoints import from_recording

    async def fork(*_, config, session, tools, **settings):
        chosen.append(settings)
        raise agy.InvalidConfigError("not in this test")

    chosen = []
    secret, typed = "AIza" + "S" * 35, "AIza" + "T" * 35
    monkeypatch.setenv("TEAM_API_KEY", secret)
    monkeypatch.setattr(from_recording, "fork", fork)
    page = await page_of("plain_chat")
    await act(page, "continue")
    assert "Key from TEAM_API_KEY" in page.html
    for wrong in (typed, "PATH", "a b_API_KEY"):
        await act(page, "key", wrong)
    await act(page, "key", "TEAM_API_KEY")
    await act(page, "model", typed)  # by mistake: the notebook must not save it
    await act(page, "model", "gemini-2.5-flash")
    await act(page, "with-model")
    assert chosen == [{"model": "gemini-2.5-flash", "api_key": secret}]
    shown = page.html + page.browser._static().html + str(page.told)
    assert secret not in shown
    assert typed not in shown


async def test_recorded_tools_that_the_agent_lacks_are_named(page_of):
    async with EchoModel() as model:
        page = await page_of("host_tools", config=model.config())
        await act(page, "continue")
        assert len(page.browser.continuation.panels) == 1
        assert "lacks the recorded tools" in page.html


async def test_a_rebuild_can_be_cancelled(page_of):
    async with EchoModel() as model:
        page = await page_of("plain_chat", config=model.config())
        await page.act("continue")
        assert "Rebuilding 2 turns" in page.html
        await page.act("continue")  # a second click starts nothing
        await act(page, "stop-continue")
        assert "Cancelled. No agent was started." in page.html
        assert page.browser.continuation.panels == []
        assert agy.runtime().agent_ids == ()


async def test_a_recording_without_turns_offers_nothing(page_of, tmp_path):
    page = await page_of("plain_chat")
    page.browser.continuation.show(tmp_path, None, None)
    assert "Continue from here" not in page.html
    await act(page, "continue")
    assert page.browser.continuation.panels == []
