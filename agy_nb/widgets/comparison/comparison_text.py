"""A comparison as Markdown and as text, for notebooks without HTML and for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agy_nb.experiments.progress import Progress
from agy_nb.experiments.results import RunResult, calls_text
from agy_nb.widgets.comparison.answer_cards import facts
from agy_nb.widgets.markdown.source import fenced, quoted, safe_source
from agy_nb.widgets.response.html_values import clip


def markdown(progress: Progress, rows: Iterable[Sequence[RunResult]]) -> str:
    """Return the answers as Markdown.

    Args:
        progress: How far the comparison is.
        rows: The runs of all variants, for each prompt and repetition.
    """
    parts = [f"**Comparison:** {progress.text}"]
    for runs in rows:
        parts.append(safe_source(quoted(runs[0].prompt)))
        for run in runs:
            state = "" if run.ok else f" ({run.status})"
            parts.append(f"**{safe_source(run.variant)}**{state} {facts(run)}")
            parts += [safe_source(clip(run.answer))] if run.answer else []
            parts += [fenced(calls_text(run.calls))] if run.calls else []
            parts += [fenced(run.error)] if run.error else []
    return "\n\n".join(parts)


def text(progress: Progress, rows: Iterable[Sequence[RunResult]]) -> str:
    """Return the answers as text for a terminal.

    Args:
        progress: As for `markdown`.
        rows: As for `markdown`.
    """
    lines = [f"Comparison: {progress.text}"]
    for runs in rows:
        lines += ["", quoted(runs[0].prompt)]
        for run in runs:
            words = run.answer if run.ok else f"[{run.status}] {run.error}"
            lines.append(f"{run.variant}: {clip(words or '')}")
            lines += [f"  {line}" for line in (*calls_text(run.calls).splitlines(), facts(run))]
    return "\n".join(line.rstrip() for line in lines)
