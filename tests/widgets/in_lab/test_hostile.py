"""What a model says does nothing on the page, whatever it is."""

import json

from tests.widgets.hostile import PAYLOADS
from tests.widgets.in_lab.driver.front_ends import BROWSER

pytestmark = BROWSER

FIELDS = """
import json
payloads = json.loads(PAYLOADS)
blob = "\\n\\n".join(payloads)
from tests.support.memory import MemoryBackend
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

from agy_nb.sdk.interfaces.approval_request import ApprovalRequest
bad = agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend(hostile))
agent = await bad.create_agent(tools=[], ask_user=agy.widgets.approve())
"""

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
    placeholder name value data-deadline rows multiple disabled
    aria-disabled aria-expanded aria-haspopup spellcheck data-settled id`.split(/\\s+/));
  for (const view of box.querySelectorAll(".agy-view")) {
    for (const each of view.querySelectorAll("*")) {
      if (!tags.has(each.tagName)) found.push(each.outerHTML.slice(0, 200));
      for (const { name, value } of each.attributes) {
        const sized = name === "style" && each.matches("textarea, .agy-bar, .agy-meter > span");
        if (!attributes.has(name) && !sized) found.push(`${name}=${value}`.slice(0, 200));
        if (name === "href" && !/^https?:\\/\\/[^/]/i.test(value)) found.push(value);
      }
    }
    const said = [...view.querySelectorAll(".agy-text, .agy-thought")];
    const ours = "button, input, .agy-badge, .agy-approval";
    const forged = (each) => !each.closest(".agy-code-tools");  // of a panel, below its code
    if (said.some((each) => [...each.querySelectorAll(ours)].some(forged))) found.push("forged");
  }
  return found;
}
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
    cards = cell.output.locator(".agy-view:not(.agy-still) .agy-approval")
    assert cards.count() == len(PAYLOADS[::3])
    cell.output.evaluate(
        "(box) => box.querySelectorAll('.agy-danger').forEach((button) => button.click())"
    )
    cell.wait(".agy-footer")
    cell.still()
    assert cell.output.evaluate(OUTSIDE) == []
    lab.page.mouse.move(500, 400)
    lab.page.wait_for_function("new Promise((done) => requestAnimationFrame(() => done(true)))")
