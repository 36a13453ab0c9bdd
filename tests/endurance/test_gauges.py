"""The gauges see what they should see."""

import random
import threading
from pathlib import Path

import pytest

from tests.endurance.gauges import Log, sample, slope

pytestmark = pytest.mark.slow


def test_slope_of_a_line_is_exact():
    found = slope([0, 1, 2, 3], [5, 7, 9, 11])
    assert found.value == pytest.approx(2)
    assert found.error == pytest.approx(0, abs=1e-9)


def test_error_of_a_slope_is_as_large_as_what_it_is_off_by():
    dice = random.Random(1)
    xs = range(50)
    off = []
    for _ in range(300):
        found = slope(xs, [3 * x + dice.gauss(0, 10) for x in xs])
        off.append(abs(found.value - 3) / found.error)
    within = sum(each < 2 for each in off) / len(off)
    assert 0.9 < within < 0.99


async def test_what_is_held_is_seen():
    before = sample(0)
    end = threading.Event()
    held = [[number, {}] for number in range(40_000)]
    thread = threading.Thread(target=end.wait)
    thread.start()
    with Path(__file__).open(encoding="utf-8") as file:  # noqa: ASYNC230
        after = sample(len(held))
    end.set()
    thread.join()
    assert after.blocks - before.blocks >= 40_000  # what others left may go meanwhile
    assert after.objects - before.objects >= 20_000
    assert after.threads - before.threads == 1
    assert after.descriptors - before.descriptors == 1
    assert file.closed


async def test_a_leak_of_one_object_a_turn_is_seen():
    log, leak = Log(), []
    for turns in range(0, 12_000, 1_000):
        leak += [object() for _ in range(1_000)]
        log.take(turns)
    assert log.slope("blocks").value == pytest.approx(1, abs=0.2)
    assert len(leak) == 12_000
