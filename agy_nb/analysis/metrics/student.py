"""Quantiles of Student's t. SciPy has them, but would be a large dependency for one number."""

from __future__ import annotations

import math

_TINY = 1e-300
_STEPS = 300


def t_quantile(level: float, degrees: float) -> float:
    """Return how many standard errors are on each side of an interval.

    Args:
        level: Share of cases that the interval covers, such as 0.95.
        degrees: Degrees of freedom, above 0; need not be whole.

    Example:
        >>> [round(t_quantile(0.95, degrees), 3) for degrees in (1, 3, 30, 1e9)]
        [12.706, 3.182, 2.042, 1.96]
    """
    low, high = 0.0, 2.0
    while _outside(high, degrees) > 1 - level:
        low, high = high, 2 * high
    for _ in range(200):  # halve the interval until no number is between its ends
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _outside(middle, degrees) > 1 - level else (low, middle)
    return (low + high) / 2


def _outside(t: float, degrees: float) -> float:
    """Return the probability of a value farther from 0 than `t`."""
    return _beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def _beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function, by its continued fraction."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - _beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front += a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = fraction
        for term in (even, odd):
            d = 1 / _apart(1 + term * d)
            c = _apart(1 + term / c)
            fraction *= c * d
        if fraction == before:
            break
    return math.exp(front) * fraction / a


def _apart(value: float) -> float:
    """Keep a denominator from zero."""
    return value if abs(value) > _TINY else _TINY
