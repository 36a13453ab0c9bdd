"""The views in marimo, Voila, Panel and Solara."""

import nbformat
import pytest

from tests.widgets.in_lab.driver.front_ends import BROWSER, ROOT
from tests.widgets.in_servers.front_end_server import (
    TOKENS,
    TURNS,
    choose_and_stop,
    page_at,
    send,
    serving,
)

for _name in ("marimo", "voila", "panel", "solara"):
    pytest.importorskip(_name, reason="`make front-ends` installs it")

pytestmark = BROWSER

MARIMO = f"""
import marimo

app = marimo.App()

@app.cell
async def _():
    from agent_for_pages import agy, call, hang, say, start
    agent = await start({TURNS})
    return agent, agy, call, hang, say

@app.cell
async def _(agent):
    response = await agent.chat("go")
    response
    return (response,)

@app.cell
def _(agent):
    panel = agent.chat_ui()
    panel
    return (panel,)

@app.cell
def _(agent):
    agent.usage_ui()
    return

@app.cell
def _(agy):
    agy.browse({str(ROOT / "cassettes")!r})
    return
"""


def test_marimo_shows_streams_and_asks(tmp_path):
    (tmp_path / "notebook.py").write_text(MARIMO, encoding="utf-8")
    command = ("marimo", "run", "notebook.py", "--headless", "--no-token", "--port", "{port}")
    with serving(tmp_path, *command) as url, page_at(url, "marimo") as page:
        page.locator("button >> text=Allow once").first.click()
        page.locator("h1 >> text=Done").nth(1).wait_for()  # the response and the panel
        page.locator("a, button >> text=plain_chat").first.wait_for()
        page.locator("text=Usage by").wait_for()
        choose_and_stop(page)
        page.locator(TOKENS).first.wait_for()


CELLS = (
    f"from agent_for_pages import agy, call, hang, say, start\nagent = await start({TURNS})",
    "import ipywidgets\npanel = agent.chat_ui()\nipywidgets.HBox([panel])",
    "agent.usage_ui()",
    f"agy.browse({str(ROOT / 'cassettes')!r})",
)


def test_voila_shows_streams_and_asks(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    command = ("voila", "notebook.ipynb", "--no-browser", "--port={port}", "--token=")
    with serving(tmp_path, *command) as url, page_at(url, "voila") as page:
        page.locator("text=Usage by").first.wait_for()
        page.locator("text=plain_chat").first.wait_for()
        send(page, "go")
        page.locator("button >> text=Allow once").first.click()
        page.locator("h1 >> text=Done").first.wait_for()
        choose_and_stop(page)


PANEL = f"""
import panel
from agent_for_pages import agy, call, hang, say, start

panel.extension("ipywidgets")

async def chat():
    agent = await start({TURNS})
    recordings = agy.browse({str(ROOT / "cassettes")!r})
    return panel.Column(panel.pane.IPyWidget(agent.chat_ui()), agent.usage_ui(), recordings)

panel.panel(chat).servable()
"""


def test_panel_shows_streams_and_asks(tmp_path):
    (tmp_path / "page.py").write_text(PANEL, encoding="utf-8")
    command = ("panel", "serve", "page.py", "--port", "{port}")
    with serving(tmp_path, *command) as url, page_at(f"{url}/page", "panel") as page:
        send(page, "go")
        page.locator("button >> text=Allow once").first.click()
        page.locator("h1 >> text=Done").first.wait_for()
        page.locator("text=Usage by").first.wait_for()
        page.locator("text=plain_chat").first.wait_for()
        choose_and_stop(page)


SOLARA = f"""
import solara
from agent_for_pages import agy, call, hang, say, start

async def create():
    agent = await start({TURNS})
    response = await agent.chat("go")
    return response, agent.chat_ui(), agent.usage_ui(), agy.browse({str(ROOT / "cassettes")!r})

@solara.component
def Page():
    views = solara.lab.use_task(create, dependencies=[], prefer_threaded=False)
    with solara.Column():
        for view in views.value or ():
            solara.display(view)
"""


def test_solara_shows_streams_and_asks(tmp_path):
    (tmp_path / "page.py").write_text(SOLARA, encoding="utf-8")
    command = ("solara", "run", "page.py", "--no-open", "--production", "--port", "{port}")
    with serving(tmp_path, *command) as url, page_at(url, "solara") as page:
        page.locator("text=Usage by").first.wait_for()
        page.locator("text=plain_chat").first.wait_for()
        page.locator("button >> text=Allow once").first.click()
        page.locator("h1 >> text=Done").nth(1).wait_for()  # the response and the panel
        choose_and_stop(page)
        page.locator(TOKENS).first.wait_for()
