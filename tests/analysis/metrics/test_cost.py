"""Prices of calls with images, audio, searches, and of models by any of their names."""

import pytest

from agy_nb.analysis import Prices
from agy_nb.analysis.live.configured_models import ConfiguredModels
from agy_nb.analysis.metrics.turn_cost import TurnPricing, turn_cost
from agy_nb.analysis.schema import TABLES
from agy_nb.protocol import events as e
from agy_nb.protocol.values import ModalityTokens, TokenUsage
from tests.analysis.conftest import CHILD, ROOT, Turn, begun, metered, over

pytest.importorskip("genai_prices")


def tokens(modality, count):
    return (ModalityTokens(modality=modality, tokens=count),)


def test_image_tokens_have_their_own_price():
    usage = TokenUsage(
        input_tokens=0, output_tokens=1290, output_details=tokens("image", 1290), total_tokens=1290
    )
    assert Prices().of("gemini-2.5-flash-image", usage).total == pytest.approx(0.0387)


def test_audio_tokens_have_their_own_price_also_from_the_cache():
    audio = tokens("audio", 100_000)
    usage = TokenUsage(input_tokens=100_000, output_tokens=0, input_details=audio)
    assert Prices().of("gemini-2.5-flash", usage).total == pytest.approx(0.100)
    cached = TokenUsage(
        input_tokens=100_000,
        output_tokens=0,
        cache_read_tokens=100_000,
        input_details=audio,
        cache_details=audio,
    )
    assert Prices().of("gemini-2.5-flash", cached).total == pytest.approx(0.010)


def test_tokens_of_the_models_own_tools_are_prompt_tokens():
    with_tools = TokenUsage(input_tokens=1000, tool_use_tokens=500, output_tokens=0)
    without = TokenUsage(input_tokens=1500, output_tokens=0)
    price = Prices().of("gemini-2.5-flash", with_tools)
    assert price.total == Prices().of("gemini-2.5-flash", without).total > 0
    own = Prices(own={"mine": (1.0, 0.1, 2.0)}).of("mine", with_tools)
    assert own.total == pytest.approx(1500 / 1e6)


def test_a_web_search_has_a_price_of_its_own():
    usage = TokenUsage(input_tokens=1000, output_tokens=10)
    without = Prices().of("gemini-2.5-flash", usage)
    price = Prices().of("gemini-2.5-flash", usage, n_searches=2)
    assert price.search == pytest.approx(0.07)
    assert price.total == pytest.approx(without.total + 0.07)


@pytest.mark.parametrize(
    "name",
    [
        "gemini-2.5-flash",
        "models/gemini-2.5-flash",
        "google/gemini-2.5-flash",
        "publishers/google/models/gemini-2.5-flash",
        "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash",
        "gemini-2.5-flash-001",
        "gemini-2.5-flash@001",
    ],
)
def test_model_has_its_price_by_any_name(name):
    usage = TokenUsage(input_tokens=1_000_000, output_tokens=0)
    price = Prices().of(name, usage)
    assert (price.status, price.model) == ("priced", "gemini-2.5-flash")
    own = Prices(own={"gemini-2.5-flash": (9.0, 1.0, 9.0)}).of(name, usage)
    assert own.total == pytest.approx(9.0)
    assert Prices().context_window(name) == Prices().context_window("gemini-2.5-flash") > 0


def test_a_moving_alias_has_the_price_of_the_model_that_answered():
    usage = TokenUsage(input_tokens=1_000_000, output_tokens=0)
    price = Prices().of("gemini-flash-latest", usage, model_version="gemini-2.5-flash")
    assert price.model == "gemini-2.5-flash"
    assert Prices().of("gemini-flash-latest", usage).model != "gemini-2.5-flash"


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": -5},
        {"output_tokens": 2**70},
        {"input_tokens": 5, "cache_read_tokens": 6},
        {"input_details": tokens("audio", 3000)},
        {"tool_use_tokens": -1},
    ],
)
def test_counts_that_make_no_sense_have_no_price(counts):
    usage = TokenUsage(**({"input_tokens": 1000, "output_tokens": 10} | counts))
    for prices in (Prices(), Prices(own={"mine": (1.0, 0.1, 2.0)})):
        model = "mine" if prices.own and "input_details" not in counts else "gemini-2.5-flash"
        assert prices.of(model, usage).status == "invalid_usage"


@pytest.mark.parametrize(
    ("status", "tokens", "why"),
    [
        ("refused", None, "not_charged"),
        ("cut", None, "unknown_usage"),
        ("usage_unknown", None, "unknown_usage"),
        ("metered", None, "invalid_usage"),
        ("cut", 5, "priced"),
    ],
)
def test_rows_without_tokens_say_why_they_have_no_price(status, tokens, why):
    row = dict.fromkeys(TABLES["model_calls"].names)
    row |= {"status": status, "model": "gemini-2.5-flash", "total_tokens": tokens}
    row |= {"input_tokens": tokens, "output_tokens": tokens}
    assert Prices().of_row(row).status == why


def models(of_subagent):
    return ConfiguredModels("dear", subagents={"researcher": of_subagent})


def starts(*types):
    """Events of subagents that start, each with a type and a prompt."""
    asked = [{"TypeName": type_, "Prompt": f"Look, {type_}"} for type_ in types]
    return e.Approval(
        trajectory=ROOT,
        approval_id="a-1",
        tool="invoke_subagent",
        args={"Subagents": asked},
        state=e.ApprovalState.PENDING,
    )


def began(type_, where=CHILD):
    return e.Step(
        trajectory=where,
        step_index=0,
        kind="system",
        source="system",
        target="model",
        status="done",
        text=f"[Message] sender=x content=Look, {type_}",
    )


def test_cost_of_a_turn_is_that_of_the_table():
    usage = {"input_tokens": 1_000_000, "output_tokens": 0, "total_tokens": 1_000_000}
    own = Prices(own={"dear": (2.0, 0.0, 0.0), "cheap": (0.5, 0.0, 0.0)})
    child = [starts("researcher"), began("researcher"), metered(CHILD, **usage)]
    turn = Turn(event_log=[begun(), metered(ROOT, **usage), *child, over()])
    cost = turn_cost(turn, TurnPricing(own, models("cheap")))
    assert (cost.usd, cost.is_lower_bound) == (pytest.approx(2.5), False)
    unknown = turn_cost(turn, TurnPricing(own, models("priceless")))
    assert (unknown.usd, unknown.is_lower_bound) == (pytest.approx(2.0), True)


def test_cost_of_a_turn_with_a_cut_request_is_a_lower_bound():
    text = e.Text(trajectory=ROOT, text="One, ", step_index=1)
    usage = {"input_tokens": 1_000_000, "output_tokens": 0, "total_tokens": 1_000_000}
    events = [begun(), metered(ROOT, **usage), text, over(e.TurnState.CANCELLED)]
    pricing = TurnPricing(Prices(own={"dear": (2.0, 0.0, 0.0)}), models("dear"))
    cost = turn_cost(Turn(event_log=events), pricing)
    assert (cost.usd, cost.is_lower_bound) == (pytest.approx(2.0), True)
