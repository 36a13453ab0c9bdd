"""Views in a real kernel, as a front end without a browser sees them: the real SDK and harness."""

import json
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.kernel.conftest import Driver

pytestmark = [pytest.mark.real, pytest.mark.slow]

START = """
import time
import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, hang, say

runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0))
ran, ran_at = [], []

def delete(path: str) -> str:
    "Delete a file."
    ran.append(path)
    ran_at.append(time.time())
    return f"deleted {path}"

approver = agy.widgets.approve()

async def start(script):
    ran.clear()
    model = ScriptedModel(script)
    await model.start()
    agent = await runtime.create_agent(model.config(), tools=[delete], ask_user=approver)
    return model, agent

DELETES = [call("delete", path="notes"), say("so it *is*")]
"""


class FrontEnd(Driver):
    """A front end that takes input."""

    def send(self, code: str, **kwargs) -> str:
        return super().send(code, allow_stdin=True, **kwargs)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    driver = FrontEnd(Path(sys.executable), tmp_path_factory.mktemp("views"), START)
    yield driver
    driver.close()


@pytest.fixture
def page(shared):
    shared.seen.clear()
    return shared


CELLS = {
    "await": "response = await agent.chat('go')\ndisplay(response)\nawait response.wait()",
    "sync": "response = agent.sync.chat('go')",
    "last line": "await agent.chat('go')",
    "idle": "await agent.chat('go', wait=False)",
}


def begin(page: FrontEnd, how: str, script: str = "DELETES") -> tuple[str, str]:
    """Start a turn in a cell and show it; give the cell and the view's comm."""
    page.do(f"model, agent = await start({script})")
    cell = page.send(CELLS[how])
    return cell, page.show()


def heard(page: FrontEnd) -> str:
    """What the model was told of the tool."""
    return page.do("print(ran, model.requests[-1].tool_results[-1].text)")


@pytest.mark.parametrize("how", CELLS)
def test_click_on_allow_runs_the_tool(page, how):
    cell, comm = begin(page, how)
    key = page.waiting(comm)
    clicked = time.time()  # noqa: TID251 - compared with the kernel's clock
    page.tell(comm, type="decide", id=key, choice="once")
    html = page.final(page.views()[0][1])
    assert page.reply(cell)["status"] == "ok"
    assert heard(page).startswith("['notes']")
    assert "deleted notes" in heard(page)
    assert "so it <em>is</em>" in html
    assert "Allowed" in html
    assert float(page.do("print(ran_at[-1])")) - clicked < 1  # 0.1 on a machine that is idle


@pytest.mark.parametrize("how", CELLS)
def test_reason_of_a_denial_reaches_the_model_and_stays_on_the_page(page, how):
    cell, comm = begin(page, how)
    page.tell(comm, type="decide", id=page.waiting(comm), choice="deny", reason="not <on> a Friday")
    html = page.final(page.views()[0][1])
    assert page.reply(cell)["status"] == "ok"
    assert heard(page).startswith("[]")
    assert "not <on> a Friday" in heard(page)
    assert "not &lt;on&gt; a Friday" in html


@pytest.mark.parametrize("how", ["await", "sync", "last line"])
def test_interrupt_denies(page, how):
    cell, comm = begin(page, how)
    page.waiting(comm)
    page.interrupt()
    html = page.final(page.views()[0][1])
    assert page.reply(cell)["status"] == "error"
    assert "Denied: the turn ended" in html
    assert page.do("print(ran)").strip() == "[]"


@pytest.mark.parametrize("how", CELLS)
def test_stop_of_the_view_cancels_the_turn_and_keeps_what_had_come(page, how):
    cell, comm = begin(page, how, "[hang('so far')]")
    page.until("text", lambda: "so far" in json.dumps(page.messages(comm)))
    page.tell(comm, type="stop")
    html = page.final(page.views()[0][1])
    page.reply(cell)
    assert "so far" in html
    assert "Stopped" in html


def test_view_that_is_ready_in_the_middle_of_a_turn_catches_up(page):
    cell, comm = begin(page, "await")
    key = page.waiting(comm)
    before = page.puts(comm)
    page.tell(comm, type="ready")
    page.until("second reset", lambda: len(page.messages(comm, "reset")) == 2)
    assert page.puts(comm) == before
    page.tell(comm, type="decide", id=key, choice="once")
    assert "deleted notes" in page.final(page.views()[0][1])
    page.reply(cell)
    # A page that was loaded anew does not get the final HTML: it has the widget, which says so.
    page.until("farewell", lambda: page.messages(comm, "leaving"))
    page.tell(comm, type="here")
    page.until("notice", lambda: page.messages(comm)[-1].get("notice"))
    assert "deleted notes" in json.dumps(page.puts(comm))
    page.tell(comm, type="ready")
    page.until("third reset", lambda: len(page.messages(comm, "reset")) == 3)
    assert page.messages(comm)[-1]["notice"]
    assert page.messages(comm)[-1]["running"] is False


def test_view_that_stays_is_told_the_cost(page):
    pytest.importorskip("genai_prices")
    page.do(
        "from agy_nb.testing import ScriptUsage\n"
        "usage = ScriptUsage(prompt=1_000_000, candidates=10)\n"
        "model = ScriptedModel([say('Hello.', usage=usage)])\n"
        "await model.start()\n"
        "agent = await runtime.create_agent(model.config(model='gemini-2.5-flash'))"
    )
    cell = page.send(CELLS["await"])
    comm = page.show()
    page.until("farewell", lambda: page.messages(comm, "leaving"))
    page.tell(comm, type="here")
    page.reply(cell)
    page.until("cost", lambda: "$0." in json.dumps(page.puts(comm)))


def test_view_that_comes_while_something_waits_has_its_buttons(page):
    cell, first = begin(page, "idle")
    key = page.waiting(first)
    page.reply(cell)
    page.seen.clear()
    page.reply(page.send("_"))
    second = page.show()
    assert page.waiting(second) == key
    page.tell(second, type="decide", id=key, choice="once")
    assert "deleted notes" in page.final(page.views()[0][1])


def test_widget_is_taken_away_when_the_html_is_there(page):
    cell, comm = begin(page, "await")
    page.tell(comm, type="decide", id=page.waiting(comm), choice="once")
    page.final(page.views()[0][1])
    page.reply(cell)
    page.until(
        "end of the comm",
        lambda: [
            m
            for _, m in page.seen
            if m["header"]["msg_type"] == "comm_close" and m["content"]["comm_id"] == comm
        ],
    )


def test_click_that_comes_twice_or_late_changes_nothing(page):
    cell, comm = begin(page, "await")
    key = page.waiting(comm)
    page.tell(comm, type="decide", id=key, choice="deny", reason="first")
    page.tell(comm, type="decide", id=key, choice="tool")
    page.final(page.views()[0][1])
    page.reply(cell)
    page.tell(comm, type="decide", id=key, choice="tool")
    assert heard(page).startswith("[]")
    assert page.do("print(len(agent.grants))").strip() == "0"


def test_response_that_is_over_is_html_at_once(page):
    page.do("model, agent = await start([say('*Hello*')])")
    page.do("response = await (await agent.chat('hi')).wait()")
    page.seen.clear()
    cell = page.send("response")
    page.reply(cell)
    (data,) = [
        m["content"]["data"]
        for _, m in page.seen
        if m["header"]["msg_type"] == "display_data" and m["parent_header"]["msg_id"] == cell
    ]
    assert "<em>Hello</em>" in data["text/html"]
    assert data["text/plain"] == "*Hello*"
    assert page.views() == []


def test_cell_ends_with_the_turn_that_it_shows(page):
    cell, comm = begin(page, "last line")
    key = page.waiting(comm)
    page.tell(comm, type="decide", id=key, choice="once")
    assert page.reply(cell)["status"] == "ok"
    assert page.do("print(_.state, await _.text())").strip() == "done so it *is*"


def test_cell_that_displays_a_turn_ends_with_it(page):
    page.do("model, agent = await start([say('one'), say('two')])")
    cell = page.send("one = await agent.chat('a')\ndisplay(one)\nprint(one.done)")
    assert page.reply(cell)["status"] == "ok"
    assert page.do("print(one.done)").strip() == "True"


def test_interrupt_of_a_cell_that_displays_a_turn_is_an_error(page):
    page.do("model, agent = await start([hang('so far')])")
    cell = page.send("response = await agent.chat('go')\ndisplay(response)\nNone")
    comm = page.show()
    page.until("text", lambda: "so far" in json.dumps(page.messages(comm)))
    page.interrupt()
    assert page.reply(cell)["status"] == "error"
    assert page.do("print((await response.wait()).state)").strip() == "cancelled"


@pytest.mark.parametrize(
    "line",
    [
        "await agent.chat('go')",
        "await agent.chat_text('go')",
        "await (await agent.chat('go', show=False)).text()",
        "async for _ in await agent.chat('go'): pass",
        "agent.sync.chat_text('go')",
        "agy.run(agent.chat_text('go'))",
    ],
)
def test_interrupt_is_one_line_and_the_next_cell_runs(page, line):
    started = page.send("""
import asyncio
model, agent = await start([hang('so far')])
async def follow():
    async for turn in agent.turns():
        async for piece in turn.text_stream():
            print(piece.upper(), flush=True)
following = asyncio.ensure_future(follow())
""")
    page.reply(started)
    cell = page.send(line)
    page.says(started, "SO FAR")
    page.interrupt()
    reply = page.reply(cell)
    assert reply["status"] == "error"
    assert reply["traceback"] == [
        "Interrupted. The turn was cancelled, and the partial answer was kept."
    ]
    assert page.do("await agent.wait_for_idle(); print('next')").strip() == "next"


@pytest.mark.parametrize("line", ["await agent.chat_text('go')", "agent.sync.chat_text('go')"])
def test_interrupt_names_the_blocking_tool_that_goes_on(page, line):
    page.do("""
import threading
begun, let_go = threading.Event(), threading.Event()
def slow(n: int) -> str:
    "Block."
    begun.set()
    let_go.wait(60)
    return "slow is done"
model = ScriptedModel([call("slow", n=1), say("no")])
await model.start()
agent = await runtime.create_agent(model.config(), tools=[slow])
""")
    cell = page.send(
        f"import asyncio\nasync def tell():\n  while not begun.is_set():\n"
        f"    await asyncio.sleep(0.01)\n  print('BEGUN', flush=True)\n"
        f"telling = asyncio.ensure_future(tell())\n{line}"
    )
    page.says(cell, "BEGUN")
    page.interrupt()
    [line] = page.reply(cell)["traceback"]
    assert line == (
        "Interrupted. The turn was cancelled, and the partial answer was kept. "
        "The tool 'slow' still runs in its thread. "
        "Define it with `async def`, so that an interrupt stops it."
    )
    assert page.do("let_go.set(); await agent.wait_for_idle(); print('next')").strip() == "next"


def test_cell_ends_before_the_turn_on_request(page):
    page.do("model, agent = await start([hang('so far')])")
    page.reply(page.send("await agent.chat('go', wait=False)"))
    comm = page.show()
    page.until("text", lambda: "so far" in json.dumps(page.messages(comm)))
    page.tell(comm, type="stop")
    page.final(page.views()[0][1])


def test_response_that_is_not_to_be_shown_is_one_line(page):
    page.do("model, agent = await start([say('Hello')])")
    said = page.do("await agent.chat('go', show=False)")
    assert said.startswith("<Response turn ")
    assert page.views() == []
    page.do("await agent.latest.wait()")


def test_notebook_has_the_html_while_the_turn_runs(page):
    cell, comm = begin(page, "idle", "[say(['# Title\\n\\n', 'so far']) + hang()]")
    page.reply(cell)
    page.until("HTML", lambda: "so far</p>" in page.still(comm))
    assert "<h1>Title</h1>" in page.still(comm)
    page.tell(comm, type="stop")
    page.final(page.views()[0][1])
    page.until("end of the HTML beside the widget", lambda: not page.still(comm))


def test_kernel_that_restarts_leaves_what_was_seen(tmp_path):
    driver = FrontEnd(Path(sys.executable), tmp_path, START)
    try:
        cell, comm = begin(driver, "idle", "[say('so far') + hang()]")
        driver.reply(cell)
        driver.until("text", lambda: "so far" in json.dumps(driver.messages(comm)))
        driver.client.shutdown(restart=True)
        # Depending on the order of the end, it is beside the widget or in its place.
        driver.until("HTML", lambda: "so far" in driver.still(comm) + driver.in_its_place())
    finally:
        driver.close()


def test_turn_in_an_output_widget_is_also_html_in_its_cell(page):
    page.do("out = ipywidgets.Output()\nmodel, agent = await start([say('*Hi*')])")
    cell = page.send(
        "with out:\n    response = await agent.chat('go')\n    display(response)\nNone"
    )
    comm = page.show()
    page.reply(cell)
    page.until("HTML", lambda: "<em>Hi</em>" in page.still(comm))
    assert page.captured(comm) == [True, False]
    page.until("farewell", lambda: page.messages(comm, "leaving"))
    page.tell(comm, type="here")
    assert page.do("print(response.done)").strip() == "True"
    assert not page.messages(comm)[-1].get("notice")


def test_kernel_sends_at_most_twenty_messages_a_second_to_a_view(page):
    cell, comm = begin(page, "await", "[say(['word '] * 2000)]")
    began = time.monotonic()
    page.final(page.views()[0][1])
    page.reply(cell)
    changes = page.messages(comm, "changes")
    assert len(changes) <= 20 * (time.monotonic() - began) + 2


def test_notebook_without_input_denies_at_once_and_says_why(tmp_path):
    cells = [
        START + "model, agent = await start(DELETES)",
        "response = await agent.chat('go')\nprint(await response.text())\nresponse",
        "print(ran, model.requests[-1].tool_results[-1].text)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    began = time.monotonic()
    NotebookClient(notebook, kernel_name="python3", timeout=50).execute(cwd=str(tmp_path))
    assert time.monotonic() - began < 30
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    printed = "".join(each.text for each in outputs if each.output_type == "stream")
    assert "so it *is*" in printed
    assert "[]" in printed
    assert "does not take input" in printed
    (html,) = [each.data["text/html"] for each in outputs if each.output_type == "display_data"]
    assert "Denied" in html
