"""The HTML of tool calls, approvals, questions, errors and footers. Pure functions of data."""

from __future__ import annotations

import difflib
import json
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
    JsonObject,
    MediaPart,
    Prompt,
    SlashCommandPart,
    TextPart,
    TokenUsage,
)
from agy_nb.terminal import revealed
from agy_nb.widgets.markdown.markup import escape, highlight

LONGEST = 10_000
"""Characters of an argument, a result or an error that a card shows."""

LONGEST_CALL = 200_000
"""Characters of a call, as JSON, that an approval shows; a longer call can only be denied."""

NO = "the user said no"
"""The reason of a denial for which the user gave none."""

_MOST_LINES = 1_000
"""Lines of a text that is compared with another, which takes the square of their number."""

_SHORT = 80
COMMANDS = ("CommandLine", "command_line", "command", "cmd")
"""Names of the argument that holds a command line."""

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
    """Text, cut where it is too long for a card, which is said."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} more characters"


_ENCODER = json.JSONEncoder(indent=2, ensure_ascii=False, default=str)


def _json(value: object) -> str:
    """JSON of a value, of which no more is made than a card shows."""
    if isinstance(value, str):
        return clip(value)
    return _written(value, LONGEST, "\n… more not shown")


def _written(value: object, longest: int, more: str) -> str:
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
    """A state, as a word with a colour: `kind` is ok, bad, wait or off."""
    return f'<span class="agy-badge agy-badge-{kind}">{escape(words)}</span>'


def seconds(value: float | None) -> str:
    """A duration as people write it, empty when unknown.

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
    """Text as it is, with its lines."""
    return f'<div class="agy-plain">{escape(clip(text))}</div>'


def text_of(content: Prompt) -> str:
    """The words of a prompt, without what is attached."""
    return "\n".join(part.text for part in content if isinstance(part, TextPart))


def prompt(content: Prompt, kind: TurnKind = "prompt") -> str:
    """What began a turn: the words of the user or of a trigger, or the harness by itself."""
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


def headline(name: str, args: JsonObject, server: str | None = None) -> str:
    """A call in one line: the tool, and the argument that says most."""
    telling = command_of(args)
    if telling is None and not any(key in args for key in COMMANDS):
        telling = next((key for key in _PATHS if isinstance(args.get(key), str)), None)
    words = _pairs(args) if telling is None else str(args[telling])
    line = " ".join(words[: 2 * LONGEST].split())
    short = line if len(line) <= _SHORT else f"{line[:_SHORT]}…"
    full = f"{server} · {name}" if server else name
    shown, said = (escape(revealed(each, exact=True)) for each in (full, short))
    return f"<code>{shown}</code> <span class='agy-dim'>{said}</span>"


def command_of(args: JsonObject) -> str | None:
    """Name of the argument that has the command line, None where there is none, or more than one.

    Example:
        >>> command_of({"CommandLine": "ls", "Cwd": "/tmp"})
        'CommandLine'
        >>> command_of({"cmd": "rm -rf ~", "command": "ls"}) is None
        True
    """
    found = [key for key in COMMANDS if key in args]
    return found[0] if len(found) == 1 and isinstance(args[found[0]], str) else None


def _pairs(args: JsonObject) -> str:
    """Arguments as `name=value`, as many as a line can show."""
    pairs: list[str] = []
    for name, value in args.items():
        pairs.append(f"{name}={_written(value, _SHORT, '…')}")
        if len(pairs) > _SHORT // 2:
            break
    return ", ".join(pairs)


def tool(
    call: ToolCall,
    result: ToolResult | None,
    state: str = "",
    wait: float | None = None,
    raised: ToolException | None = None,
) -> str:
    """The line of a tool call that is always seen.

    Args:
        call: The call.
        result: Its result, None while there is none.
        state: What became of it where there is no result, e.g. "cancelled".
        wait: Seconds that it took, None when unknown.
        raised: What the tool raised, None if nothing is known of it.
    """
    if result is None:
        mark = badge("off" if state else "wait", state or "Running")
    elif result.denied:
        mark = badge("bad", "Denied")
    elif result.error is not None:
        mark = badge("bad", "Failed" if raised is None else f"Failed: {raised.error_type}")
    else:
        mark = badge("ok", "Done")
    took = f'<span class="agy-dim">{seconds(wait)}</span>' if wait is not None else ""
    return f"{mark} {headline(call.name, call.args, call.server)} {took}"


def tool_body(
    call: ToolCall, result: ToolResult | None, raised: ToolException | None = None
) -> str:
    """Arguments, result and error of a tool call, with the traceback where there is one."""
    found = [_section("Arguments", _block(_json(call.args), "json"))] if call.args else []
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


def _section(title: str, inside: str) -> str:
    return f'<div class="agy-label">{title}</div>{inside}'


# -- approvals -------------------------------------------------------------------------------------


def is_shown(args: JsonObject) -> bool:
    """Whether the card of a call shows all of it."""
    return _written(args, LONGEST_CALL, "…")[-1:] != "…"


def about_to_run(args: JsonObject) -> str:
    """All that a tool call would do: the command or the change, and every other argument.

    Every invisible character is shown, and nothing is left out of a call that `is_shown`.
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
    clipped = _written(args, LONGEST, "\n…")
    words = (
        f"This call is longer than {LONGEST_CALL:,} characters, too long to show in full. "
        "You can only deny it here. It begins:"
    )
    return f"<p><strong>{words}</strong></p>{_block(revealed(clipped, exact=True))}"


def _command(command: str) -> str:
    prompt = '<span class="agyc-gp">$ </span>'
    return _block(revealed(command, exact=True), "bash", prompt)


def _call_block(args: JsonObject) -> str:
    return _block(revealed(_ENCODER.encode(args), exact=True), "json")


def _others(args: JsonObject, *shown: str) -> str:
    rest = {name: value for name, value in args.items() if name not in shown}
    return _section("Other arguments", _call_block(rest)) if rest else ""


def _diff(old: str, new: str) -> str:
    """Two texts as one, with every line of both; empty where that would say too little.

    Lines end at a line feed only: other line ends are characters like any other here, so that
    a change of them is one. Blanks at the end of a line are dots.
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
    """The line of an approval that is always seen."""
    line = headline(event.tool, event.edited or event.args, event.server)
    if event.state is ApprovalState.PENDING:
        return f"{badge('wait', 'Needs approval')} {line}"
    kind, words = _APPROVED[event.state]
    took = f' <span class="agy-dim">after {seconds(event.wait)}</span>' if event.wait else ""
    edited = "" if event.edited is None else " " + badge("wait", _edited_by(event))
    return f"{badge(kind, words)}{edited} {line}{took}"


def _by_hand(event: Approval) -> bool:
    return event.decided_by.startswith(("a click", "typed"))


def _edited_by(event: Approval) -> str:
    """Who changed the arguments: the user, where it was a click or a key."""
    return "Edited by you" if _by_hand(event) else "Edited"


def approval_body(event: Approval) -> str:
    """What would run, why it is asked for, and how it was decided."""
    if event.state is ApprovalState.PENDING:
        why = f"<p>{escape(event.reason)}</p>" if event.reason else ""
        return why + about_to_run(event.args)
    decided = f'<div class="agy-plain">{escape(clip(_decided(event)))}</div>'
    if event.edited is None:
        return decided + about_to_run(event.args)
    return (
        decided
        + _section(f"{_edited_by(event)}, and run", about_to_run(event.edited))
        + _section("Original call", about_to_run(event.args))
    )


_ALLOWED_BY_HAND = {
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
    """Who decided, and why, in a sentence."""
    allowed = event.state is ApprovalState.ALLOWED
    why = f": {event.reason}" if event.reason and event.reason != NO else "."
    if _by_hand(event) and allowed:
        return _ALLOWED_BY_HAND.get(event.decided_by.partition(": ")[2], "You allowed it.")
    if _by_hand(event):
        return f"You denied it{why}"
    if event.decided_by in ("", "default", "error"):
        return event.reason or ("Allowed." if allowed else "Denied.")
    who = _DECIDERS.get(event.decided_by, event.decided_by)
    return f"{who} {'allowed' if allowed else 'denied'} it{why}"


# -- questions -------------------------------------------------------------------------------------


def question(event: Question) -> str:
    """What the model asks, and what was answered once it was."""
    if event.answers is None:
        return "".join(
            f'<div class="agy-plain">{escape(clip(asked.question))}</div>'
            for asked in event.questions
        )
    pairs = zip(event.questions, event.answers, strict=False)
    return "".join(
        f'<div class="agy-plain">{escape(clip(asked.question))}</div>'
        f'<div class="agy-plain agy-answer">{escape(_answer(asked, answer))}</div>'
        for asked, answer in pairs
    )


def _answer(asked: AskedQuestion, answer: Answer) -> str:
    if answer.skipped:
        return "Skipped"
    texts = {option.id: option.text for option in asked.options}
    said = [texts.get(chosen, chosen) for chosen in answer.selected]
    return ", ".join([*said, *([answer.text] if answer.text else [])]) or "Skipped"


def output(value: object) -> str:
    """The value that an agent with a `response_schema` has finished with."""
    return _block(_written(value, LONGEST, "\n… more not shown"), "json")


def stopped(event: TrajectoryState) -> str:
    """Why an agent came to rest before it was done."""
    reason = str(event.stop_reason).replace("_", " ").lower()
    return escape(f"Stopped: {reason}. {event.message}".strip())


# -- turns -----------------------------------------------------------------------------------------


def tokens(usage: TokenUsage | None) -> str:
    """Tokens in words, empty when nothing was metered."""
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
    """How a turn that runs stands, in words.

    Args:
        state: Its state.
        usage: What it has used.
        waits_for: What the user is to do, empty where the turn does not wait for that.
    """
    return " · ".join(filter(None, (waits_for or _TURNS[state][1], tokens(usage))))


def waits(event: Waiting) -> str:
    """Until when a turn sends nothing, by this machine's clock."""
    moment = datetime.fromtimestamp(event.until).astimezone()
    day = moment.strftime(" on %Y-%m-%d") if event.seconds > _A_DAY_S else ""
    return f"Waiting for the model's quota until {moment:%H:%M:%S}{day}"


def footer(state: TurnState, usage: TokenUsage | None, took: float | None, cost: str = "") -> str:
    """How a turn stands: its state, tokens, cost and time."""
    kind, words = _TURNS[state]
    facts = [fact for fact in (tokens(usage), cost, seconds(took)) if fact]
    said = "".join(f'<span class="agy-fact">{escape(fact)}</span>' for fact in facts)
    return badge(kind, words) + said


def error(kind: str, message: str) -> str:
    """What went wrong, in its own words."""
    return f'<strong>{escape(kind)}</strong> <span class="agy-plain">{escape(clip(message))}</span>'
