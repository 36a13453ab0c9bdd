"""Approvals on the page in real kernels of every supported ipykernel: cards, clicks, denials."""

import json
import time

import pytest

from tests.kernel.conftest import also_on_the_first_7

pytestmark = [
    pytest.mark.kernel_matrix,
    pytest.mark.timeout(300),  # the first test makes the environments
    pytest.mark.blocking_allowed,  # no loop of ours runs in this process
]

SETUP = """
import agy_nb as agy
from support.memory import MemoryBackend

ran, ran_at = [], []

def tool(path: str) -> str:
    ran_at.append(time.time())
    ran.append(path)
    return "done"

async def play(turn):
    for path in turn.prompt.split():
        await turn.call("tool", {"path": path})
    turn.say("*the end*")

runtime = agy.Runtime(agy.RuntimeConfig(chat_pause=0), backend=MemoryBackend(play))
agent = await runtime.create_agent({}, tools=[tool], ask_user=agy.widgets.approve())
"""

TURNS = {
    "await": "response = await agent.chat({!r})\ndisplay(response)\nawait response.wait()\nNone",
    "sync": "response = agent.sync.chat({!r})",
    "idle": "response = await agent.chat({!r}, wait=False)\nresponse",
}
modes = pytest.mark.parametrize("mode", TURNS)

CLICKS = "a b c d e"
SOON_S = 0.5  # the best of several clicks takes some milliseconds; the machine may be busy


@pytest.fixture
def page(kernel):
    kernel.do(SETUP)
    yield kernel
    kernel.do("await runtime.close()")


def begin(page, mode: str, prompt: str) -> tuple[str, str]:
    """Start a turn and show it; give the cell and the view's comm."""
    cell = page.send(TURNS[mode].format(prompt), allow_stdin=True)
    comm = page.show()
    if mode == "idle":
        page.reply(cell)
    return cell, comm


def click(page, comm: str, key: str, subshell: str | None = None) -> float:
    """Allow once; give when."""
    now = time.time()  # noqa: TID251 - compared with the kernel's clock
    page.tell(comm, subshell, type="decide", id=key, choice="once")
    return now


@modes
def test_click_runs_the_tool_at_once(page, mode):
    cell, comm = begin(page, mode, CLICKS)
    clicked: list[float] = []
    keys: set[str] = set()
    for _ in CLICKS.split():
        keys.add(key := page.waiting(comm, but=keys))
        clicked.append(click(page, comm, key))
    assert "<em>the end</em>" in page.final(page.views()[0][1])
    assert page.reply(cell)["status"] == "ok"
    ran, ran_at = json.loads(page.do("import json; print(json.dumps([ran, ran_at]))"))
    assert ran == CLICKS.split()
    took = [at - since for at, since in zip(ran_at, clicked, strict=True)]
    print("click to tool, ms:", mode, [round(each * 1000) for each in took])
    assert min(took) < SOON_S


@also_on_the_first_7
@modes
def test_click_over_a_subshell_runs_the_tool(page, env, mode):
    if "6." in env:
        pytest.skip("no subshells before ipykernel 7")
    subshell = page.new_subshell()
    cell, comm = begin(page, mode, "x")
    click(page, comm, page.waiting(comm), subshell)
    page.final(page.views()[0][1])
    assert page.reply(cell)["status"] == "ok"
    assert page.do("print(ran)").strip() == "['x']"


@modes
def test_denial_has_its_reason(page, mode):
    cell, comm = begin(page, mode, "x")
    page.tell(comm, type="decide", id=page.waiting(comm), choice="deny", reason="not on a Friday")
    assert "not on a Friday" in page.final(page.views()[0][1])
    assert page.reply(cell)["status"] == "ok"
    assert page.do("print(ran)").strip() == "[]"


@pytest.mark.parametrize("mode", ["await", "sync"])
def test_interrupt_denies(page, mode):
    cell, comm = begin(page, mode, "x")
    page.waiting(comm)
    page.interrupt()
    assert "Denied: the turn ended" in page.final(page.views()[0][1])
    assert page.reply(cell)["status"] == "error"
    assert page.do("print(ran)").strip() == "[]"


@modes
def test_page_that_is_loaded_anew_finds_the_card(page, mode):
    """A front end asks for the kernel's comms first, and then the view for what it has."""
    cell, comm = begin(page, mode, "x")
    key = page.waiting(comm)
    asked = page.client.comm_info()
    page.wait("shell", "comm_info_reply", asked)
    page.tell(comm, type="ready")
    page.until("second reset", lambda: len(page.messages(comm, "reset")) == 2)
    assert page.waiting(comm) == key
    click(page, comm, key)
    page.final(page.views()[0][1])
    assert page.reply(cell)["status"] == "ok"


@also_on_the_first_7
def test_request_that_comes_while_a_reply_is_sent_is_heard(kernel, env):
    if "6." in env:
        pytest.skip("ipykernel 6 sends replies through its stream")
    cell = kernel.send("""
K.current_host()
shell = get_ipython().kernel.shell_channel_thread
def reply():
    time.sleep(1)  # a request comes
    shell.manager._main_to_shell_channel.to_stream._recv_callback([b"nobody", b"nothing"])
shell.io_loop.add_callback(reply)
""")
    kernel.wait("iopub", "status", cell, execution_state="idle")
    asked = kernel.client.kernel_info()
    kernel.wait("shell", "kernel_info_reply", asked)
    kernel.reply(cell)
