"""Check in tests what an agent did: `agy.expect`."""

from __future__ import annotations

from agy_nb.assertions.expectations import Expectation, expect

__all__ = ("Expectation", "expect")
