"""Pending requests: which views show them, and which reply counts."""

import asyncio

import pytest

from agy_nb.widgets.approvals.pending import PendingRequests
from agy_nb.widgets.tree.front_end_messages import Decide


@pytest.fixture
def pending_requests():
    return PendingRequests()


async def test_first_answer_counts_and_no_other(pending_requests):
    waiting, _ = pending_requests.add("a", {})
    assert pending_requests.resolve(Decide(id="a", choice="deny"))
    assert not pending_requests.resolve(Decide(id="a", choice="once"))
    assert await waiting.answer == Decide(id="a", choice="deny")


async def test_answer_to_something_else_counts_for_nothing(pending_requests):
    waiting, _ = pending_requests.add("a", {})
    assert not pending_requests.resolve(Decide(id="b", choice="once"))
    assert not waiting.answer.done()


async def test_answer_that_comes_late_counts_for_nothing(pending_requests):
    waiting, _ = pending_requests.add("a", {})
    pending_requests.remove(waiting)
    assert not pending_requests.resolve(Decide(id="a", choice="once"))
    assert waiting.answer.cancelled()
    assert pending_requests.get("a") is None


async def test_answer_to_an_earlier_one_of_that_name_is_not_taken_for_the_new_one(pending_requests):
    first, _ = pending_requests.add("a", {})
    pending_requests.remove(first)
    second, _ = pending_requests.add("a", {})
    pending_requests.remove(first)  # whoever asked first is late
    assert pending_requests.get("a") is second
    assert pending_requests.resolve(Decide(id="a", choice="once"))


async def test_every_view_may_show_it_and_one_is_enough(pending_requests):
    shown = []
    pending_requests.attach_view(lambda waiting: bool(shown.append(("first", waiting.id))))
    pending_requests.attach_view(lambda waiting: not shown.append(("second", waiting.id)))
    _, claimed = pending_requests.add("a", {})
    assert claimed
    assert shown == [("first", "a"), ("second", "a")]


async def test_without_a_view_nobody_shows_it(pending_requests):
    detach = pending_requests.attach_view(lambda _waiting: True)
    detach()
    detach()
    _, claimed = pending_requests.add("a", {})
    assert not claimed


async def test_view_that_goes_takes_no_other_with_it(pending_requests):
    pending_requests.attach_view(lambda _waiting: True)
    pending_requests.attach_view(lambda _waiting: False)()
    assert pending_requests.add("a", {})[1]


async def test_what_is_seen_is_seen_once(pending_requests):
    waiting, _ = pending_requests.add("a", {})
    pending_requests.mark_shown("a")
    pending_requests.mark_shown("a")
    pending_requests.mark_shown("b")
    assert waiting.shown.done()


async def test_hundred_wait_at_once_and_each_has_its_answer(pending_requests):
    waiting = [pending_requests.add(str(number), {})[0] for number in range(100)]
    for number in reversed(range(100)):
        assert pending_requests.resolve(
            Decide(id=str(number), choice="deny", reason=f"no {number}")
        )
    answers = await asyncio.gather(*(each.answer for each in waiting))
    assert [each.reason for each in answers] == [f"no {number}" for number in range(100)]


async def test_each_view_may_show_a_request(pending_requests):
    asked = []
    for view in ("first", "second"):
        pending_requests.attach_view(lambda _request, view=view: asked.append(view) is None)
    assert pending_requests.add("a", {})[1]
    assert asked == ["first", "second"]
