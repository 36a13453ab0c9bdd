"""The same views in Notebook 7."""

import shutil

import pytest

from tests.widgets.in_lab.driver import front_ends
from tests.widgets.in_lab.driver.barriers import barriers
from tests.widgets.in_lab.driver.cells import TURNS
from tests.widgets.in_lab.driver.front_ends import BROWSER, ROOT, SCREENSHOTS, keep_picture

pytestmark = BROWSER


def test_turn_streams_and_is_stopped(seven):
    seven.do("model, agent = await start([think('Hm.') + say([*ANSWER]) + hang()])")
    cell = seven.run(TURNS["await"])
    cell.wait("td >> text=a")
    cell.wait("li >> text=two")
    cell.picture("seven_streaming")
    assert barriers(seven, cell, "seven_streaming") == []
    cell.click("Stop")
    assert "Stopped" in cell.footer()
    cell.still()
    assert cell.count("button") == 0
    assert cell.count("h1") == 1


@pytest.mark.parametrize("how", TURNS)
def test_click_allows(seven, how):
    seven.do("model, agent = await start(DELETES)")
    cell = seven.run(TURNS[how])
    cell.wait(".agy-approval button")
    cell.picture("seven_approval")
    if how == "await":
        cell.wait("button:enabled >> text=Allow once")
        cell.picture("seven_approval")
        keep_picture("seven_approval", "approval_notebook7")
    cell.click("Allow once")
    assert "Done" in cell.footer()
    cell.still()
    assert "Allowed" in cell.text()
    assert "deleted notes" in seven.do("print(model.requests[-1].tool_results[-1].text)")


def test_interrupt_from_the_toolbar_denies(seven):
    seven.do("model, agent = await start(DELETES)")
    cell = seven.run(TURNS["await"])
    cell.wait(".agy-approval button")
    seven.press("notebook:interrupt-kernel")
    assert "Stopped" in cell.footer()
    cell.still()
    assert "Denied: the turn ended" in cell.text()


def test_chat_panel_answers(seven):
    seven.do("model, agent = await start([say('Hello *you*.')])")
    cell = seven.run("agent.chat_ui()")
    cell.prompt("Hi")
    cell.wait("em >> text=you")
    cell.wait(".agy-footer")
    cell.picture("seven_chat")
    assert barriers(seven, cell, "seven_chat") == []


def test_question_is_answered_in_the_panel(seven):
    seven.do(
        "ask = dict(question='Which colour?', options=['red', 'blue'], is_multi_select=False)\n"
        "capabilities = types.CapabilitiesConfig(\n"
        "    agent_behavior=types.AgentBehavior.INTERACTIVE,\n"
        "    enabled_tools=[types.BuiltinTools.ASK_QUESTION])\n"
        "model, agent = await start(\n"
        "    [call('ask_question', questions=[ask]), say('Blue.')], capabilities=capabilities)"
    )
    cell = seven.run("agent.chat_ui()")
    cell.prompt("Ask me")
    cell.wait(".agy-option >> text=blue").click()
    cell.wait("button >> text=/^Answer$/").click()
    cell.wait(".agy-footer >> text=Done")
    assert "blue" in seven.do("print(model.requests[-1].tool_results[-1].text)")


def test_usage_is_grouped_by_turn(seven):
    seven.do("model, agent = await start([say('one'), say('two')])")
    seven.do("for prompt in 'ab': await agent.chat_text(prompt)")
    cell = seven.run("agent.usage_ui()")
    cell.wait("[data-agy-act='by'][data-agy-value='turn']").click()
    cell.wait("tbody tr:nth-child(2)")
    assert barriers(seven, cell, "seven_usage") == []


def test_recording_is_opened(seven):
    cell = seven.run(f"agy.browse({str(ROOT / 'cassettes')!r})")
    cell.wait("[data-agy-act='open'] >> text=host_tools").click()
    cell.wait(".agy-player .agy-footer, .agy-player .agy-tool")
    assert barriers(seven, cell, "seven_recordings") == []


def test_notebook_without_its_kernel_has_all_that_was_there(seven):
    seven.do(
        "model, agent = await start([say('# Findings') + call('delete', path='x'), say('ok')])"
    )
    cell = seven.run(TURNS["await"])
    cell.click("Allow once")
    cell.still()
    seven.command("docmanager:save")
    shutil.copy(seven.file, seven.file.with_name("seven_copy.ipynb"))
    copy = front_ends.seven(seven.site, "seven_copy.ipynb")
    try:
        copy.page.locator(".agy-footer").last.wait_for()
        text = copy.page.locator(".jp-Notebook").inner_text()
        assert "model not found" not in text.lower()
        assert "Findings" in text
        assert "Allowed" in text
        copy.page.locator(".agy-footer").last.scroll_into_view_if_needed()
        copy.page.screenshot(path=SCREENSHOTS / "seven_reopened.png")
    finally:
        copy.close()
