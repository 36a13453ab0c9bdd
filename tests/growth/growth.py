"""Measure how the time of a function grows with the size of its input.

Seconds say more of the machine than of the code, so only the growth counts: the exponent between
two sizes is 1 for linear and 2 for quadratic time. A busy machine cannot make a linear function
fail: CPU time is measured, and the best of several tries counts. A quadratic function cannot pass:
at the largest size it takes far more than `NEGLIGIBLE_S`.
"""

from __future__ import annotations

import gc
import math
import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

SIZES = (60, 250, 1_000, 4_000, 16_000, 100_000 if os.environ.get("AGY_SOAK") else 30_000)
"""Characters of the input; the first are there for exponential time, which would never end."""
NEGLIGIBLE_S = 0.05
STEEPEST = 1.6
LONGEST_S = 3
SHORTEST_S = 0.004
"""Seconds that every clock can tell from none."""
_TRIES = 3

T = TypeVar("T")


def check_growth(make: Callable[[int], T], run: Callable[[T], Any]) -> None:
    """Fail if the time of a function grows faster than its input.

    Args:
        make: Returns an input of about so many characters.
        run: The function. It must not remember its inputs.

    Raises:
        AssertionError: The exponent is greater than `STEEPEST`, or a call takes `LONGEST_S`.
    """
    for smaller, larger in pairwise(SIZES):
        if _seconds(make, run, larger) <= NEGLIGIBLE_S:
            continue
        for attempt in range(_TRIES):
            before = min(_seconds(make, run, smaller) for _ in range(1 + attempt))
            after = min(_seconds(make, run, larger) for _ in range(1 + attempt))
            exponent = math.log(after / before) / math.log(larger / smaller)
            if after <= NEGLIGIBLE_S or exponent <= STEEPEST:
                break
        else:
            raise AssertionError(
                f"{before:.4f} s for {smaller} characters, {after:.4f} s for {larger}: "
                f"time grows with the power {exponent:.2f}, more than {STEEPEST}"
            )


def _seconds(make: Callable[[int], T], run: Callable[[T], Any], size: int) -> float:
    def too_long(*_: object) -> None:
        raise AssertionError(f"more than {LONGEST_S} s for {size} characters")

    subject = make(size)
    gc.disable()
    # Expressions look for signals while they match, so that also exponential time ends.
    old = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    try:
        begun = time.process_time()
        run(subject)
        return max(time.process_time() - begun, SHORTEST_S)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)
        gc.enable()


def filled(piece: str, size: int) -> str:
    """Repeat a text to a length."""
    return (piece * (size // len(piece) + 1))[:size]
