"""Print what an agent did, one line a step, with the step that differs marked."""

from __future__ import annotations

from collections.abc import Iterator

from agy_nb.assertions.expected_calls import CallMismatch, call_text
from agy_nb.assertions.observation import Observation, Observed, ObservedCall
from agy_nb.protocol.amounts import counted

_MOST_TEXT = 200
_MOST_STEPS = 60


def trajectory_text(observation: Observation, mismatch: CallMismatch | None = None) -> str:
    """Return the steps as lines.

    Of more than 60 steps, those around the one that differs are printed.

    Args:
        observation: What the agent did.
        mismatch: The difference to mark.
    """
    marked = _step_of(observation, mismatch)
    lines = [
        ("> " if number == marked else "  ") + line
        for number, line in enumerate(map(_line, observation.steps))
    ]
    if marked is not None and mismatch is not None:
        notes = [f"  {' ' * 10}^ {detail}" for detail in mismatch.details]
        lines[marked] = "\n".join([lines[marked], *notes])
    if len(lines) > _MOST_STEPS:
        lines = list(_around(lines, marked or 0))
    return "\n".join(lines) or "  (nothing)"


def _step_of(observation: Observation, mismatch: CallMismatch | None) -> int | None:
    if mismatch is None or mismatch.index is None:
        return None
    calls = [n for n, step in enumerate(observation.steps) if isinstance(step, ObservedCall)]
    return calls[mismatch.index]


def _around(lines: list[str], marked: int) -> Iterator[str]:
    first = max(0, min(marked - _MOST_STEPS // 2, len(lines) - _MOST_STEPS))
    last = first + _MOST_STEPS
    if first:
        yield f"  ({counted(first, 'step')} before)"
    yield from lines[first:last]
    if last < len(lines):
        yield f"  ({counted(len(lines) - last, 'step')} after)"


def _line(step: Observed) -> str:
    indent = "  " if step.is_subagents else ""
    if isinstance(step, ObservedCall):
        facts = [fact for fact in (_approval(step), step.status or "") if fact and fact != "ok"]
        if step.error:
            facts.append(_short(step.error))
        end = f"  [{'; '.join(facts)}]" if facts else ""
        return f"{indent}call      {call_text(step.tool, step.args)}{end}"
    kind = "prompt" if step.role == "user" else "answer"
    text = "(its text is not known)" if step.text is None else repr(_short(step.text))
    return f"{indent}{kind:<10}{text}"


def _approval(call: ObservedCall) -> str:
    return {None: "", "allow": "approved", "edited": "approved with other arguments"}.get(
        call.decision, f"approval: {call.decision}"
    )


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."
