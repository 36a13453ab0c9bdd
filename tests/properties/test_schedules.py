"""Every small scenario holds whatever lands when; and the explorer finds what it should find."""

import asyncio

import pytest
from hypothesis import given, strategies as st

from tests.properties.conftest import EFFORT, PROFILE
from tests.properties.scenarios import (  # noqa: F401 - each fills SCENARIOS
    approvals,
    cancels,
    loop,
    quota,
    replay,
)
from tests.properties.schedules import (
    Broken,
    Dice,
    Drawn,
    Explored,
    Odometer,
    again,
    explore,
    run,
)
from tests.properties.stage import SCENARIOS

pytestmark = pytest.mark.slow


def test_there_are_scenarios_enough():
    assert len(SCENARIOS) >= 60


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SCENARIOS)
def test_small_scenario_holds_under_every_schedule(name, counted):
    explored = explore(SCENARIOS[name], early=EFFORT.early, at_most=EFFORT.most)
    counted(explored.schedules)
    assert explored.whole or EFFORT.early > 1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SCENARIOS)
def test_small_scenario_holds_where_the_ready_queue_keeps_no_order(name, counted):
    for seed in range(EFFORT.shuffled):
        run(SCENARIOS[name], Dice(seed), early=1, shuffles=2)
    counted(EFFORT.shuffled)


# --- the explorer itself ------------------------------------------------------------------------


async def lost_update(world):
    """Two add one to a number, and one of them may be lost."""
    number = 0

    async def add():
        nonlocal number
        seen = number
        await world.at("the disk has written")
        number = seen + 1

    world.begin()
    world.does("one adds", add)
    world.does("another adds", add)
    await world.all_done()
    assert number == 2


def test_a_race_is_found_and_told_in_words():
    with pytest.raises(Broken) as caught:
        explore(lost_update)
    assert caught.value.trace == (
        "one adds",
        "another adds",
        "the disk has written",
        "the disk has written (2)",
    )
    text = str(caught.value)
    assert "lost update: this does not hold when\n  1. one adds\n  2. another adds" in text
    assert "again(lost_update, [], early=0, shuffles=0)" in text


def test_the_list_of_choices_shows_the_failure_again():
    with pytest.raises(Broken) as found:
        explore(lost_update)
    with pytest.raises(Broken) as shown:
        again(lost_update, found.value.choices)
    assert shown.value.trace == found.value.trace


@given(st.data())
def test_hypothesis_may_choose(data):
    found = run(three_events, Drawn(lambda options: data.draw(st.integers(0, options - 1))))
    assert sorted(found.trace) == ["a", "b", "c"]


async def three_events(world):
    world.begin()
    for name in "abc":
        world.does(name, asyncio.Event().is_set and (lambda: asyncio.sleep(0)))
    await world.all_done()


def test_all_orders_are_tried_and_each_once():
    seen = set()
    odometer = Odometer()
    while True:
        seen.add(tuple(run(three_events, odometer).trace))
        if not odometer.advance():
            break
    assert len(seen) == 6
    assert explore(three_events) == Explored(6, whole=True)


def test_more_orders_are_tried_where_events_land_during_work():
    assert explore(three_events, early=1).schedules > 6
    assert explore(three_events, early=2, at_most=10) == Explored(10, whole=False)


def test_a_deadlock_says_who_waits():
    async def waits_for_ever(world):
        await asyncio.Event().wait()

    with pytest.raises(Broken, match=r"nobody will do:\n- .* at waits_for_ever"):
        explore(waits_for_ever)


def test_a_loop_without_end_is_told():
    async def spins(world):
        while True:  # noqa: ASYNC110 - that is the point
            await asyncio.sleep(0)

    with pytest.raises(Broken, match="and no end"):
        explore(spins)


def test_a_task_that_is_left_is_told():
    async def leaves(world):
        world.loop.create_task(asyncio.sleep(5), name="left behind")

    with pytest.raises(Broken, match="left behind"):
        explore(leaves)


def test_an_error_that_nobody_sees_is_told():
    async def raises_in_a_callback(world):
        world.loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    with pytest.raises(Broken, match="ZeroDivisionError"):
        explore(raises_in_a_callback)


async def first_in_first_out(world):
    order = []
    world.begin()
    for number in range(3):
        world.loop.call_soon(order.append, number)
    for _ in range(3):
        await asyncio.sleep(0)
    assert order == [0, 1, 2]


def test_callbacks_run_in_order_unless_they_are_shuffled():
    assert explore(first_in_first_out, early=2) == Explored(1, whole=True)
    with pytest.raises(Broken, match="runs before 1 older"):
        explore(first_in_first_out, shuffles=1)


async def timer_or_event(world):
    world.begin(seconds=5)
    event = asyncio.ensure_future(world.at("the event"))
    done, _ = await asyncio.wait([event], timeout=5)
    event.cancel()
    world.note("in time" if done else "too late")


def test_a_timer_races_with_events_within_the_horizon_only():
    seen, odometer = [], Odometer()
    while True:
        seen.append(run(timer_or_event, odometer).trace[-1])
        if not odometer.advance():
            break
    assert sorted(seen) == ["in time", "too late"]


def test_a_thread_is_done_when_the_oracle_says_so():
    async def in_a_thread(world):
        world.begin()
        world.does("an event", lambda: asyncio.sleep(0))
        assert await asyncio.to_thread(pow, 2, 3) == 8
        await world.all_done()

    assert explore(in_a_thread).schedules == 2


# --- large ones ---------------------------------------------------------------------------------


def test_schedules_drawn_by_hypothesis(counted):
    from tests.properties.large import a_busy_runtime

    runs = 0

    @PROFILE
    @given(st.data())
    def drawn(data):
        nonlocal runs
        runs += 1
        oracle = Drawn(lambda options: data.draw(st.integers(0, options - 1)))
        run(a_busy_runtime(data), oracle, early=6)

    drawn()
    counted(runs)
