"""The pages of usage and of recordings in JupyterLab."""

from pathlib import Path

from tests.widgets.in_lab.driver.barriers import barriers
from tests.widgets.in_lab.driver.front_ends import BROWSER
from tests.widgets.in_lab.test_pictures import looking

pytestmark = BROWSER

SHIPPED = Path(__file__).parents[3] / "cassettes"


def test_usage_is_sorted_grouped_and_charted(lab):
    lab.do(
        "model, agent = await start([say('one'), say('two ' * 50), say('three')])\n"
        "for prompt in ('a', 'b ' * 200, 'c'): await agent.chat_text(prompt)"
    )
    cell = lab.run("agent.usage_ui()")
    cell.wait(".agy-usage-table td")
    cell.wait("[data-agy-act='by'][data-agy-value='turn']").click()
    cell.wait("tbody tr:nth-child(3)")
    cell.wait(".agy-chart")
    cell.picture("usage")
    assert barriers(lab, cell, "usage") == []
    head = cell.wait("button.agy-sort >> text=/^out/i")
    head.click()
    cell.wait("th[aria-sort='descending'], th[aria-sort='ascending']")
    assert cell.output.locator(".agy-still").is_hidden()


def test_recordings_are_listed_opened_and_played(lab):
    folder = lab.file.with_name("cassettes")
    folder.unlink(missing_ok=True)
    folder.symlink_to(SHIPPED)
    cell = lab.run("agy.browse('cassettes')")
    cell.wait("[data-agy-act='open']")
    cell.picture("recordings")
    assert barriers(lab, cell, "recordings") == []
    cell.wait("[data-agy-act='sort'] >> text=Recorded").click()
    cell.wait("th[aria-sort='descending'] >> text=Recorded")
    rows = cell.wait(".agy-list")
    rows.evaluate("list => { list.scrollTop = 60; }")
    cell.wait("[data-agy-act='open'] >> text=host_tools").click()
    cell.wait("tr[aria-current] >> text=host_tools")
    assert cell.wait(".agy-list").evaluate("list => list.scrollTop") >= 60
    cell.wait(".agy-player .agy-footer, .agy-player .agy-tool")
    cell.picture("recording")
    assert barriers(lab, cell, "recording") == []
    cell.wait("[data-agy-act='play']").click()
    cell.wait("button >> text=Pause")
    cell.wait("button >> text=Replay")
    cell.wait("select[aria-label='Compare with']").select_option("plain_chat")
    cell.wait("summary >> text=Changes from host_tools to plain_chat")
    cell.picture("comparison")
    assert barriers(lab, cell, "comparison") == []
    cell.click("Close comparison")
    cell.wait("summary >> text=Changes from", state="detached")


def test_a_recording_is_continued_in_a_chat_below(lab):
    folder = lab.file.with_name("cassettes")
    folder.unlink(missing_ok=True)
    folder.symlink_to(SHIPPED)
    lab.do("model = await ScriptedModel([say('I am live.')]).start()")
    cell = lab.run("browser = agy.browse('cassettes', config=model.config())\nbrowser")
    cell.wait("[data-agy-act='open'] >> text=plain_chat").click()
    cell.wait("select[aria-label='Continue after']").select_option("1")
    cell.wait('text=await agy.fork("cassettes/plain_chat", turn=1)')
    cell.click("Continue from here")
    chat = cell.wait(".agy-opened .agy-chat")
    chat.locator("text=Say hello").first.wait_for()
    cell.prompt("Are you live?")
    chat.locator("text=I am live.").wait_for()
    chat.locator(".agy-footer").first.wait_for()
    assert barriers(lab, cell, "continued") == []
    cell.picture("continued")
    with looking(lab, dark=True, size={"width": 1400, "height": 1600}):
        assert barriers(lab, cell, "continued-dark") == []
        cell.picture("continued-dark")
    lab.command("docmanager:save")
    lab.reload()  # the chat is still there
    cell.wait(".agy-opened .agy-chat >> text=I am live.")
    cell.wait("[data-agy-act='open'] >> text=builtin_file_tools").click()
    cell.wait("tr[aria-current] >> text=builtin_file_tools")
    cell.click("Continue from here")
    cell.wait(".agy-error >> text=calls the built-in tool")
    cell.click("Close chat")
    cell.wait(".agy-opened", state="detached")


def test_a_page_without_a_key_asks_for_a_model(lab):
    folder = lab.file.with_name("cassettes")
    folder.unlink(missing_ok=True)
    folder.symlink_to(SHIPPED)
    lab.do("import os\nos.environ.pop('GEMINI_API_KEY', None)")
    cell = lab.run("agy.browse('cassettes')")
    cell.wait("[data-agy-act='open'] >> text=plain_chat").click()
    cell.click("Continue from here")
    cell.wait("text=No model can answer yet")
    assert barriers(lab, cell, "ask-model") == []
    cell.picture("ask-model")
    cell.click("Use echo model")
    cell.prompt("Hello again")
    cell.wait(".agy-opened .agy-chat >> text=You said: Hello again")


def test_two_agents_answer_at_once_and_one_is_stopped(lab):
    lab.do("one, first = await start(HANGS)\nother, second = await start(HANGS)")
    cells = [lab.run(f"{name}.chat_ui()") for name in ("first", "second")]
    for cell in cells:
        cell.prompt("go")
    for cell in cells:
        cell.wait("text=so far")
        cell.wait("button >> text=Stop")
    cells[0].click("Stop")
    assert "Stopped" in cells[0].footer()
    assert cells[1].count(".agy-footer") == 0
    cells[1].click("Stop")
    assert "Stopped" in cells[1].footer()
