"""The arguments of a call are edited in its card, in JupyterLab, on the real SDK and harness."""

import pytest

from tests.widgets.in_lab.driver.barriers import barriers
from tests.widgets.in_lab.driver.cells import TURNS
from tests.widgets.in_lab.driver.front_ends import BROWSER

pytestmark = BROWSER

EDITS = """
model = ScriptedModel(DELETES)
await model.start()
approver = agy.widgets.approve(edit=True)
agent = await runtime.create_agent(model.config(), tools=[delete], ask_user=approver)
"""


@pytest.mark.parametrize("how", ["await", "sync"])
def test_call_runs_as_it_was_edited_and_the_page_keeps_both(lab, how):
    lab.do(EDITS)
    cell = lab.run(TURNS[how])
    cell.wait("button >> text=Edit…").click()
    box = cell.wait("textarea")
    assert '"path": "notes"' in box.input_value()
    box.fill('{"path": ')
    cell.wait("button >> text=Run edited").click()
    cell.wait(".agy-wrong >> text=Invalid JSON")  # said by the front end
    box.fill('{"file": "drafts"}')
    cell.wait("button >> text=Run edited").click()
    cell.wait(".agy-wrong >> text=path is missing")  # said by the kernel
    assert barriers(lab, cell, "editing") == []
    cell.picture("editing")
    box.fill('{"path": "drafts"}')
    cell.wait("button >> text=Run edited").click()
    cell.footer()
    cell.still()
    assert "deleted drafts" in lab.do("print(model.requests[-1].tool_results[-1].text)")
    cell.wait(".agy-tool summary").click()
    assert "Edited by you" in cell.text()
    assert "Original call" in cell.text()
    cell.picture("edited")
