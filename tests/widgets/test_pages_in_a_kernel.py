"""Usage, recordings and the chat panel in a real kernel, with the real harness: comm messages."""

import sys
import time
from pathlib import Path

import pytest

from tests.kernel.conftest import Driver

pytestmark = [pytest.mark.real, pytest.mark.slow]

SHIPPED = Path(__file__).parents[2] / "cassettes"
START = """
import agy_nb as agy
from agy_nb.testing import ScriptedModel, hang, say, words
"""


class FrontEnd:
    """A page of a kernel: what was put on it, node by node."""

    def __init__(self, kernel: Driver, name: str) -> None:
        self.kernel = kernel
        self.key = kernel.do(f"print({name}.view.live.widget.key)").strip()
        self._read = 0
        self.nodes: dict[str, str] = {}
        self.custom(type="ready")

    def custom(self, **content) -> None:
        self.kernel.comm(self.key, {"method": "custom", "content": content})

    def act(self, act: str, value: str = "") -> None:
        self.custom(type="act", act=act, value=value)

    def until(self, node: str, text: str, patience: float = 20) -> str:
        """Wait until a node has a text."""
        deadline = time.monotonic() + patience
        self._take()
        while text not in self.nodes.get(node, ""):
            left = deadline - time.monotonic()
            if left <= 0 or not self.kernel.receive(left):
                pytest.fail(f"{node} never had {text!r}, but {self.nodes.get(node)!r}")
            self._take()
        return self.nodes[node]

    def _take(self) -> None:
        for _, message in self.kernel.seen[self._read :]:
            content = message["content"]
            if message["header"]["msg_type"] == "comm_msg" and content["comm_id"] == self.key:
                for change in content["data"].get("content", {}).get("changes", ()):
                    if "put" in change:
                        put = change["put"]
                        self.nodes[put["id"]] = put.get("head", "") + put.get("body", "")
        self._read = len(self.kernel.seen)


def displayed(kernel: Driver, mime: str) -> list[str]:
    """What was displayed, and displayed again."""
    return [
        message["content"]["data"][mime]
        for _, message in kernel.seen
        if message["header"]["msg_type"] in ("display_data", "update_display_data")
        and mime in message["content"]["data"]
    ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    driver = Driver(Path(sys.executable), tmp_path_factory.mktemp("pages"), START)
    yield driver
    driver.close()


@pytest.fixture
def kernel(shared):
    shared.seen.clear()
    return shared


def test_usage_is_on_the_page_while_a_cell_waits_for_the_turn(kernel):
    kernel.do("""
model = await ScriptedModel([say("first"), hang("second")]).start()
agent = await agy.create_agent(model.config())
view = agent.usage_ui()
await agent.chat_text("one")
""")
    kernel.do("view")
    page = FrontEnd(kernel, "view")
    page.until("table", "<th scope='row'>1</th><td>1</td>")
    waiting = kernel.send("""
response = await agent.chat("two")
async for piece in response.text_stream():
    print(piece, flush=True)
""")
    kernel.says(waiting, "second")
    page.act("by", "turn")
    page.until("table", "<th scope='row'>2</th><th scope='row'>1</th>")  # the turn that runs
    page.act("frame")
    page.until("said", "usage_by_turn")
    kernel.interrupt()
    assert kernel.reply(waiting)["status"] == "error"
    assert "2" in kernel.do("print(len(usage_by_turn))")
    page.until("notes", "Tokens unknown for 1 request")
    kernel.do("view.close()")
    last = displayed(kernel, "text/html")[-1]
    assert "Tokens unknown for 1 request" in last
    assert "<button" not in last


def test_recordings_are_browsed_opened_and_replayed(kernel):
    kernel.do(f"browser = agy.browse({str(SHIPPED)!r})")
    kernel.do("browser")
    page = FrontEnd(kernel, "browser")
    page.until("list", "host_tools")
    page.act("filter", "host_tools")
    page.act("open", "host_tools")
    page.until("frame", "end of the session")
    page.act("play")
    page.until("controls", "Pause")
    page.until("controls", "Replay")
    page.until("frame", "end of the session")
    page.act("back")
    page.until("frame", "FULLY_IDLE")
    kernel.do("browser.close()")
    last = displayed(kernel, "text/html")[-1]
    assert "Weather in Paris and Rome?" in last
    assert "<button" not in last


def test_what_a_chat_panel_shows_stays_as_html_when_it_is_closed(kernel):
    kernel.do("""
model = await ScriptedModel([say("first"), say("second")]).start()
agent = await agy.create_agent(model.config())
panel = agent.chat_ui()
""")
    kernel.do("panel")
    kernel.do("await agent.chat_text('one <b>')")
    kernel.do("panel.close()")
    last = displayed(kernel, "text/html")[-1]
    assert "one &lt;b&gt;" in last
    assert "first" in last
    assert "<button" not in last
    updates = [m for _, m in kernel.seen if m["header"]["msg_type"] == "update_display_data"]
    assert updates[-1]["content"]["data"] == {}  # the widget is gone
    kernel.do("await agent.chat_text('two')")
    assert displayed(kernel, "text/html")[-1] == last
