"""The schema as a page: `python -m agy_nb.analysis.reference > docs/tables.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from agy_nb.analysis.metrics.compare import COMPARISON
from agy_nb.analysis.metrics.latency import LATENCY
from agy_nb.analysis.metrics.summary import TOOL_FIGURES, TURN_FIGURES
from agy_nb.analysis.metrics.usage_columns import TOOL_USAGE, USAGE, USAGE_KEYS
from agy_nb.analysis.schema import DTYPES, TABLES, Column

_INTRODUCTION = """\
# Tables

Read sessions as pandas DataFrames: turns, model calls with their cost, tool calls, approvals and
more.

```python
import agy_nb as agy

sessions = agy.load("cassettes/")
sessions.usage(by="model")
sessions.usage(by=["week", "model"], tz="Europe/Vienna")
sessions.filter(since="7d").usage(by="session")
sessions.with_labels({"plain_chat": {"user": "ada"}}).usage(by=["user", "day"])
sessions.summary(by=["day", "model"])
sessions.latency(by="model", since="7d")
sessions.turns.merge(sessions.agents, on=["session_id", "agent_id"])
```

`agy.load("cassettes/")` reads recorded sessions. `agent.tables` and `rt.tables` hold the session of
a live agent or runtime. All have the same tables, with the columns and types below, also if a
table is empty. An unknown value is `<NA>`, never 0. Times are UTC. `session_id`, `agent_id`,
`turn_id` and `trajectory_id` join the tables.

`model_calls` has one row per request to the model, also for a request that was refused, cut off or
answered without usage; see its column `status`. If a cassette has recorded HTTP requests
(`model.yaml`), the times, tokens, models and statuses are those of HTTP, also for requests that the
harness does not count, such as those of `generate_image`. `problems` has a row where the two
differ. Without HTTP requests, rows come from the frames between the SDK and the harness, and
`timing` is `wire`. `tokens_are_lower_bound` is true if tokens were used that no row has.

Tables have the lengths of texts. `agy.load(..., text=True)` adds the texts, and `chunks=True` adds
one row per streamed piece.

**Labels** name the user of a session, an experiment, or anything else.
`create_agent(labels={"user": "ada"})` labels an agent, live and in its recordings.
`use_cassette(labels=...)` and `agy-nb cassette label` label a recording, and
`sessions.with_labels(...)` labels loaded sessions from a table of yours. Each label is a column
of every table and a key of `usage`, `summary` and `latency`. A recording keeps labels after
redaction.

A row belongs to the period in which it happened: the tokens of a turn across midnight are on two
days, and the turn is on the day on which it began. Weeks begin on Monday.

`session_id` is permanent, and `session_name` is the path of a recording below the loaded folder. A
turn that several recordings hold counts once: in copies, in cassettes that were saved after each
turn, or in a cassette and the log of its harness. `problems` names these recordings, and
`agy.load(..., duplicates="keep")` counts each.

## Plots

`plot_usage()`, `plot_cost()`, `plot_latency()`, `plot_context()`, `plot_timeline()` and
`plot_branches()` draw with Matplotlib and return the axes. `backend="plotly"` returns an
interactive figure. `plot_usage()` and `plot_cost()` have bars over time: the period of a bar, from
a second to 30 days, goes with the span of the data. `plot_usage(by="order")` has a bar per turn,
with a line between sessions. `plot_cost(by="agent")` stacks cost by agent, model, session or label,
and `plot_cost(by="user", cumulative=True)` shows the cost so far. `axes.figure.savefig("cost.png")`
saves a chart.
`plot_timeline()` shows the longest turn, and `plot_timeline(turn_id, session_id=...)` shows another
one. `ax=` draws on your own axes, and `figsize=(8, 4)` sets the size in inches.

A triangle above a bar means *at least this*: the bar has a request without usage or price. Plots
keep your Matplotlib style, such as `dark_background`, and your default template of Plotly. A
character that no installed font has is a box in Matplotlib; install a font such as Noto Sans CJK
for Chinese, Japanese and Korean names.

## Export

`to_csv("out/")` writes a file per table into a folder. `to_parquet` and `to_arrow` need the extra
`arrow`. Each table is a DataFrame: `sessions.turns.to_json("turns.json")`.

`to_parquet("out/")` writes each table as a data set that is partitioned by the UTC day of its rows.
pandas, DuckDB, Polars, Spark and Dask read a data set as a table, with the day in the column
`utc_day`. Parquet has no durations: readers without Arrow's metadata, such as DuckDB, get integers
in microseconds. Polars and DuckDB accept `to_arrow("turns")` directly. `to_csv` writes
durations in seconds (`..._s`) and escapes spreadsheet formulas.

```python
import duckdb

sessions.to_parquet("out/")
duckdb.sql(
    "select utc_day, sum(total_tokens) from read_parquet('out/model_calls/**/*.parquet',"
    " hive_partitioning = true) group by 1"
)
```

`to_otel(exporter)` sends each finished turn as a trace of OpenTelemetry's spans for generative AI:
`invoke_agent` for the turn and its subagents, `chat` for a model call with `gen_ai.usage.*`,
`execute_tool` for a tool call. Only `chat` spans have tokens. The start of a model call is inferred
(`agy.start_is_inferred`). Span ids are the same in every export. `arguments=True` adds the
arguments of tools.

```python
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

sessions.to_otel(OTLPSpanExporter())
```

`sessions.to_excel("usage.xlsx")` writes a workbook with a sheet per table, with the extra `excel`.
Excel has no time zones: columns such as `started_at_utc` are UTC. Durations are seconds.
`sessions.to_report("report.html")` writes one page with totals, cost over time by model, the most
expensive turns, the slowest tools and the failures. It needs no network.

## Many recordings

`agy.load` keeps the tables of 50 or more cassettes, or of 4 MB or more, as Parquet files in your
cache folder (`~/.cache/agy-nb` on Linux). The next load reads a table when you ask for it. It reads
only those recordings again that have changed: the size and the time of each file decide. Damaged
files are written again. `cache=False` reads all recordings and writes nothing, and `cache="folder"`
keeps the files in another folder. The cache needs the extra `arrow`. It is not beside the
recordings, because a folder that you got from somebody else could bring a cache with other numbers.
Only you can read it: it holds what the tables hold, such as arguments of tools, also of recordings
that you have deleted. Folders that you do not use for 60 days are removed; you can delete all of it
at any time.

`agy.load("runs/", engine="dask")` reads on the workers of the current `dask.distributed.Client`, on
many cores or machines. Workers read each recording once and write the Parquet files of the cache.
`sessions.dask("steps")` is any table as a Dask DataFrame, for tables that are larger than memory.
Sums and `sessions.steps` read the tables that they need into this process.

With both engines, a path can be a URL of fsspec, such as `s3://bucket/runs` (with `s3fs`),
`gs://bucket/*/c*` (with `gcsfs`) or `memory://runs`.

## Sessions without a recording

`agy.load` also reads the files that the harness keeps about conversations. Load one of these:

- `agy.load(app_data_dir)` reads the transcripts below `brain/`. A conversation is a session, and
  its subagents are trajectories. You get prompts, answers, tool calls and the tokens of each model
  call, with the same sums as in a recording. Unknown, and `<NA>`, are the model and its cost,
  thinking tokens, the end of a turn, approvals by policies, the agent's process and all durations,
  because times are whole seconds. An interrupted call and a prompt without an answer are
  requests with unknown usage.
- `agy.load(save_dir)` reads the databases `{conversation_id}.db`: the number and kind of steps, and
  the number of turns. The format of the rest is not published, and `problems` reports it. A
  database is skipped if its transcript is loaded, too.

`python -m agy_nb.analysis.reference` writes this page.
"""


def markdown() -> str:
    """Return the page of all tables as Markdown."""
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
    yield from ("## latency", "", "`tables.latency(by=[...])`:", "")
    yield from _columns(LATENCY)
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
