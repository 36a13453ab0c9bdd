"""Only messages of a known shape reach Python code; all others change nothing."""

import asyncio
import json
import random
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

import agy_nb as agy
from agy_nb.protocol.events import Approval, ApprovalState
from agy_nb.sdk.interfaces.approval_request import ApprovalRequest
from agy_nb.widgets.approvals import approver
from agy_nb.widgets.approvals.pending import pending_requests
from agy_nb.widgets.tree.conversation import ConversationView
from agy_nb.widgets.tree.front_end_messages import LONGEST_TEXT, parse
from agy_nb.widgets.tree.live_view import UNREADABLE, LiveView
from tests.support.memory import MemoryBackend

pytestmark = pytest.mark.blocking_allowed  # a widget looks whether its style sheet was edited

GOOD = [
    {"type": "ready"},
    {"type": "here"},
    {"type": "decide", "id": "a", "choice": "deny", "reason": "no", "text": "x"},
    {"type": "answer", "id": "a", "answers": [{"selected": ["1"], "text": "", "skipped": False}]},
    {"type": "act", "act": "open", "value": "x"},
    {"type": "export", "format": "json"},
    {"type": "revoke", "grant": 1},
    {"type": "rewrite", "node": "n1", "text": "x"},
    {"type": "switch", "node": "n1", "to": 2},
    {"type": "send", "text": "hi", "files": [{"name": "a", "mime_type": "b"}]},
    *({"type": order} for order in ("stop", "retry", "edit", "clear", "compare")),
]
JUNK = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "\ud800",
    [],
    [1],
    {},
    {"x": 1},
    "x" * 20_000,
    [[]] * 2_000,
]


@pytest.mark.parametrize("message", GOOD, ids=lambda message: message["type"])
def test_message_of_the_front_end_is_read(message):
    assert parse(json.loads(json.dumps(message))).type == message["type"]


@pytest.mark.parametrize("content", [*JUNK, {"type": None}, {"type": []}, {"type": "no such"}])
def test_anything_else_is_none(content):
    assert parse(content) is None


def test_text_without_end_is_refused():
    assert parse({"type": "send", "text": "x" * (LONGEST_TEXT + 1)}) is None


def test_half_of_a_character_can_be_written():
    assert parse({"type": "send", "text": "a\ud800"}).text.encode()


@given(st.sampled_from(GOOD), st.data())
def test_field_of_another_type_makes_no_message_or_a_whole_one(message, data):
    name = data.draw(st.sampled_from(sorted(message)))
    read = parse({**message, name: data.draw(st.sampled_from(JUNK))})
    assert read is None or json.loads(read.model_dump_json())["type"]


async def test_1500_messages_of_wrong_shape_harm_no_panel_and_decide_nothing():
    """What a page may send at its worst, to a panel with an approval that waits."""
    dice = random.Random(12)

    async def play(turn):
        await turn.call("delete", {"path": "x"})

    ran = []

    def delete(path: str) -> None:
        ran.append(path)

    asked = asyncio.Event()

    async def waits(_request):
        asked.set()
        await asyncio.Event().wait()

    failed = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, about: failed.append(about))
    config = agy.RuntimeConfig(chat_pause=0)
    async with agy.Runtime(config, backend=MemoryBackend(play)) as runtime:
        agent = await runtime.create_agent(tools=[delete], ask_user=waits)
        panel = agent.chat_ui()
        response = await agent.chat("go")
        await asked.wait()
        for _ in range(1500):
            message = dict(dice.choice(GOOD[2:8]))
            for _ in range(dice.randrange(1, 3)):
                message[dice.choice([*message, "id", "files", "text"])] = dice.choice(JUNK)
            if dice.random() < 0.1:
                message = dice.choice(JUNK)
            if parse(message) is None:
                panel.view._receive(None, message, dice.choice([None, [], [b"x"]]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert failed == []
        assert panel.responses == [response]
        assert not response.done
        panel.close()
        await response.cancel()
    assert ran == []


async def test_answer_that_cannot_be_read_is_refused_and_the_card_waits_on(monkeypatch):
    monkeypatch.setattr(approver, "in_kernel", lambda: True)
    monkeypatch.setattr(approver, "why_no_stdin", lambda: "")
    transcript, sent = ConversationView(), []
    transcript.on_event(Approval(approval_id="a", tool="run", state=ApprovalState.PENDING))
    view = LiveView(transcript)
    view.widget.send = sent.append
    request = ApprovalRequest(tool="run", approval_id="a")
    task = asyncio.ensure_future(approver.approve()(request))
    await asyncio.sleep(0)
    view._on_content({"type": "decide", "id": "a", "choice": "everything"}, [])
    assert sent[-1] | {"type": "refused", "id": "a", "words": UNREADABLE} == sent[-1]
    assert not task.done()
    view._on_content({"type": "decide", "id": "a", "choice": "deny"}, [])
    assert not (await task).allowed
    assert pending_requests.get("a") is None
    view.close()


async def test_call_that_was_not_shown_whole_or_was_edited_is_not_allowed(monkeypatch):
    monkeypatch.setattr(approver, "in_kernel", lambda: True)
    monkeypatch.setattr(approver, "why_no_stdin", lambda: "")
    monkeypatch.setattr(
        approver, "ApprovalCard", lambda _event: SimpleNamespace(resolve=lambda _event: None)
    )
    for args, message in (
        ({"content": "x" * 300_000}, {"choice": "once"}),
        ({"content": "x" * 300_000}, {"choice": "tool"}),
        ({"command": "ls"}, {"choice": "once", "text": "ls -l"}),
        ({"command": "ls"}, {"choice": "call", "text": "ls -l"}),
        ({"command": "ls"}, {"choice": "tool", "text": "ls -l"}),
    ):
        request = ApprovalRequest(tool="run", approval_id="a", args=args, editable=True)
        task = asyncio.ensure_future(approver.approve(edit=True)(request))
        await asyncio.sleep(0)
        assert not pending_requests.resolve(parse({"type": "decide", "id": "a", **message}))
        assert not task.done()
        assert pending_requests.resolve(parse({"type": "decide", "id": "a", "choice": "deny"}))
        assert not (await task).allowed
