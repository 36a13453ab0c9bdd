"""Ask the user to decide on tool calls and to answer the model's questions.

Only a click, a key or a typed yes allows a call. A timeout, an interrupt, a closed page, a front
end without input and every error deny it. A call that was not shown in full cannot be allowed, and
a call whose arguments were edited runs as edited or not at all.
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
from agy_nb.sdk.interfaces.agent_clock import now
from agy_nb.sdk.interfaces.approval_request import ApprovalDecision, ApprovalRequest
from agy_nb.terminal import revealed
from agy_nb.widgets.approvals import argument_editor, typed_prompts
from agy_nb.widgets.approvals.approval_card import ApprovalCard
from agy_nb.widgets.approvals.pending import PendingRequest, Reply, pending_requests
from agy_nb.widgets.response import call_details, cards
from agy_nb.widgets.response.approval_text import NO
from agy_nb.widgets.tree.front_end import (
    in_text_console,
    marimo_runs_cell,
    shows_views,
    why_headless,
)
from agy_nb.widgets.tree.front_end_messages import AnswerAll, Answered, Decide

SHOWN_WITHIN_S = 4.0
"""Seconds to wait for a front end to show a card before asking with a text prompt."""

_CHOICE_NAMES = {
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
    """Ask the user about tool calls and questions; `approve` creates one.

    Attributes:
        edits: Whether the user may edit a call's arguments.

    Example:
        >>> agent = await agy.create_agent(tools=[get_weather], ask_user=agy.widgets.approve())
        >>> agent.is_started
        True
    """

    def __init__(self, *, edits: bool = False) -> None:
        self.edits = edits

    def __repr__(self) -> str:
        return f"approve({'edits=True' if self.edits else ''})"

    async def __call__(self, request: ApprovalRequest) -> ApprovalDecision:
        """Ask the user about a tool call."""
        if refusal := _why_no_user():
            return ApprovalDecision(allowed=False, reason=refusal, decided_by="default")
        if not _shows_cards():
            return await self._ask_in_a_terminal(request)
        return await self._ask(request)

    async def _ask_in_a_terminal(self, request: ApprovalRequest) -> ApprovalDecision:
        if refusal := _why_not_typed():
            return ApprovalDecision(allowed=False, reason=refusal, decided_by="default")
        try:
            return self._decision(request, await typed_prompts.decide(request), "typed")
        except NoStdinError as error:
            return ApprovalDecision(allowed=False, reason=str(error), decided_by="default")

    async def _ask(self, request: ApprovalRequest) -> ApprovalDecision:
        deadline = None if request.timeout is None else now() + request.timeout
        pending, shown = pending_requests.add(
            request.approval_id,
            {
                "type": "approval",
                "tool": _short(request.tool),
                "shown": call_details.is_shown(request.args),
                "deadline": deadline,
                **self._editor(request),
            },
            lambda reply: _problem(request, reply),
        )
        if not shown and not _can_add_a_card():
            pending_requests.remove(pending)
            return await self._ask_in_a_terminal(request)
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
                reply, how = await _wait_for_reply(pending, lambda: typed_prompts.decide(request))
            decision = self._decision(request, reply, how)
            return decision
        finally:
            pending_requests.remove(pending)
            if card is not None:
                card.resolve(_resolved(event, decision))

    def _editor(self, request: ApprovalRequest) -> dict[str, Any]:
        """Return the card's editor, or the reason why the arguments cannot be edited."""
        if not self.edits:
            return {}
        if not request.editable:
            return {"fixed": _A_SUBAGENTS}
        draft = argument_editor.draft(request.args)
        if draft is None:
            return {"fixed": _TOO_LONG}
        return {"edit": {"form": draft.form, "text": draft.text}}

    def _decision(self, request: ApprovalRequest, reply: Reply, how: str) -> ApprovalDecision:
        """Convert a reply; deny unless it clearly allows the call that was shown."""
        if not isinstance(reply, Decide) or _problem(request, reply):
            return ApprovalDecision(allowed=False, reason=NO, decided_by=f"{how}: deny")
        decided_by = f"{how}: {_CHOICE_NAMES[reply.choice]}"
        if reply.choice == "deny":
            reason = " ".join(reply.reason.split())
            return ApprovalDecision(allowed=False, reason=reason or NO, decided_by=decided_by)
        args = None
        if reply.choice == "edited":
            args = argument_editor.apply_edit(request.args, reply.text or "")
            args = None if args == request.args else args
        remember = reply.choice if reply.choice in ("tool", "call") else ""
        return ApprovalDecision(allowed=True, decided_by=decided_by, args=args, remember=remember)

    async def answer(
        self, question_id: str, questions: tuple[AskedQuestion, ...]
    ) -> tuple[Answer, ...]:
        """Ask the user the model's questions.

        Args:
            question_id: The id in the turn's `Question` event.
            questions: The questions.

        Returns:
            One answer per question; empty where the user cannot be asked.
        """
        if _why_no_user():
            return ()
        if not _shows_cards():
            return await _answer_in_a_terminal(questions)
        asked: list[Any] = [
            {
                "question": revealed(each.question),
                "html": cards.question_text(each),
                "multiple": each.multiple,
                "options": [
                    {"id": option.id, "text": revealed(option.text)} for option in each.options
                ],
            }
            for each in questions
        ]
        pending, shown = pending_requests.add(question_id, {"type": "question", "questions": asked})
        if not shown and not _can_add_a_card():
            pending_requests.remove(pending)
            return await _answer_in_a_terminal(questions)
        event = Question(question_id=question_id, questions=questions, at=now())
        card = None if shown else ApprovalCard(event)
        answers: tuple[Answer, ...] = ()
        try:
            with current_host().busy():
                reply, _ = await _wait_for_reply(
                    pending, lambda: typed_prompts.answer_all(question_id, questions)
                )
            if isinstance(reply, AnswerAll):
                answers = tuple(map(_answer_of, reply.answers))
            return answers
        finally:
            pending_requests.remove(pending)
            if card is not None:
                card.resolve(
                    replace(event, answers=answers or (Answer(skipped=True),) * len(questions))
                )


def approve(*, edit: bool = False) -> Approver:
    """Create an `ask_user=` handler that asks the user in the notebook or terminal.

    A card shows the whole call. The user allows it once, always allows this tool or this exact
    call, or denies it with a reason that is sent to the model. `Agent.grants` lists and revokes
    these permissions. The card works while a cell awaits, while a sync cell blocks, and while
    no cell runs. If the front end does not show widgets, the user is asked with a text prompt. If
    there is no input either, and no front end has opened a view, the call is denied with the
    reason. The handler also asks the model's questions. In a notebook it is the default.

    Args:
        edit: Whether the user may edit the arguments before the call runs. Editing adds an SDK
            hook to the agent's configuration, so a cassette recorded without it does not match.
            The arguments of a subagent's calls cannot be edited.

    Returns:
        The handler; several agents may share it.

    Example:
        >>> agent = await agy.create_agent(ask_user=agy.widgets.approve())
        >>> agent.is_started
        True
    """
    return Approver(edits=edit)


def _shows_cards() -> bool:
    """Return whether cards may be shown: in a kernel, in marimo, or where a view was opened."""
    return (in_kernel() and not in_text_console()) or shows_views()


def _can_add_a_card() -> bool:
    """Return whether a card can be shown outside the views: in the cell that runs."""
    return in_kernel() or marimo_runs_cell()


async def _answer_in_a_terminal(questions: tuple[AskedQuestion, ...]) -> tuple[Answer, ...]:
    return () if _why_not_typed() else await typed_prompts.answer(questions)


def _why_no_user() -> str:
    """Return why the user cannot be asked; empty if the user can."""
    reason = why_headless() if in_kernel() and not in_text_console() else ""
    if reason and "no cell is running" not in reason:
        return f"could not ask the user: {reason}"
    return ""


async def _wait_for_reply(
    pending: PendingRequest, ask: Callable[[], Coroutine[Any, Any, Reply]]
) -> tuple[Reply, str]:
    """Wait for a click, or for typed input if no front end shows the card; return how it came."""
    either: list[asyncio.Future[Any]] = [pending.shown, pending.answer]
    # `wait` cancels neither: the card can still be shown, and clicked, after the time.
    await asyncio.wait(either, timeout=SHOWN_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    if pending.shown.done() or pending.answer.done() or _why_not_typed():
        return await pending.answer, "a click"
    asking = asyncio.ensure_future(ask())
    try:
        await asyncio.wait([asking, pending.answer], return_when=asyncio.FIRST_COMPLETED)
        # A click and a typed line may come in the same step. The click counts.
        if not pending.answer.done():
            with contextlib.suppress(NoStdinError):
                return asking.result(), "typed"
        return await pending.answer, "a click"
    finally:
        asking.cancel()


def _why_not_typed() -> str:
    return why_no_stdin() if in_kernel() else typed_prompts.why_no_terminal()


def _problem(request: ApprovalRequest, reply: Reply) -> str:
    """Describe why a reply is invalid: the call was not shown in full, or cannot run as edited."""
    if not isinstance(reply, Decide) or reply.choice == "deny":
        return ""
    if not call_details.is_shown(request.args):
        return _NOT_SHOWN
    if reply.choice == "edited":
        if not request.editable:
            return "These arguments cannot be edited."
        wrong = argument_editor.problem(request.args, reply.text or "")
        return f"Cannot run this: {wrong}." if wrong else ""
    before = argument_editor.draft(request.args)
    if reply.text is not None and before is not None and reply.text != before.text:
        return _LEFT_EDITED
    return ""


def _short(name: str) -> str:
    """Shorten a tool's name for a button."""
    shown = revealed(name, exact=True)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}…"


def _resolved(event: Approval, decision: ApprovalDecision | None) -> Approval:
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
