"""The schema as a page: `python -m agy_nb.analysis.reference > docs/tables.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from agy_nb.analysis.metrics.summary import COMPARISON, TOOL_FIGURES, TURN_FIGURES
from agy_nb.analysis.schema import DTYPES, TABLES, TOOL_USAGE, USAGE, USAGE_KEYS, Column

_INTRODUCTION = """\
# Tables

`agent.tables` and `rt.tables` hold what an agent or a runtime did so far; `agy.load("cassettes/")`
reads recorded sessions. All give the same tables, as DataFrames with these columns and types. An
empty table has them too. Unknown is `<NA>`, never 0; times are UTC; `session_id`, `agent_id`,
`turn_id` and `trajectory_id` join the tables.

```python
import agy_nb as agy

sessions = agy.load("cassettes/")
sessions.usage(by="model")
sessions.summary(by=["day", "model"])
sessions.turns.merge(sessions.agents, on=["session_id", "agent_id"])
```

Tokens are counted by `model_calls`, one row a call that the harness metered. Calls that fail or are
cut off report no tokens, so that sums are lower bounds; `n_unmetered_calls` and
`tokens_are_lower_bound` say so. What was said is not in the tables but its length;
`agy.load(..., text=True)` adds it, and `chunks=True` a row for each piece.

## Plots

`plot_usage()`, `plot_latency()`, `plot_context()` and `plot_timeline()` draw with Matplotlib and
give its axes back; `backend="plotly"` gives a figure to zoom and to point at. A
timeline is that of the longest turn, or of `plot_timeline(turn_id, session_id=...)`. `ax=` draws
on axes of yours; `layout="constrained"` gives their figure room for the legends beside them.

## Out

`to_parquet("out/")` writes each table as a data set that is split by the UTC day of its rows;
pandas, DuckDB, Polars, Spark and Dask read one as a table, with the day as the column `utc_day`.
Parquet has no durations: a reader that knows nothing of Arrow, as DuckDB, sees whole microseconds.
`to_arrow("turns")` is taken by Polars and DuckDB as it is. `to_csv("out/")` has durations in
seconds (`..._s`) and no formulas.

```python
import duckdb

sessions.to_parquet("out/")
duckdb.sql(
    "select utc_day, sum(total_tokens) from read_parquet('out/model_calls/**/*.parquet',"
    " hive_partitioning = true) group by 1"
)
```

`to_otel(exporter)` sends each turn that is over as a trace of OpenTelemetry's spans for generative
AI: `invoke_agent` for the turn and its subagents, `chat` for each model call with
`gen_ai.usage.*`, `execute_tool` for each tool call. Tokens are on `chat` alone, so that no sum
counts them twice; when a model call began is inferred (`agy.start_is_inferred`). Ids are the same
in every export. Arguments of tools go along only with `arguments=True`.

```python
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

sessions.to_otel(OTLPSpanExporter())
```

## Conversations of the harness

What the harness itself keeps is read, too, where no recording was made; load one of the two.

- `agy.load(app_data_dir)` reads the transcripts below `brain/`, one session a conversation, its
  subagents as trajectories: prompts, answers, tool calls, and the tokens of each model call, whose
  sums are those of a recording. Not told, and `<NA>`: the model (and so the cost), thought tokens,
  how a turn ended, approvals by policies, which agent process it was, and all durations, as times
  are whole seconds. A call that was cut off and a prompt without an answer count as unmetered.
- `agy.load(save_dir)` reads the databases `{conversation_id}.db`: the number and kind of steps, and
  so of turns. All else is in blobs whose messages are not published; `problems` says so. One whose
  transcript is loaded with it is left.

## Many recordings

`agy.load("runs/", engine="dask")` reads on many cores or machines, wherever the
`dask.distributed.Client` of the moment has its workers; they must see the files by the same names.
`usage()` and `to_parquet()` are worked out there, `sessions.dask("steps")` is a Dask DataFrame of
any table, and `sessions.steps` brings the whole of one here.

This page is written by `python -m agy_nb.analysis.reference`.
"""


def markdown() -> str:
    """The page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    for table in TABLES.values():
        key = ", ".join(f"`{name}`" for name in table.key)
        yield from (f"## {table.name}", "", f"One row is {table.grain}. Key: {key}.", "")
        yield from _columns(table.columns)
    yield from ("## usage", "", "`tables.usage(by=...)`: sums of `model_calls`. Keys:", "")
    for by, columns in USAGE_KEYS.items():
        yield f"- `{by}`: " + ", ".join(f"`{column.name}`" for column in columns)
    yield ""
    yield from _columns(USAGE)
    yield from ('With `by="tool"`, an attribution and not a measurement:', "")
    yield from _columns(TOOL_USAGE)
    yield from ("## summary", "", "`tables.summary(by=[...])`:", "")
    yield from _columns(TURN_FIGURES)
    yield from ('With `"tool"` among `by`:', "")
    yield from _columns(TOOL_FIGURES)
    yield from ("## compare", "", "`agy_nb.analysis.compare(a, b)`:", "")
    yield from _columns(COMPARISON)


def _columns(columns: Iterable[Column]) -> Iterator[str]:
    yield "| column | type | meaning |"
    yield "| --- | --- | --- |"
    for column in columns:
        notes = column.meaning.replace("|", "\\|")
        if column.unit:
            notes += f" ({column.unit})"
        if column.words:
            notes += ": " + ", ".join(f"`{word}`" for word in column.words)
        if column.source:
            notes += {"events": "; live only", "wire": "; recordings only"}[column.source]
        yield f"| `{column.name}` | {DTYPES[column.kind]} | {notes} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(markdown())
