"""An approval as text shows the whole call, and prints nothing that a terminal obeys."""

import asyncio

import pytest

from agy_nb.protocol.values import AskedQuestion, QuestionOption
from agy_nb.sdk.interfaces.approval_request import ApprovalRequest
from agy_nb.widgets.approvals import typed_prompts
from agy_nb.widgets.approvals.approver import approve
from agy_nb.widgets.response import call_details
from tests.cli.test_terminal import CONTROLS, INVISIBLE


@pytest.fixture
def typing(monkeypatch):
    """A person who types these lines; gives what was printed."""

    def typing(*lines):
        printed, left = [], list(lines)

        async def ask_text(prompt):
            printed.append(prompt)
            return left.pop(0)

        monkeypatch.setattr(typed_prompts, "ask_text", ask_text)
        return printed

    return typing


ALL = "".join(INVISIBLE)


async def test_no_invisible_character_of_a_call_is_printed(typing):
    printed = typing("e", "", "n")
    request = ApprovalRequest(
        tool=f"run{ALL}", server=ALL, args={ALL: ALL, "command": [ALL]}, editable=True
    )
    await typed_prompts.decide(request)
    assert not set(INVISIBLE) & set("".join(printed))


async def test_no_control_character_of_a_question_or_a_reason_is_printed(typing):
    printed = typing("", "")
    option = QuestionOption(id=ALL, text=ALL)
    await typed_prompts.answer((AskedQuestion(question=ALL, options=(option,)),))
    await typed_prompts.decide(ApprovalRequest(tool="run", reason=ALL))
    assert not set(CONTROLS) & set("".join(printed))
    assert not set("\u202e\u2066\u200f\ud800") & set("".join(printed))


async def test_call_is_printed_to_its_end(typing):
    printed = typing("y")
    args = {"content": "x" * 150_000 + "LAST", "cmd": "rm", "command": "ls"}
    assert (await typed_prompts.decide(ApprovalRequest(tool="run", args=args))).choice == "once"
    assert "LAST" in printed[0]
    assert '"cmd": "rm"' in printed[0]


@pytest.mark.parametrize("line", ["y", "t", "c", "yes"])
async def test_call_that_is_too_long_can_only_be_denied(typing, monkeypatch, line):
    monkeypatch.setattr(typed_prompts, "why_no_terminal", lambda: "")
    monkeypatch.setattr("agy_nb.widgets.approvals.approver.in_kernel", lambda: False)
    printed = typing(line)
    request = ApprovalRequest(tool="run", args={"content": "x" * call_details.LONGEST_CALL})
    decision = await approve()(request)
    assert not decision.allowed
    assert "You can only deny it" in printed[0]
    assert len(printed[0]) < 1_000


async def test_reason_that_is_typed_has_no_control_characters(typing):
    typing("no\x1b[2J")
    reply = await asyncio.wait_for(typed_prompts.decide(ApprovalRequest(tool="run")), 5)
    assert reply.reason == "no\\x1b[2J"
