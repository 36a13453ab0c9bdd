"""The cost of model calls, call by call.

Rule 1: a price is that of one call at its date. Sums are never priced, because prices have tiers.
Rule 2: an unknown cost is `<NA>`, never 0. `cost_status` has the reason.
Rule 3: no network. The price table is `genai-prices`, an extra that is imported on first use.
Without it, only your own prices count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from agy_nb.analysis.builders.dataframes import build
from agy_nb.analysis.metrics.call_usage import is_sound, usage_of
from agy_nb.analysis.metrics.model_names import bare_name, known_names, model_at
from agy_nb.analysis.metrics.price_rows import KEY, price_rows
from agy_nb.analysis.metrics.price_table import (
    TABLE,
    ListPrice,
    PriceError,
    context_window,
    list_price,
    tier_of,
)
from agy_nb.analysis.schema import COST, TABLES, UNREPORTED
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.short_repr import short_repr
from agy_nb.protocol.values import TokenUsage

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

_MILLION = 1_000_000


class Price(NamedTuple):
    """Price of one call, in the order of the cost columns.

    Attributes:
        input: US dollars for the prompt, with the tokens of the model's own tools.
        cache_read: The part of `input` for tokens from the cache.
        output: US dollars for the answer.
        reasoning: The part of `output` for thoughts.
        search: US dollars for web searches.
        total: US dollars for all.
        cache_saved: US dollars that the cache saved.
        status: A word of `cost_status`.
        model: Name in the price table.
        table: The price table and its version.
    """

    input: float | None
    cache_read: float | None
    output: float | None
    reasoning: float | None
    search: float | None
    total: float | None
    cache_saved: float | None
    status: str
    model: str | None = None
    table: str | None = None


@dataclass(frozen=True)
class Prices:
    """Prices of model calls.

    Attributes:
        own: Your prices by model, in US dollars per million tokens: uncached input, cached input
            and output. They override the price table, and are the same for text, images and audio.
        aliases: Names in the price table by your names, for example of tuned or local models.
        provider: Provider of the models, by its name in the price table.
        tiers: Factors of the standard price of tokens by service tier, such as
            `{"priority": 1.8}`. They override the prices of tiers in the table.

    Raises:
        InvalidInputError: A price is not three numbers, a factor is not a number, or an alias is
            not text.

    Example:
        >>> from agy_nb.analysis import Prices
        >>> from agy_nb.protocol.values import TokenUsage
        >>> prices = Prices(own={"my-model": (0.5, 0.1, 2.0)}, aliases={"prod": "gemini-2.5-pro"})
        >>> prices.of("my-model", TokenUsage(input_tokens=1_000_000, output_tokens=0)).total
        0.5
    """

    own: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    provider: str = "google"
    tiers: Mapping[str, float] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], Price] = field(default_factory=dict, repr=False, compare=False)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        every: dict[str, object] = {"own": self.own, "aliases": self.aliases, "tiers": self.tiers}
        for place, given in every.items():
            if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
                raise InvalidInputError(
                    f"{place} must be a mapping with names as keys, got {given!r}", field=place
                )
        for tier, factor in self.tiers.items():
            if not _is_amount(factor):
                raise InvalidInputError(
                    f"the factor of tier {tier!r} must be a number >= 0, got {factor!r}",
                    field="tiers",
                )
        for model, price in self.own.items():
            if not _is_price(price):
                msg = (
                    f"the price of {model!r} must be three numbers, US dollars per million tokens "
                    f"of uncached input, cached input and output; got {price!r}"
                )
                raise InvalidInputError(msg, field="own")
        aliases: Mapping[str, object] = self.aliases
        for model, name in aliases.items():
            if not isinstance(name, str):
                raise InvalidInputError(
                    f"the alias of {model!r} must be a model's name", field="aliases"
                )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the cache of known prices; another process fills its own."""
        kept = ("own", "aliases", "provider", "tiers")
        return {name: getattr(self, name) for name in kept} | {"_known": {}}

    def add_to(self, calls: pd.DataFrame) -> pd.DataFrame:
        """Fill in the cost columns of the table `model_calls`.

        Args:
            calls: The table; it is not changed.

        Returns:
            A new table with costs in US dollars.
        """
        import pandas as pd

        prices = price_rows(calls, self._of_values)
        data = dict(zip((column.name for column in COST), prices, strict=True))
        added = build(COST, data).set_index(calls.index)
        kept = calls.drop(columns=list(added.columns))
        names = TABLES["model_calls"].names
        labels = [name for name in calls if name not in names]
        return pd.concat([kept, added], axis=1)[[*names, *labels]]

    def of_row(self, row: Mapping[str, Any]) -> Price:
        """Look up the price of a row of `model_calls`.

        Args:
            row: The columns of the row; unknown values are None, and `at` is a day.

        Returns:
            US dollars. If they are None, `status` has the reason.
        """
        return self._of_values(tuple(row[name] for name in KEY))

    def _of_values(self, values: tuple[Any, ...]) -> Price:
        price = self._known.get(values)
        if price is None:
            price = self._known[values] = self._price_row(dict(zip(KEY, values, strict=True)))
        return price

    def _price_row(self, row: Mapping[str, Any]) -> Price:
        if row["status"] == "refused":
            return _unknown("not_charged")
        if row["total_tokens"] is None and row["status"] in UNREPORTED:
            return _unknown("unknown_usage")
        return self.of(
            row["model"],
            usage_of(row),
            row["at"],
            n_searches=row["n_searches"] or 0,
            model_version=row["model_version"],
        )

    def of(
        self,
        model: str | None,
        usage: TokenUsage,
        at: datetime | None = None,
        *,
        n_searches: int = 0,
        model_version: str | None = None,
    ) -> Price:
        """Look up the price of one call.

        Args:
            model: Its model, by any of its names.
            usage: Its tokens.
            at: Its day; today when None.
            n_searches: Number of web searches of the model.
            model_version: Name of the model that served the call, for aliases such as
                `gemini-flash-latest`.

        Returns:
            US dollars. If they are None, `status` has the reason.

        Raises:
            InvalidInputError: The model is not a text.
        """
        if not isinstance(model, str | None):
            raise InvalidInputError(f"the model must be a name, got {model!r}", field="model")
        if not is_sound(usage, n_searches):
            return _unknown("invalid_usage")
        alias = _entry(self.aliases, [model or "", *known_names(model or "")])
        given = [model_version, model] if alias is None else [alias[1]]
        meant = [model_at(name, at) for name in filter(None, given)]
        names = [known for name in filter(None, meant) for known in known_names(name)]
        own = _entry(self.own, [model or "", *known_names(model or ""), *names])
        factor = self._factor(usage.service_tier)
        if own is not None:
            return _own_price(own[1], usage, own[0], 1.0 if factor is None else factor)
        if not any(names):
            return _unknown("unknown_alias" if None in meant else "unknown_model", TABLE)
        try:
            found = list_price(
                names, self.provider, usage, at, n_searches=n_searches, any_tier=factor is not None
            )
        except PriceError as error:
            table = None if error.status == "no_price_table" else TABLE
            return _unknown(error.status, table)
        return _of_table(found, n_searches, 1.0 if factor is None else factor)

    def _factor(self, reported: str | None) -> float | None:
        tier = tier_of(reported)
        return next((self.tiers[name] for name in self.tiers if tier_of(name) == tier), None)

    def context_window(self, model: str | None) -> int | None:
        """Look up the context window of a model.

        Args:
            model: Name in the configuration.

        Returns:
            Tokens, or None if unknown.
        """
        alias = _entry(self.aliases, [model or "", *known_names(model or "")])
        return context_window([*known_names(alias[1] if alias else model or "")], self.provider)


def _entry(table: Mapping[str, T], names: Sequence[str]) -> tuple[str, T] | None:
    """Return the entry of the first name, also if the table has it as `models/NAME` or the like."""
    bare = {bare_name(name): name for name in table}
    for name in filter(None, names):
        key = name if name in table else bare.get(name)
        if key is not None:
            return key, table[key]
    return None


def _of_table(found: ListPrice, n_searches: int, factor: float) -> Price:
    parts = (found.input, found.cache_read, found.output, found.reasoning, found.cache_saved)
    read, cached, answer, thoughts, saved = (part * factor for part in parts)
    search = max(0.0, found.total - found.input - found.output) if n_searches else 0.0
    # Not always the sum of the parts, which differs from the table's total in the last digit.
    total = found.total if factor == 1 else read + answer + search
    return Price(
        read, cached, answer, thoughts, search, total, saved,
        "priced", found.model, TABLE,
    )  # fmt: skip


def _own_price(
    own: tuple[float, float, float], usage: TokenUsage, name: str, factor: float
) -> Price:
    fresh_rate, cached_rate, output_rate = (float(rate) * factor / _MILLION for rate in own)
    cached = usage.cache_read_tokens or 0
    fresh = (usage.input_tokens or 0) + (usage.tool_use_tokens or 0) - cached
    cost_cached = cached * cached_rate
    cost_in = fresh * fresh_rate + cost_cached
    cost_out = (usage.output_tokens or 0) * output_rate
    thoughts = (usage.reasoning_tokens or 0) * output_rate
    saved = cached * fresh_rate - cost_cached
    return Price(
        cost_in, cost_cached, cost_out, thoughts, 0.0, cost_in + cost_out, saved,
        "override", name, "own",
    )  # fmt: skip


def _is_price(price: object) -> bool:
    return (
        isinstance(price, Sequence)
        and len(price) == 3  # noqa: PLR2004 - uncached, cached, output
        and all(map(_is_amount, price))
    )


def _is_amount(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) < inf


def _unknown(status: str, table: str | None = None) -> Price:
    return Price(None, None, None, None, None, None, None, status, None, table)
