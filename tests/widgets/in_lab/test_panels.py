"""Chat panels, usage and recordings in JupyterLab."""

import pytest

from tests.widgets.in_lab.driver.barriers import barriers
from tests.widgets.in_lab.driver.cells import TURNS
from tests.widgets.in_lab.driver.front_ends import BROWSER
from tests.widgets.in_lab.test_pictures import looking

pytestmark = BROWSER


def choose(panel, words: str) -> None:
    """Choose something in the panel's menu."""
    panel.click("⋯")
    panel.wait(f"[role=menuitem] >> text={words}").click()


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
    choose(panel, "Copy conversation")
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
    second_box = second.wait(".agy-composer textarea")
    second_box.press("ArrowUp")
    second.wait("text=The second")
    lab.page.wait_for_function("box => box.value === 'The second'", arg=second_box.element_handle())
    assert first.wait(".agy-composer textarea").input_value() == "a draft"
    first.picture("chat_two_views")
    reason.press("Enter")
    for cell in (first, second):
        cell.wait("text=Kept.")
    denied = "print([event.reason for event in turn.event_log if event.type == 'approval'])"
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
    box = panel.prompt("Hi")
    panel.wait(".agy-footer")
    choose(panel, "Save as cassette")
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
    assert panel.wait("button >> text=Send").is_disabled()
    panel.click("⋯")
    assert panel.wait("[role=menuitem] >> text=Copy").is_disabled()  # there is nothing to copy
    box.click()
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
    choose(panel, "Clear…")
    panel.wait("text=The model still remembers")
    panel.click("Cancel")
    assert panel.count(".agy-nodes >> text=Hello.") == 1
    choose(panel, "Clear…")
    panel.wait("button >> text=Clear panel").click()
    panel.output.locator(".agy-nodes >> text=Hello.").wait_for(state="detached")


def test_panel_that_is_empty_says_what_the_agent_is_and_suggests_prompts(lab):
    lab.do("model, agent = await start([say('I delete files.', usage=ScriptUsage(prompt=900))])")
    panel = lab.run("agent.chat_ui()")
    panel.wait(".agy-header >> text=/1[0-9] tools|[2-9] tools/")
    panel.wait(".agy-welcome >> text=delete")
    assert barriers(lab, panel, "chat_empty") == []
    panel.click("Show me what delete does.")
    assert panel.wait("textarea").input_value() == "Show me what delete does."
    panel.click("Send")
    panel.footer()
    assert panel.wait(".agy-welcome", state="attached").is_hidden()
    panel.picture("chat_header")


def test_empty_panel_on_the_echo_model_offers_prompts_that_show_something(lab):
    lab.do(
        "from agy_nb.testing import EchoModel\n"
        "model = await EchoModel().start()\n"
        "approver = agy.widgets.approve()\n"
        "agent = await runtime.create_agent(model.config(), tools=[delete], ask_user=approver)"
    )
    panel = lab.run("agent.chat_ui()")
    panel.wait(".agy-example >> text=Use a subagent")
    shown = panel.output.locator(".agy-example").all_inner_texts()
    own, *others = shown
    assert own == "Call delete for Paris"
    assert others == ["Run ls", "Ask me", "Think", "Use a subagent", "Fail"]
    for dark in (False, True):
        with looking(lab, dark=dark, size={"width": 1400, "height": 1100}):
            for width in (1400, 700):  # `barriers` looks at 320
                lab.page.set_viewport_size({"width": width, "height": 1100})
                panel.picture(f"chat_empty_echo_{width}_{'dark' if dark else 'light'}")
    assert barriers(lab, panel, "chat_empty_echo") == []
    panel.click("Run ls")
    panel.click("Send")
    panel.wait("button:enabled >> text=Allow once").click()
    panel.wait("text=run_command says")
    for prompt, answer in (
        ("Ask me", "This agent cannot ask questions"),
        ("Think", "I have thought about it."),
        ("Fail", "You asked the echo model to fail"),
    ):
        panel.prompt(prompt)
        panel.wait(f"text={answer}")
    panel.prompt("Use a subagent")
    panel.wait("button:enabled >> text=Allow once").click()
    panel.wait("text=The subagent answered: Hello from the subagent.")
    panel.picture("chat_echo")


def test_every_turn_can_be_sent_again_and_copied(lab):
    lab.do("model, agent = await start(lambda r: say(f'*Answer* {len(model.requests)}'))")
    lab.do("await agent.chat_text('One')\npanel = agent.chat_ui()\nawait agent.chat_text('Two')")
    panel = lab.run("panel")
    panel.wait("text=Answer 2")
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.wait(".agy-actions button >> text=Copy").click()
    panel.wait("text=Copied as Markdown.")
    assert lab.page.evaluate("navigator.clipboard.readText()") == "*Answer* 1"
    panel.wait(".agy-actions button >> text=Retry").click()
    panel.wait("text=Answer 3")
    assert lab.do("print(agent.latest.prompt[0].text)") == "One"


def test_code_is_copied_and_becomes_a_cell(lab):
    lab.do("model, agent = await start([say('Run:\\n\\n```python\\nx = 1\\nx\\n```\\n')])")
    panel = lab.run("agent.chat_ui()")
    panel.prompt("Code?")
    panel.footer()
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.wait(".agy-code-tools button >> text=Copy").click()
    panel.wait("text=Copied.")
    assert lab.page.evaluate("navigator.clipboard.readText()") == "x = 1\nx"
    panel.click("Insert as cell")
    panel.wait("text=Inserted below.")
    below = panel.box.locator("xpath=following-sibling::*[contains(@class, 'jp-Cell')]").first
    assert below.locator(".cm-content").inner_text() == "x = 1\nx"
    assert below.locator(".jp-OutputArea-output").count() == 0
    assert barriers(lab, panel, "chat_code") == []


def test_keys_are_the_panels_while_it_has_the_focus(lab):
    lab.do("model, agent = await start([say('so far ') + hang(), say('Second.')])")
    panel = lab.run("agent.chat_ui()")
    box = panel.prompt("First")
    panel.wait("text=/Writing… \\d+ s/")
    box.press("Escape")
    assert "Stopped" in panel.footer()
    cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    panel.wait("button >> text=⋯").focus()
    for key in ("x", "d", "d", "b"):
        lab.page.keyboard.press(key)
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    box.press("ArrowUp")
    lab.page.wait_for_function("box => box.value === 'First'", arg=box.element_handle())
    before = lab.file.stat().st_mtime_ns
    box.press("Control+s")
    for _ in range(100):
        lab.page.wait_for_timeout(50)
        if lab.file.stat().st_mtime_ns != before:
            break
    assert lab.file.stat().st_mtime_ns != before


PASTE = """
(box, [text, name]) => {
  const data = new DataTransfer();
  if (text) data.setData("text/plain", text);
  data.items.add(new File([new Uint8Array(2000)], name, { type: "image/png" }));
  const how = { clipboardData: data, bubbles: true, cancelable: true };
  box.dispatchEvent(new ClipboardEvent("paste", how));
}
"""


def test_pasted_cells_of_a_spreadsheet_are_text_and_a_pasted_picture_is_attached(lab):
    lab.do("model, agent = await start([say('Seen.')])")
    panel = lab.run("agent.chat_ui()")
    box = panel.wait("textarea")
    box.evaluate(PASTE, ["a\tb", "cells.png"])
    assert panel.count(".agy-chip >> text=cells.png") == 0
    box.evaluate(PASTE, ["", "picture.png"])
    chip = panel.wait("button.agy-chip >> text=picture.png")
    panel.wait(".agy-chips >> text=2 kB")
    assert panel.count(".agy-chips img") == 1
    panel.picture("chat_chips")
    chip.click()
    assert panel.count(".agy-chips button") == 0


def test_first_feedback_comes_at_once(lab):
    lab.do("model, agent = await start([hang('so far')])")
    panel = lab.run("agent.chat_ui()")
    box = panel.wait("textarea")
    box.fill("Hi")
    waited = box.evaluate(
        """async (box) => {
          const root = box.closest(".agy-view");
          const began = performance.now();
          box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
          while (!root.querySelector(".agy-queued, .agy-prompt"))
            await new Promise(requestAnimationFrame);
          return performance.now() - began;
        }"""
    )
    assert waited < 200
    panel.wait("text=so far")


def test_composer_of_an_agent_that_ended_takes_nothing(lab):
    lab.do("model, agent = await start([say('Hello *you*.')])")
    panel = lab.run("agent.chat_ui()")
    panel.prompt("Hi")
    panel.wait("text=Hello you.")
    panel.wait("textarea").fill("a draft")
    lab.do("await agent.shutdown()")
    box = panel.wait("textarea[readonly]")
    assert box.input_value() == "a draft"  # it can be copied
    box.press("Enter")
    panel.wait("text=You cannot send it prompts.")
    for words in ("Send", "+"):
        assert panel.wait(f"button:has-text('{words}'):disabled")
    panel.click("⋯")
    assert panel.wait("[role=menuitem] >> text=Export as Markdown").is_enabled()
    lab.page.keyboard.press("Escape")
    assert box.input_value() == "a draft"
    assert barriers(lab, panel, "chat_ended") == []
    panel.picture("chat_ended")
    with looking(lab, dark=True, size={"width": 700, "height": 900}):
        panel.picture("chat_ended_dark")
