"""`%%agy_cassette` in a real kernel: recorded with a real harness, replayed without one."""

import re

import pytest

from agy_nb.cassette.storage.format import HEADER

pytestmark = [pytest.mark.real, pytest.mark.slow]

PRELUDE = """
import os, subprocess
import agy_nb as agy

from agy_nb.testing import EchoModel
model = agy.run(EchoModel().start())
config = model.config()

def no_process():
    "From here on nobody can start a process, a harness for instance."
    def refuse(*args, **kwargs):
        raise AssertionError("a replay starts a process")
    subprocess.Popen.__init__, forget = refuse, subprocess.Popen.__init__
    return forget

def processes_again(forget):
    subprocess.Popen.__init__ = forget
"""

TALK = """
async with agy.Runtime() as rt:
    answer = await (await rt.create_agent(config)).chat_text({prompt!r})
print("heard", answer)
len(answer)
"""
BLOCKING = """
agent = agy.run(agy.create_agent(config))
answer = agent.sync.chat_text({prompt!r})
agent.sync.shutdown()
print("heard", answer)
len(answer)
"""


@pytest.fixture
def folder(cell, tmp_path):
    cell.do(PRELUDE + f"os.chdir({str(tmp_path)!r})")
    yield tmp_path
    cell.do("agy.run(model.stop()); os.chdir('/')")


def result_of(cell, running):
    """The value that a cell shows of its last line."""
    return [
        message["content"]["data"]["text/plain"]
        for _, message in cell.seen
        if message["header"]["msg_type"] == "execute_result"
        and message["parent_header"]["msg_id"] == running
    ]


def errors_of(cell, running):
    """What a cell shows of its error: as message and as reply."""
    return [
        re.sub(r"\x1b\[[\d;]*m", "", "\n".join(message["content"]["traceback"]))
        for _, message in cell.seen
        if message["header"]["msg_type"] in ("error", "execute_reply")
        and message["content"].get("status", "error") == "error"
        and message["parent_header"]["msg_id"] == running
    ]


def failed(cell, code):
    """Run a cell that fails; give the name of the error, and what is shown of it."""
    running = cell.send(code)
    reply = cell.reply(running)
    assert reply["status"] == "error"
    shown = errors_of(cell, running)
    assert len(shown) == 2, shown
    assert shown[0] == shown[1]
    return reply["ename"], shown[0]


@pytest.mark.parametrize("code", [TALK, BLOCKING], ids=["awaits", "blocks"])
def test_cell_is_recorded_once_and_then_replayed_without_a_harness(cell, folder, code):
    talk = "%%agy_cassette hello\n" + code.format(prompt="Hello")
    seen = []
    for mode in ("record", "replay"):
        if mode == "replay":
            cell.do("forget = no_process()")
        running = cell.send(talk)
        assert cell.reply(running)["status"] == "ok", errors_of(cell, running)
        seen.append((cell.text(running).replace(NO_KEY, ""), result_of(cell, running)))
    cell.do("processes_again(forget)")
    assert "heard" in seen[0][0]
    assert seen[0] == seen[1]
    assert (folder / "cassettes" / "hello" / HEADER).exists()
    assert "Hello" in cell.do("print(answer)")  # the cell's names are the notebook's


NO_KEY = "agy_nb: no GEMINI_API_KEY is set, so a local echo model answers\n"


@pytest.mark.parametrize("code", [TALK, BLOCKING], ids=["awaits", "blocks"])
def test_divergence_is_shown_in_words(cell, folder, code):
    cell.do("%%agy_cassette hello\n" + code.format(prompt="Hello"))
    name, shown = failed(cell, "%%agy_cassette hello --mode none\n" + code.format(prompt="Bye"))
    assert name == "CassetteMismatchError"
    assert shown.startswith(
        "CassetteMismatchError: cassettes/hello, session 0, turn 1: "
        "the prompt differs from the recording"
    )
    assert "-Hello" in shown
    assert "+Bye" in shown
    assert "Traceback" not in shown
    cell.do("agent.sync.shutdown() if 'agent' in globals() and agent.is_started else None")


def test_cell_that_does_less_than_recorded_fails_unless_allowed(cell, folder):
    cell.do("%%agy_cassette hello\n" + TALK.format(prompt="Hello"))
    name, shown = failed(cell, "%%agy_cassette hello\nprint('nothing')")
    assert name == "CassetteMismatchError"
    assert "session 0 was never started" in shown
    cell.do("%%agy_cassette hello --allow-unplayed\nprint('nothing')")


def test_missing_cassette_is_said_plainly(cell, folder):
    name, shown = failed(cell, "%%agy_cassette gone --mode none\nawait agy.create_agent()")
    assert name == "CassetteNotFoundError"
    assert shown.startswith("CassetteNotFoundError: there is no cassette at cassettes/gone; ")


def test_error_of_the_cell_is_shown_as_its_own(cell, folder):
    for line in ("1 / 0", "await asyncio.sleep(0); 1 / 0"):
        name, shown = failed(cell, f"%%agy_cassette hello\nx = 1\n{line}")
        assert name == "ZeroDivisionError"
        assert "1 / 0" in shown
        assert "agy_cassette" not in shown
    name, shown = failed(cell, "%%agy_cassette hello\nfor")
    assert name == "SyntaxError"
    assert "for" in shown
    assert list(folder.rglob(HEADER)) == []


def test_cell_within_may_use_magics_and_needs_no_agent(cell, folder):
    assert "6" in cell.do("%%agy_cassette hello\n%precision 3\nx = !echo 6\nprint(x[0])")
    assert list(folder.rglob(HEADER)) == []


def test_path_is_taken_as_it_is(cell, folder):
    cell.do("%%agy_cassette kept/here/hello\n" + TALK.format(prompt="Hello"))
    assert (folder / "kept" / "here" / "hello" / HEADER).exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "the following arguments are required: name"),
        ("hello --mode often", "invalid choice: 'often'"),
        ("hello --speed -1", "speed must be a number >= 0, got -1.0"),
        ("..", "cannot name a cassette"),
    ],
)
def test_wrong_arguments_are_said_plainly(cell, folder, line, said):
    running = cell.send(f"%%agy_cassette {line}\nprint('not run')")
    assert cell.reply(running)["status"] == "error"
    told = " ".join(str(message["content"]) for _, message in cell.seen)
    assert said in told.replace("\\'", "'")
    assert "not run" not in cell.text(running)


def test_interrupt_stops_the_cell_and_the_next_one_works(cell, folder):
    running = cell.send("%%agy_cassette hello\nprint('READY', flush=True)\nawait asyncio.sleep(60)")
    cell.says(running, "READY")
    cell.interrupt()
    assert cell.reply(running)["ename"] == "KeyboardInterrupt"
    cell.do("%%agy_cassette hello\n" + TALK.format(prompt="Hello"))
    assert (folder / "cassettes" / "hello" / HEADER).exists()
