"""Answers, approvals and pages as text: IPython's terminal, jupyter console, the asyncio REPL."""

import contextlib
import os
import re
import sys

import pytest

from tests.widgets.in_lab.driver.front_ends import ROOT
from tests.widgets.in_servers.front_end_server import AGENT

pexpect = pytest.importorskip("pexpect", reason="`make front-ends` installs it")

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.blocking_allowed,
    pytest.mark.timeout(180),
]

COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
TERMINALS = {
    "ipython": ("IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"),
    "console": ("jupyter_console", "--simple-prompt", "--ZMQTerminalInteractiveShell.banner=."),
    "asyncio": ("asyncio",),
}


class Terminal:
    """A program that reads Python from a terminal."""

    def __init__(self, folder, module: str, *options: str) -> None:
        (folder / "agent_for_pages.py").write_text(AGENT, encoding="utf-8")
        env = os.environ | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
            "HOME": str(folder),
            "TERM": "dumb",
            "PYTHON_BASIC_REPL": "1",
        }
        for name in ("JPY_SESSION_NAME", "PYTHONASYNCIODEBUG"):
            env.pop(name, None)
        self.prompt = r">>> " if module == "asyncio" else r"In \[\d+\]: "
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", module, *options],
            cwd=str(folder),
            env=env,
            encoding="utf-8",
            timeout=40,
            dimensions=(50, 160),
        )
        # The banner of the asyncio REPL shows an import with a prompt of its own.
        self.child.expect(r"import asyncio\r\n>>> " if module == "asyncio" else self.prompt)

    def send(self, code: str) -> None:
        self.child.sendline(code)

    def expect(self, text: str) -> str:
        """Wait for a text, and return what was printed before it."""
        self.child.expect(re.escape(text))
        return COLOURS.sub("", self.child.before)

    def run(self, code: str) -> str:
        """Run a line, and return what was printed until the next prompt."""
        self.send(code)
        self.child.expect(self.prompt)
        shown = COLOURS.sub("", self.child.before)
        assert "Error" not in shown
        return shown

    def close(self) -> None:
        self.child.close(force=True)


@pytest.fixture
def terminal(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(name: str) -> Terminal:
            terminal = Terminal(tmp_path, *TERMINALS[name])
            stack.callback(terminal.close)
            terminal.run("from agent_for_pages import agy, call, hang, say, start")
            return terminal

        yield start


@pytest.mark.parametrize("name", TERMINALS)
def test_terminal_streams_asks_and_prints_pages(terminal, name):
    shell = terminal(name)
    turn = "call('delete', path='notes'), say('It is gone.')"
    shell.run(f"agent = await start({turn})")
    shell.send("await agent.chat('go')")
    shell.expect("The agent wants to run delete")
    shell.expect("Allow?")
    shell.expect("reason: ")
    shell.send("y")
    shown = shell.expect("[Done · ")
    assert "> delete notes · done" in shown
    assert shown.endswith("\n\nIt is gone.\n\n")
    shell.expect("s]")
    shell.child.expect(shell.prompt)
    usage = shell.run("agent.usage_ui()")
    assert re.search(r"n_model_calls.*\n +1 +2 ", usage)
    assert "plain_chat: 1 session, 2 turns" in shell.run(f"agy.browse({str(ROOT / 'cassettes')!r})")
    chat = shell.run("agent.chat_ui()")
    assert "> go" in chat
    assert "It is gone." in chat


@pytest.mark.parametrize("name", TERMINALS)
def test_terminal_asks_the_models_question(terminal, name):
    shell = terminal(name)
    question = "dict(question='Which colour?', options=['red', 'blue'], is_multi_select=False)"
    asks = f"call('ask_question', questions=[{question}])"
    shell.run(f"agent = await start({asks}, say('And chosen.'))")
    shell.send("await agent.chat('go')")
    shell.expect("Which colour?")
    shell.expect("2. blue")
    shell.expect(": ")
    shell.send("2")
    shell.expect("And chosen.")
    shell.expect("[Done · ")


WAYS = [
    ("ipython", "await agent.chat('go')"),
    ("ipython", "await agent.chat_text('go')"),
    ("ipython", "agent.sync.chat_text('go')"),
    ("console", "await agent.chat('go')"),
    ("asyncio", "await agent.chat('go')"),
    ("asyncio", "await agent.chat_text('go')"),
]


HEAR = "lambda event: type(event).__name__ == 'Text' and print('heard', flush=True)"
HEAR = f"_ = agent.watch_turns(lambda turn: turn.watch({HEAR}))"


@pytest.mark.parametrize(("name", "code"), WAYS)
def test_ctrl_c_stops_the_turn(terminal, name, code):
    shell = terminal(name)
    shell.run("agent = await start(say('so far ') + hang(), say('Next.'))")
    shell.run(HEAR)
    shell.send(code)
    shell.expect("heard")
    shell.child.sendintr()
    shell.child.expect(shell.prompt)
    shown = COLOURS.sub("", shell.child.before)
    assert "Traceback" not in shown
    assert len([line for line in shown.splitlines() if line.strip()]) <= 4  # ^C is one of them
    shell.send("await agent.chat('again')")
    shell.expect("Next.")


SCRIPT = f"""
from agent_for_pages import agy, hang, say, start
agent = agy.run(start(say("so far ") + hang()))
{HEAR}
agent.sync.chat_text("go")
"""


def test_ctrl_c_in_a_script_shows_the_scripts_own_lines(tmp_path):
    (tmp_path / "agent_for_pages.py").write_text(AGENT, encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "TERM": "dumb"}
    child = pexpect.spawn(sys.executable, [str(script)], env=env, encoding="utf-8", timeout=40)
    try:
        child.expect("heard")
        child.sendintr()
        child.expect(pexpect.EOF)
        assert child.before.rstrip().endswith("KeyboardInterrupt")
        assert child.before.count("  File ") <= 3
    finally:
        child.close(force=True)
