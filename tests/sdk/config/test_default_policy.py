"""What runs, what is asked about and what is denied where the user gives no policies."""

import importlib

import pytest

import agy_nb as agy
from agy_nb.protocol.events import Approval
from agy_nb.testing import ScriptedModel, call, say
from tests.sdk.needs import needs_sdk

pytestmark = [
    pytest.mark.real,
    pytest.mark.blocking_allowed,  # the SDK's configuration looks at the working folder
]

asks_first = needs_sdk("0.1.18", "its harness denies a path outside the workspace before it asks")


OUTSIDE_OF_ALL = "/etc/hostname"


@pytest.fixture
def folders(tmp_path):
    """A workspace, and a folder beside it that the harness lets through: both are temporary."""
    work, beside = tmp_path / "work", tmp_path / "beside"
    for folder in (work, beside):
        folder.mkdir()
        (folder / "note.txt").write_text(f"a note in {folder.name}", encoding="utf-8")
    (work / "link.txt").symlink_to(beside / "note.txt")
    return work, beside


def view(path):
    return call("view_file", AbsolutePath=str(path))


def write(path):
    about = {"CodeContent": "x", "Overwrite": True, "Description": "d"}
    return call("write_to_file", TargetFile=str(path), **about)


def run(command, work):
    about = {"WaitMsBeforeAsync": 500, "SafeToAutoRun": True}
    return call("run_command", CommandLine=command, Cwd=str(work), **about)


async def asked(script, work, monkeypatch, *, handler=False, nobody=False, **parts):
    """The tools of these calls that a person was asked about, and the answers that came back."""
    asks = []

    def no(request):
        asks.append(request)
        return False

    module = importlib.import_module("agy_nb.runtime.runtime")
    monkeypatch.setattr(module, "_person_at_the_notebook", lambda: None if nobody else no)
    if handler:
        parts["ask_user"] = no
    config = agy.RuntimeConfig(chat_pause=0)
    async with ScriptedModel([*script, say("ok")]) as model, agy.Runtime(config) as runtime:
        agent = await runtime.create_agent(model.config(workspaces=[str(work)]), **parts)
        response = await agent.chat("go")
        assert await response.text() == "ok"
        said = [request.tool_results[-1].text for request in model.requests[1:]]
    waited = [each for each in response.event_log if isinstance(each, Approval)]
    assert len(waited) == 2 * len(asks)
    return [request.tool for request in asks], said


def weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


@pytest.mark.parametrize("handler", [False, True])
async def test_reading_the_workspace_runs(folders, monkeypatch, handler):
    work, _ = folders
    asks, said = await asked([view(work / "note.txt")], work, monkeypatch, handler=handler)
    assert asks == []
    assert "a note in work" in said[0]


@pytest.mark.parametrize("handler", [False, True])
@asks_first
async def test_reading_outside_the_workspace_is_asked_about_or_denied(
    folders, monkeypatch, handler
):
    work, beside = folders
    script = [view(beside / "note.txt"), view(work / "link.txt"), view(OUTSIDE_OF_ALL)]
    asks, said = await asked(script, work, monkeypatch, handler=handler)
    assert asks == ["view_file", "view_file"]
    assert "the user said no" in said[0]
    assert "a note in beside" not in "".join(said)
    assert "outside the allowed workspace" in said[2]  # the harness denies it by itself


@pytest.mark.parametrize("handler", [False, True])
async def test_what_sends_data_away_is_asked_about(folders, monkeypatch, handler):
    work, _ = folders
    script = [
        call("read_url_content", Url="http://127.0.0.1:1/?q=secret"),
        call("search_web", query="secret"),
    ]
    asks, said = await asked(script, work, monkeypatch, handler=handler)
    assert asks == ["read_url_content", "search_web"]
    assert all("the user said no" in each for each in said)


@pytest.mark.parametrize("handler", [False, True])
async def test_commands_are_asked_about(folders, monkeypatch, handler):
    work, _ = folders
    asks, _ = await asked([run("touch made", work)], work, monkeypatch, handler=handler)
    assert asks == ["run_command"]
    assert not (work / "made").exists()


@pytest.mark.parametrize(("handler", "asks"), [(False, []), (True, ["weather", "create_file"])])
async def test_tools_and_writing_run_by_default_and_are_asked_about_with_a_handler(
    folders, monkeypatch, handler, asks
):
    work, _ = folders
    script = [call("weather", city="Oslo"), write(work / "new.txt")]
    found, _ = await asked(script, work, monkeypatch, handler=handler, tools=[weather])
    assert found == asks
    assert (work / "new.txt").exists() is (not handler)


@asks_first
async def test_writing_outside_the_workspace_is_asked_about(folders, monkeypatch):
    work, beside = folders
    asks, _ = await asked([write(beside / "new.txt")], work, monkeypatch)
    assert asks == ["create_file"]
    assert not (beside / "new.txt").exists()


@asks_first
async def test_policies_of_the_users_own_take_the_place_of_all_that(folders, monkeypatch):
    from google.antigravity.hooks import policy

    work, beside = folders
    rules = [policy.allow_all()]
    asks, said = await asked([view(beside / "note.txt")], work, monkeypatch, policies=rules)
    assert asks == []
    assert "a note in beside" in said[0]


async def test_script_without_a_handler_runs_no_commands(folders, monkeypatch):
    work, _ = folders
    asks, said = await asked([run("touch made", work)], work, monkeypatch, nobody=True)
    assert asks == []
    assert "denied" in said[0].lower()
    assert not (work / "made").exists()
