"""Render tool calls, approvals, questions, errors and footers as HTML."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from datetime import datetime

from agy_nb.protocol.events import (
    Approval,
    ApprovalState,
    Question,
    ToolCall,
    ToolException,
    ToolResult,
    TrajectoryState,
    TurnKind,
    TurnState,
    Waiting,
)
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    ErrorInfo,
    JsonObject,
    MediaPart,
    Prompt,
    SlashCommandPart,
    TextPart,
    TokenUsage,
)
from agy_nb.terminal import revealed
from agy_nb.widgets.markdown.code import highlight
from agy_nb.widgets.markdown.markup import escape, render

LONGEST = 10_000
"""Maximum length of an argument, a result or an error in a card, in characters."""

LONGEST_CALL = 200_000
"""Maximum length of a call as JSON that an approval shows; a longer call can only be denied."""

NO = "the user said no"
"""The reason that the agent gets if the user denies without one."""

_MOST_LINES = 1_000
"""Maximum number of lines of a diff, which takes quadratic time."""

_SHORT = 80
COMMANDS = ("CommandLine", "command_line", "command", "cmd")
"""Names of arguments that hold a command line."""

_PATHS = (
    "AbsolutePath",
    "absolute_path",
    "TargetFile",
    "target_file",
    "DirectoryPath",
    "SearchPath",
    "file_path",
    "path",
    "file",
)
_OLD_AND_NEW = (
    ("TargetContent", "ReplacementContent"),
    ("target_content", "replacement_content"),
    ("old_string", "new_string"),
)

_APPROVED = {
    ApprovalState.ALLOWED: ("ok", "Allowed"),
    ApprovalState.DENIED: ("bad", "Denied"),
    ApprovalState.TIMED_OUT: ("bad", "Denied: no answer in time"),
    ApprovalState.FAILED: ("bad", "Denied: the approval failed"),
    ApprovalState.CANCELLED: ("bad", "Denied: the turn ended"),
}
_A_DAY_S = 24 * 60 * 60
_TURNS = {
    TurnState.QUEUED: ("wait", "Queued"),
    TurnState.RUNNING: ("wait", "Running"),
    TurnState.WAITING_FOR_USER: ("wait", "Waiting for you"),
    TurnState.DONE: ("ok", "Done"),
    TurnState.CANCELLED: ("bad", "Stopped"),
    TurnState.DENIED: ("bad", "Denied"),
    TurnState.FAILED: ("bad", "Failed"),
}


def clip(text: str) -> str:
    """Cut text that is too long for a card, and append the number of missing characters."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} more characters"


_ENCODER = json.JSONEncoder(indent=2, ensure_ascii=False, default=str)


def _json(value: object) -> str:
    """Dump a value as JSON; stop when a card is full."""
    if isinstance(value, str):
        return clip(value)
    return _dump(value, LONGEST, "\n… more not shown")


def _dump(value: object, longest: int, more: str) -> str:
    pieces, size = [], 0
    for piece in _ENCODER.iterencode(value):
        pieces.append(piece)
        size += len(piece)
        if size > longest:
            return "".join(pieces)[:longest] + more
    return "".join(pieces)


def _block(text: str, language: str = "", before: str = "") -> str:
    coloured = highlight(text, language) if language else ""
    return f'<pre tabindex="0"><code>{before}{coloured or escape(text)}</code></pre>'


def badge(kind: str, words: str) -> str:
    """Render a state as a coloured label; `kind` is ok, bad, wait or off."""
    return f'<span class="agy-badge agy-badge-{kind}">{escape(words)}</span>'


def seconds(value: float | None) -> str:
    """Format a duration; empty if unknown.

    Example:
        >>> seconds(0.25), seconds(75)
        ('0.25 s', '1 min 15 s')
    """
    if value is None:
        return ""
    if value < 10:  # noqa: PLR2004 - no digits are needed from ten seconds on
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    if value < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def counted(count: int, noun: str) -> str:
    """Name a number of things.

    Args:
        count: How many.
        noun: What each is called; its plural ends in "s".

    Example:
        >>> counted(1, "recording"), counted(1_200, "row")
        ('1 recording', '1,200 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def plain(text: str) -> str:
    """Render plain text with its line breaks."""
    return f'<div class="agy-plain">{escape(clip(text))}</div>'


def text_of(content: Prompt) -> str:
    """Return the text of a prompt without its attachments."""
    return "\n".join(part.text for part in content if isinstance(part, TextPart))


def prompt(content: Prompt, kind: TurnKind = "prompt") -> str:
    """Render the prompt of the user or of a trigger, or a wake-up by the harness."""
    if kind == "wakeup":
        return badge("off", "Wake-up: the agent continued on its own")
    shown = "".join(map(_prompt_part, content))
    return badge("off", "Trigger") + shown if kind == "trigger" else shown


def _prompt_part(part: TextPart | MediaPart | SlashCommandPart) -> str:
    if isinstance(part, TextPart):
        return plain(part.text)
    if isinstance(part, MediaPart):
        words = f"{part.kind}, {part.mime_type}, {len(part.data):,} bytes"
        return badge("off", f"{words}: {part.description}" if part.description else words)
    return badge("off", f"/{part.name}")


# -- tool calls ------------------------------------------------------------------------------------


def headline(
    name: str, args: JsonObject, server: str | None = None, differing: Collection[str] = ()
) -> str:
    """Render a call in one line: the tool, and the argument that tells calls apart.

    Args:
        name: The tool.
        args: The arguments.
        server: The MCP server of the tool.
        differing: Names of the arguments that differ from other calls of the tool.
    """
    main = command_of(args)
    if main is None and not any(key in args for key in COMMANDS):
        main = next((key for key in _PATHS if isinstance(args.get(key), str)), None)
    first = {key: value for key, value in args.items() if key in differing}
    if main is not None and (not first or main in first):
        words = str(args[main])
    else:
        words = _pairs(first | args)
    line = " ".join(words[: 2 * LONGEST].split())
    short = line if len(line) <= _SHORT else f"{line[:_SHORT]}…"
    full = f"{server} · {name}" if server else name
    shown, said = (escape(revealed(each, exact=True)) for each in (full, short))
    return f"<code>{shown}</code> <span class='agy-dim agy-arg'>{said}</span>"


def command_of(args: JsonObject) -> str | None:
    """Return the name of the argument that holds the command line; None unless exactly one does.

    Example:
        >>> command_of({"CommandLine": "ls", "Cwd": "/tmp"})
        'CommandLine'
        >>> command_of({"cmd": "rm -rf ~", "command": "ls"}) is None
        True
    """
    found = [key for key in COMMANDS if key in args]
    return found[0] if len(found) == 1 and isinstance(args[found[0]], str) else None


def _pairs(args: JsonObject) -> str:
    """Render arguments as `name=value`, as many as fit a line."""
    pairs: list[str] = []
    for name, value in args.items():
        pairs.append(f"{name}={_dump(value, _SHORT, '…')}")
        if len(pairs) > _SHORT // 2:
            break
    return ", ".join(pairs)


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
    said = [] if decision is None else [_allowed(decision)]
    if result is None:
        mark = dot("off" if state else "wait", state or "Running")
        said += [state] if state else []
    elif result.denied:
        mark = dot("bad", "")
        said.append("Denied")
    elif result.error is not None:
        mark = dot("bad", "")
        said.append("Failed" if raised is None else f"Failed: {raised.error_type}")
    else:
        mark = dot("ok", "Done")
    if wait is not None:
        said.append(seconds(wait))
    args = call.args if decision is None or decision.edited is None else decision.edited
    right = f'<span class="agy-dim agy-facts">{escape(" · ".join(said))}</span>'
    return f"{mark} {headline(call.name, args, call.server, differing)} {right}"


def dot(kind: str, words: str) -> str:
    """Render a state as a coloured dot, with words for those who do not see it."""
    unseen = f'<span class="agy-unseen">{escape(words)}</span>'
    return f'<span class="agy-dot agy-dot-{kind}">{unseen}</span>'


def _allowed(event: Approval) -> str:
    if event.edited is not None:
        return _edited_by(event)
    return "Allowed by you" if _by_user(event) else "Allowed"


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
            found.append(plain(_decided(decision)))
        found += [_arguments(call.args)] if call.args else []
    if result is not None and result.error is not None:
        title = "Denied" if result.denied else "Error"
        found.append(_section(title, _block(clip(result.error))))
        if raised is not None and raised.traceback:
            found.append(_section("Traceback", _block(clip(raised.traceback))))
    elif result is not None and result.result is not None:
        value = result.result
        language = "" if isinstance(value, str) else "json"
        found.append(_section("Result", _block(_json(value), language)))
    return "".join(found)


def _arguments(args: JsonObject) -> str:
    """Render a command as a command, an edit as a diff, and all other arguments as JSON."""
    is_short = _dump(args, LONGEST, "…")[-1:] != "…"
    if is_short and (command_of(args) is not None or any(old in args for old, _ in _OLD_AND_NEW)):
        return call_details(args)
    return _section("Arguments", _block(_json(args), "json"))


def _section(title: str, inside: str) -> str:
    return f'<div class="agy-label">{title}</div>{inside}'


# -- approvals -------------------------------------------------------------------------------------


def is_shown(args: JsonObject) -> bool:
    """Return whether a card shows the whole call."""
    return _dump(args, LONGEST_CALL, "…")[-1:] != "…"


def call_details(args: JsonObject) -> str:
    """Render a tool call for approval: the command or the diff, and every other argument.

    Hidden characters are shown by name, and nothing is left out of a call that `is_shown`.
    """
    if not args:
        return "<p>This call has no arguments.</p>"
    if not is_shown(args):
        return _beginning(args)
    command = command_of(args)
    if command is not None:
        return _command(str(args[command])) + _others(args, command)
    changes = [
        (old, new)
        for old, new in _OLD_AND_NEW
        if isinstance(args.get(old), str) and isinstance(args.get(new), str)
    ]
    if len(changes) == 1:
        ((old, new),) = changes
        if change := _diff(str(args[old]), str(args[new])):
            return _block(revealed(change, exact=True), "diff") + _others(args, old, new)
    return _call_block(args)


def _beginning(args: JsonObject) -> str:
    clipped = _dump(args, LONGEST, "\n…")
    words = (
        f"This call is longer than {LONGEST_CALL:,} characters, too long to show in full. "
        "You can only deny it here. It begins:"
    )
    return f"<p><strong>{words}</strong></p>{_block(revealed(clipped, exact=True))}"


def _command(command: str) -> str:
    prompt = '<span class="agyc-f">$ </span>'
    return _block(revealed(command, exact=True), "bash", prompt)


def _call_block(args: JsonObject) -> str:
    return _block(revealed(_ENCODER.encode(args), exact=True), "json")


def _others(args: JsonObject, *shown: str) -> str:
    rest = {name: value for name, value in args.items() if name not in shown}
    return _section("Other arguments", _call_block(rest)) if rest else ""


def _diff(old: str, new: str) -> str:
    """Compute a diff that contains every line; empty if the texts are equal or too long.

    Only a line feed ends a line here, so a change of other line ends is visible. Spaces at the end
    of a line are shown as dots.
    """
    before, after = old.split("\n"), new.split("\n")
    if old == new or max(len(before), len(after)) > _MOST_LINES:
        return ""
    count = len(before) + len(after)
    lines = difflib.unified_diff(_dotted(before), _dotted(after), n=count, lineterm="")
    return "\n".join(list(lines)[3:])


def _dotted(lines: list[str]) -> list[str]:
    return [line.rstrip(" ") + "·" * (len(line) - len(line.rstrip(" "))) for line in lines]


def approval(event: Approval) -> str:
    """Render the head of an approval."""
    line = headline(event.tool, event.edited or event.args, event.server)
    if event.state is ApprovalState.PENDING:
        return f"{badge('wait', 'Needs approval')} {line}"
    kind, words = _APPROVED[event.state]
    took = f' <span class="agy-dim">after {seconds(event.wait)}</span>' if event.wait else ""
    edited = "" if event.edited is None else " " + badge("wait", _edited_by(event))
    return f"{badge(kind, words)}{edited} {line}{took}"


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
    decided = f'<div class="agy-plain">{escape(clip(_decided(event)))}</div>'
    if event.edited is None:
        return decided + call_details(event.args)
    return (
        decided
        + _section(f"{_edited_by(event)}, and run", call_details(event.edited))
        + _section("Original call", call_details(event.args))
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


def _decided(event: Approval) -> str:
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


# -- questions -------------------------------------------------------------------------------------


def question(event: Question) -> str:
    """Render the model's questions and their answers."""
    if event.answers is None:
        return "".join(question_text(asked) for asked in event.questions)
    pairs = zip(event.questions, event.answers, strict=False)
    return "".join(
        question_text(asked)
        + f'<div class="agy-plain agy-answer">{escape(_answer(asked, answer))}</div>'
        for asked, answer in pairs
    )


def question_text(asked: AskedQuestion) -> str:
    """Render the text of a question, which is Markdown."""
    return render(clip(asked.question))


def _answer(asked: AskedQuestion, answer: Answer) -> str:
    if answer.skipped:
        return "Skipped"
    texts = {option.id: option.text for option in asked.options}
    said = [texts.get(chosen, chosen) for chosen in answer.selected]
    return ", ".join([*said, *([answer.text] if answer.text else [])]) or "Skipped"


def output(value: object) -> str:
    """Render the structured output of an agent with a `response_schema`."""
    return _block(_dump(value, LONGEST, "\n… more not shown"), "json")


def stopped(event: TrajectoryState) -> str:
    """Describe why an agent stopped before it was done."""
    reason = str(event.stop_reason).replace("_", " ").lower()
    return escape(f"Stopped: {reason}. {event.message}".strip())


# -- turns -----------------------------------------------------------------------------------------


def tokens(usage: TokenUsage | None) -> str:
    """Format token counts; empty if there are none."""
    if usage is None:
        return ""
    total = usage.total_tokens if usage.total_tokens is not None else 0
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (usage.input_tokens, "in"),
            (usage.cache_read_tokens, "cached"),
            (usage.output_tokens, "out"),
            (usage.reasoning_tokens, "thinking"),
        )
        if count
    ]
    return f"{total:,} tokens" + (f" ({' · '.join(parts)})" if parts else "")


def status(state: TurnState, usage: TokenUsage | None, waits_for: str = "") -> str:
    """Format the state of a running turn.

    Args:
        state: The turn's state.
        usage: The tokens used so far.
        waits_for: Replaces the state while the turn waits for the user; else empty.
    """
    return " · ".join(filter(None, (waits_for or _TURNS[state][1], tokens(usage))))


def waits(event: Waiting) -> str:
    """Format until when a turn waits, in local time."""
    moment = datetime.fromtimestamp(event.until).astimezone()
    day = moment.strftime(" on %Y-%m-%d") if event.seconds > _A_DAY_S else ""
    return f"Waiting for the model's quota until {moment:%H:%M:%S}{day}"


def footer(state: TurnState, usage: TokenUsage | None, took: float | None, cost: str = "") -> str:
    """Render the state, tokens, cost and duration of a turn."""
    kind, words = _TURNS[state]
    facts = " · ".join(fact for fact in (tokens(usage), cost, seconds(took)) if fact)
    if kind == "ok":
        return escape(" · ".join(filter(None, (words, facts))))
    return f"{badge(kind, words)} {escape(facts)}"


def error(kind: str, message: str) -> str:
    """Render an error."""
    return f'<strong>{escape(kind)}</strong> <span class="agy-plain">{escape(clip(message))}</span>'


def retries(words: str, latest: ErrorInfo) -> str:
    """Render the head of the failed tries of a model call.

    Args:
        words: The number of tries.
        latest: The error of the latest try.
    """
    why = f"HTTP {latest.http_code}" if latest.http_code else latest.type
    return escape(f"{words}: {why}")
