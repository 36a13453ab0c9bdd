"""What `use_cassette` does as a decorator, for each kind of function."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import partial
from typing import Any, Protocol


class InUse(
    contextlib.AbstractContextManager[Any], contextlib.AbstractAsyncContextManager[Any], Protocol
):
    """A cassette that a call uses; see `use_cassette`."""


def check(function: Any) -> None:
    """Refuse classes and fixtures, which decorating as a function would break."""
    if isinstance(function, type):
        raise TypeError(
            f"use_cassette decorates functions, got the class {_name(function)}; decorate its "
            "methods, or mark the class with @pytest.mark.agy_cassette"
        )
    if type(function).__name__ == "FixtureFunctionDefinition" or hasattr(
        function, "_pytestfixturefunction"
    ):
        raise TypeError(
            f"use_cassette decorates functions, got the fixture {_name(function)}; put "
            "@use_cassette below @pytest.fixture"
        )
    if isinstance(function, staticmethod | classmethod | property):
        raise TypeError(
            f"use_cassette decorates functions, got a {type(function).__name__}; put @use_cassette "
            f"below @{type(function).__name__}"
        )
    if not callable(function):
        raise TypeError(f"use_cassette decorates functions, got {function!r}")


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or getattr(function, "__name__", function))


def _awaited(result: Awaitable[Any], in_use: contextlib.ExitStack) -> Awaitable[Any]:
    """Return an awaitable of the same kind that closes a cassette when the given one is done."""
    after = _after(result, in_use)
    return asyncio.ensure_future(after) if isinstance(result, asyncio.Future) else after


async def _after(result: Awaitable[Any], in_use: contextlib.ExitStack) -> Any:
    with in_use:
        return await result


def in_cassette(function: Callable[..., Any], again: Callable[[], InUse]) -> Callable[..., Any]:
    """Return a function of the same kind that uses a cassette."""

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        async with again():
            return await function(*args, **kwargs)

    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with again():
            return (yield from function(*args, **kwargs))

    async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async with again(), contextlib.aclosing(function(*args, **kwargs)) as items:
            # Python has no `yield from` for async generators, so values and errors of the caller
            # are passed on here. `GeneratorExit` goes to `aclosing`.
            step = partial(items.asend, None)
            while True:
                try:
                    item = await step()
                except StopAsyncIteration:
                    return
                try:
                    step = partial(items.asend, (yield item))
                except Exception as error:
                    step = partial(items.athrow, error)

    if inspect.isasyncgenfunction(function):
        return async_generator
    if inspect.isgeneratorfunction(function):
        return generator
    return coroutine if inspect.iscoroutinefunction(function) else _plain(function, again)


def _plain(function: Callable[..., Any], again: Callable[[], InUse]) -> Callable[..., Any]:
    def plain(*args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as stack:
            stack.enter_context(again())
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):  # a coroutine function inside another decorator
                return _awaited(result, stack.pop_all())
            if isinstance(result, concurrent.futures.Future):
                result.cancel()
                raise TypeError(
                    f"{_name(function)} returns a Future, whose work would run without the "
                    "cassette; return future.result(), or make it an async function that awaits "
                    "asyncio.wrap_future(future)"
                )
            if inspect.isgenerator(result) or inspect.isasyncgen(result):
                raise TypeError(
                    f"{_name(function)} returns a generator, which would run without the cassette; "
                    "put @use_cassette directly above the generator function"
                )
            return result

    return plain
