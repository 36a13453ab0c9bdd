"""The person at the notebook decides on tool calls and answers the model's questions.

Rule 1: only a click, a key or a typed yes allows. Silence, an interrupt, a closed page, a front end
that takes no input and anything that fails deny.
Rule 2: a call that was not shown completely cannot be allowed.
Rule 3: a call whose arguments were edited runs as edited, or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from agy_nb.kernel import NoStdinError, current_host, in_kernel
from agy_nb.kernel.stdin_prompt import why_no_stdin
from agy_nb.protocol.events import Approval, ApprovalState, Question
from agy_nb.protocol.values import Answer, AskedQuestion
from agy_nb.sdk.interfaces import ApprovalDecision, ApprovalRequest, now
from agy_nb.terminal import revealed
from agy_nb.widgets.approvals import argument_editor, typed_prompts
from agy_nb.widgets.approvals.approval_card import ApprovalCard
from agy_nb.widgets.approvals.pending import PendingRequest, Reply, desk
from agy_nb.widgets.response import cards
from agy_nb.widgets.response.cards import NO
from agy_nb.widgets.tree.front_end_messages import AnswerAll, Answered, Decide

SHOWN_WITHIN_S = 4.0
"""Seconds in which a front end must have shown a card; after that the question is asked as text."""

_HOW = {
    "once": "once",
    "tool": "this tool",
    "call": "this exact call",
    "edited": "edited",
    "deny": "deny",
}
_A_SUBAGENTS = "This is a subagent's call. Its arguments cannot be edited."
_TOO_LONG = "These arguments are too long to edit here."
_NOT_SHOWN = "This call is too long to show in full. You can only deny it here."
_LEFT_EDITED = "You edited this call. Run it edited, or discard the edits."
_LONGEST_NAME = 40


class Approver:
    """Asks the person at the notebook; `approve` makes one.

    Attributes:
        edits: Whether the person may change a call's arguments.

    Example:
        >>> agent = await agy.create_agent(tools=[get_weather], ask_user=agy.widgets.approve())
        >>> agent.is_started
        True
    """

    def __init__(self, *, edits: bool = False) -> None:
        self.edits = edits

    async def __call__(self, request: ApprovalRequest) -> ApprovalDecision:
        """Decide on a tool call."""
        refusal = _nobody()
        if refusal:
            return ApprovalDecision(allowed=False, reason=refusal, decided_by="default")
        if not in_kernel():
            return await self._ask_in_a_terminal(request)
        return await self._ask(request)

    async def _ask_in_a_terminal(self, request: ApprovalRequest) -> ApprovalDecision:
        try:
            return self._decision(request, await typed_prompts.decide(request), "typed")
        except NoStdinError as error:
            return ApprovalDecision(allowed=False, reason=str(error), decided_by="default")

    async def _ask(self, request: ApprovalRequest) -> ApprovalDecision:
        deadline = None if request.timeout is None else now() + request.timeout
        waiting, shown = desk.put(
            request.approval_id,
            {
                "type": "approval",
                "tool": _short(request.tool),
                "shown": cards.is_shown(request.args),
                "deadline": deadline,
                **self._editor(request),
            },
            lambda reply: _objection(request, reply),
        )
        event = Approval(
            approval_id=request.approval_id,
            tool=request.tool,
            args=request.args,
            server=request.server,
            state=ApprovalState.PENDING,
            reason=request.reason,
            at=now(),
        )
        card = None if shown else ApprovalCard(event)
        decision = None
        try:
            with current_host().busy():
                reply, how = await _answer(waiting, lambda: typed_prompts.decide(request))
            decision = self._decision(request, reply, how)
            return decision
        finally:
            desk.take(waiting)
            if card is not None:
                card.end(_ended(event, decision))

    def _editor(self, request: ApprovalRequest) -> dict[str, Any]:
        """What the card needs to offer the arguments for editing, or to say why it does not."""
        if not self.edits:
            return {}
        if not request.editable:
            return {"fixed": _A_SUBAGENTS}
        about = argument_editor.draft(request.args)
        if about is None:
            return {"fixed": _TOO_LONG}
        return {"edit": {"form": about.form, "text": about.text}}

    def _decision(self, request: ApprovalRequest, reply: Reply, how: str) -> ApprovalDecision:
        """What a reply says; all that is not a clear yes to what was shown is a no."""
        if not isinstance(reply, Decide) or _objection(request, reply):
            return ApprovalDecision(allowed=False, reason=NO, decided_by=f"{how}: deny")
        decided_by = f"{how}: {_HOW[reply.choice]}"
        if reply.choice == "deny":
            reason = " ".join(reply.reason.split())
            return ApprovalDecision(allowed=False, reason=reason or NO, decided_by=decided_by)
        args = None
        if reply.choice == "edited":
            args = argument_editor.changed(request.args, reply.text or "")
            args = None if args == request.args else args
        remember = reply.choice if reply.choice in ("tool", "call") else ""
        return ApprovalDecision(allowed=True, decided_by=decided_by, args=args, remember=remember)

    async def answer(
        self, question_id: str, questions: tuple[AskedQuestion, ...]
    ) -> tuple[Answer, ...]:
        """Answer the model's questions; what nobody can answer is skipped.

        Args:
            question_id: What the `Question` event of the turn calls it.
            questions: What is asked.

        Returns:
            An answer to each; none at all where nobody can be asked.
        """
        if _nobody():
            return ()
        if not in_kernel():
            return await typed_prompts.answer(questions)
        asked: list[Any] = [
            {
                "question": revealed(each.question),
                "multiple": each.multiple,
                "options": [
                    {"id": option.id, "text": revealed(option.text)} for option in each.options
                ],
            }
            for each in questions
        ]
        waiting, shown = desk.put(question_id, {"type": "question", "questions": asked})
        event = Question(question_id=question_id, questions=questions, at=now())
        card = None if shown else ApprovalCard(event)
        answers: tuple[Answer, ...] = ()
        try:
            with current_host().busy():
                reply, _ = await _answer(
                    waiting, lambda: typed_prompts.answer_all(question_id, questions)
                )
            if isinstance(reply, AnswerAll):
                answers = tuple(map(_answer_of, reply.answers))
            return answers
        finally:
            desk.take(waiting)
            if card is not None:
                card.end(
                    replace(event, answers=answers or (Answer(skipped=True),) * len(questions))
                )


def approve(*, edit: bool = False) -> Approver:
    """A handler for `ask_user=` that asks the person at the notebook.

    A card shows the whole call, with buttons to allow it once, to always allow this tool or this
    exact call, or to deny it, with a reason that reaches the model. `Agent.grants` lists what is
    always allowed, and revokes it. The card works while a cell awaits, while a sync cell blocks,
    and while no cell runs. Where a front end shows no widgets the question is asked as text; where
    there is no input at all the call is denied, and the denial says why. The handler answers the
    model's questions, too. In a notebook it is the default.

    Args:
        edit: Whether the card offers the arguments for editing. What runs is what was written
            there. The agent gets a hook of the SDK for it, which is a part of its configuration:
            a recording that was made without it is another one. The arguments of a subagent's
            calls stay as they are.

    Returns:
        The handler; use one for several agents, or one for each.

    Example:
        >>> agent = await agy.create_agent(ask_user=agy.widgets.approve())
        >>> agent.is_started
        True
    """
    return Approver(edits=edit)


def _nobody() -> str:
    """Why nobody can be asked here; empty when somebody can."""
    if not in_kernel():
        return typed_prompts.why_nobody()
    reason = why_no_stdin()
    if reason and "no cell is running" not in reason:
        return f"could not ask the user: {reason}"
    return ""


async def _answer(
    waiting: PendingRequest, ask: Callable[[], Coroutine[Any, Any, Reply]]
) -> tuple[Reply, str]:
    """The front end's answer, or a typed one where no front end shows the card in time; and how."""
    either: list[asyncio.Future[Any]] = [waiting.seen, waiting.answer]
    await asyncio.wait(either, timeout=SHOWN_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    if waiting.seen.done() or waiting.answer.done() or why_no_stdin():
        return await waiting.answer, "a click"
    asking = asyncio.ensure_future(ask())
    try:
        await asyncio.wait([asking, waiting.answer], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.answer.done():
            with contextlib.suppress(NoStdinError):
                return asking.result(), "typed"
        return await waiting.answer, "a click"
    finally:
        asking.cancel()


def _objection(request: ApprovalRequest, reply: Reply) -> str:
    """What is wrong with a reply: it allows what was not shown, or cannot be run."""
    if not isinstance(reply, Decide) or reply.choice == "deny":
        return ""
    if not cards.is_shown(request.args):
        return _NOT_SHOWN
    if reply.choice == "edited":
        if not request.editable:
            return "These arguments cannot be edited."
        wrong = argument_editor.objection(request.args, reply.text or "")
        return f"Cannot run this: {wrong}." if wrong else ""
    before = argument_editor.draft(request.args)
    if reply.text is not None and before is not None and reply.text != before.text:
        return _LEFT_EDITED
    return ""


def _short(name: str) -> str:
    """A tool's name as a button has it."""
    shown = revealed(name, exact=True)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}…"


def _ended(event: Approval, decision: ApprovalDecision | None) -> Approval:
    if decision is None:
        return replace(event, state=ApprovalState.CANCELLED, reason="no answer")
    state = ApprovalState.ALLOWED if decision.allowed else ApprovalState.DENIED
    return replace(
        event,
        state=state,
        reason=decision.reason,
        decided_by=decision.decided_by,
        wait=now() - event.at,
        edited=decision.args if decision.allowed else None,
    )


def _answer_of(said: Answered) -> Answer:
    if said.skipped or not (said.selected or said.text):
        return Answer(skipped=True)
    return Answer(selected=said.selected, text=said.text)
