"""Numbers of turns come from users and from DataFrames."""

import numpy as np
import pandas as pd
import pytest

from agy_nb.errors import InvalidInputError
from agy_nb.protocol.turn_numbers import number_or_none, whole_number


@pytest.mark.parametrize(
    "value", [3, np.int64(3), np.uint8(3), pd.array([3], dtype="Int64")[0]], ids=repr
)
def test_whole_number_is_pythons_own(value):
    assert whole_number(value) == 3
    assert type(whole_number(value)) is int


@pytest.mark.parametrize(
    "value", [True, np.True_, 3.0, "3", pd.NA, np.array([1, 2]), [1]], ids=repr
)
def test_anything_else_is_refused(value):
    assert whole_number(value) is None
    with pytest.raises(InvalidInputError, match="turn must be a whole number or None, got"):
        number_or_none("turn", value)


def test_none_stays_none():
    assert number_or_none("turn", None) is None
