"""The prices of many calls at once.

The price table takes a third of a millisecond per call. Between two tiers the price of a call is
linear in its tokens, so many calls of a model on a day are priced from a few. Each result is
compared with the price of a call that is looked up by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isclose
from typing import TYPE_CHECKING, Any, TypeAlias

from agy_nb.analysis.metrics.call_usage import LARGEST, PRICED_APART

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Figures: TypeAlias = tuple[Any, ...]
"""Seven amounts in US dollars or None, status, model and price table: the columns of a price."""
Look: TypeAlias = Callable[[tuple[Any, ...]], Figures]

_WORDS = ("status", "model", "model_version", "service_tier", "requested_tier", "at")
_COUNTS = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
_OTHERS = (
    "tool_use_tokens", "n_searches",
    *(f"{kind}_{modality}_tokens" for kind in ("input", "cache_read", "output", "tool_use")
      for modality in PRICED_APART),
)  # fmt: skip
KEY = (*_WORDS, *_COUNTS, "total_tokens", *_OTHERS)
"""The columns of a call that its price depends on."""

_MANY = 16
"""Fewer calls of a model on a day are looked up one by one."""
_PROBE = 1000
"""Tokens of an answer whose price is looked up."""
_AMOUNTS = 7


def price_rows(calls: pd.DataFrame, look_up: Look) -> list[list[Any]]:
    """Return the columns of the prices of calls.

    Args:
        calls: The table `model_calls`.
        look_up: Returns the price of a call by the values of `KEY`.
    """
    import numpy as np

    keys = calls[list(KEY)].assign(at=calls["at"].dt.normalize())
    if 0 < len(keys) < _MANY:
        return [list(column) for column in zip(*map(look_up, _values(keys)), strict=True)]
    codes, first = _distinct([keys[name] for name in KEY])
    distinct = keys.iloc[first]
    found = np.empty((len(distinct), _AMOUNTS + 3), dtype=object)
    done = np.zeros(len(distinct), dtype=bool)
    for rows in _alike(distinct):
        for part, prices in _linear(distinct, rows, look_up):
            found[part] = prices
            done[part] = True
    places = np.flatnonzero(~done)
    for place, values in zip(places, _values(distinct.iloc[places]), strict=True):
        found[place] = look_up(values)
    return [found[:, column][codes].tolist() for column in range(found.shape[1])]


def _distinct(columns: Sequence[pd.Series[Any]]) -> tuple[Any, Any]:
    """Return the number of each row's values, and the first row of each number."""
    import numpy as np
    import pandas as pd

    size = len(columns[0])
    codes, known = np.zeros(size, dtype=np.int64), 1
    for column in columns:
        numbers, values = pd.factorize(column, use_na_sentinel=False)
        if len(values) > 1:
            codes, different = pd.factorize(codes * len(values) + numbers)
            known = len(different)
    first = np.full(known if size else 0, -1, dtype=np.int64)
    first[codes[::-1]] = np.arange(size)[::-1]
    return codes, first


def _values(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    none: Any = None  # pandas takes it, its types do not
    columns = [rows[name].to_numpy(dtype=object, na_value=none) for name in KEY]
    return zip(*columns, strict=True)


def _alike(rows: pd.DataFrame) -> Iterator[np.ndarray[Any, Any]]:
    """Yield groups of many calls that differ in nothing but their numbers of text tokens."""
    import numpy as np

    counts = rows[list(_COUNTS)].astype("Float64").to_numpy(dtype=float, na_value=-1.0)
    counts[:, [1, 3]] = np.where(counts[:, [1, 3]] < 0, 0.0, counts[:, [1, 3]])  # none is 0
    others = rows[list(_OTHERS)].astype("Float64").to_numpy(dtype=float, na_value=0.0)
    sound = (counts >= 0).all(axis=1) & (counts < LARGEST).all(axis=1)
    sound &= (counts[:, 1] <= counts[:, 0]) & (counts[:, 3] <= counts[:, 2])
    plain = sound & ~others.any(axis=1) & rows["status"].eq("metered").to_numpy(dtype=bool)
    places = np.flatnonzero(plain)
    if len(places) < _MANY:
        return
    codes, _ = _distinct([rows[name].iloc[places] for name in _WORDS])
    order = np.argsort(codes, kind="stable")
    for group in np.split(places[order], np.flatnonzero(np.diff(codes[order])) + 1):
        if len(group) >= _MANY:
            inputs = counts[group, 0]
            yield group[np.argsort(inputs, kind="stable")]


def _linear(
    rows: pd.DataFrame, group: np.ndarray[Any, Any], look_up: Look
) -> Iterator[tuple[Any, Any]]:
    """Yield rows and their prices; nothing for those that must be looked up one by one."""
    import numpy as np

    counts = rows[list(_COUNTS)].iloc[group].astype("Float64").to_numpy(dtype=float, na_value=0.0)
    [example] = _values(rows.iloc[group[:1]])
    about = dict(zip(KEY, example, strict=True))
    rates: dict[int, Figures | None] = {}

    def rates_of(place: int) -> Figures | None:
        size = max(1, int(counts[place, 0]))
        if size not in rates:
            rates[size] = _rates(about, size, look_up)
        return rates[size]

    parts = [(0, len(group) - 1)]
    while parts:
        low, high = parts.pop()
        here = rates_of(low)
        if not _same(here, rates_of(high)):  # a tier is between: halve until none is
            middle = (low + high) // 2
            parts += [(low, middle), (middle + 1, high)]
            continue
        if here is None:
            continue
        prices = _priced(counts[low : high + 1], here)
        middle = (high - low) // 2
        [values] = _values(rows.iloc[group[low + middle : low + middle + 1]])
        if _same(tuple(prices[middle]), tuple(look_up(values))):
            yield group[low : high + 1], np.array(prices, dtype=object)


def _rates(about: dict[str, Any], size: int, look_up: Look) -> Figures | None:
    """Return prices of a prompt's token, of a cached one, and of an answer's, and the words.

    Returns:
        None if calls of this kind have no common price.
    """
    asked = {"input_tokens": size, "output_tokens": _PROBE, "reasoning_tokens": _PROBE}
    found = [
        look_up(
            tuple((about | asked | {"cache_read_tokens": cached, "total_tokens": size}).values())
        )
        for cached in (0, size)
    ]
    fresh, cached = found
    words = fresh[_AMOUNTS:]
    if cached[_AMOUNTS:] != words:
        return None
    if fresh[0] is None:
        return (*[None] * 5, *words)
    return (
        fresh[0] / size, cached[0] / size, cached[1] / size, cached[6] / size,
        (fresh[2] / _PROBE, fresh[3] / _PROBE), *words,
    )  # fmt: skip


def _priced(counts: np.ndarray[Any, Any], rates: Figures) -> list[Figures]:
    words = rates[5:]
    if rates[0] is None:
        return [(*[None] * _AMOUNTS, *words)] * len(counts)
    fresh, cached, read, saved, (output, reasoning) = rates[:5]
    inputs = (counts[:, 0] - counts[:, 1]) * fresh + counts[:, 1] * cached
    outputs = counts[:, 2] * output
    columns = (
        inputs, counts[:, 1] * read, outputs, counts[:, 3] * reasoning, 0.0 * inputs,
        inputs + outputs, counts[:, 1] * saved,
    )  # fmt: skip
    return [(*row, *words) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-18)
    return bool(one == other)
