"""Render prompts, questions, errors and the end of a turn as HTML."""

from __future__ import annotations

from datetime import datetime

from agy_nb.protocol.amounts import counted, tokens_text
from agy_nb.protocol.events import Question, TrajectoryState, TurnKind, TurnState, Waiting
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    ErrorInfo,
    MediaPart,
    Prompt,
    SlashCommandPart,
    TextPart,
    TokenUsage,
)
from agy_nb.widgets.markdown.markup import escape, render
from agy_nb.widgets.response.html_values import LONGEST, badge, block, clip, dump, plain, seconds

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
        words = f"{part.kind}, {part.mime_type}, {counted(len(part.data), 'byte')}"
        return badge("off", f"{words}: {part.description}" if part.description else words)
    return badge("off", f"/{part.name}")


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
    return block(dump(value, LONGEST, "\n… more not shown"), "json")


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
    return tokens_text(total) + (f" ({' · '.join(parts)})" if parts else "")


def status(state: TurnState, usage: TokenUsage | None, waits_for: str = "") -> str:
    """Format the state of a running turn.

    Args:
        state: The turn's state.
        usage: The tokens used so far.
        waits_for: Replaces the state while the turn waits for the user; else empty.
    """
    return " · ".join(filter(None, (waits_for or _TURNS[state][1], tokens(usage))))


STOPPED = "Stopped. The partial answer was kept."


def waits(event: Waiting) -> str:
    """Format until when a turn waits, in local time."""
    moment = datetime.fromtimestamp(event.until).astimezone()
    day = moment.strftime(" on %Y-%m-%d") if event.seconds > _A_DAY_S else ""
    return f"Waiting for the model's quota until {moment:%H:%M:%S}{day}"


def footer(state: TurnState, usage: TokenUsage | None, took: float | None, cost: str = "") -> str:
    """Render the state, tokens, cost and duration of a turn."""
    kind, words = _TURNS[state]
    if kind == "ok":
        return escape(footer_text(state, usage, took, cost))
    return f"{badge(kind, words)} {escape(_facts(usage, took, cost))}".rstrip()


def footer_text(
    state: TurnState, usage: TokenUsage | None, took: float | None, cost: str = ""
) -> str:
    """Format the state, tokens, cost and duration of a turn.

    Example:
        >>> footer_text(TurnState.DONE, None, 0.25)
        'Done · 0.25 s'
    """
    return " · ".join(filter(None, (_TURNS[state][1], _facts(usage, took, cost))))


def _facts(usage: TokenUsage | None, took: float | None, cost: str) -> str:
    return " · ".join(filter(None, (tokens(usage), cost, seconds(took))))


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
