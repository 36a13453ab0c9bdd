"""Render a tool call as one row, which changes its state, and the details below it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from agy_nb.protocol.events import Approval, ToolCall, ToolException, ToolResult
from agy_nb.protocol.values import JsonObject
from agy_nb.terminal import revealed
from agy_nb.widgets.markdown.markup import escape
from agy_nb.widgets.response.approval_text import allowed_words, approval_body, decided_words
from agy_nb.widgets.response.call_details import (
    arguments,
    changed_lines,
    diff_of_args,
    diff_of_blocks,
    language_of,
    path_of,
)
from agy_nb.widgets.response.headline import headline
from agy_nb.widgets.response.html_values import (
    block,
    clip,
    dot,
    json_result,
    plain,
    result_block,
    seconds,
    section,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

_LONGEST_WHY = 160
"""Maximum length of an error in the row of a call, in characters."""


def tool(
    call: ToolCall,
    result: ToolResult | None,
    state: str = "",
    wait: float | None = None,
    raised: ToolException | None = None,
    *,
    decision: Approval | None = None,
    differing: Collection[str] = (),
) -> str:
    """Render the row of a tool call.

    Args:
        call: The call.
        result: The result, None until the call ends.
        state: The label of a call without a result, e.g. "Stopped"; empty while it runs.
        wait: Duration in seconds, None if unknown.
        raised: The exception that the tool raised, None if unknown.
        decision: The approval of the call, None if it needed none.
        differing: Names of the arguments that differ from other calls of the tool.
    """
    args = call.args if decision is None or decision.edited is None else decision.edited
    said = [] if decision is None else [allowed_words(decision)]
    if diff := (diff_of_blocks(result.result) if result is not None else "") or diff_of_args(args):
        said.insert(0, changed_lines(diff))
    mark, words = _state(result, state)
    said += [words] if words else []
    if wait is not None:
        said.append(seconds(wait))
    why = ""
    if result is not None and result.error is not None and not result.denied:
        line = result.error[:_LONGEST_WHY].strip().partition("\n")[0]
        if raised is not None and not line.startswith(raised.error_type):
            line = f"{raised.error_type}: {line}"
        line = revealed(line, exact=True)
        why = f' <span class="agy-why">{escape(line)}</span>'
    right = f'<span class="agy-dim agy-facts">{escape(" · ".join(said))}</span>'
    return f"{mark} {headline(call.name, args, call.server, differing)}{why} {right}"


def _state(result: ToolResult | None, state: str) -> tuple[str, str]:
    """Return the dot of a call and its state in words; a call that went well needs none."""
    if result is None:
        return dot("off" if state else "wait", state or "Running"), state
    if result.denied:
        return dot("bad", ""), "Denied"
    if result.error is not None:
        return dot("bad", ""), "Failed"
    code = result.result.get("exit_code") if isinstance(result.result, dict) else None
    if isinstance(code, int) and code:
        return dot("bad", ""), f"Exit code {code}"
    return dot("ok", "Done"), ""


def tool_body(
    call: ToolCall,
    result: ToolResult | None,
    raised: ToolException | None = None,
    decision: Approval | None = None,
) -> str:
    """Render the decision, arguments, result, error and traceback of a tool call."""
    found = []
    if decision is not None and decision.edited is not None:
        found.append(approval_body(decision))
    else:
        if decision is not None:
            found.append(plain(decided_words(decision)))
        found += [arguments(call.args)] if call.args else []
    if result is not None and result.error is not None:
        title = "Denied" if result.denied else "Error"
        found.append(section(title, block(clip(result.error))))
        if raised is not None and raised.traceback:
            found.append(section("Traceback", block(clip(raised.traceback))))
    elif result is not None and result.result is not None:
        found.append(_result(result.result, call.args))
    return "".join(found)


def _result(value: JsonValue, args: JsonObject) -> str:
    """Render a result: a diff as a diff, what a command printed as text, and all else as JSON."""
    if diff := diff_of_blocks(value):
        return result_block("Changes", diff, "diff")
    if isinstance(value, str):
        return result_block("Result", value, language_of(args) if path_of(args) else "")
    if isinstance(value, dict) and isinstance(output := value.get("combined_output"), str):
        rest = {name: part for name, part in value.items() if name != "combined_output"}
        rest = rest if rest != {"exit_code": 0} else {}
        shown = result_block("Output", output.replace("\r\n", "\n").rstrip("\n"))
        return shown + (json_result("Result", rest) if rest else "")
    return json_result("Result", value)
