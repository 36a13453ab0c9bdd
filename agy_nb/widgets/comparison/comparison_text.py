"""A comparison as Markdown and as text, for notebooks without HTML and for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agy_nb.experiments.progress import Progress
from agy_nb.experiments.results import RunResult, calls_text
from agy_nb.widgets.comparison.answer_cards import NO_TURN, facts, same_prompt
from agy_nb.widgets.markdown.source import fenced, quoted, safe_source
from agy_nb.widgets.response.html_values import clip


def markdown(progress: Progress, rows: Iterable[Sequence[RunResult]]) -> str:
    """Return the answers as Markdown.

    Args:
        progress: How far the comparison is.
        rows: The runs of all variants, for each prompt and repetition.
    """
    return "\n\n".join([f"**Comparison:** {progress.text}", *markdown_rows(rows)])


def markdown_rows(rows: Iterable[Sequence[RunResult]]) -> Iterator[str]:
    """Yield the parts of rows of answers as Markdown.

    Args:
        rows: The runs that are side by side.
    """
    for runs in rows:
        together = same_prompt(runs)
        if together:
            yield safe_source(quoted(clip(runs[0].prompt)))
        for run in runs:
            state = "" if run.ok else f" ({run.error if run.error == NO_TURN else run.status})"
            yield f"**{safe_source(run.variant)}**{state} {facts(run)}".rstrip()
            if run.error == NO_TURN:
                continue
            if not together:
                yield safe_source(quoted(clip(run.prompt)))
            if run.answer:
                yield safe_source(clip(run.answer))
            if run.calls:
                yield fenced(calls_text(run.calls))
            if run.error:
                yield fenced(run.error)


def text(progress: Progress, rows: Iterable[Sequence[RunResult]]) -> str:
    """Return the answers as text for a terminal.

    Args:
        progress: As for `markdown`.
        rows: As for `markdown`.
    """
    lines = [f"Comparison: {progress.text}", *text_rows(rows)]
    return "\n".join(line.rstrip() for line in lines)


def text_rows(rows: Iterable[Sequence[RunResult]]) -> Iterator[str]:
    """Yield the lines of rows of answers.

    Args:
        rows: As for `markdown_rows`.
    """
    for runs in rows:
        together = same_prompt(runs)
        yield from ("", quoted(clip(runs[0].prompt))) if together else ("",)
        for run in runs:
            words = run.answer if run.ok else f"[{run.status}] {run.error}"
            if not together and run.error != NO_TURN:
                yield f"{run.variant} {quoted(clip(run.prompt))}"
            yield f"{run.variant}: {NO_TURN if run.error == NO_TURN else clip(words or '')}"
            yield from (f"  {line}" for line in (*calls_text(run.calls).splitlines(), facts(run)))
