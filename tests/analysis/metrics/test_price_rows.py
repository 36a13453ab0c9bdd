"""Many calls are priced as each one by itself."""

import random

import pandas as pd
import pytest

from agy_nb.analysis import Prices, load
from agy_nb.analysis.metrics.price_rows import KEY
from agy_nb.analysis.schema import COST
from tests.analysis.conftest import Wire, save

AMOUNTS = [column.name for column in COST if column.name.endswith("_usd")]
OWN = Prices(own={"mine": (1.0, 0.1, 10.0)}, tiers={"priority": 1.8})


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Two thousand calls of several models and days: with long prompts, cached, odd or cut."""
    wire = Wire().begin().prompt().usage(prompt=5).idle().end()
    one = load(save(tmp_path_factory.mktemp("c") / "c", wire), prices=None, cache=False).model_calls
    rnd = random.Random(7)
    rows = []
    for number in range(2_000):
        size, answer = (
            rnd.choice((rnd.randrange(400_000), 200_000, 200_001, 0)),
            rnd.randrange(9_000),
        )
        row = {
            "model": rnd.choice(("gemini-2.5-pro", "gemini-2.5-flash", "mine", "no-such")),
            "at": pd.Timestamp("2026-11-20", tz="UTC") + pd.Timedelta(days=number % 3),
            "input_tokens": size, "output_tokens": answer, "total_tokens": size + answer,
            "cache_read_tokens": rnd.choice((0, size // 3, size)),
            "reasoning_tokens": rnd.choice((0, answer // 2)),
        }  # fmt: skip
        if not number % 50:  # looked up one by one
            odd = (
                {"input_audio_tokens": size // 2}, {"cache_read_tokens": size + 1},
                {"n_searches": 2}, {"status": "refused"}, {"service_tier": "priority"},
                {"tool_use_tokens": 30}, {"model": None}, {"output_tokens": None},
            )  # fmt: skip
            row |= odd[number // 50 % len(odd)]
        rows.append(row)
    table = pd.concat([one] * len(rows), ignore_index=True)
    for name in {name for row in rows for name in row}:
        default = table[name].iloc[0]
        kind = table[name].dtype
        table[name] = pd.Series([row.get(name, default) for row in rows]).astype(kind)
    return table


@pytest.mark.slow
def test_many_calls_have_the_prices_of_each_one(calls):
    added = OWN.add_to(calls)
    values = calls[list(KEY)].assign(at=calls["at"].dt.normalize()).astype(object)
    rows = values.where(values.notna(), None).to_dict("records")
    expected = list(zip(*(Prices.of_row(OWN, row) for row in rows), strict=True))
    for column, each in zip(COST, expected, strict=True):
        found = added[column.name].astype(object)
        found = found.where(found.notna(), None).tolist()
        if column.name in AMOUNTS:
            assert [value is None for value in found] == [value is None for value in each]
            known = [value for value in each if value is not None]
            assert [value for value in found if value is not None] == pytest.approx(known, 1e-12)
        else:
            assert found == list(each)


def test_a_tier_begins_at_its_token(calls):
    """Of 200,001 tokens each one has the higher price: $2.50 per million, not $1.25."""
    long = calls[calls["model"].eq("gemini-2.5-pro") & calls["status"].eq("metered")]
    long = pd.concat([long[long["input_tokens"].isin([200_000, 200_001])]] * 20, ignore_index=True)
    long = long.assign(cache_read_tokens=0, reasoning_tokens=0, output_tokens=1)
    costs = Prices().add_to(long).groupby("input_tokens")["input_cost_usd"].agg(["min", "max"])
    assert costs.loc[200_000].tolist() == [pytest.approx(0.25)] * 2
    assert costs.loc[200_001].tolist() == [pytest.approx(0.5000025)] * 2


def test_no_calls_have_no_prices(calls):
    none = Prices().add_to(calls.head(0))
    assert len(none) == 0
    assert none.dtypes.to_dict() == calls.dtypes.to_dict()


def test_thousands_of_different_calls_are_not_looked_up_one_by_one(calls, monkeypatch):
    looked_up = []
    real = Prices._of_values

    def of_values(self, values):
        looked_up.append(values)
        return real(self, values)

    monkeypatch.setattr(Prices, "_of_values", of_values)
    alike = calls[calls["status"].eq("metered")].assign(at=calls["at"].iloc[0])
    OWN.add_to(alike)
    assert len(looked_up) < len(alike) / 4
