"""The cost of model calls, call by call.

Rule 1: a price is that of one call at its date. Sums are never priced, because prices have tiers.
Rule 2: an unknown cost is `<NA>`, never 0. `cost_status` has the reason.
Rule 3: no network. The price table is `genai-prices`, an extra that is imported on first use.
Without it, only your own prices count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from math import inf
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from agy_nb.analysis.builders.dataframes import build
from agy_nb.analysis.metrics.call_usage import PRICED_APART, is_sound, table_usage, usage_of
from agy_nb.analysis.metrics.model_names import bare_name, known_names
from agy_nb.analysis.schema import COST, TABLES
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.values import TokenUsage

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

_STANDARD = {"", "standard", "unspecified", "service_tier_unspecified", "service_tier_standard", "on_demand"}  # fmt: skip  # noqa: E501
_MILLION = 1_000_000


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return distribution


_TABLE = _version("genai-prices")  # once, because the look-up reads the disk


class Price(NamedTuple):
    """Price of one call, in the order of the cost columns.

    Attributes:
        input: US dollars for the prompt, with the tokens of the model's own tools.
        output: US dollars for the answer.
        search: US dollars for web searches.
        total: US dollars for all.
        status: A word of `cost_status`.
        model: Name in the price table.
        table: The price table and its version.
    """

    input: float | None
    output: float | None
    search: float | None
    total: float | None
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

    Raises:
        InvalidInputError: A price is not three numbers, or an alias is not text.

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
    _known: dict[tuple[Any, ...], Price] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for place, given in (("own", self.own), ("aliases", self.aliases)):
            if not isinstance(given, Mapping):
                raise InvalidInputError(f"{place} must be a mapping by models' names", field=place)
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
        return {"own": self.own, "aliases": self.aliases, "provider": self.provider, "_known": {}}

    def add_to(self, calls: pd.DataFrame) -> pd.DataFrame:
        """Fill in the cost columns of the table `model_calls`.

        Args:
            calls: The table; it is not changed.

        Returns:
            A new table with costs in US dollars.
        """
        import pandas as pd

        days = calls["at"].dt.normalize()
        columns = [
            (days if name == "at" else calls[name]).astype(object).where(calls[name].notna(), None)
            for name in _KEY
        ]
        prices = [self._of_values(values) for values in zip(*columns, strict=True)]
        data = {
            column.name: [price[place] for price in prices] for place, column in enumerate(COST)
        }
        added = build(COST, data).set_index(calls.index)
        kept = calls.drop(columns=list(added.columns))
        return pd.concat([kept, added], axis=1)[list(TABLES["model_calls"].names)]

    def of_row(self, row: Mapping[str, Any]) -> Price:
        """Look up the price of a row of `model_calls`.

        Args:
            row: The columns of the row; unknown values are None, and `at` is a day.

        Returns:
            US dollars. If they are None, `status` has the reason.
        """
        return self._of_values(tuple(row[name] for name in _KEY))

    def _of_values(self, values: tuple[Any, ...]) -> Price:
        price = self._known.get(values)
        if price is None:
            price = self._known[values] = self._price_row(dict(zip(_KEY, values, strict=True)))
        return price

    def _price_row(self, row: Mapping[str, Any]) -> Price:
        if row["status"] == "refused":
            return _unknown("not_charged")
        if row["total_tokens"] is None and row["status"] in ("usage_unknown", "cut"):
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
        """
        names = self._names(model, model_version)
        if not names:
            return _unknown("unknown_model")
        if not is_sound(usage, n_searches):
            return _unknown("invalid_usage")
        own = self._own(model, names)
        if own is not None:
            return _own_price(own[1], usage, own[0])
        if (usage.service_tier or "").lower() not in _STANDARD:
            return _unknown("unknown_tier")
        return self._look_up(names, usage, at, n_searches)

    def context_window(self, model: str | None) -> int | None:
        """Look up the context window of a model.

        Args:
            model: Name in the configuration.

        Returns:
            Tokens, or None if unknown.
        """
        try:
            from genai_prices.data_snapshot import get_snapshot
        except ImportError:
            return None
        for name in self._names(model, None):
            try:
                _, found = get_snapshot().find_provider_model(name, None, self.provider, None)
            except LookupError:
                continue
            return found.context_window
        return None

    def _names(self, model: str | None, served: str | None) -> list[str]:
        """Return the names of a model in the price table; the first one with a price counts."""
        if not model:
            return [*known_names(served)] if served else []
        alias = _entry(self.aliases, [model, *known_names(model)])
        if alias is not None:
            return [*known_names(alias[1])]
        names, versions = [*known_names(model)], [*known_names(served or "")]
        # A moving alias meant another model at the date of the call.
        is_moving = names[0].endswith("-latest")
        return [*versions, *names] if is_moving else [*names, *versions]

    def _own(self, model: str | None, names: Sequence[str]) -> tuple[str, Any] | None:
        return _entry(self.own, [*([model] if model else ()), *known_names(model or ""), *names])

    def _look_up(
        self, names: Sequence[str], usage: TokenUsage, at: datetime | None, n_searches: int
    ) -> Price:
        prices = self._prices
        if prices is None:
            return _unknown("no_price_table")
        found = None
        for name in names:
            try:
                found = prices.calc_price(
                    prices.Usage(**table_usage(usage, n_searches)),
                    model_ref=name,
                    provider_id=self.provider,
                    genai_request_timestamp=at or datetime.now(UTC),
                )
            except LookupError:
                continue
            except ValueError:
                return _unknown("invalid_usage", _TABLE)
            break
        if found is None:
            return _unknown("unknown_model", _TABLE)
        parts = float(found.input_price), float(found.output_price), float(found.total_price)
        search = max(0.0, parts[2] - parts[0] - parts[1]) if n_searches else 0.0
        return Price(parts[0], parts[1], search, parts[2], "priced", found.model.id, _TABLE)

    @cached_property
    def _prices(self) -> Any:
        try:
            import genai_prices
        except ImportError:
            return None
        return genai_prices


_DETAILS = ("input", "cache_read", "output", "tool_use")
_KEY = (
    "status", "model", "model_version", "service_tier", "at", "input_tokens", "cache_read_tokens",
    "output_tokens", "tool_use_tokens", "total_tokens", "n_searches",
    *(f"{kind}_{modality}_tokens" for kind in _DETAILS for modality in PRICED_APART),
)  # fmt: skip
"""The columns of a call that its price depends on."""


def _entry(table: Mapping[str, T], names: Sequence[str]) -> tuple[str, T] | None:
    """Return the entry of the first name, also if the table has it as `models/NAME` or the like."""
    bare = {bare_name(name): name for name in table}
    for name in filter(None, names):
        key = name if name in table else bare.get(name)
        if key is not None:
            return key, table[key]
    return None


def _own_price(own: tuple[float, float, float], usage: TokenUsage, name: str) -> Price:
    cached = usage.cache_read_tokens or 0
    fresh = (usage.input_tokens or 0) + (usage.tool_use_tokens or 0) - cached
    cost_in = (fresh * own[0] + cached * own[1]) / _MILLION
    cost_out = (usage.output_tokens or 0) * own[2] / _MILLION
    return Price(cost_in, cost_out, 0.0, cost_in + cost_out, "override", name, "own")


def _is_price(price: object) -> bool:
    return (
        isinstance(price, Sequence)
        and len(price) == 3  # noqa: PLR2004 - uncached, cached, output
        and all(isinstance(part, Real) and 0 <= float(part) < inf for part in price)
    )


def _unknown(status: str, table: str | None = None) -> Price:
    return Price(None, None, None, None, status, None, table)
