"""Look up list prices in `genai-prices`, and say what each part of a call costs.

Rule 1: no network. The table is an extra that is imported on first use.
Rule 2: a service tier has the price that the table lists for it at the day of the call. Without
one, the price is unknown; the standard price would be wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

from agy_nb.analysis.errors import MissingPricesWarning
from agy_nb.analysis.metrics.call_usage import PRICED_APART, table_usage
from agy_nb.protocol.values import ModalityTokens, TokenUsage

if TYPE_CHECKING:
    from agy_nb.analysis.metrics.groups import Source

_MILLION = 1_000_000
_PLACES = ("service_tier_", "on_demand_")
_STANDARD = frozenset({"", "standard", "default", "unspecified", "on_demand"})
STANDARD = "standard"
"""The tier of calls that name none."""


class ListPrice(NamedTuple):
    """The list price of one call, in US dollars.

    Attributes:
        input: Price of the prompt.
        cache_read: The part of it for tokens from the cache.
        output: Price of the answer.
        reasoning: The part of it for thoughts.
        total: Price of all.
        cache_saved: Difference to the price without a cache.
        model: Name of the model in the table.
    """

    input: float
    cache_read: float
    output: float
    reasoning: float
    total: float
    cache_saved: float
    model: str


class PriceError(LookupError):
    """A call has no list price; `status` is a word of `cost_status`. Internal."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def tier_of(reported: str | None) -> str:
    """Return a service tier as price tables name it.

    Example:
        >>> [
        ...     tier_of(name)
        ...     for name in (None, "SERVICE_TIER_FLEX", "ON_DEMAND_PRIORITY", "ON_DEMAND")
        ... ]
        ['standard', 'flex', 'priority', 'standard']
    """
    tier = (reported or "").strip().lower()
    for place in _PLACES:
        tier = tier.removeprefix(place)
    return STANDARD if tier in _STANDARD else tier


def _version_of(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return distribution


TABLE = _version_of("genai-prices")
"""Name and version of the price table; looked up on import, because that reads the disk."""


def list_price(
    names: Sequence[str],
    provider: str,
    usage: TokenUsage,
    at: datetime | None,
    *,
    n_searches: int = 0,
    any_tier: bool = False,
) -> ListPrice:
    """Look up the price of a call.

    Args:
        names: Names of its model; the first one in the table counts.
        provider: Provider of the model.
        usage: Its tokens.
        at: Its day; today when None.
        n_searches: Number of web searches of the model.
        any_tier: Whether to take the standard price for every tier.

    Raises:
        PriceError: The table has no price for the call.
    """
    snapshot = _snapshot()
    if snapshot is None:
        raise PriceError("no_price_table")
    found = _model(snapshot, names, provider)
    day = at or datetime.now(UTC)
    if day.tzinfo is None:
        day = day.astimezone()
    tier = STANDARD if any_tier else tier_of(usage.service_tier)
    context = None if tier == STANDARD else _context(found[1], tier, day, usage)
    from genai_prices import Usage

    try:
        price = found[1].calc_price(
            Usage(**table_usage(usage, n_searches)),
            found[0],
            genai_request_timestamp=day,
            price_context=context,
        )
    except ValueError:
        # The table cannot say how much of the cache was text if only the prompt has details.
        is_partial = usage.cache_read_tokens and usage.input_details and not usage.cache_details
        raise PriceError("unknown_usage" if is_partial else "invalid_usage") from None
    rates = _Rates(price.model_price, (usage.input_tokens or 0) + (usage.tool_use_tokens or 0))
    cached, saved = rates.cache(usage)
    return ListPrice(
        input=float(price.input_price),
        cache_read=cached,
        output=float(price.output_price),
        reasoning=(usage.reasoning_tokens or 0) * rates.of("output_mtok"),
        total=float(price.total_price),
        cache_saved=saved,
        model=price.model.id,
    )


def context_window(names: Sequence[str], provider: str) -> int | None:
    """Look up the context window of a model, in tokens; None if unknown."""
    snapshot = _snapshot()
    if snapshot is None:
        return None
    try:
        found: int | None = _model(snapshot, names, provider)[1].context_window
    except PriceError:
        return None
    return found


_warned = False


def warn_without_table(source: Source) -> None:
    """Warn once per process if calls have no cost because no price table is installed.

    Args:
        source: The tables whose cost a user asked for.
    """
    global _warned  # noqa: PLW0603 - once per process, also if filters show a warning twice
    if _warned or _snapshot() is not None:
        return
    if not source.frame("model_calls")["cost_status"].eq("no_price_table").any():
        return
    _warned = True
    warnings.warn(
        "cost_usd is NA: no price table is installed. Run `pip install 'agy-nb[cost]'`, or pass "
        "your own prices with `tables.with_prices(agy_nb.analysis.Prices(own=...))`",
        MissingPricesWarning,
        stacklevel=4,  # past the method of `Tables` and its check of arguments
    )


def _snapshot() -> Any:
    try:
        import genai_prices
    except ImportError:
        return None
    return genai_prices.data_snapshot.get_snapshot()


def _model(snapshot: Any, names: Sequence[str], provider: str) -> tuple[Any, Any]:
    for name in filter(None, names):
        try:
            found: tuple[Any, Any] = snapshot.find_provider_model(name, None, provider, None)
        except (LookupError, ValueError):
            continue
        return found
    raise PriceError("unknown_model")


def _context(model: Any, tier: str, day: datetime, usage: TokenUsage) -> dict[str, str]:
    """Return how the table names a tier of a model at a day.

    The table lists batch prices of more models than flex prices. Google's two prices of tokens are
    equal, but those of cached tokens are only known to be so where batch has its own.
    """
    variants = [
        variant
        for variant in model.price_variants or ()
        if variant.constraint is None or variant.constraint.active(day)
    ]
    own, batch = {"service_tier": tier}, {"processing": "batch"}
    for variant in variants:
        if variant.when == own:
            return own
    for variant in variants:
        is_whole = not usage.cache_read_tokens or variant.prices.cache_read_mtok is not None
        if tier == "flex" and variant.when == batch and is_whole:
            return batch
    raise PriceError("unknown_tier")


class _Rates:
    """The prices of single tokens of a model, for calls with a prompt of some length."""

    def __init__(self, prices: Any, input_tokens: int) -> None:
        self._prices = prices
        self._input_tokens = input_tokens

    def of(self, *names: str) -> float:
        """Return the first of some prices that a model has, in US dollars per token."""
        for name in names:
            price = getattr(self._prices, name, None)
            if price is None:
                continue
            if hasattr(price, "base"):  # prices of long prompts
                starts = [tier for tier in price.tiers if self._input_tokens > tier.start]
                price = starts[-1].price if starts else price.base
            return float(price) / _MILLION
        return 0.0

    def cache(self, usage: TokenUsage) -> tuple[float, float]:
        """Return the price of the tokens from the cache, and what the cache saved."""
        paid = full = 0.0
        for each in _by_modality(usage.cache_read_tokens or 0, usage.cache_details):
            apart = f"_{each.modality}" if each.modality in PRICED_APART else ""
            fresh = self.of(f"input{apart}_mtok", "input_mtok")
            cached = self.of(f"cache{apart}_read_mtok", "cache_read_mtok") or fresh
            paid += each.tokens * cached
            full += each.tokens * fresh
        return paid, full - paid


def _by_modality(tokens: int, details: Sequence[ModalityTokens]) -> list[ModalityTokens]:
    apart = [each for each in details if each.modality in PRICED_APART]
    rest = tokens - sum(each.tokens for each in apart)
    return [*apart, ModalityTokens(modality="text", tokens=max(0, rest))]
