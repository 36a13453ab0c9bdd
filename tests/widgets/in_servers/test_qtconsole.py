"""Answers, approvals and pages as text in the window of qtconsole, drawn off the screen."""

import os
import time

import pytest

from tests.widgets.in_lab.driver.front_ends import ROOT
from tests.widgets.in_servers.front_end_server import AGENT

pytest.importorskip("qtconsole", reason="`make front-ends` installs it")

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.blocking_allowed,
    pytest.mark.timeout(180),
]

TURNS = """
    call("delete", path="notes"), say("It is gone."),
    call("ask_question", questions=[
        dict(question="Which colour?", options=["red", "blue"], is_multi_select=False)]),
    say("And chosen."),
    say("so far ") + hang(),
    say("Next."),
"""


class Window:
    """A window of qtconsole with a kernel of its own."""

    def __init__(self, folder) -> None:
        from qtconsole.manager import QtKernelManager
        from qtconsole.rich_jupyter_widget import RichJupyterWidget
        from qtpy import QtWidgets

        self.app = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        env = os.environ | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
            "IPYTHONDIR": str(folder / "ipython"),
        }
        for name in ("JPY_SESSION_NAME", "PYTHONASYNCIODEBUG"):
            env.pop(name, None)
        self.manager = QtKernelManager(kernel_name="python3")
        self.manager.start_kernel(env=env)
        self.client = self.manager.client()
        self.client.start_channels()
        self.console = RichJupyterWidget()
        self.console.kernel_manager = self.manager
        self.console.kernel_client = self.client
        self.console.show()
        self.cells = 1
        self.expect("In [1]:")

    def text(self) -> str:
        """Return the last cell that was sent, and what follows."""
        before, prompt, last = self.console._control.toPlainText().rpartition("In [")
        if last.startswith(f"{self.cells}]:") and self.cells > 1:
            before, _, cell = before.rpartition("In [")
            return f"In [{cell}{prompt}{last}"
        return f"{prompt}{last}"

    def expect(self, words: str) -> str:
        """Wait until the window shows these words; return its text."""
        deadline = time.monotonic() + 60
        while words not in (shown := self.text()):
            self.app.processEvents()
            assert time.monotonic() < deadline, shown[-3000:]
            self.app.thread().msleep(20)
        return shown

    def send(self, code: str) -> None:
        self.console.execute(code)
        self.cells += 1

    def done(self) -> str:
        """Wait for the next prompt; return the text of the window."""
        return self.expect(f"In [{self.cells}]:")

    def type(self, words: str) -> None:
        """Type a line into the prompt that the kernel shows."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        QTest.keyClicks(self.console._control, words)
        QTest.keyClick(self.console._control, Qt.Key_Return)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.console.close()


@pytest.fixture
def window(tmp_path, monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    (tmp_path / "agent_for_pages.py").write_text(AGENT, encoding="utf-8")
    window = Window(tmp_path)
    yield window
    window.close()


def test_qtconsole_streams_asks_and_prints_pages(window):
    window.send(f"from agent_for_pages import *\nagent = await start({TURNS})")
    window.done()
    window.send("await agent.chat('go')")
    window.expect("Allow?")
    window.type("y")
    assert "> delete notes · done" in window.done()
    window.send("await agent.chat('ask me')")
    window.expect("2. blue")
    window.type("2")
    window.expect("And chosen.")
    window.done()
    window.send("await agent.chat('long')")
    window.expect("so far")
    window.console.request_interrupt_kernel()  # as Ctrl-C does
    assert "Traceback" not in window.done()
    window.send("await agent.chat('again')")
    assert "Next." in window.done()
    window.send("agent.usage_ui()")
    assert "n_model_calls" in window.done()
    window.send(f"agy.browse({str(ROOT / 'cassettes')!r})")
    assert "plain_chat: 1 session, 2 turns" in window.done()
    window.send("agent.chat_ui()")
    chat = window.done()
    assert "> go" in chat
    assert "It is gone." in chat
