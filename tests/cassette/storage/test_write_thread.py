"""Items of a queue are written by a thread, in order, until there are no more."""

import threading

import pytest

from agy_nb.cassette.storage.write_thread import WriteThread

pytestmark = pytest.mark.blocking_allowed


def test_all_items_are_written_in_order():
    found = []
    thread = WriteThread("t", found.extend)
    for item in (1, None, 2):
        thread.put(item)
    thread.close()
    assert found == [1, None, 2]
    assert thread.failure is None


@pytest.mark.parametrize("after", [0, 2])
def test_items_after_a_failure_are_thrown_away_and_the_thread_ends(after):
    found = []

    def write(items):
        for item in items:
            if len(found) == after:
                raise ValueError("no")
            found.append(item)

    thread = WriteThread("to be gone", write)
    for item in range(5):
        thread.put(item)
    thread.close()
    assert found == [*range(after)]
    assert str(thread.failure) == "no"
    assert "to be gone" not in {each.name for each in threading.enumerate()}


def test_a_function_that_stops_early_does_not_keep_the_thread():
    thread = WriteThread("t", lambda items: None)
    thread.put(1)
    thread.close()
    assert thread.failure is None


def test_closing_twice_is_allowed():
    thread = WriteThread("t", lambda items: None)
    thread.close()
    thread.close()
