"""Branches in the chat panel in JupyterLab: edit, retry and switch with the keyboard."""

from tests.widgets.in_lab.driver.barriers import barriers
from tests.widgets.in_lab.driver.front_ends import BROWSER
from tests.widgets.in_lab.test_pictures import looking

pytestmark = BROWSER

START = """
model = ScriptedModel(lambda request: say(f"re: {request.user_text[:40]}"))
await model.start()
agent = await runtime.create_agent(model.config())
for prompt in ("Plan a trip to Rome", "Make it cheaper", "And by train"):
    await agent.chat_text(prompt)
"""


def focused(lab) -> str:
    return lab.page.evaluate(
        "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"
    )


def test_prompt_is_edited_and_both_branches_are_reached(lab):
    lab.do(START)
    panel = lab.run("agent.chat_ui()")
    panel.wait("text=re: And by train")
    edit = panel.output.locator("button[aria-label='Edit this prompt']").nth(1)
    edit.focus()
    edit.press("Enter")
    box = panel.wait(".agy-rewrite textarea")
    assert box.input_value() == "Make it cheaper"
    panel.picture("branches_edit")
    assert barriers(lab, panel, "branches_edit") == []
    box.press("Escape")
    box.wait_for(state="detached")
    assert focused(lab) == "Edit this prompt"
    edit.press("Enter")
    box.fill("Make it longer")
    box.press("Enter")
    panel.wait("text=re: Make it longer")
    panel.wait(".agy-switch >> text=2/2")
    assert "Make it cheaper" not in panel.text()
    panel.picture("branches")
    assert barriers(lab, panel, "branches") == []
    next_branch = panel.wait("button[aria-label='Next branch']")
    assert next_branch.get_attribute("title") == "This is the last branch."
    previous = panel.wait("button[aria-label='Previous branch']")
    previous.focus()
    previous.press("Enter")
    panel.wait("text=re: And by train")
    panel.wait(".agy-switch >> text=1/2")
    lab.page.wait_for_function("() => document.activeElement.closest('.agy-switch') !== null")
    assert "Make it longer" not in panel.text()
    prompts = "print([m.content for m in await agent.history() if m.role == 'user'])"
    assert "And by train" in lab.do(prompts)  # the user's agent is the one that is shown


def test_turns_say_why_they_cannot_be_edited(lab):
    lab.do("model, agent = await start([say('Hello.'), say('so far ') + hang(), say('Later.')])")
    panel = lab.run("agent.chat_ui()")
    box = panel.prompt("One")
    panel.wait("text=Hello.")
    panel.wait("button[aria-label='Edit this prompt'][aria-disabled=false]")
    box.fill("Two")
    box.press("Enter")
    panel.wait("text=so far")
    retry = panel.wait("button[aria-label='Send this prompt again'][aria-disabled=true]")
    assert retry.get_attribute("title") == "Wait for the running turn to end."
    retry.click(force=True)
    panel.picture("branches_running")
    panel.click("Stop")
    panel.wait("button[aria-label='Edit this prompt'][aria-disabled=false]")
    assert "()" in lab.do("print(agent.abandoned)")


LONG = """
ANSWERS = {
    "Plan": "Day 1: the **Colosseum** and the Forum. Day 2: the Vatican museums.",
    "cheaper": "Take the night train for 49 euros, sleep in a hostel and eat at the market.",
    "longer": "Take the night train for 79 euros, sleep in a small hotel and eat at the market.",
}
model = ScriptedModel(
    lambda r: say(next((ANSWERS[w] for w in ANSWERS if w in r.user_text), "Yes <b>sure</b>.")))
await model.start()
agent = await runtime.create_agent(model.config())
for prompt in ("Plan a trip to Rome", "Make it cheaper, please", "And by <i>train</i>?"):
    await agent.chat_text(prompt)
await agent.rewind(1)
await agent.chat_text("Make it longer, please")
"""


def test_branches_are_compared_from_the_panel_and_in_a_cell(lab):
    lab.do(LONG)
    panel = lab.run("agent.chat_ui()")
    compare = panel.wait("button[aria-label='Show both branches side by side']")
    compare.focus()
    compare.press("Enter")
    panel.wait("text=/Agent .* and Branch 1 part after turn 1/")
    assert barriers(lab, panel, "branches_in_panel") == []
    panel.picture("branches_in_panel")
    cell = lab.run("await agent.compare_branches(1)")
    cell.wait("ins >> text=hostel")
    columns = cell.output.locator(".agy-view:not(.agy-still) details[open] .agy-variant")
    for name, dark, width in (
        ("branches_wide", False, 1400),
        ("branches_zoomed", True, 700),
        ("branches_narrow", False, 360),
        ("branches_narrow_dark", True, 360),
    ):
        with looking(lab, dark=dark, size={"width": width, "height": 1100}):
            assert barriers(lab, cell, name) == []
            cell.picture(name)
            left, right = columns.nth(0).bounding_box(), columns.nth(1).bounding_box()
            assert (left["y"] == right["y"]) == (width > 700)  # Lab itself takes half of 700


def test_two_panels_side_by_side(lab):
    lab.do(START + "await agent.rewind(1)\nawait agent.chat_text('Make it longer')\n")
    lab.do("import ipywidgets\nother = await agent.fork(branch=1)")
    row = lab.run("ipywidgets.HBox([agent.chat_ui(), other.chat_ui()])")
    row.wait("text=re: Make it longer")
    row.wait("text=re: And by train")
    row.picture("branches_side_by_side")
    boxes = row.output.locator(".agy-composer textarea")
    boxes.nth(1).fill("More")
    boxes.nth(1).press("Enter")
    row.wait("text=re: More")
    assert row.output.locator(".agy-chat").nth(0).inner_text().count("re: More") == 0
