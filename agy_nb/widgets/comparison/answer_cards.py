"""The parts of a comparison's page as HTML: progress, sums by variant, and answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.metrics.turn_cost import dollars
from agy_nb.experiments.progress import Progress
from agy_nb.experiments.results import NOT_RUN, RUNNING, WAITING, RunResult, calls_text
from agy_nb.protocol.amounts import counted, tokens_text
from agy_nb.widgets.comparison.word_diff import marked
from agy_nb.widgets.markdown.markup import escape, render
from agy_nb.widgets.response.html_values import clip

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_OPEN = 600
"""Characters of an answer that is not folded."""
_LONGEST_HEAD = 80
_MOST_CALLS = 20


def progress_bar(progress: Progress, problems: Sequence[str]) -> str:
    """Render how far the comparison is.

    Args:
        progress: How far it is.
        problems: What could not be read or written.
    """
    notes = [*([progress.stopped] if progress.stopped else []), *problems]
    lines = "".join(f'<p class="agy-error">{escape(note)}</p>' for note in notes)
    over = progress.n_done == progress.n_runs or (progress.stopped and not progress.n_running)
    bar = (
        ""
        if over
        else f'<progress class="agy-progress" max="{progress.n_runs}" value="{progress.n_done}" '
        'aria-label="Finished runs"></progress> '
    )
    return f'<div role="status">{bar}{escape(progress.text)}</div>{lines}'


def controls(*, differences: bool) -> str:
    """Render the buttons of the page.

    Args:
        differences: Whether differences are marked.
    """
    pressed = str(differences).lower()
    return (
        f'<div class="agy-row"><button type="button" class="agy-button" aria-pressed="{pressed}" '
        'data-agy-act="differences">Mark differences</button></div>'
    )


NO_TURN = "the branch has no turn here"
"""Reason of a run without a result that stands for the end of a branch."""


def legend(first: str) -> str:
    """Explain the marks of differences.

    Args:
        first: Name of the variant that the others are compared with.
    """
    return (
        f'<p class="agy-dim">Compared with {escape(first)}: <ins>new words</ins>, '
        "<del>missing words</del></p>"
    )


_SUMS = (
    ("n_ok", "OK", "{:,.0f}"),
    ("n_errors", "Failed", "{:,.0f}"),
    ("n_not_run", "Not run", "{:,.0f}"),
    ("tokens", "Tokens", "{:,.0f}"),
    ("n_tool_calls", "Tool calls", "{:,.3g}"),
    ("duration", "Seconds", "{:,.3g}"),
    ("ttft", "First piece", "{:,.3g}"),
)


def sums(table: pd.DataFrame) -> str:
    """Render the sums by variant.

    Args:
        table: From `Comparison.summary`.
    """
    heads = "".join(f'<th scope="col" class="agy-r">{title}</th>' for _, title, _ in _SUMS)
    rows = "".join(_sum_row(row) for row in table.to_dict("records"))
    return (
        '<table class="agy-usage-table" tabindex="0"><caption class="agy-dim">Means per run, with '
        'half of a 95% interval</caption><thead><tr><th scope="col">Variant</th>'
        f'{heads}<th scope="col" class="agy-r">Total cost</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _sum_row(row: dict[Any, Any]) -> str:
    cells = [f"<td>{_figure(row, name, form)}</td>" for name, _, form in _SUMS]
    usd = None if _na(row["cost_usd"]) else row["cost_usd"]
    cost = _cost(usd, is_lower_bound=bool(row["cost_is_lower_bound"]))
    name = escape(str(row["variant"]))
    return f'<tr><th scope="row">{name}</th>{"".join(cells)}<td>{cost or "-"}</td></tr>'


def _figure(row: dict[Any, Any], name: str, form: str) -> str:
    if name in row:
        return form.format(row[name])
    mean, high = row[f"{name}_mean"], row[f"{name}_high"]
    if _na(mean):
        return "-"
    side = "" if _na(high) else f" ± {form.replace('3g', '2g').format(high - mean)}"
    return f"{form.format(mean)}{side}"


def _na(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def prompt_head(text: str, repeat: int | None) -> str:
    """Render a prompt as the head of its answers.

    Args:
        text: The prompt.
        repeat: Number of the repetition; None if there is one.
    """
    line = " ".join(text.split())
    cut = f"{line[:_LONGEST_HEAD]}…" if len(line) > _LONGEST_HEAD else line
    again = "" if repeat is None else f' <span class="agy-dim">repeat {repeat}</span>'
    return f"<strong>{escape(cut)}</strong>{again}"


def answers(runs: Sequence[RunResult], *, differences: bool) -> str:
    """Render the answers of all variants. Prompts that differ are part of the cards.

    Args:
        runs: Their runs; the first one is compared with the others.
        differences: Whether to mark differences from the first prompt and the first answer.
    """
    whole, prompt = "", runs[0].prompt
    shows_prompts = not same_prompt(runs)
    if not shows_prompts and len(" ".join(prompt.split())) > _LONGEST_HEAD:
        whole = f'<p class="agy-plain">{escape(clip(prompt))}</p>'
    first = runs[0] if differences else None
    cards = "".join(
        _card(
            run,
            first if run is not runs[0] else None,
            differences=differences,
            shows_prompt=shows_prompts,
        )
        for run in runs
    )
    return f'{whole}<div class="agy-variants">{cards}</div>'


def same_prompt(runs: Sequence[RunResult]) -> bool:
    """Return whether all runs have the same prompt."""
    return len({run.prompt for run in runs}) == 1


def _card(run: RunResult, first: RunResult | None, *, differences: bool, shows_prompt: bool) -> str:
    name = escape(run.variant)
    compared = None if first is None else first.answer
    prompt = _prompt(run, first) if shows_prompt and run.error != NO_TURN else ""
    return (
        f'<section class="agy-variant" aria-label="{name}"><div class="agy-variant-head">'
        f"<strong>{name}</strong>{_status(run)}</div>{prompt}"
        f"{_answer(run, compared, differences=differences)}"
        f'{_calls(run)}<div class="agy-dim">{_facts(run)}</div>{_error(run)}</section>'
    )


def _prompt(run: RunResult, first: RunResult | None) -> str:
    text = clip(run.prompt)
    found = None if first is None else marked(clip(first.prompt), text)
    return f'<div class="agy-asked agy-plain">{found or escape(text)}</div>'


def _status(run: RunResult) -> str:
    return (
        ""
        if run.ok or run.status == NOT_RUN
        else f' <span class="agy-dim">{escape(run.status)}</span>'
    )


def _answer(run: RunResult, first: str | None, *, differences: bool) -> str:
    answer = run.answer or ""
    if not answer:
        return "" if run.answer is None else '<p class="agy-dim">No text</p>'
    text = clip(answer)
    note = ""
    if not differences:
        body = render(text)
    else:
        found = None if first is None else marked(clip(first), text)
        body = f'<div class="agy-plain">{found or escape(text)}</div>'
        if first is not None and found is None:
            same = first.split() == answer.split()
            words = "Same as the first answer" if same else "Differs in most words"
            note = f'<div class="agy-dim">{words}</div>'
    if len(text) <= _LONGEST_OPEN:
        return body + note
    size = counted(len(answer.split()), "word")
    shown = ' <span class="agy-dim">with differences</span>' if "<ins>" in body else ""
    start = " ".join(text[:_LONGEST_HEAD].split())
    return (
        f'<details class="agy-long"><summary>{escape(start)}… <span class="agy-dim">{size}</span>'
        f"{shown}</summary>{body}</details>{note}"
    )


def _calls(run: RunResult) -> str:
    if not run.calls:
        return ""
    items = "".join(
        f"<li><code>{escape(clip(calls_text([call])))}</code>"
        f"{'' if call.status in ('ok', None) else f' ({escape(str(call.status))})'}</li>"
        for call in run.calls[:_MOST_CALLS]
    )
    more = len(run.calls) - _MOST_CALLS
    rest = f'<li class="agy-dim">{counted(more, "more call")}</li>' if more > 0 else ""
    return f'<ul class="agy-calls" aria-label="Tool calls">{items}{rest}</ul>'


def _facts(run: RunResult) -> str:
    return escape(facts(run))


def facts(run: RunResult) -> str:
    """Return tokens, cost and latency of a run as one line of text."""
    if run.answer is None:
        return ""
    parts = [
        tokens_text(run.tokens),
        _cost(run.cost_usd, is_lower_bound=run.cost_is_lower_bound),
        "" if run.duration is None else f"{run.duration:.2f} s",
        "" if run.ttft is None else f"first piece after {run.ttft:.2f} s",
        "from the folder" if run.from_folder else "",
    ]
    return " · ".join(part for part in parts if part)


def _cost(usd: float | None, *, is_lower_bound: bool) -> str:
    if usd is None:
        return "cost unknown" if is_lower_bound else ""
    return f"{'at least ' if is_lower_bound else ''}{dollars(usd)}"


def _error(run: RunResult) -> str:
    if not run.error:
        return ""
    if run.status != NOT_RUN:
        return f'<p class="agy-error">{escape(clip(run.error))}</p>'
    known = {RUNNING: "Running…", WAITING: "Waiting…", NO_TURN: "This branch ends earlier."}
    words = known.get(run.error, f"Not run: {run.error}")
    return f'<p class="agy-dim">{escape(clip(words))}</p>'
