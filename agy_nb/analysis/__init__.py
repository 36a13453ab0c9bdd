"""Sessions as tables: DataFrames with declared types, in which an unknown value is `<NA>`, never 0.

Live agents and runtimes (`agent.tables`, `rt.tables`), responses (`usage_df`), recordings and the
harness's own files (`load`) have one schema.

```
schema      every table and column
tables      the tables of one source; sessions: those of recordings; loading: `agy.load`
builders    events become rows, and rows become DataFrames
read        finds and reads recordings and the harness's own files
cache       the tables of recordings as Parquet files, for the next load
metrics     usage, cost, summaries and comparisons
plotting    charts, drawn with Matplotlib or Plotly
export      Arrow, Parquet, CSV and OpenTelemetry
```
"""

from __future__ import annotations

from agy_nb.analysis.live.response_usage import usage_df
from agy_nb.analysis.loading import load
from agy_nb.analysis.metrics.compare import compare
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.sessions import Sessions
from agy_nb.analysis.tables import Tables

__all__ = ["Prices", "Sessions", "Tables", "compare", "load", "usage_df"]


def __dir__() -> list[str]:
    return __all__
