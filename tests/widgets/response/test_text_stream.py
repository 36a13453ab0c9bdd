"""A response as text: what a terminal shows while a turn runs."""

import pytest

import agy_nb as agy
from agy_nb.protocol import events as e
from agy_nb.protocol.values import ErrorInfo, Trajectory
from agy_nb.testing import ScriptedModel, call, say
from agy_nb.widgets.response.text_stream import TextPrinter, print_turn


@pytest.fixture
def printed():
    return []


@pytest.fixture
def printer(printed):
    return TextPrinter(printed.append)


def text(words, **more):
    return e.Text(text=words, **more)


def test_text_appears_with_each_event(printer, printed):
    printer.on_event(text("Hello"))
    assert "".join(printed) == "Hello"
    printer.on_event(text(", world"))
    assert "".join(printed) == "Hello, world"


def test_call_is_one_line_with_its_result(printer, printed):
    printer.on_event(text("Let me look."))
    printer.on_event(e.ToolCall(call_id="1", name="get_weather", args={"city": "Rome"}, at=1.0))
    printer.on_event(e.ToolResult(call_id="1", name="get_weather", result="sunny", at=1.5))
    printer.on_event(text("Sunny."))
    assert "".join(printed) == (
        'Let me look.\n\n> get_weather city="Rome" · done · 0.50 s\n\nSunny.'
    )


def test_results_of_parallel_calls_name_their_call(printer, printed):
    for number in "12":
        printer.on_event(e.ToolCall(call_id=number, name="add", args={"a": int(number)}))
    printer.on_event(e.ToolResult(call_id="1", name="add", error="no\nmore", at=0.25))
    printer.on_event(e.ToolResult(call_id="2", name="add", denied=True, error="not now", at=0.25))
    assert "".join(printed).split("\n") == [
        "> add a=1",
        "> add a=2",
        "> add a=1 · failed: no · 0.25 s",
        "> add a=2 · denied: not now · 0.25 s",
    ]


def test_control_characters_reach_no_terminal(printer, printed):
    printer.on_event(text("\x1b[2J"))
    printer.on_event(e.ToolCall(call_id="1", name="\x1b]0;t\x07", args={"a": "\x1b[2J"}))
    printer.on_event(e.ToolResult(call_id="1", name="x", error="\x1b[2J"))
    printer.on_event(e.Error(error=ErrorInfo(type="T", message="\x1b[2J\nsecond"), fatal=False))
    assert "\x1b" not in "".join(printed)
    assert "\x07" not in "".join(printed)


def test_text_of_a_subagent_is_left_out(printer, printed):
    printer.on_event(text("inner", trajectory=Trajectory(id="b", parent_id="a", depth=1)))
    assert printed == []


@pytest.mark.real
@pytest.mark.blocking_allowed
async def test_turn_ends_with_its_tokens(capsys):
    async with ScriptedModel([call("list_directory", directory_path="/"), say("Done.")]) as model:
        agent = await agy.create_agent(model.config())
        await print_turn(await agent.chat("go"))
    shown = capsys.readouterr().out
    assert "\n\nDone.\n\n[Done · " in shown
    assert shown.endswith(" s]\n")
