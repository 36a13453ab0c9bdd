"""Text prompts for approvals and questions, for terminals and front ends without widgets."""

from __future__ import annotations

import json
import sys
from typing import Literal

from agy_nb.kernel import ask_text
from agy_nb.protocol.values import Answer, AskedQuestion
from agy_nb.sdk.interfaces.approval_request import ApprovalRequest
from agy_nb.terminal import printable
from agy_nb.widgets.approvals import argument_editor
from agy_nb.widgets.response.call_details import is_shown
from agy_nb.widgets.tree.front_end_messages import AnswerAll, Answered, Decide

_CHOICES: dict[str, Literal["once", "tool", "call"]] = {
    "y": "once",
    "yes": "once",
    "t": "tool",
    "c": "call",
}


def why_no_terminal() -> str:
    """Return why the user cannot be asked at the terminal; empty if the user can."""
    try:
        interactive = sys.stdin.isatty()
    except (AttributeError, ValueError):  # stdin is missing or closed
        interactive = False
    return "" if interactive else "could not ask the user: standard input is not a terminal"


async def decide(request: ApprovalRequest) -> Decide:
    """Ask about a tool call; return the message that a front end would send.

    Raises:
        NoStdinError: Input is not possible here.
    """
    said = (await ask_text(_words(request))).strip()
    if request.editable and said.lower() in ("e", "edit"):
        return await _edited(request)
    choice = _CHOICES.get(said.lower())
    if choice is not None:
        return Decide(id=request.approval_id, choice=choice)
    return _deny(request, "" if said.lower() in ("", "n", "no") else said)


def _words(request: ApprovalRequest) -> str:
    """Write the prompt: the whole call with every hidden character visible, and the choices."""
    name = f"{request.server} · {request.tool}" if request.server else request.tool
    why = f"\n{printable(request.reason)}" if request.reason else ""
    asks = f"The agent wants to run {printable(name, exact=True)}{why}\n"
    if not is_shown(request.args):
        return (
            f"{asks}This call is too long to show in full. You can only deny it.\n"
            "Reason (optional, sent to the agent): "
        )
    args = json.dumps(request.args, indent=2, ensure_ascii=False, default=str)
    edit = ", [e]dit the arguments" if request.editable else ""
    return (
        f"{asks}{printable(args, exact=True)}\n"
        "Allow? [y]es once, always this [t]ool, always this exact [c]all"
        f"{edit}. Any other text denies the call and is sent to the agent as the reason: "
    )


def _deny(request: ApprovalRequest, reason: str = "") -> Decide:
    return Decide(id=request.approval_id, choice="deny", reason=printable(reason))


async def _edited(request: ApprovalRequest) -> Decide:
    """Ask for edited arguments until they are valid, or deny at an empty line."""
    draft = argument_editor.draft(request.args)
    command = draft is not None and draft.form == "command"
    form = "the command line" if command else "the arguments as JSON on one line"
    words = ""
    while True:
        text = await ask_text(f"{words}Enter {form} (empty to deny): ")
        if not text.strip():
            return _deny(request)
        problem = argument_editor.problem(request.args, text)
        if not problem:
            return Decide(id=request.approval_id, choice="edited", text=text)
        words = f"Cannot run this: {printable(problem)}.\n"


async def answer(questions: tuple[AskedQuestion, ...]) -> tuple[Answer, ...]:
    """Ask questions at a script's terminal; an empty line skips one.

    Raises:
        NoStdinError: Input is not possible here.
    """
    return tuple([await _answer(asked) for asked in questions])


async def answer_all(key: str, questions: tuple[AskedQuestion, ...]) -> AnswerAll:
    """Ask questions as text; return the message that a front end would send.

    Args:
        key: The id in the turn's `Question` event.
        questions: The questions.

    Raises:
        NoStdinError: Input is not possible here.
    """
    answers = tuple(
        Answered(selected=each.selected, text=each.text, skipped=each.skipped)
        for each in await answer(questions)
    )
    return AnswerAll(id=key, answers=answers)


async def _answer(asked: AskedQuestion) -> Answer:
    options = "".join(
        f"\n  {printable(option.id)}. {printable(option.text)}" for option in asked.options
    )
    numbers = "Numbers" if asked.multiple else "Number"
    hint = f"{numbers} or your own answer" if asked.options else "Your answer"
    words = f"{printable(asked.question)}{options}\n{hint} (empty to skip): "
    said = (await ask_text(words)).strip()
    if not said:
        return Answer(skipped=True)
    chosen = said.replace(",", " ").split()
    known = {option.id for option in asked.options}
    if known and set(chosen) <= known and (asked.multiple or len(chosen) == 1):
        return Answer(selected=tuple(chosen))
    return Answer(text=said)
