"""The desk: what waits for a person, who shows it, and which answer counts."""

import asyncio

import pytest

from agy_nb.widgets.approvals.pending import PendingRequests
from agy_nb.widgets.tree.front_end_messages import Decide


@pytest.fixture
def desk():
    return PendingRequests()


async def test_first_answer_counts_and_no_other(desk):
    waiting, _ = desk.put("a", {})
    assert desk.answer(Decide(id="a", choice="deny"))
    assert not desk.answer(Decide(id="a", choice="once"))
    assert await waiting.answer == Decide(id="a", choice="deny")


async def test_answer_to_something_else_counts_for_nothing(desk):
    waiting, _ = desk.put("a", {})
    assert not desk.answer(Decide(id="b", choice="once"))
    assert not waiting.answer.done()


async def test_answer_that_comes_late_counts_for_nothing(desk):
    waiting, _ = desk.put("a", {})
    desk.take(waiting)
    assert not desk.answer(Decide(id="a", choice="once"))
    assert waiting.answer.cancelled()
    assert desk.get("a") is None


async def test_answer_to_an_earlier_one_of_that_name_is_not_taken_for_the_new_one(desk):
    first, _ = desk.put("a", {})
    desk.take(first)
    second, _ = desk.put("a", {})
    desk.take(first)  # whoever asked first is late
    assert desk.get("a") is second
    assert desk.answer(Decide(id="a", choice="once"))


async def test_every_view_may_show_it_and_one_is_enough(desk):
    shown = []
    desk.attach(lambda waiting: bool(shown.append(("first", waiting.id))))
    desk.attach(lambda waiting: not shown.append(("second", waiting.id)))
    _, claimed = desk.put("a", {})
    assert claimed
    assert shown == [("first", "a"), ("second", "a")]


async def test_without_a_view_nobody_shows_it(desk):
    detach = desk.attach(lambda _waiting: True)
    detach()
    detach()
    _, claimed = desk.put("a", {})
    assert not claimed


async def test_view_that_goes_takes_no_other_with_it(desk):
    desk.attach(lambda _waiting: True)
    desk.attach(lambda _waiting: False)()
    assert desk.put("a", {})[1]


async def test_what_is_seen_is_seen_once(desk):
    waiting, _ = desk.put("a", {})
    desk.see("a")
    desk.see("a")
    desk.see("b")
    assert waiting.seen.done()


async def test_hundred_wait_at_once_and_each_has_its_answer(desk):
    waiting = [desk.put(str(number), {})[0] for number in range(100)]
    for number in reversed(range(100)):
        assert desk.answer(Decide(id=str(number), choice="deny", reason=f"no {number}"))
    answers = await asyncio.gather(*(each.answer for each in waiting))
    assert [each.reason for each in answers] == [f"no {number}" for number in range(100)]
