"""Differences of two sets: exact quantiles for small sets, and no difference from rounding."""

import math

import pytest
from hypothesis import assume, given, strategies as st

from agy_nb.analysis import compare, load
from agy_nb.analysis.metrics.compare import t_quantile
from tests.analysis.conftest import Wire, save


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [
        (1, 12.7062047), (2, 4.3026527), (3, 3.1824463), (4, 2.7764451), (10, 2.2281389),
        (29, 2.0452296), (120, 1.9799304), (1e7, 1.9599642),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_the_tables(degrees, quantile):
    assert t_quantile(0.95, degrees) == pytest.approx(quantile, abs=1e-7)


@pytest.mark.parametrize("degrees", [0.7, 2.8823529, 7.5, 45.0])
def test_an_interval_covers_its_share_of_the_density(degrees):
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    scale -= math.log(degrees * math.pi) / 2
    high, steps = t_quantile(0.95, degrees), 200_000
    width = high / steps
    points = (
        math.exp(scale - (degrees + 1) / 2 * math.log1p(((n + 0.5) * width) ** 2 / degrees))
        for n in range(steps)
    )
    assert 2 * width * sum(points) == pytest.approx(0.95, abs=1e-6)


def test_quantiles_of_other_levels():
    assert t_quantile(0.99, 5) == pytest.approx(4.0321430, abs=1e-7)
    assert t_quantile(0.5, 3) == pytest.approx(0.7648923, abs=1e-7)


@given(st.floats(0.3, 1e6), st.floats(0.3, 1e6), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_fewer_values_never_give_a_narrower_interval(one, other, level):
    assume(one < other)
    # For a million values, the difference of two logarithms of gamma leaves nine digits.
    assert t_quantile(level, one) >= t_quantile(level, other) * (1 - 1e-8) > 0


def sessions(tmp_path, name, *tokens):
    wire = Wire().begin()
    for count in tokens:
        wire.prompt().step(len(wire.lines), text="Hi").usage(prompt=count).idle()
    return load(save(tmp_path / name / "c", wire.end()), prices=None)


def compared(tmp_path, a, b):
    table = compare(sessions(tmp_path, "a", *a), sessions(tmp_path, "b", *b))
    return table.set_index("figure").loc["tokens per turn"]


def test_two_values_against_three_have_a_wide_interval(tmp_path):
    row = compared(tmp_path, [100, 110], [120, 130, 140])
    # Welch: the variances of the means are 25 and 100/3, so there are 2.88 degrees of freedom.
    assert row["difference"] == pytest.approx(25)
    margin = t_quantile(0.95, 2.8823529) * (25 + 100 / 3) ** 0.5
    assert row["high"] - row["difference"] == pytest.approx(margin)
    assert margin > 1.6 * 1.96 * (25 + 100 / 3) ** 0.5  # far more than a normal quantile
    assert not row["within_noise"]
    assert compared(tmp_path / "near", [100, 110], [110, 120, 130])["within_noise"]


def test_a_difference_of_rounding_is_none(tmp_path):
    from agy_nb.analysis.metrics.compare import _difference  # no table has such figures exactly

    row = _difference([0.1 + 0.2] * 3, [0.3] * 2)
    assert (row["difference"], row["relative"], row["within_noise"]) == (0.0, 0.0, True)
    same = compared(tmp_path, [7, 7], [7, 7, 7])
    assert (same["difference"], same["within_noise"]) == (0.0, True)


def test_one_value_has_no_interval(tmp_path):
    row = compared(tmp_path, [100], [120, 130])
    assert row["difference"] == pytest.approx(25)
    assert row[["low", "high", "within_noise"]].isna().all()
