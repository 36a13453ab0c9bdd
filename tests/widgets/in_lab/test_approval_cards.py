"""A click on an approval means what it says: nothing is allowed unseen or by accident."""

import pytest

from tests.widgets.in_lab.driver.front_ends import BROWSER

pytestmark = BROWSER

ASKS = """
import asyncio
from tests.support.memory import MemoryBackend
ran = []

def erase(**args) -> str:
    ran.append(args)
    return "gone"

async def agent_that_calls(*calls, edit=False, backend=None):
    async def play(turn):
        for args in calls:
            await turn.call("erase", args)
    rt = agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend(play))
    return await rt.create_agent({}, tools=[erase], ask_user=agy.widgets.approve(edit=edit))
"""
IDLE = "await agent.chat('go', wait=False)"

# What a press of Enter is while an input method composes: the two forms that browsers have.
COMPOSING = """
(box) => {
  for (const how of [{ isComposing: true }, { keyCode: 229 }]) {
    const about = { key: "Enter", bubbles: true, cancelable: true, ...how };
    const event = new KeyboardEvent("keydown", about);
    if (how.keyCode) Object.defineProperty(event, "keyCode", { value: 229 });
    box.dispatchEvent(event);
  }
}
"""

# Watches the first Allow button from the moment it is there, and clicks it in each frame.
IMPATIENT = """
() => {
  window.first = null;
  const look = (now) => {
    const button = [...document.querySelectorAll(".agy-approval button")].at(0);
    if (button) {
      window.first ??= now;
      button.click();
      if (!button.disabled && button.getAttribute("aria-disabled") !== "true") window.ready ??= now;
    } else if (window.first !== null) {
      window.decided ??= now;
      return;
    }
    requestAnimationFrame(look);
  };
  window.ready = window.decided = undefined;
  requestAnimationFrame(look);
}
"""


@pytest.fixture
def ask(lab):
    """Runs a turn that makes these calls; gives its cell."""
    lab.do(ASKS)

    def ask(*calls, edit=False):
        lab.do(f"ran.clear(); agent = await agent_that_calls(*{list(calls)!r}, edit={edit})")
        return lab.run(IDLE)

    ask.ran = lambda: lab.do("print(ran)")
    return ask


def test_allow_does_nothing_for_a_moment_after_the_card_is_there(lab, ask):
    lab.page.evaluate(IMPATIENT)
    cell = ask({"path": "a"})
    cell.footer()
    lab.page.wait_for_function("window.decided !== undefined")
    waited = lab.page.evaluate("(window.ready ?? window.decided) - window.first")
    assert waited >= 380  # a frame is 16 ms
    assert "'a'" in ask.ran()


def test_allow_does_nothing_for_a_moment_after_the_card_has_moved(lab, ask):
    cell = ask({"path": "a"})
    cell.wait(".agy-approval button:enabled >> text=Allow once")
    moved = cell.output.evaluate(
        """(box) => new Promise((done) => {
          const button = box.querySelector(".agy-approval button");
          box.querySelector(".agy-approval").style.transform = "translateY(40px)";
          requestAnimationFrame(() => requestAnimationFrame(() => {
            button.click();
            done([button.disabled, !!box.querySelector(".agy-approval")]);
          }));
        })"""
    )
    assert moved == [True, True]
    assert cell.count(".agy-approval button") > 0
    assert ask.ran() == "[]"
    cell.click("Allow once")
    cell.footer()
    assert "'a'" in ask.ran()


def test_enter_of_an_input_method_decides_nothing(lab, ask):
    cell = ask({"path": "a"})
    reason = cell.wait(".agy-approval input")
    reason.fill("にほんご")
    reason.evaluate(COMPOSING)
    lab.do("await asyncio.sleep(0.2)")
    assert cell.count(".agy-approval button") > 0
    reason.press("Enter")
    cell.footer()
    cell.wait(".agy-decided summary").click()
    assert "You denied it: にほんご" in cell.text()


def test_enter_of_an_input_method_sends_nothing(lab):
    lab.do("panel_model, panel_agent = await start([say('ok')])")
    panel = lab.run("panel_agent.chat_ui()")
    text = panel.wait("textarea")
    text.fill("にほんご")
    text.evaluate(COMPOSING)
    lab.do("await asyncio.sleep(0.2)")
    assert lab.do("print(len(panel_model.requests))") == "0"
    assert text.input_value() == "にほんご"
    text.press("Enter")
    panel.footer()


def test_edited_call_runs_as_edited_or_not_at_all(lab, ask):
    cell = ask({"command": "rm -rf build"}, edit=True)
    cell.click("Edit…")
    box = cell.wait("textarea")
    run = cell.wait("button >> text=Run edited")
    assert not run.is_enabled()
    box.fill("rm -rf build/tmp")
    cell.wait("button:disabled >> text=Allow once")
    for words in ("Always allow erase", "Always allow this exact call", "Allow once"):
        assert not cell.wait(f"button >> text={words}").is_enabled()
    cell.wait(".agy-hint >> text=You edited this call")
    cell.click("Edit…")  # does not hide what was written
    assert box.is_visible()
    cell.picture("approval_edited")
    cell.click("Discard edits")
    cell.wait("button:enabled >> text=Allow once")
    cell.click("Edit…")
    assert box.input_value() == "rm -rf build"
    box.fill("ls")
    cell.click("Run edited")
    cell.footer()
    assert ask.ran() == "[{'command': 'ls'}]"


def test_edit_is_kept_when_another_page_shows_the_card_too(lab, ask):
    lab.do(ASKS)
    lab.do("ran.clear(); agent = await agent_that_calls({'command': 'ls'}, edit=True)")
    panel = lab.run("panel = agent.chat_ui(); panel")
    lab.do("asyncio.ensure_future(agent.chat_text('go')); None")
    panel.click("Edit…")
    panel.wait("textarea.agy-edit").fill("ls -l")
    second = lab.run("panel.view.widget")
    second.wait(".agy-approval button")
    assert panel.wait("textarea.agy-edit").input_value() == "ls -l"
    panel.click("Run edited")
    panel.footer()
    assert ask.ran() == "[{'command': 'ls -l'}]"


def test_long_call_is_allowed_once_it_was_seen_to_its_end(lab, ask):
    cell = ask({"command": "\n".join(f"echo {n}" for n in range(300)) + "\nrm -rf /"})
    cell.wait(".agy-hint >> text=Scroll to the end")
    lab.do("await asyncio.sleep(0.6)")
    assert not cell.wait("button >> text=Allow once").is_enabled()
    cell.picture("approval_long")
    cell.wait(".agy-approval pre").evaluate("(box) => { box.scrollTop = box.scrollHeight; }")
    cell.click("Allow once")
    cell.footer()
    assert "rm -rf /" in ask.ran()


def test_call_that_is_too_long_has_no_button_that_allows(lab, ask):
    cell = ask({"content": "x" * 250_000})
    cell.wait("text=You can only deny it here")
    assert cell.count("button >> text=Allow") == 0
    cell.picture("approval_too_long")
    cell.click("Deny")
    cell.footer()
    assert ask.ran() == "[]"


def test_what_is_always_allowed_is_in_the_panel_and_can_be_revoked(lab, ask):
    lab.do("ran.clear(); agent = await agent_that_calls({'path': 'a'})")
    panel = lab.run("agent.chat_ui()")
    lab.do("asyncio.ensure_future(agent.chat_text('go')); None")
    panel.click("Always allow this exact call")
    panel.footer()
    panel.wait("text=Always allowed (1)").click()
    panel.picture("grants")
    assert lab.do("print(len(agent.grants))") == "1"
    panel.click("Revoke")
    panel.wait(".agy-grants", state="hidden")
    assert lab.do("print(len(agent.grants))") == "0"
    lab.do("asyncio.ensure_future(agent.chat_text('go')); None")
    panel.wait(".agy-approval button")
    panel.click("Deny")


def test_style_reaches_nothing_outside_a_view(lab, ask):
    cell = ask({"path": "a"})
    cell.wait(".agy-approval button")
    shown = lab.page.evaluate(
        """() => {
          const box = document.createElement("div");
          box.innerHTML = '<div hidden style="display: block">x</div><pre class="agy-row">y</pre>';
          document.body.append(box);
          const found = [...box.children].map((each) => getComputedStyle(each).display);
          box.remove();
          return found;
        }"""
    )
    assert shown == ["block", "block"]
    cell.click("Deny")
    cell.footer()
