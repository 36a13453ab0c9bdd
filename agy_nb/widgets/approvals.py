"""Whoever sits at the notebook decides on tool calls and answers the model's questions.

Rule 1: only a click, a key or a typed yes allows. Silence, an interrupt, a closed page, a front end
that takes no input and anything that fails deny.
Rule 2: what was allowed for the session holds for one agent, as long as this handler lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from agy_nb.kernel import NoStdin, guest, in_kernel
from agy_nb.kernel.asking import why_no_stdin
from agy_nb.protocol.events import Approval, ApprovalState, Question
from agy_nb.protocol.values import Answer, AskedQuestion
from agy_nb.sdk.base import ApprovalDecision, ApprovalRequest, now
from agy_nb.widgets import editing, typed
from agy_nb.widgets.desk import Waiting, desk
from agy_nb.widgets.standalone import Card

SHOWN_WITHIN_S = 4.0
"""Seconds in which a front end must have shown a card; after that the question is asked as text."""

_HOW = {
    "once": "a click: once",
    "tool": "a click: this tool",
    "args": "a click: these arguments",
    "edited": "a click: edited",
}
_A_SUBAGENTS = "A subagent makes this call: its arguments cannot be edited."
_TOO_LONG = "These arguments are too long to be edited here."


class Approver:
    """Asks the person at the notebook; `approve` makes one.

    Attributes:
        granted: What was allowed for the session: agent, MCP server or None, tool, and the
            arguments as JSON or None for any.
        edits: Whether the person may change a call's arguments.

    Example:
        >>> approver = agy.widgets.approve()
        >>> agent = await agy.create_agent(tools=[get_weather], ask_user=approver)
        >>> approver.granted
        set()
    """

    def __init__(self, *, edits: bool = False) -> None:
        self.edits = edits
        self.granted: set[tuple[int | None, str | None, str, str | None]] = set()

    async def __call__(self, request: ApprovalRequest) -> ApprovalDecision:
        """Decide on a tool call."""
        if (known := self._known(request)) is not None:
            return known
        refusal = _nobody()
        if refusal:
            return ApprovalDecision(allowed=False, reason=refusal, decided_by="default")
        if not in_kernel():
            return await self._ask_in_a_terminal(request)
        return await self._ask(request)

    def _known(self, request: ApprovalRequest) -> ApprovalDecision | None:
        for args in (None, _canonical(request)):
            if _grant(request, args) in self.granted:
                how = "this tool" if args is None else "these arguments"
                return ApprovalDecision(allowed=True, decided_by=f"the session: {how}")
        return None

    async def _ask_in_a_terminal(self, request: ApprovalRequest) -> ApprovalDecision:
        try:
            return self._decision(request, await typed.as_message(request))
        except NoStdin as error:
            return ApprovalDecision(allowed=False, reason=str(error), decided_by="default")

    async def _ask(self, request: ApprovalRequest) -> ApprovalDecision:
        deadline = None if request.timeout is None else now() + request.timeout
        waiting, shown = desk.put(
            request.approval_id,
            {
                "type": "approval",
                "tool": request.tool,
                "deadline": deadline,
                **self._editor(request),
            },
            lambda message: _objection(request, message),
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
        card = None if shown else Card(event)
        decision = None
        try:
            with guest().busy():
                message = await _answer(waiting, lambda: typed.as_message(request))
            decision = self._decision(request, message)
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
        about = editing.draft(request.args)
        if about is None:
            return {"fixed": _TOO_LONG}
        return {"edit": {"form": about.form, "text": about.text}}

    def _decision(self, request: ApprovalRequest, message: dict[str, Any]) -> ApprovalDecision:
        choice = str(message.get("choice"))
        if choice == "edited" and _objection(request, message):
            choice = "deny"
        if choice in ("tool", "args"):
            self.granted.add(_grant(request, None if choice == "tool" else _canonical(request)))
        if choice in _HOW:
            how = str(message.get("how") or _HOW[choice])
            args = None
            if choice == "edited":
                args = editing.changed(request.args, str(message.get("text") or ""))
                args = None if args == request.args else args
            return ApprovalDecision(allowed=True, decided_by=how, args=args)
        reason = " ".join(str(message.get("reason") or "").split())
        how = str(message.get("how") or "a click: deny")
        return ApprovalDecision(allowed=False, reason=reason or "the user said no", decided_by=how)

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
            return await typed.answer(questions)
        asked: list[Any] = [
            {
                "question": each.question,
                "multiple": each.multiple,
                "options": [{"id": option.id, "text": option.text} for option in each.options],
            }
            for each in questions
        ]
        waiting, shown = desk.put(question_id, {"type": "question", "questions": asked})
        event = Question(question_id=question_id, questions=questions, at=now())
        card = None if shown else Card(event)
        answers: tuple[Answer, ...] = ()
        try:
            with guest().busy():
                message = await _answer(waiting, lambda: typed.answers_as_message(questions))
            said = message.get("answers")
            answers = tuple(map(_answer_of, said)) if isinstance(said, list) else ()
            return answers
        finally:
            desk.take(waiting)
            if card is not None:
                card.end(
                    replace(event, answers=answers or (Answer(skipped=True),) * len(questions))
                )


def approve(*, edit: bool = False) -> Approver:
    """A handler for `ask_user=` that asks the person at the notebook.

    A card shows what is about to run, with buttons to allow it once, for the session (this tool, or
    these arguments) or to deny it, with a reason that reaches the model. It works while a cell
    awaits, while a sync cell blocks, and while no cell runs. Where a front end shows no widgets the
    question is asked as text; where there is no input at all the call is denied, and the denial
    says why. It answers the model's questions, too. In a notebook it is the default.

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


def _grant(
    request: ApprovalRequest, args: str | None
) -> tuple[int | None, str | None, str, str | None]:
    return request.agent_id, request.server, request.tool, args


def _canonical(request: ApprovalRequest) -> str:
    return json.dumps(request.args, sort_keys=True, default=str)


def _nobody() -> str:
    """Why nobody can be asked here; empty when somebody can."""
    if not in_kernel():
        return typed.why_nobody()
    reason = why_no_stdin()
    if reason and "no cell is running" not in reason:
        return f"nobody could be asked: {reason}"
    return ""


async def _answer(
    waiting: Waiting, ask: Callable[[], Coroutine[Any, Any, dict[str, Any]]]
) -> dict[str, Any]:
    """The front end's answer; or a typed one, where no front end shows the card in time."""
    either: list[asyncio.Future[Any]] = [waiting.seen, waiting.answer]
    await asyncio.wait(either, timeout=SHOWN_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    if waiting.seen.done() or waiting.answer.done() or why_no_stdin():
        return await waiting.answer
    asking = asyncio.ensure_future(ask())
    try:
        await asyncio.wait([asking, waiting.answer], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.answer.done():
            with contextlib.suppress(NoStdin):
                return asking.result()
        return await waiting.answer
    finally:
        asking.cancel()


def _objection(request: ApprovalRequest, message: dict[str, Any]) -> str:
    if message.get("choice") == "edited" and not request.editable:
        return "these arguments cannot be edited"
    return editing.objection(request.args, message)


def _ended(event: Approval, decision: ApprovalDecision | None) -> Approval:
    if decision is None:
        return replace(event, state=ApprovalState.CANCELLED, reason="nobody answered")
    state = ApprovalState.ALLOWED if decision.allowed else ApprovalState.DENIED
    return replace(
        event,
        state=state,
        reason=decision.reason,
        decided_by=decision.decided_by,
        wait=now() - event.at,
        edited=decision.args if decision.allowed else None,
    )


def _answer_of(message: Any) -> Answer:  # noqa: ANN401 - JSON from the front end
    if not isinstance(message, dict):
        return Answer(skipped=True)
    chosen = message.get("selected")
    selected = tuple(map(str, chosen)) if isinstance(chosen, list) else ()
    text = str(message.get("text") or "")
    skipped = bool(message.get("skipped")) or not (selected or text)
    return Answer(skipped=True) if skipped else Answer(selected=selected, text=text)
