"""Prices by service tier, by the day of an alias, and the parts of a price."""

import datetime as dt

import pytest

from agy_nb.analysis import Prices
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.values import ModalityTokens, TokenUsage

pytest.importorskip("genai_prices")

NOVEMBER = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
NAIVE = NOVEMBER.replace(tzinfo=None)
MILLION = TokenUsage(input_tokens=1_000_000, output_tokens=0)


def of_tier(tier, **more):
    return TokenUsage(
        **{"input_tokens": 1_000_000, "output_tokens": 0, "service_tier": tier} | more
    )


def price(model, usage=MILLION, at=NOVEMBER, **more):
    return Prices().of(model, usage, at, **more)


@pytest.mark.parametrize(
    ("model", "tier", "usd"),
    [
        ("gemini-3.8-flash", None, 0.75),
        ("gemini-3.8-flash", "standard", 0.75),
        ("gemini-3.8-flash", "SERVICE_TIER_STANDARD", 0.75),
        ("gemini-3.8-flash", "ON_DEMAND", 0.75),
        ("gemini-3.8-flash", "flex", 0.375),
        ("gemini-3.8-flash", "ON_DEMAND_FLEX", 0.375),
        ("gemini-3.8-flash-tts", "priority", 0.9),
        ("gemini-3.8-flash-tts", "SERVICE_TIER_PRIORITY", 0.9),
    ],
)
def test_a_service_tier_has_its_own_price(model, tier, usd):
    found = price(model, of_tier(tier))
    assert (found.total, found.status) == (pytest.approx(usd), "priced")


@pytest.mark.parametrize(
    ("model", "tier", "at"),
    [
        ("gemini-3.8-flash", "priority", NOVEMBER),  # not in the table
        ("gemini-3.8-flash", "PROVISIONED_THROUGHPUT", NOVEMBER),
        ("gemini-3.8-flash", "flex", dt.datetime(2026, 9, 20, tzinfo=dt.UTC)),  # before it was
    ],
)
def test_a_tier_without_a_price_never_has_that_of_another(model, tier, at):
    found = price(model, of_tier(tier), at)
    assert (found.total, found.status) == (None, "unknown_tier")


@pytest.mark.parametrize(("model", "usd"), [("gemini-3.8-flash", 0.0375), ("gemini-2.5-pro", None)])
def test_cached_tokens_of_flex_have_a_price_where_it_is_known(model, usd):
    """Google halves the price of the cache for flex; for batch, with some models only."""
    found = price(model, of_tier("flex", cache_read_tokens=1_000_000))
    assert found.total == (None if usd is None else pytest.approx(usd))
    assert found.status == ("unknown_tier" if usd is None else "priced")
    assert price(model, of_tier("flex")).status == "priced"


def test_a_factor_of_yours_is_the_price_of_a_tier():
    prices = Prices(tiers={"priority": 1.8, "PROVISIONED_THROUGHPUT": 0}, own={"mine": (1, 1, 1)})
    usage = of_tier("SERVICE_TIER_PRIORITY")
    found = prices.of("gemini-3.8-flash", usage, NOVEMBER, n_searches=1)
    assert found.input == pytest.approx(0.75 * 1.8)
    assert found.total == pytest.approx(0.75 * 1.8 + 0.014)  # searches have no tiers
    assert prices.of("gemini-3.8-flash", of_tier("provisioned_throughput"), NOVEMBER).total == 0
    assert prices.of("mine", usage).total == pytest.approx(1.8)
    assert prices.of("gemini-3.8-flash", MILLION, NOVEMBER).total == pytest.approx(0.75)


@pytest.mark.parametrize("tiers", [{"flex": "half"}, {"flex": -1}, {5: 0.5}, ["flex"]])
def test_a_factor_that_is_no_number_is_refused(tiers):
    with pytest.raises(InvalidInputError, match="tier"):
        Prices(tiers=tiers)


# -- aliases and names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alias", "day", "model"),
    [
        ("gemini-flash-latest", (2025, 10, 1), "gemini-2.5-flash"),
        ("gemini-flash-latest", (2026, 1, 20), "gemini-2.5-flash"),
        ("gemini-flash-latest", (2026, 1, 21), "gemini-3-flash-preview"),
        ("models/gemini-flash-latest", (2026, 4, 1), "gemini-3-flash-preview"),
        ("gemini-flash-latest", (2026, 7, 1), None),  # one of several
        ("gemini-flash-latest", (2026, 11, 20), "gemini-3.8-flash"),
        ("gemini-pro-latest", (2026, 2, 1), "gemini-3-pro-preview"),
        ("gemini-pro-latest", (2026, 6, 1), "gemini-3.1-pro-preview"),
        ("gemini-pro-latest", (2025, 6, 1), None),
    ],
)
def test_a_moving_alias_has_the_price_of_its_model_at_that_day(alias, day, model):
    found = price(alias, at=dt.datetime(*day, tzinfo=dt.UTC))
    assert found.model == model
    assert found.status == ("unknown_alias" if model is None else "priced")
    assert (found.total is None) == (model is None)


def test_the_model_that_answered_counts_before_the_alias():
    july = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    found = price("gemini-flash-latest", at=july, model_version="gemini-3.5-flash")
    assert (found.model, found.total) == ("gemini-3.5-flash", pytest.approx(1.5))
    repeated = price("gemini-flash-latest", at=july, model_version="gemini-flash-latest")
    assert repeated.status == "unknown_alias"
    own = Prices(aliases={"gemini-flash-latest": "gemini-2.5-flash"})
    assert own.of("gemini-flash-latest", MILLION, july).model == "gemini-2.5-flash"


def test_a_request_that_another_model_serves_has_the_price_of_that_model():
    found = price("gemini-3.5-flash", model_version="gemini-3.6-flash")
    assert (found.model, found.total) == ("gemini-3.6-flash", pytest.approx(0.75))


@pytest.mark.parametrize(
    "name",
    [
        "models/my-tuned", "tunedModels/my-tuned", "projects/p/locations/l/endpoints/123",
        "models/", "", " ", "@", "@001", "-001", "\0", "é" * 500, "gemini",
        "models/models/models", None,
    ],
)  # fmt: skip
def test_a_name_without_a_price_is_an_unknown_model(name):
    for at in (None, NOVEMBER, NAIVE, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)):
        assert price(name, at=at).status == "unknown_model"
    assert Prices().context_window(name) is None


def test_a_tuned_model_has_the_price_of_the_model_that_answers():
    found = price("models/my-tuned", model_version="gemini-2.5-flash-001")
    assert (found.model, found.total) == ("gemini-2.5-flash", pytest.approx(0.3))


@pytest.mark.parametrize("name", [5, b"gemini-2.5-flash", ["gemini-2.5-flash"]])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(InvalidInputError, match="the model must be a name"):
        price(name)


# -- parts ---------------------------------------------------------------------------------------

AUDIO = (ModalityTokens(modality="audio", tokens=1000),)
USAGES = [
    {"cache_read_tokens": 0},
    {"cache_read_tokens": 50_000},
    {"cache_read_tokens": 50_000, "input_details": AUDIO, "cache_details": AUDIO},
    {"input_details": AUDIO},
    {"cache_read_tokens": 50_000, "input_tokens": 300_000, "reasoning_tokens": 70},
    {"cache_read_tokens": 50_000, "tool_use_tokens": 150_000},
]


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize(
    "model",
    ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-3.8-flash", "gemini-3.1-pro-preview",
     "gemini-2.0-flash-lite", "gemini-2.5-flash-image"],
)  # fmt: skip
def test_parts_of_a_price_are_those_of_the_whole(model, usage):
    usage = {"input_tokens": 100_000, "output_tokens": 100} | usage
    found = price(model, TokenUsage(**usage))
    plain = usage | {"cache_read_tokens": 0, "cache_details": ()}
    assert found.cache_saved == pytest.approx(price(model, TokenUsage(**plain)).total - found.total)
    assert 0 <= found.cache_read <= found.input
    assert found.input + found.output == pytest.approx(found.total)
    assert found.status == "priced"
    thoughts = usage.get("reasoning_tokens", 0)
    assert found.reasoning == pytest.approx(found.output * thoughts / usage["output_tokens"])


def test_cached_tokens_of_unknown_modality_have_no_price():
    usage = TokenUsage(
        input_tokens=100_000, cache_read_tokens=50_000, output_tokens=1, input_details=AUDIO
    )
    assert price("gemini-2.5-flash", usage).status == "unknown_usage"
    assert price("gemini-2.0-flash-lite", usage).status == "priced"  # one price for all


def test_parts_of_your_own_price():
    usage = TokenUsage(
        input_tokens=1000, cache_read_tokens=400, output_tokens=100, reasoning_tokens=60
    )
    found = Prices(own={"mine": (10.0, 1.0, 20.0)}).of("mine", usage)
    assert found.input == pytest.approx((600 * 10 + 400) / 1e6)
    assert found.cache_read == pytest.approx(400 / 1e6)
    assert found.reasoning == pytest.approx(60 * 20 / 1e6)
    assert found.cache_saved == pytest.approx(400 * 9 / 1e6)
