"""The arguments of a call are changed in its card: what can be written there, and what runs."""

import asyncio
import json
import re

import pytest

import agy_nb as agy
from agy_nb.protocol.events import Approval, ApprovalState
from agy_nb.sdk.interfaces.approval_request import ApprovalRequest
from agy_nb.testing import ScriptedModel, call, say
from agy_nb.widgets.approvals import approver as approvals, argument_editor, typed_prompts
from agy_nb.widgets.approvals.pending import pending_requests
from agy_nb.widgets.response import approval_text
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.live_view import LiveView
from tests.support.memory import MemoryBackend
from tests.widgets.clicks import click

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited

COMMAND = {"CommandLine": "ls", "Cwd": "/tmp"}


# -- text and back ---------------------------------------------------------------------------------


def test_command_is_edited_alone_and_keeps_its_other_arguments():
    assert argument_editor.draft(COMMAND) == argument_editor.Draft("command", "ls", "CommandLine")
    assert argument_editor.apply_edit(COMMAND, "ls -l") == {"CommandLine": "ls -l", "Cwd": "/tmp"}


@pytest.mark.parametrize(
    "args",
    [{}, {"a": 1, "b": [None, True, 1.5, "x\n"], "c": {"d": "é"}}, {"CommandLine": 7}],
)
def test_arguments_as_text_and_back_are_the_same(args):
    text = argument_editor.draft(args).text
    assert argument_editor.apply_edit(args, text) == args


def test_argument_may_be_added():
    assert argument_editor.apply_edit({"a": 1}, '{"a": 1, "b": 2}') == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "invalid JSON"),
        ('{"a": ', "invalid JSON: Expecting value (line 1, column 7)"),
        ('{"a": 1} x', "invalid JSON"),
        ("[1]", "must be a JSON object"),
        ("7", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ('{"a": NaN}', "NaN is not valid JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' appears twice"),
        ('{"b": 1}', "a is missing"),
        ('{"a": 9007199254740993}', "too large to send exactly"),
        ('{"a": ' + "9" * 5000 + "}", "too large to send exactly"),
        ('{"a": ' + "[" * 100_000 + "}", "nested too deeply"),
        ('{"a": "' + "x" * argument_editor.LONGEST + '"}', "longer than 200,000 characters"),
    ],
)
def test_text_that_cannot_be_sent_says_what_is_wrong(text, words):
    assert words in argument_editor.problem({"a": 1}, text)
    with pytest.raises(ValueError, match=r"\w"):
        argument_editor.apply_edit({"a": 1}, text)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_command_is_no_command(text):
    assert "deny the call" in argument_editor.problem(COMMAND, text)


def test_what_is_too_long_for_a_card_is_not_offered():
    assert argument_editor.draft({"a": "x" * argument_editor.LONGEST}) is None


# -- the card --------------------------------------------------------------------------------------


def request(editable=True, **args):
    return ApprovalRequest(
        tool="run", args=args, agent_id=1, approval_id="approval-1", editable=editable
    )


@pytest.fixture
def notebook(monkeypatch):
    """A person in front of a notebook, and a view that shows each card; gives its buttons."""
    shown = []
    monkeypatch.setattr(approvals, "in_kernel", lambda: True)
    monkeypatch.setattr(approvals, "why_no_stdin", lambda: "")
    detach = pending_requests.attach_view(lambda waiting: not shown.append(waiting.controls))
    yield shown
    detach()
    assert pending_requests._requests == {}


async def decide(handler, about, *messages):
    """The decision on a request to which these messages come, one after the other."""
    task = asyncio.ensure_future(handler(about))
    async with asyncio.timeout(5):
        while not pending_requests._requests:  # noqa: ASYNC110 - nothing to wait for
            await asyncio.sleep(0)
    counted = [click("approval-1", **message) for message in messages]
    return await task, counted


async def test_card_offers_the_arguments_where_they_can_be_changed(notebook):
    handler = approvals.approve(edit=True)
    await decide(handler, request(**COMMAND), {"choice": "deny"})
    await decide(handler, request(a=1), {"choice": "deny"})
    await decide(handler, request(editable=False, a=1), {"choice": "deny"})
    await decide(handler, request(a="x" * argument_editor.LONGEST), {"choice": "deny"})
    await decide(approvals.approve(), request(editable=False, a=1), {"choice": "deny"})
    command, other, subagents, long, plain = notebook
    assert command["edit"] == {"form": "command", "text": "ls"}
    assert json.loads(other["edit"]["text"]) == {"a": 1}
    assert "edit" not in subagents
    assert "cannot be edited" in subagents["fixed"]
    assert "too long" in long["fixed"]
    assert not {"edit", "fixed"} & set(plain)


async def test_changed_arguments_are_what_runs(notebook):
    message = {"choice": "edited", "text": "ls -l"}
    decision, _ = await decide(approvals.approve(edit=True), request(**COMMAND), message)
    assert decision.args == {"CommandLine": "ls -l", "Cwd": "/tmp"}
    assert (decision.allowed, decision.decided_by) == (True, "a click: edited")


async def test_arguments_that_were_not_changed_are_none_that_were_edited(notebook):
    message = {"choice": "edited", "text": '{"a":  1}'}
    decision, _ = await decide(approvals.approve(edit=True), request(a=1), message)
    assert (decision.allowed, decision.args) == (True, None)


async def test_text_that_cannot_be_read_decides_nothing_and_the_card_waits_on(notebook):
    wrong, right = ({"choice": "edited", "text": text} for text in ('{"a":', '{"a": 2}'))
    handler = approvals.approve(edit=True)
    decision, counted = await decide(handler, request(a=1), wrong, right, {"choice": "deny"})
    assert counted == [False, True, False]
    assert decision.args == {"a": 2}


async def test_edit_that_was_not_offered_decides_nothing(notebook):
    edit = {"choice": "edited", "text": '{"a": 2}'}
    handler = approvals.approve()
    decision, counted = await decide(
        handler, request(editable=False, a=1), edit, {"choice": "x"}, {"choice": "deny"}
    )
    assert counted == [False, False, True]
    assert not decision.allowed


async def test_front_end_is_told_what_is_wrong_and_keeps_its_text(notebook):
    transcript, sent = ConversationView(), []
    about = request(a=1)
    transcript.on_event(Approval(approval_id="approval-1", tool="run", state=ApprovalState.PENDING))
    view = LiveView(transcript)
    view.widget.send = sent.append
    task = asyncio.ensure_future(approvals.approve(edit=True)(about))
    await asyncio.sleep(0)
    for text in ('{"a": 1', '{"a": 2}'):
        message = {"type": "decide", "id": "approval-1", "choice": "edited", "text": text}
        view._receive(None, message, None)
    async with asyncio.timeout(5):
        assert (await task).args == {"a": 2}
    (refused,) = (each for each in sent if each.get("type") == "refused")
    assert refused["id"] == "approval-1"
    assert refused["words"].startswith("Cannot run this: invalid JSON")
    view.close()


# -- as text ---------------------------------------------------------------------------------------


@pytest.fixture
def types(notebook, monkeypatch):
    """A person in front of text only, who types these lines; gives what they were asked."""
    monkeypatch.setattr(approvals, "SHOWN_WITHIN_S", 0)

    def types(*lines):
        asked, left = [], list(lines)

        async def ask_text(prompt):
            asked.append(prompt)
            return left.pop(0)

        monkeypatch.setattr(typed_prompts, "ask_text", ask_text)
        return asked

    return types


async def test_arguments_are_edited_as_text(types):
    asked = types("e", '{"a"', '{"a": 2}')
    decision = await approvals.approve(edit=True)(request(a=1))
    assert (decision.args, decision.decided_by) == ({"a": 2}, "typed: edited")
    assert "[e]dit" in asked[0]
    assert "Cannot run this: invalid JSON" in asked[2]


async def test_empty_line_in_the_place_of_arguments_denies(types):
    types("edit", " ")
    assert not (await approvals.approve(edit=True)(request(**COMMAND))).allowed


async def test_text_offers_no_edit_where_there_is_none(types):
    asked = types("e")
    decision = await approvals.approve()(request(editable=False, a=1))
    assert "[e]dit" not in asked[0]
    assert (decision.allowed, decision.reason) == (False, "e")


# -- what stays on the page ------------------------------------------------------------------------


def test_page_keeps_both_versions_and_says_who_changed_them():
    event = Approval(
        approval_id="approval-1", tool="run", args=COMMAND, state=ApprovalState.ALLOWED,
        decided_by="a click: edited", edited={"CommandLine": "ls -l", "Cwd": "/tmp"},
    )  # fmt: skip
    assert "Edited by you" in approval_text.approval(event)
    assert "ls -l" in approval_text.approval(event)
    body = re.sub("<[^>]*>", "", approval_text.approval_body(event))
    assert body.index("ls -l") < body.index("Original call") < body.rindex("ls")


# -- without the SDK -------------------------------------------------------------------------------


async def test_edit_reaches_the_tool_in_memory_too(notebook):
    ran = []

    def delete(path: str) -> None:
        ran.append(path)

    async def play(turn):
        await turn.call("delete", {"path": "all"})

    config = agy.RuntimeConfig(chat_pause=0)
    async with agy.Runtime(config, backend=MemoryBackend(play)) as runtime:
        approver = approvals.approve(edit=True)
        agent = await runtime.create_agent(tools=[delete], ask_user=approver)
        response = await agent.chat("go")
        async with asyncio.timeout(5):
            while not pending_requests._requests:  # noqa: ASYNC110 - nothing to wait for
                await asyncio.sleep(0)
        (key,) = pending_requests._requests
        click(key, choice="edited", text='{"path": "one"}')
        await response.wait()
    assert ran == ["one"]


# -- with the real harness -------------------------------------------------------------------------


@pytest.mark.real
async def test_edit_in_the_card_runs_and_stands_in_the_audit_trail(notebook):
    ran = []

    def delete(path: str) -> str:
        """Delete a file."""
        ran.append(path)
        return "gone"

    async with (
        ScriptedModel([call("delete", path="all"), say("ok")]) as model,
        agy.Runtime(agy.RuntimeConfig(chat_pause=0)) as runtime,
    ):
        agent = await runtime.create_agent(
            model.config(), tools=[delete], ask_user=approvals.approve(edit=True)
        )
        response = await agent.chat("go")
        async with asyncio.timeout(20):
            while not pending_requests._requests:  # noqa: ASYNC110 - nothing to wait for
                await asyncio.sleep(0.01)
        (key,) = pending_requests._requests
        click(key, choice="edited", text='{"path": "one"}')
        await response
        (row,) = agent.tables.approvals.itertuples()
    assert ran == ["one"]
    assert len(notebook) == 1
    assert (row.decision, row.decided_by) == ("edited", "a click: edited")
