"""Views in a real JupyterLab in a real browser, on the real SDK and harness."""

import json
import re
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe

from agy_nb.widgets.static_page import style
from tests.widgets.hostile import PAYLOADS
from tests.widgets.lab import BROWSERS, SCREENSHOTS, Lab

pytestmark = [
    pytest.mark.alone,
    pytest.mark.browser,
    pytest.mark.blocking_allowed,  # Playwright has a loop of its own in this thread
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        not any(map(shutil.which, BROWSERS)), reason="needs Chromium, as `make browser` installs it"
    ),
]

START = """
import asyncio
import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, hang, say, think
from google.antigravity import types

runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0))

def delete(path: str) -> str:
    "Delete a file."
    return f"deleted {path}"

async def start(script, **settings):
    model = ScriptedModel(script)
    await model.start()
    approver = agy.widgets.approve()
    agent = await runtime.create_agent(model.config(**settings), tools=[delete], ask_user=approver)
    return model, agent

DELETES = [think("Is it mine?") + call("delete", path="notes"), say("so it *is*")]
HANGS = [say("so far ") + hang()]
ANSWER = '''# Findings

Some **bold** words, `code` and a [link](https://example.org).

| name | count |
|------|------:|
| a    | 1     |

```python
def f(x):
    return x + 1  # one more
```

- one
- two
'''
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.start()
    try:
        lab.do(START)
        yield lab
    finally:
        lab.close()


@pytest.fixture(autouse=True)
def looked_at(lab):
    """No script of anybody's ran and no foreign host was asked, whatever the test was about."""
    yield
    lab.calm()
    assert lab.errors == []
    assert lab.strangers() == []
    assert lab.page.evaluate("window.pwned") == 0


def barriers(lab, cell, name: str) -> list[str]:
    """What keeps people from a view: what axe calls serious, and what is wider than 320 px.

    The view is looked at alone, in the colours that it has in JupyterLab: axe cannot see through
    the panels there.
    """
    colours = lab.page.evaluate(COLOURS, re.findall(r"--jp-[\w-]+", style()))
    views = cell.output.evaluate(
        "(box) => [...box.querySelectorAll('.agy-view')].map((each) => each.outerHTML).join('')"
    )
    alone = lab.browser.new_page(viewport={"width": 320, "height": 640})
    try:
        look = f":root {{{colours}}} {style()} body {{background: var(--jp-layout-color1)}}"
        alone.set_content(
            f"<!doctype html><html lang='en'><title>{name}</title><style>{look}</style>"
            f"<main>{views}</main>"
        )
        alone.screenshot(path=SCREENSHOTS / f"{name}_320.png", full_page=True)
        found = Axe().run(alone).response["violations"]
        wide = alone.evaluate("document.documentElement.scrollWidth")
    finally:
        alone.close()
    return [f"it is {wide} px wide"] * (wide > 320) + [
        f"{each['id']}: {node['html'][:150]} {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


COLOURS = """
(names) => {
  const style = getComputedStyle(document.body);
  return names.map((name) => `${name}: ${style.getPropertyValue(name)};`).join(" ");
}
"""

CELLS = {
    "await": "response = await agent.chat('go')\ndisplay(response)\nawait response.wait()\nNone",
    "sync": "response = agent.sync.chat('go')",
    "idle": "await agent.chat('go')",
}


def test_turn_streams_into_the_cell_and_stays_as_html(lab):
    lab.do("model, agent = await start([think('Hm, a *thought*.') + say([*ANSWER]) + hang()])")
    cell = lab.run("response = await agent.chat('go')\nresponse")
    cell.wait("td >> text=a")
    cell.wait("li >> text=two")
    cell.wait("button >> text=Stop")
    assert cell.count(".agy-thought") == 1
    cell.picture("streaming")
    assert barriers(lab, cell, "streaming") == []
    cell.wait("button >> text=Stop").click()
    assert "stopped" in cell.footer()
    cell.still()
    assert cell.count("button") == 0
    assert cell.count("h1") == 1
    cell.picture("static")
    assert barriers(lab, cell, "static") == []


@pytest.mark.parametrize("how", CELLS)
def test_click_allows(lab, how):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(CELLS[how])
    cell.wait("button >> text=Allow once").click()
    assert "done" in cell.footer()
    cell.still()
    assert "Allowed" in cell.text()
    assert "deleted notes" in lab.do("print(model.requests[-1].tool_results[-1].text)")


def test_denial_with_a_reason_reaches_the_model_and_stays(lab):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(CELLS["await"])
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
    assert "Decided by a click: deny: not on a Friday" in cell.text()
    cell.picture("denied")


def test_approval_is_decided_with_the_keyboard_alone(lab):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(CELLS["await"])
    cell.wait(".agy-approval button").focus()
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Space")
    cell.footer()
    assert "Denied" in cell.text()


def test_time_that_is_left_is_on_the_card(lab):
    cell = lab.run(
        "brief = agy.Runtime(agy.RuntimeConfig(chat_pause=0, approval_timeout=2))\n"
        "model = ScriptedModel(DELETES); await model.start()\n"
        "agent = await brief.create_agent(\n"
        "    model.config(), tools=[delete], ask_user=agy.widgets.approve())\n"
        "agent.sync.chat('go')\nNone"
    )
    cell.wait("text=/denied by itself in [012] s/")
    cell.footer()
    assert "Denied: nobody answered in time" in cell.text()


def test_interrupt_from_the_toolbar_denies_and_ends_the_cell(lab):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(CELLS["await"])
    cell.wait(".agy-approval button")
    lab.command("notebook:interrupt-kernel")
    assert "stopped" in cell.footer()
    cell.still()
    assert "Denied: the turn was cancelled" in cell.text()
    assert lab.do("print(response.state)") == "cancelled"


def test_question_is_answered_with_a_choice(lab):
    lab.do(
        "capabilities = types.CapabilitiesConfig(\n"
        "    agent_behavior=types.AgentBehavior.INTERACTIVE,\n"
        "    enabled_tools=[types.BuiltinTools.ASK_QUESTION])\n"
        "ask = dict(question='Which colour?', options=['red', 'blue'], is_multi_select=False)\n"
        "model, agent = await start(\n"
        "    [call('ask_question', questions=[ask]), say('Blue.')], capabilities=capabilities)"
    )
    cell = lab.run(CELLS["await"])
    cell.wait(".agy-option >> text=blue").click()
    cell.picture("question")
    assert barriers(lab, cell, "question") == []
    cell.wait("button >> text=/^Answer$/").click()
    cell.footer()
    cell.still()
    assert "blue" in lab.do("print(model.requests[-1].tool_results[-1].text)")
    assert cell.count(".agy-answered") == 1


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


FIELDS = """
import json
payloads = json.loads(PAYLOADS)
blob = "\\n\\n".join(payloads)
from agy_nb.testing.memory import MemoryBackend
from agy_nb.protocol.events import *
from agy_nb.protocol.values import *

async def hostile(turn):
    root = turn.session.root
    child = Trajectory(id="child", parent_id=root.id, depth=1)
    for number, payload in enumerate(payloads):
        for text, where in ((f"x {payload}", root), (payload, child)):
            turn.emit(Text(trajectory=where, text=text, step_index=number))
        turn.emit(Thought(trajectory=root, text=payload, step_index=number))
    for number, payload in enumerate(payloads):
        key = f"call{number}"
        about = {"trajectory": root, "call_id": key, "name": payload}
        turn.emit(ToolCall(server=payload, args={payload: [payload]}, **about))
        result = {"result": {payload: payload}} if number % 2 else {"error": payload}
        turn.emit(ToolResult(**about, **result))
        error = ErrorInfo(type=payload, message=payload)
        turn.emit(Error(trajectory=root, error=error, fatal=number % 3 == 0))
    answers = await asyncio.gather(*(
        turn.session.gate(
            ApprovalRequest(
                tool=payload, args={"command": payload}, reason=payload, trajectory=root
            )
        )
        for payload in payloads[::3]
    ))

from agy_nb.sdk.base import ApprovalRequest
bad = agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend(hostile))
agent = await bad.create_agent(tools=[], ask_user=agy.widgets.approve())
"""


def test_no_payload_in_any_field_runs_leaves_its_box_or_asks_for_anything(lab):
    lab.do(FIELDS.replace("PAYLOADS", repr(json.dumps(PAYLOADS))))
    panel = lab.run("agent.chat_ui()")
    cell = lab.run(
        "response = await agent.chat(blob)\ndisplay(response)\nawait response.wait()\nNone"
    )
    cell.wait(".agy-approval button")
    panel.wait(".agy-approval button")
    for each in (cell, panel):
        each.output.evaluate(
            "(box) => box.querySelectorAll('details').forEach((each) => { each.open = true; })"
        )
        allowed = each.output.evaluate(OUTSIDE)
        assert allowed == []
    assert cell.output.locator(".agy-approval").count() == len(PAYLOADS[::3])
    cell.output.evaluate(
        "(box) => box.querySelectorAll('.agy-danger').forEach((button) => button.click())"
    )
    cell.wait(".agy-footer")
    cell.still()
    assert cell.output.evaluate(OUTSIDE) == []
    lab.page.mouse.move(500, 400)
    lab.page.wait_for_function("new Promise((done) => requestAnimationFrame(() => done(true)))")


# Elements and attributes in a view that no view of ours makes.
OUTSIDE = """
(box) => {
  const found = [];
  const tags = new Set(
    `A BLOCKQUOTE BR BUTTON CODE DEL DETAILS DIV EM FIELDSET H1 H2 H3 H4 H5 H6 HR INPUT LABEL
    LEGEND LI OL P PRE S SPAN STRONG SUB SUMMARY SUP TABLE TBODY TD
    TEXTAREA TH THEAD TR UL`.split(/\\s+/));
  const attributes = new Set(
    `class role aria-label aria-live tabindex type href title target rel start open hidden
    placeholder name value data-deadline rows multiple disabled id`.split(/\\s+/));
  for (const view of box.querySelectorAll(".agy-view")) {
    for (const each of view.querySelectorAll("*")) {
      if (!tags.has(each.tagName)) found.push(each.outerHTML.slice(0, 200));
      for (const { name, value } of each.attributes) {
        if (!attributes.has(name)) found.push(`${name}=${value}`.slice(0, 200));
        if (name === "href" && !/^(https?|mailto):$/.test(each.protocol)) found.push(value);
      }
    }
    const said = [...view.querySelectorAll(".agy-text, .agy-thought")];
    const ours = "button, input, .agy-badge, .agy-approval";
    if (said.some((each) => each.querySelector(ours))) found.push("forged");
  }
  return found;
}
"""


def test_dark_theme(lab):
    lab.do("model, agent = await start([say(ANSWER) + call('delete', path='x'), say('ok')])")
    cell = lab.run(CELLS["await"])
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


def test_page_that_is_loaded_again_in_the_middle_of_a_turn_catches_up(lab):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run("response = await agent.chat('go')\ndisplay(response)")
    cell.wait(".agy-approval button")
    lab.command("docmanager:save")
    lab.page.reload()
    lab.settle(lab.page)
    card = lab.page.locator(".agy-approval").last
    card.locator("button >> text=Allow once").click()
    lab.page.locator(".agy-footer").last.wait_for()
    assert lab.do("print(await response.text())") == "so it *is*"


def test_notebook_without_its_kernel_has_all_that_was_there(lab):
    lab.command("docmanager:save")
    saved = json.loads((lab.folder / "views.ipynb").read_text(encoding="utf-8"))
    saved["metadata"]["kernelspec"]["name"] = "python3"
    (lab.folder / "copy.ipynb").write_text(json.dumps(saved), encoding="utf-8")
    page = lab.open("copy.ipynb")
    try:
        page.locator(".agy-footer").last.wait_for()
        text = page.locator(".jp-Notebook").inner_text()
        assert "model not found" not in text.lower()
        assert "Findings" in text
        assert page.evaluate("window.pwned") == 0
        page.locator("h1").first.scroll_into_view_if_needed()
        page.screenshot(path=SCREENSHOTS / "reopened.png")
    finally:
        page.close()
