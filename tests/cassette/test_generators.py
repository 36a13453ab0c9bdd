"""What `@use_cassette` decorates: generators, wrapped coroutines; and what it refuses."""

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect

import pytest

from agy_nb.cassette import cassette_session, use_cassette


def in_use():
    return cassette_session._active is not None


@pytest.fixture
def decorated(cassette, hello):
    return use_cassette(cassette(hello), "none", allow_unplayed=True)


def test_generator(decorated):
    @decorated
    def items(first):
        """Count."""
        try:
            sent = yield first, in_use()
            yield sent, in_use()
        except KeyError:
            yield "caught", in_use()
        return "done"

    assert inspect.isgeneratorfunction(items)
    assert (items.__name__, items.__doc__) == ("items", "Count.")
    found = items(1)
    assert not in_use(), "nothing has been asked for"
    assert next(found) == (1, True)
    assert found.send(2) == (2, True)
    with pytest.raises(StopIteration) as end:
        next(found)
    assert (end.value.value, in_use()) == ("done", False)
    thrown = items(1)
    next(thrown)
    assert thrown.throw(KeyError()) == ("caught", True)
    thrown.close()
    assert not in_use()
    assert list(items(3)) == [(3, True), (None, True)], "it can be used again"


def test_context_manager_of_a_decorated_generator(decorated):
    @contextlib.contextmanager
    @decorated
    def block():
        yield in_use()

    with block() as used:
        assert used
    with pytest.raises(ZeroDivisionError), block():
        raise ZeroDivisionError
    assert not in_use()


async def test_async_generator(decorated):
    closed = []

    @decorated
    async def items(first):
        try:
            sent = yield first, in_use()
            yield sent, in_use()
        except KeyError:
            yield "caught", in_use()
        finally:
            closed.append(in_use())

    assert inspect.isasyncgenfunction(items)
    found = items(1)
    assert not in_use()
    assert await anext(found) == (1, True)
    assert await found.asend(2) == (2, True)
    with pytest.raises(StopAsyncIteration):
        await anext(found)
    assert (in_use(), closed) == (False, [True])
    thrown = items(1)
    await anext(thrown)
    assert await thrown.athrow(KeyError()) == ("caught", True)
    await thrown.aclose()
    assert (in_use(), closed) == (False, [True, True])
    assert [item async for item in items(3)] == [(3, True), (None, True)]


async def test_coroutine_function_inside_another_decorator(decorated):
    async def hello(name):
        await asyncio.sleep(0)
        return name, in_use()

    def traced(*args):
        return hello(*args)

    class Talk:
        async def __call__(self, name):
            return await hello(name)

    for function in (traced, Talk(), functools.partial(hello)):
        assert await decorated(function)("you") == ("you", True)
        assert not in_use()


async def test_coroutine_that_fails_inside_another_decorator_closes_the_cassette(decorated):
    async def fails():
        raise KeyError

    def traced():
        return fails()

    with pytest.raises(KeyError):
        await decorated(traced)()
    assert not in_use()


class Group:
    """A class of tests."""

    def hello(self):
        """A method."""


@pytest.mark.parametrize(
    ("thing", "hint"),
    [
        (Group, "the class Group; decorate its methods"),
        (pytest.fixture(lambda: None), "put @use_cassette below @pytest.fixture"),
        (staticmethod(Group.hello), "below @staticmethod"),
        (classmethod(Group.hello), "below @classmethod"),
        (property(Group.hello), "below @property"),
        (17, "got 17"),
    ],
)
def test_other_things_are_refused(decorated, thing, hint):
    with pytest.raises(TypeError, match=hint):
        decorated(thing)


def test_function_that_returns_a_generator_is_refused(decorated):
    with pytest.raises(TypeError, match="directly above the generator function"):
        decorated(lambda: (n for n in range(3)))()
    assert not in_use()


def test_function_that_returns_a_future_is_refused(decorated):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with pytest.raises(TypeError, match=r"returns a Future.*return future\.result\(\)"):
            decorated(lambda: pool.submit(in_use))()
        assert not in_use()
        assert decorated(lambda: pool.submit(in_use).result())() is True


@pytest.mark.parametrize("awaited", [True, False])
async def test_task_of_a_sync_function_holds_the_cassette_until_it_is_done(decorated, awaited):
    async def hello():
        await asyncio.sleep(0)
        seen.append(in_use())
        return "you"

    seen = []
    task = decorated(lambda: asyncio.ensure_future(hello()))()
    assert isinstance(task, asyncio.Task)
    if awaited:
        assert await task == "you"
    await asyncio.wait([task])
    assert (seen, in_use()) == ([True], False)


async def test_future_that_fails_closes_the_cassette(decorated):
    future = asyncio.get_running_loop().create_future()
    result = decorated(lambda: future)()
    assert in_use()
    future.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        await result
    assert not in_use()
