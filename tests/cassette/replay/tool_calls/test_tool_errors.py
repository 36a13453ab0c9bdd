"""What a tool raised is the same in the event, the tables and the text, live and replayed."""

import pytest

import agy_nb as agy
from agy_nb.testing import ScriptedModel, call, say
from tests.cassette.scenarios import NO_MODEL, Setting

pytestmark = [pytest.mark.real, pytest.mark.blocking_allowed]  # the SDK makes its save_dir


def find(customer: int) -> str:
    """Find a customer."""
    raise KeyError(f"customer {customer}")


def leave() -> str:
    """Leave the program."""
    raise SystemExit("bye")


def broken() -> str:
    """Fail without words."""
    raise AssertionError


ERRORS = [
    ("find", "KeyError: 'customer 17'", "KeyError"),
    ("leave", "SystemExit: bye", "SystemExit"),
    ("broken", "AssertionError", "AssertionError"),
]


async def talk(setting, path, mode, **options):
    async with (
        agy.use_cassette(path, mode, **options),
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
    ):
        agent = await runtime.create_agent(
            setting.config(), tools=[find, leave, broken], ask_user=lambda _: True
        )
        response = await agent.chat("Find customer 17")
        await response.text()
        results = [(r.name, r.error, r.error_type, r.traceback) for r in response.tool_results]
        table = runtime.tables.tool_calls[["tool", "error", "error_type", "traceback"]]
        return results, table


async def test_exception_of_a_tool_keeps_class_and_traceback(tmp_path):
    path = tmp_path / "c"
    script = [call("find", customer=17), call("leave"), call("broken"), say("Not found.")]
    async with ScriptedModel(script) as model:
        live, table = await talk(Setting(model.base_url, tmp_path / "then"), path, "all")
    assert [result[:3] for result in live] == ERRORS
    assert "raise KeyError(f" in live[0][3]
    assert table[["tool", "error", "error_type"]].to_records(index=False).tolist() == ERRORS
    assert table.traceback.str.contains("raise ").all()
    at = Setting(NO_MODEL, tmp_path / "now")
    assert (await talk(at, path, "none"))[0] == live
    replayed, table_of_replay = await talk(at, path, "none", tools="replay")
    assert replayed == live
    assert table_of_replay.equals(table)
    recorded = agy.load(path).tool_calls
    assert recorded[["tool", "error", "error_type"]].to_records(index=False).tolist() == ERRORS
    assert recorded.traceback.str.contains("raise ").all()
