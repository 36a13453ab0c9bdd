"""Sessions as tables: DataFrames with declared types, in which unknown is `<NA>`, never 0.

One schema, several sources: a live agent or runtime (`agent.tables`, `rt.tables`), responses that
somebody holds (`usage_df`), recordings, and what the harness keeps (`load`).

```
schema      every table and column             columns     lists that grow
book        what happened, whatever told it    fold        of events        wirefold  of wire frames
frames      columns to DataFrames              tables      what a user holds
places      where recordings are
reading     a file to columns                  sessions    many files        on_dask   many more
transcripts, databases   what the harness itself keeps of conversations
usage, cost, summary     on top of the tables
charts, timeline         what plots show       plots       draws it, by draw_*
out, spans, otel         ways out: files, Arrow, OpenTelemetry
```
"""

from __future__ import annotations

from agy_nb.analysis.loading import load
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.metrics.summary import compare
from agy_nb.analysis.metrics.usage import usage_df
from agy_nb.analysis.sessions import Sessions
from agy_nb.analysis.tables import Tables

__all__ = ["Prices", "Sessions", "Tables", "compare", "load", "usage_df"]
