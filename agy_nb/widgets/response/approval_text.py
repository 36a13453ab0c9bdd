"""Render approvals: the call that waits, and who decided what."""

from __future__ import annotations

from agy_nb.protocol.events import Approval, ApprovalState
from agy_nb.terminal import revealed
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.response.call_details import call_details, change_of, command_of
from agy_nb.widgets.response.headline import headline
from agy_nb.widgets.response.html_values import badge, clip, seconds, section

NO = "the user said no"
"""The reason that the agent gets if the user denies without one."""

_APPROVED = {
    ApprovalState.ALLOWED: ("ok", "Allowed"),
    ApprovalState.DENIED: ("bad", "Denied"),
    ApprovalState.TIMED_OUT: ("bad", "Denied: no answer in time"),
    ApprovalState.FAILED: ("bad", "Denied: the approval failed"),
    ApprovalState.CANCELLED: ("bad", "Denied: the turn ended"),
}


def approval(event: Approval) -> str:
    """Render the head of an approval."""
    line = headline(event.tool, event.edited or event.args, event.server)
    if event.state is ApprovalState.PENDING:
        return f'<strong class="agy-title">{escape(_question(event))}</strong> {line}'
    kind, words = _APPROVED[event.state]
    took = f' <span class="agy-dim">after {seconds(event.wait)}</span>' if event.wait else ""
    edited = "" if event.edited is None else " " + badge("wait", _edited_by(event))
    return f"{badge(kind, words)}{edited} {line}{took}"


def _question(event: Approval) -> str:
    """Ask about what the call does, so that the user knows what to look at."""
    if command_of(event.args) is not None:
        return "Run a command?"
    if change_of(event.args) is not None:
        return "Edit a file?"
    if event.tool in ("create_file", "write_to_file"):
        return "Write a file?"
    return f"Allow {revealed(event.tool, exact=True)[:60]}?"


def _by_user(event: Approval) -> bool:
    return event.decided_by.startswith(("a click", "typed"))


def _edited_by(event: Approval) -> str:
    """Return the label of edited arguments; it names the user if the user edited them."""
    return "Edited by you" if _by_user(event) else "Edited"


def approval_body(event: Approval) -> str:
    """Render the call, the reason for the approval and the decision."""
    if event.state is ApprovalState.PENDING:
        why = f"<p>{escape(event.reason)}</p>" if event.reason else ""
        return why + call_details(event.args)
    decided = f'<div class="agy-plain">{escape(clip(decided_words(event)))}</div>'
    if event.edited is None:
        return decided + call_details(event.args)
    return (
        decided
        + section(f"{_edited_by(event)}, and run", call_details(event.edited))
        + section("Original call", call_details(event.args))
    )


_ALLOWED_BY_USER = {
    "once": "You allowed it once.",
    "this tool": "You always allow this tool.",
    "this exact call": "You always allow this exact call.",
    "edited": "You edited it and allowed it once.",
}
_DECIDERS = {
    "user": "ask_user",
    "cassette": "The recording",
    "a grant: this tool": "Your grant for this tool",
    "a grant: this exact call": "Your grant for this exact call",
}


def decided_words(event: Approval) -> str:
    """Describe who decided, and why."""
    allowed = event.state is ApprovalState.ALLOWED
    why = f": {event.reason}" if event.reason and event.reason != NO else "."
    if _by_user(event) and allowed:
        return _ALLOWED_BY_USER.get(event.decided_by.partition(": ")[2], "You allowed it.")
    if _by_user(event):
        return f"You denied it{why}"
    if event.decided_by in ("", "default", "error"):
        return event.reason or ("Allowed." if allowed else "Denied.")
    who = _DECIDERS.get(event.decided_by, event.decided_by)
    return f"{who} {'allowed' if allowed else 'denied'} it{why}"


def allowed_words(event: Approval) -> str:
    """Describe in a few words how a call was allowed."""
    if event.edited is not None:
        return _edited_by(event)
    return "Allowed by you" if _by_user(event) else "Allowed"
