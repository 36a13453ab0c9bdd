"""Turns, approvals and questions in JupyterLab, on the real SDK and harness."""

import pytest

from tests.widgets.in_lab.driver.barriers import barriers
from tests.widgets.in_lab.driver.cells import TURNS
from tests.widgets.in_lab.driver.front_ends import BROWSER, keep_picture

pytestmark = BROWSER


def test_turn_streams_into_the_cell_and_stays_as_html(lab):
    lab.do(
        "model, agent = await start([\n"
        "    think('Hm, a *thought*.') + call('delete', path='drafts/2024.md'),\n"
        "    say([*ANSWER]) + hang(),\n])"
    )
    cell = lab.run("response = await agent.chat('Clean up, and say what you found.')\nresponse")
    cell.click("Allow once")
    cell.wait("td >> text=a")
    cell.wait("li >> text=two")
    cell.wait("button >> text=Stop")
    assert cell.count(".agy-nodes .agy-thought") == 1
    cell.picture("streaming")
    keep_picture("streaming")
    assert barriers(lab, cell, "streaming") == []
    cell.wait("button >> text=Stop").click()
    assert "Stopped" in cell.footer()
    cell.still()
    assert cell.count("button") == 0
    assert cell.count("h1") == 1
    cell.picture("static")
    assert barriers(lab, cell, "static") == []


@pytest.mark.parametrize("how", TURNS)
def test_click_allows(lab, how):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(TURNS[how])
    cell.wait("button >> text=Allow once").click()
    assert "Done" in cell.footer()
    cell.still()
    assert "Allowed" in cell.text()
    assert "deleted notes" in lab.do("print(model.requests[-1].tool_results[-1].text)")


def test_denial_with_a_reason_reaches_the_model_and_stays(lab):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(TURNS["await"])
    cell.wait(".agy-approval button")
    cell.picture("approval")
    assert barriers(lab, cell, "approval") == []
    reason = cell.wait(".agy-approval input")
    reason.fill("not on a Friday")
    reason.press("Enter")
    cell.footer()
    cell.still()
    assert "not on a Friday" in lab.do("print(model.requests[-1].tool_results[-1].text)")
    cell.wait(".agy-decided summary").click()
    assert "You denied it: not on a Friday" in cell.text()
    cell.picture("denied")


def test_approval_is_decided_with_the_keyboard_alone(lab):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(TURNS["await"])
    cell.wait(".agy-approval button:enabled >> text=Allow once").focus()
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Space")
    cell.footer()
    assert "Denied" in cell.text()


def test_focus_stays_in_the_view_when_a_button_is_gone(lab):
    lab.do("model, agent = await start([call('delete', path='a'), *DELETES])")
    cell = lab.run(TURNS["await"])
    cell.wait(".agy-approval button:enabled >> text=Allow once").focus()
    lab.page.keyboard.press("Enter")
    cell.wait(".agy-tool >> text=Allowed by you")
    assert lab.page.evaluate("document.activeElement.closest('.agy-view') !== null")
    cell.wait(".agy-approval button:enabled >> text=Allow once").focus()
    lab.page.keyboard.press("Enter")
    assert "Done" in cell.footer()


def test_long_result_is_reached_with_the_keyboard(lab):
    lab.do(
        "def lines() -> str:\n    'Give lines.'\n    return 'a line\\n' * 90\n"
        "model, agent = await start([call('lines'), say('ok')], tools=[lines])"
    )
    cell = lab.run(TURNS["await"])
    cell.click("Allow once")
    cell.footer()
    cell.still()
    cell.wait(".agy-tool summary").click()
    cell.wait(".agy-fold summary >> text=91 lines").click()
    cell.wait(".agy-tool pre").focus()
    lab.page.keyboard.press("End")
    lab.page.wait_for_function("document.activeElement.scrollTop > 0")
    assert barriers(lab, cell, "long_result") == []


def test_time_that_is_left_is_on_the_card(lab):
    cell = lab.run(
        "brief = agy.Runtime(agy.RuntimeConfig(chat_pause=0, approval_timeout=2))\n"
        "model = ScriptedModel(DELETES); await model.start()\n"
        "agent = await brief.create_agent(\n"
        "    model.config(), tools=[delete], ask_user=agy.widgets.approve())\n"
        "agent.sync.chat('go')\nNone"
    )
    cell.wait("text=/auto-deny in 0:0[012]/")
    cell.footer()
    assert "Denied: no answer in time" in cell.text()


def test_interrupt_from_the_toolbar_denies_and_ends_the_cell(lab):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(TURNS["await"])
    cell.wait(".agy-approval button")
    lab.press("notebook:interrupt-kernel")
    assert "Stopped" in cell.footer()
    cell.still()
    assert "Denied: the turn ended" in cell.text()
    assert lab.do("print(response.state)") == "cancelled"


ASKS = (
    "capabilities = types.CapabilitiesConfig(\n"
    "    agent_behavior=types.AgentBehavior.INTERACTIVE,\n"
    "    enabled_tools=[types.BuiltinTools.ASK_QUESTION])\n"
)


def test_questions_are_answered_with_the_keyboard_alone(lab):
    lab.do(
        f"{ASKS}"
        "ask = [dict(question=f'Which {what}?', options=['this', 'that'], is_multi_select=False)\n"
        "    for what in ('colour', 'size')]\n"
        "model, agent = await start(\n"
        "    [call('ask_question', questions=ask), say('Fine.')], capabilities=capabilities)"
    )
    cell = lab.run(TURNS["await"])
    cell.wait(".agy-option input").focus()
    assert cell.text().count("Which colour?") == 1
    lab.page.keyboard.press("Space")
    lab.page.keyboard.press("ArrowDown")  # it does not move between the notebook's cells
    assert barriers(lab, cell, "questions") == []
    cell.wait("button >> text=/^Answer$/").focus()
    lab.page.keyboard.press("Enter")
    cell.footer()
    cell.still()
    assert "A1: that" in lab.do("print(model.requests[-1].tool_results[-1].text)")
    assert "Which colour?" in cell.text()


def test_question_is_answered_with_a_choice(lab):
    lab.do(
        f"{ASKS}"
        "ask = dict(question='Which colour?', options=['red', 'blue'], is_multi_select=False)\n"
        "model, agent = await start(\n"
        "    [call('ask_question', questions=[ask]), say('Blue.')], capabilities=capabilities)"
    )
    cell = lab.run(TURNS["await"])
    cell.wait(".agy-option >> text=blue").click()
    cell.picture("question")
    assert barriers(lab, cell, "question") == []
    cell.wait("button >> text=/^Answer$/").click()
    cell.footer()
    cell.still()
    assert "blue" in lab.do("print(model.requests[-1].tool_results[-1].text)")
    assert cell.count(".agy-answered") == 1
