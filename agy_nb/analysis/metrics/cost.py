"""The cost of model calls, call by call.

Rule 1: a price is that of one call at its date; sums are never priced, their tiers would be wrong.
Rule 2: an unknown cost is `<NA>`, never 0; `cost_status` has the reason.
Rule 3: offline. The price table is `genai-prices`, an extra, imported on first use; without it only
prices of your own count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from math import inf
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

from agy_nb.analysis.builders.dataframes import build
from agy_nb.analysis.schema import COST, TABLES
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_STANDARD = {"", "standard", "unspecified", "service_tier_unspecified", "service_tier_standard", "on_demand"}  # fmt: skip  # noqa: E501
_MILLION = 1_000_000
_PREFIXES = ("models/", "publishers/google/models/")


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return distribution


_TABLE = _version("genai-prices")  # once, because the look-up reads the disk


class Price(NamedTuple):
    """Price of one call, in the order of the cost columns.

    Attributes:
        input: US dollars for the prompt.
        output: US dollars for the answer.
        total: US dollars for both.
        status: A word of `cost_status`.
        model: Name in the price table.
        table: The price table and its version.
    """

    input: float | None
    output: float | None
    total: float | None
    status: str
    model: str | None = None
    table: str | None = None


@dataclass(frozen=True)
class Prices:
    """Prices of model calls.

    Attributes:
        own: Your prices by model, in US dollars per million tokens: uncached input, cached input
            and output. They override the price table.
        aliases: Names in the price table by your names, for example of tuned or local models.
        provider: Provider of the models, by its name in the price table.

    Raises:
        InvalidInputError: A price is not three numbers, or an alias is not text.

    Example:
        >>> from agy_nb.analysis import Prices
        >>> prices = Prices(own={"my-model": (0.5, 0.1, 2.0)}, aliases={"prod": "gemini-2.5-pro"})
        >>> prices.of("my-model", None, None, 1_000_000, None, 0).total
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

        names = (
            "model",
            "service_tier",
            "at",
            "input_tokens",
            "cache_read_tokens",
            "output_tokens",
        )
        days = calls["at"].dt.normalize()
        columns = [
            (days if name == "at" else calls[name]).astype(object).where(calls[name].notna(), None)
            for name in names
        ]
        prices = [self.of(*values) for values in zip(*columns, strict=True)]
        data = {
            column.name: [price[place] for price in prices] for place, column in enumerate(COST)
        }
        added = build(COST, data).set_index(calls.index)
        kept = calls.drop(columns=list(added.columns))
        return pd.concat([kept, added], axis=1)[list(TABLES["model_calls"].names)]

    def of(
        self,
        model: str | None,
        tier: str | None,
        at: datetime | None,
        input_tokens: int | None,
        cached: int | None,
        output_tokens: int | None,
    ) -> Price:
        """Look up the price of one call.

        Args:
            model: Its model.
            tier: Its service tier.
            at: Its day; today when None.
            input_tokens: Prompt, cached tokens included.
            cached: Cached tokens of the prompt; counts as 0 when None.
            output_tokens: Answer, thoughts included.

        Returns:
            US dollars for the prompt, the answer and both. If they are None, `status` has the
            reason.
        """
        key = (model, tier, at, input_tokens, cached, output_tokens)
        price = self._known.get(key)
        if price is None:
            price = self._known[key] = self._price(*key)
        return price

    def context_window(self, model: str | None) -> int | None:
        """Look up the context window of a model.

        Args:
            model: Name in the configuration.

        Returns:
            Tokens, or None if unknown.
        """
        name = self._name(model)
        try:
            from genai_prices.data_snapshot import get_snapshot

            if name is None:
                return None
            _, found = get_snapshot().find_provider_model(name, None, self.provider, None)
        except (ImportError, LookupError):
            return None
        return found.context_window

    def _price(
        self,
        model: str | None,
        tier: str | None,
        at: datetime | None,
        input_tokens: int | None,
        cached: int | None,
        output_tokens: int | None,
    ) -> Price:
        name = self._name(model)
        if name is None:
            return _unknown("unknown_model")
        cached = cached or 0
        if input_tokens is None or output_tokens is None or cached > input_tokens:
            return _unknown("invalid_usage")
        own = self.own.get(model or "") or self.own.get(name)
        if own is not None:
            cost_in = ((input_tokens - cached) * own[0] + cached * own[1]) / _MILLION
            cost_out = output_tokens * own[2] / _MILLION
            return Price(cost_in, cost_out, cost_in + cost_out, "override", name, "own")
        if (tier or "").lower() not in _STANDARD:
            return _unknown("unknown_tier")
        if self._table is None:
            return _unknown("no_price_table")
        return self._table(name, at, input_tokens, cached, output_tokens)

    def _name(self, model: str | None) -> str | None:
        if not model:
            return None
        for prefix in _PREFIXES:
            model = model.removeprefix(prefix)
        return self.aliases.get(model, model)

    @cached_property
    def _table(self) -> Callable[[str, datetime | None, int, int, int], Price] | None:
        try:
            import genai_prices
        except ImportError:
            return None
        table = _TABLE

        def price(name: str, at: datetime | None, tokens: int, cached: int, output: int) -> Price:
            usage = genai_prices.Usage(
                input_tokens=tokens, cache_read_tokens=cached, output_tokens=output
            )
            try:
                found = genai_prices.calc_price(
                    usage,
                    model_ref=name,
                    provider_id=self.provider,
                    genai_request_timestamp=at or datetime.now(UTC),
                )
            except LookupError:
                return _unknown("unknown_model", table)
            except ValueError:
                return _unknown("invalid_usage", table)
            return Price(
                float(found.input_price),
                float(found.output_price),
                float(found.total_price),
                "priced",
                found.model.id,
                table,
            )

        return price


def _is_price(price: object) -> bool:
    return (
        isinstance(price, Sequence)
        and len(price) == 3  # noqa: PLR2004 - uncached, cached, output
        and all(isinstance(part, Real) and 0 <= float(part) < inf for part in price)
    )


def _unknown(status: str, table: str | None = None) -> Price:
    return Price(None, None, None, status, None, table)
