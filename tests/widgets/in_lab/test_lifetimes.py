"""Views and what they show do not end together: the page, the kernel, the notebook."""

import shutil

import nbformat
import pytest

from tests.widgets.in_lab.driver import front_ends
from tests.widgets.in_lab.driver.cells import START, TURNS
from tests.widgets.in_lab.driver.front_ends import BROWSER, SCREENSHOTS

pytestmark = BROWSER

WRITES = """
def write(path: str) -> str:
    "Write a file."
    from pathlib import Path
    Path(path).write_text("written")
    return "written"

model, agent = await start([call("write", path="must_not_be_there"), say("ok")], tools=[write])
"""


def saved(file) -> str:
    """The HTML of the last cell that has any, as the notebook's file has it."""
    notebook = nbformat.read(file, as_version=4)
    cells = [
        "".join(each.data.get("text/html", "") for each in cell.outputs if "data" in each)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    return next((html for html in reversed(cells) if html), "")


def save_until(lab, holds) -> None:
    """Save the notebook until something holds for its file.

    The page does not show when the HTML beside a view is there: a view takes its copy out.
    """
    for _ in range(100):
        lab.command("docmanager:save")
        if holds(lab.file):
            return
        lab.page.wait_for_timeout(100)
    raise AssertionError(saved(lab.file))


def keep(lab, words: str) -> None:
    """Save the notebook until the HTML beside any view has some words."""

    def holds(file) -> bool:
        notebook = nbformat.read(file, as_version=4)
        outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
        pages = [each.get("data", {}).get("text/html", "") for each in outputs]
        return any("agy-still" in page and words in page for page in pages)

    save_until(lab, holds)


def test_response_in_an_output_widget_stays_when_its_turn_is_over(lab):
    lab.do("import ipywidgets\nmodel, agent = await start(DELETES)")
    cell = lab.run(
        "inside = ipywidgets.Output()\ndisplay(inside)\n"
        "with inside:\n    display(await agent.chat('go'))"
    )
    cell.click("Allow once")
    assert "Done" in cell.footer()
    assert "Allowed" in cell.text()
    lab.idle()
    assert cell.count("text=Show the response in another cell") == 0
    # In the cell itself: the notebook does not save what is in widgets.
    save_until(lab, lambda file: "Allowed" in saved(file))


@pytest.mark.parametrize("how", TURNS)
def test_page_that_is_loaded_again_in_the_middle_of_a_turn_catches_up(lab, how):
    lab.do("model, agent = await start(DELETES)")
    cell = lab.run(TURNS[how])
    cell.wait(".agy-approval button")
    lab.command("docmanager:save")
    lab.reload()
    card = lab.page.locator(".agy-approval >> visible=true").last
    card.locator("button >> text=Allow once").click()
    box = lab.page.locator(".jp-Cell", has=lab.page.locator(".agy-tool")).last
    box.locator(".agy-footer").wait_for()
    lab.idle()
    box.locator("text=Show the response in another cell").wait_for()
    assert "deleted notes" in lab.do("print(model.requests[-1].tool_results[-1].text)")


def test_view_says_that_its_kernel_was_started_again_and_nothing_is_allowed(lab):
    lab.do(WRITES)
    cell = lab.run(TURNS["idle"])
    cell.wait(".agy-approval button")
    keep(lab, "must_not_be_there")
    try:
        lab.start_kernel_again()
        cell.wait("text=/Kernel disconnected|Denied/")
        assert cell.output.locator("button:enabled").count() == 0
        assert "auto-deny in" not in cell.text()
        assert "Waiting for approval" not in cell.text()
        cell.picture("restarted")
        assert not (lab.site.folder / "must_not_be_there").exists()
        lab.command("docmanager:save")
        assert "must_not_be_there" in saved(lab.file)
    finally:
        lab.do(START)


def test_notebook_without_its_kernel_has_all_that_was_there(lab):
    lab.do("model, agent = await start([think('Hm.') + say('# Findings'), *DELETES])")
    panel = lab.run("agent.chat_ui()")
    panel.wait("textarea")
    lab.run(TURNS["await"]).still()
    keep(lab, "Findings")
    assert not panel.output.locator(".agy-still").first.is_visible()
    shutil.copy(lab.file, lab.file.with_name("copy.ipynb"))
    copy = front_ends.lab(lab.site, "copy.ipynb")
    try:
        copy.page.locator(".agy-footer").last.wait_for()
        copy.page.locator(".agy-still >> text=Findings").first.wait_for()
        text = copy.page.locator(".jp-Notebook").inner_text()
        assert "model not found" not in text.lower()
        assert "Findings" in text
        assert copy.page.evaluate("window.pwned") == 0
        copy.page.locator("h1").first.scroll_into_view_if_needed()
        copy.page.screenshot(path=SCREENSHOTS / "reopened.png")
    finally:
        copy.close()
