"""Chat panels, usage and recordings in JupyterLab."""

import pytest

from tests.widgets.in_lab.barriers import barriers
from tests.widgets.in_lab.cells import TURNS
from tests.widgets.in_lab.front_ends import BROWSER

pytestmark = BROWSER


def test_two_chats_at_once_show_the_same(lab):
    lab.do("model, agent = await start([say('Hello *you*.'), say('And again.')])")
    first = lab.run("agent.chat_ui()")
    second = lab.run("agent.chat_ui()")
    box = first.wait("textarea")
    box.fill("Hi")
    box.press("Shift+Enter")
    box.type("there")
    box.press("Enter")
    for cell in (first, second):
        cell.wait(".agy-footer")
        assert "Hi\nthere" in cell.text()
        assert "Hello you." in cell.text()
    box.fill("More")
    second.wait("textarea").fill("draft")
    box.press("Enter")
    second.wait("text=And again.")
    assert second.wait("textarea").input_value() == "draft"
    first.wait("text=And again.")
    first.picture("chat")
    assert barriers(lab, first, "chat") == []


def test_files_are_attached_and_a_conversation_is_copied(lab):
    lab.do("model, agent = await start([say('Hello *you*.')])")
    panel = lab.run("agent.chat_ui()")
    files = panel.output.locator("input[type=file]")
    panel.wait("textarea")
    note = {"name": "a.md", "mimeType": "text/markdown", "buffer": b"# Note"}
    files.set_input_files([note])
    panel.wait("button >> text=a.md")
    files.set_input_files([{"name": "b.txt", "mimeType": "text/plain", "buffer": b"x" * 9_500_000}])
    panel.wait("text=limited to 9.5 MB")
    assert panel.count("button >> text=b.txt") == 0
    assert barriers(lab, panel, "chat_files") == []
    panel.wait("textarea").fill("Read this")
    panel.click("Send")
    panel.wait("text=Hello you.")
    assert "text/plain" in lab.do("print(agent.latest.prompt[1].mime_type)")
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.click("Copy")
    panel.wait("text=Copied as Markdown.")
    assert lab.page.evaluate("navigator.clipboard.readText()") == "> Read this\n\nHello *you*.\n"


def test_second_view_of_a_panel_leaves_the_first_as_it_is(lab):
    script = "[say('Hello.'), call('delete', path='x'), say('Kept.')]"
    lab.do(f"model, agent = await start({script})\nawait agent.chat_text('The first')")
    lab.do("panel = agent.chat_ui()\nturn = await agent.chat('The second')")
    first = lab.run("panel")
    reason = first.wait(".agy-approval input")
    reason.fill("not this one")
    first.wait(".agy-composer textarea").fill("a draft")
    second = lab.run("panel")
    second.wait(".agy-approval input")
    assert reason.input_value() == "not this one"
    second.click("Edit last")
    second_box = second.wait(".agy-composer textarea")
    second.wait("text=The second")
    lab.page.wait_for_function("box => box.value === 'The second'", arg=second_box.element_handle())
    assert first.wait(".agy-composer textarea").input_value() == "a draft"
    first.picture("chat_two_views")
    reason.press("Enter")
    for cell in (first, second):
        cell.wait("text=Kept.")
    denied = "print([event.reason for event in turn.events if event.type == 'approval'])"
    assert "not this one" in lab.do(denied)
    assert first.wait(".agy-composer textarea").input_value() == "a draft"


SLOWLY = """
() => {
  window.realRead = window.realRead ?? Blob.prototype.arrayBuffer;
  const gate = new Promise((resolve) => (window.letThemRead = resolve));
  Blob.prototype.arrayBuffer = async function () { await gate; return window.realRead.call(this); };
}
"""


def test_enter_twice_while_a_file_is_read_sends_one_turn_with_it(lab):
    lab.do("model, agent = await start([say('Hello.'), say('Twice.')])")
    panel = lab.run("agent.chat_ui()")
    box = panel.wait("textarea")
    note = {"name": "a.md", "mimeType": "text/markdown", "buffer": b"# Note"}
    panel.output.locator("input[type=file]").set_input_files([note])
    lab.page.evaluate(SLOWLY)
    try:
        box.fill("Read this")
        box.press("Enter")
        panel.wait(".agy-composer[aria-busy=true]")
        box.press("Enter")
        box.press("Enter")
        assert panel.wait("button >> text=Send").is_disabled()
        panel.picture("chat_reads")
        assert barriers(lab, panel, "chat_reads") == []
        lab.page.evaluate("window.letThemRead()")
        panel.wait("text=Hello.")
    finally:
        lab.page.evaluate("() => { Blob.prototype.arrayBuffer = window.realRead; }")
    assert box.input_value() == ""
    assert lab.do("print(await agent.turn_count(), len(agent.latest.prompt))").split() == ["1", "2"]


def test_file_that_is_gone_is_named_and_nothing_is_lost(lab, tmp_path):
    lab.do("model, agent = await start([say('Hello.')])")
    panel = lab.run("agent.chat_ui()")
    box = panel.wait("textarea")
    for name in ("gone.txt", "kept.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    panel.output.locator("input[type=file]").set_input_files(
        [tmp_path / "gone.txt", tmp_path / "kept.txt"]
    )
    panel.wait("button >> text=kept.txt")
    (tmp_path / "gone.txt").unlink()
    box.fill("Read both")
    box.press("Enter")
    panel.wait("text=Cannot read gone.txt. Nothing was sent")
    assert box.input_value() == "Read both"
    assert panel.count("button >> text=gone.txt") == 0
    panel.picture("chat_file_gone")
    assert barriers(lab, panel, "chat_file_gone") == []
    box.press("Enter")
    panel.wait("text=Hello.")
    assert "['kept.txt']" in lab.do("print([part.description for part in agent.latest.prompt[1:]])")


def test_what_is_sent_is_seen_though_the_panel_was_scrolled_up(lab):
    lab.do("model, agent = await start([say(ANSWER * 3), say('The latest.')])")
    lab.do("await agent.chat_text('Begin')")
    panel = lab.run("agent.chat_ui()")
    panel.wait("text=Findings")
    panel.wait(".agy-nodes").evaluate("log => { log.scrollTop = 0; }")
    panel.wait("textarea").fill("Go on")
    panel.click("Send")
    panel.footer()
    ends = "log => log.scrollHeight - log.scrollTop - log.clientHeight < 40"
    assert panel.wait(".agy-nodes").evaluate(ends)


def test_dark_theme(lab):
    lab.do("model, agent = await start([say(ANSWER) + call('delete', path='x'), say('ok')])")
    cell = lab.run(TURNS["await"])
    cell.wait(".agy-approval button")
    try:
        lab.command("apputils:change-theme", theme="JupyterLab Dark")
        lab.page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
        cell.picture("dark")
        assert barriers(lab, cell, "dark") == []
        cell.wait("button >> text=Allow once").click()
        cell.footer()
        cell.still()
        assert barriers(lab, cell, "dark_static") == []
        cell.picture("dark_static")
    finally:
        lab.command("apputils:change-theme", theme="JupyterLab Light")
        lab.page.wait_for_selector("body[data-jp-theme-light='true']", state="attached")


@pytest.fixture
def own_folder(lab, tmp_path):
    """The kernel works in a folder of the test's own."""
    lab.do(f"import os; before = os.getcwd(); os.chdir({str(tmp_path)!r})")
    yield
    lab.do("os.chdir(before)")


@pytest.mark.usefixtures("own_folder")
def test_chat_is_saved_as_a_cassette_that_the_next_cell_opens(lab):
    lab.do("model, agent = await start([say('Hello.'), say('Still here.')])")
    panel = lab.run("agent.chat_ui()")
    box = panel.wait("textarea")
    box.fill("Hi")
    box.press("Enter")
    panel.wait(".agy-footer")
    panel.wait("button >> text=Cassette").click()
    notice = panel.wait("text=Saved cassette").inner_text()
    path = notice.removeprefix("Saved cassette ").partition(". ")[0]
    assert barriers(lab, panel, "chat_saved") == []
    panel.picture("chat_saved")
    opened = lab.run(f"agy.widgets.chat_ui({path!r})")
    assert "Hello." in opened.wait(".agy-view").inner_text()
    box.fill("And now?")
    box.press("Enter")
    panel.wait("text=Still here.")


def test_prompt_is_shown_at_once_and_waits_in_the_queue(lab):
    lab.do("model, agent = await start([say('so far ') + hang(), say('Third.')])")
    panel = lab.run("agent.chat_ui()")
    box = panel.wait("textarea")
    assert panel.wait("button >> text=Copy").is_disabled()  # there is nothing to copy
    lab.run("import time; time.sleep(3)")
    box.fill("First")
    box.press("Enter")
    panel.wait(".agy-queued >> text=First", timeout=1_500)  # while the cell blocks the kernel
    panel.wait("text=so far")
    panel.output.locator(".agy-queued").wait_for(state="detached")
    assert panel.wait("button >> text=Send", state="attached").is_hidden()
    for words in ("Second", "Third"):
        box.fill(words)
        box.press("Enter")
    panel.wait(".agy-queued >> text=Third")
    panel.picture("chat_queue")
    assert barriers(lab, panel, "chat_queue") == []
    panel.click("Remove")
    panel.output.locator(".agy-queued >> text=Second").wait_for(state="detached")
    panel.click("Stop")
    panel.wait("text=Third.")
    assert panel.count(".agy-nodes >> text=Second") == 0


def test_clear_asks_first(lab):
    lab.do("model, agent = await start([say('Hello.')])\nawait agent.chat_text('Hi')")
    panel = lab.run("agent.chat_ui()")
    panel.wait("text=Hello.")
    panel.click("Clear")
    panel.wait("text=The model still remembers")
    panel.click("Keep")
    assert panel.count(".agy-nodes >> text=Hello.") == 1
    panel.click("Clear")
    panel.wait("button >> text=Clear conversation").click()
    panel.output.locator(".agy-nodes >> text=Hello.").wait_for(state="detached")
