"""Tokens of responses, one row per turn or per trajectory: `usage_df`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from agy_nb.analysis.builders.dataframes import frame
from agy_nb.analysis.live.turn_fold import EventTurn, fold_turns
from agy_nb.analysis.metrics.usage import call_sums
from agy_nb.analysis.schema import TABLES, TOKENS
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_TOKENS = tuple(column.name for column in TOKENS)


class _Built:
    """Tables of complete columns."""

    def __init__(self, turns: Iterable[EventTurn]) -> None:
        self._columns = fold_turns(turns)

    def frame(self, name: str) -> pd.DataFrame:
        return frame(TABLES[name], self._columns[name].data)


def usage_df(
    turns: EventTurn | Iterable[EventTurn], *, by: Literal["turn", "trajectory"] = "turn"
) -> pd.DataFrame:
    """Return the tokens of responses, one row per turn or per trajectory.

    `n_model_calls` counts metered calls. Calls that fail or are cancelled report no tokens, so a
    sum is a lower bound. `input_tokens` include `cache_read_tokens`, and `output_tokens` include
    `reasoning_tokens`. The row of a turn includes its subagents; use `by="trajectory"` to separate
    them. For whole agents and sessions, use `agent.tables.usage()`.

    Args:
        turns: One response or several. A running one counts with the tokens so far.
        by: The groups.

    Returns:
        One row per group. Unknown numbers of tokens are `<NA>`.

    Raises:
        InvalidInputError: `by` is unknown.

    Example:
        >>> from agy_nb.analysis import usage_df
        >>> responses = [
        ...     await agent.chat(prompt) for prompt in ("Hello", "Use get_weather for Rome")
        ... ]
        >>> for response in responses:
        ...     await response.wait()
        <Response turn ...>
        <Response turn ...>
        >>> usage_df(responses)["n_model_calls"].tolist()
        [1, 2]
    """
    if by not in ("turn", "trajectory"):
        raise InvalidInputError(f"by must be one of turn, trajectory, got {by!r}", field="by")
    source = _Built([turns] if isinstance(turns, EventTurn) else turns)
    on = ["agent_id", "turn_id"]
    every = source.frame("turns")[on]
    if by == "trajectory":
        on.append("trajectory_id")
        every = _trajectories_of_turns(source)
    sums = call_sums(source.frame("model_calls").assign(failed_cost_usd=None), on)
    table = every.merge(sums, on=on, how="left")
    table["n_model_calls"] = table["n_model_calls"].fillna(0)
    counts = [name for name in _TOKENS if name not in ("uncached_input_tokens", "tool_use_tokens")]
    return table[[*every.columns, "n_model_calls", *counts]]


def _trajectories_of_turns(source: _Built) -> pd.DataFrame:
    ids = ["agent_id", "turn_id", "trajectory_id"]
    import pandas as pd

    seen = [source.frame(name)[ids] for name in ("steps", "model_calls", "tool_calls")]
    first = source.frame("trajectories")[ids]
    found = pd.concat([*seen, first]).drop_duplicates().dropna()
    found = found[found["trajectory_id"] != ""]
    ids = ["agent_id", "trajectory_id"]
    about = source.frame("trajectories")[[*ids, "parent_trajectory_id", "depth"]]
    return found.merge(about, on=ids, how="left")
