"""Approvals and questions as text: in a terminal, and where a front end shows no widgets."""

from __future__ import annotations

import json
import sys
from typing import Any

from agy_nb.kernel import ask_text
from agy_nb.protocol.values import Answer, AskedQuestion
from agy_nb.sdk.base import ApprovalRequest
from agy_nb.widgets import editing

_CHOICES = {
    "y": "once",
    "yes": "once",
    "t": "tool",
    "a": "args",
}


def why_nobody() -> str:
    """Why nobody can be asked at this script's terminal; empty when somebody can."""
    try:
        interactive = sys.stdin.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        interactive = False
    return "" if interactive else "nobody could be asked: standard input is no terminal"


async def as_message(request: ApprovalRequest) -> dict[str, Any]:
    """Ask about a tool call; gives what the front end would send.

    Raises:
        NoStdin: Nobody would see the question.
    """
    args = json.dumps(request.args, indent=2, ensure_ascii=False, default=str)
    why = f"\n{request.reason}" if request.reason else ""
    edit = ", [e]dit the arguments first" if request.editable else ""
    said = await ask_text(
        f"The agent wants to run {request.tool}{why}\n{args}\n"
        "Allow? [y]es once, this [t]ool for the session, these [a]rguments for the session"
        f"{edit}; anything else denies and is told to the agent as the reason: "
    )
    if edit and said.strip().lower() in ("e", "edit"):
        return await _edited(request)
    choice = _CHOICES.get(said.strip().lower())
    if choice is not None:
        return {"choice": choice, "how": f"typed: {choice}"}
    reason = "" if said.strip().lower() in ("", "n", "no") else said.strip()
    return {"choice": "deny", "reason": reason, "how": "typed: deny"}


async def _edited(request: ApprovalRequest) -> dict[str, Any]:
    """Ask for other arguments, until they can be read or an empty line denies."""
    about = editing.draft(request.args)
    command = about is not None and about.form == "command"
    form = "the command line" if command else "the arguments as JSON, in one line"
    words = ""
    while True:
        text = await ask_text(f"{words}Write {form}; an empty line denies: ")
        if not text.strip():
            return {"choice": "deny", "how": "typed: deny"}
        message = {"choice": "edited", "text": text, "how": "typed: edited"}
        wrong = editing.objection(request.args, message)
        if not wrong:
            return message
        words = f"That cannot be run: {wrong}.\n"


async def answer(questions: tuple[AskedQuestion, ...]) -> tuple[Answer, ...]:
    """Answer questions at a script's terminal; an empty line skips one.

    Raises:
        NoStdin: Nobody would see the question.
    """
    return tuple([await _answer(asked) for asked in questions])


async def answers_as_message(questions: tuple[AskedQuestion, ...]) -> dict[str, Any]:
    """Answer questions as text; gives what the front end would send.

    Raises:
        NoStdin: Nobody would see the question.
    """
    return {
        "answers": [
            {"selected": list(each.selected), "text": each.text, "skipped": each.skipped}
            for each in await answer(questions)
        ]
    }


async def _answer(asked: AskedQuestion) -> Answer:
    options = "".join(f"\n  {option.id}. {option.text}" for option in asked.options)
    hint = "number(s) or your own words" if asked.options else "your answer"
    said = (await ask_text(f"{asked.question}{options}\n{hint}, empty to skip: ")).strip()
    if not said:
        return Answer(skipped=True)
    chosen = said.replace(",", " ").split()
    known = {option.id for option in asked.options}
    if known and set(chosen) <= known and (asked.multiple or len(chosen) == 1):
        return Answer(selected=tuple(chosen))
    return Answer(text=said)
