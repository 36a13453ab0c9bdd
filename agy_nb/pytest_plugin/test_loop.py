"""The event loop of a test's agents, and how they end.

| test | event loop of its agents |
| --- | --- |
| async, run by pytest-asyncio (auto or strict) | the loop of the test |
| async, run by anyio on asyncio | the loop of the test |
| sync | the loop that `agy.run` and `agent.sync` use |
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import FunctionType, ModuleType
from typing import Any, Literal, TypeVar

import pytest

from agy_nb.pytest_plugin.errors import NoAsyncPluginError

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, Any]], Any]

_SCOPES: tuple[Literal["function", "class", "module", "package", "session"], ...] = (
    "function",
    "class",
    "module",
    "package",
    "session",
)


class TestLoop:
    """The event loop of one test's agents.

    Args:
        run: Runs a coroutine on that loop, called from outside of it.

    Attributes:
        exits: Callbacks that end agents and runtimes, on that loop.
        servers: Callbacks that stop servers, after `exits`.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.exits: contextlib.AsyncExitStack[bool | None] = contextlib.AsyncExitStack()
        self.servers: contextlib.AsyncExitStack[bool | None] = contextlib.AsyncExitStack()
        self.exits.push_async_callback(self.servers.aclose)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, before the test or after it."""
        result: T = self._run(coro)
        return result


@pytest.fixture
def agy_home(request: pytest.FixtureRequest) -> Iterator[TestLoop]:
    """Return the event loop of this test's agents."""
    if not _is_async(request.node):
        from agy_nb import kernel

        home = TestLoop(kernel.run)
        yield home
        home.run(home.exits.aclose())
        return
    yield request.getfixturevalue(_home_of(request))


def loop_fixtures(config: pytest.Config) -> ModuleType:
    """Return a module with the async fixtures behind `agy_home`, one per kind of loop."""
    module = ModuleType("agy_nb.pytest_plugin.homes")
    module.__dict__["_agy_home_anyio"] = pytest.fixture(name="_agy_home_anyio")(_on_this_loop)
    if config.pluginmanager.hasplugin("asyncio"):
        import pytest_asyncio

        mine = pytest_asyncio.fixture  # strict mode needs pytest-asyncio's own decorator
        for scope in _SCOPES:
            made = mine(name=f"_agy_home_{scope}", loop_scope=scope)(_copy(_on_this_loop))
            module.__dict__[f"_agy_home_{scope}"] = made
    return module


async def _on_this_loop() -> AsyncIterator[TestLoop]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise NoAsyncPluginError(
            "agents need asyncio, and this test runs on another backend. With anyio, let the "
            "fixture anyio_backend return 'asyncio'"
        ) from None
    home = TestLoop(loop.run_until_complete)
    async with home.exits:
        yield home


def _copy(function: Callable[[], AsyncIterator[TestLoop]]) -> Callable[[], AsyncIterator[TestLoop]]:
    """Copy a function, because pytest-asyncio stores the scope on it."""
    assert isinstance(function, FunctionType)
    return FunctionType(function.__code__, function.__globals__, function.__name__)


def _is_async(item: pytest.Item) -> bool:
    function = inspect.unwrap(getattr(item, "obj", None) or (lambda: None))
    within = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    return inspect.iscoroutinefunction(within) or inspect.isasyncgenfunction(within)


def _home_of(request: pytest.FixtureRequest) -> str:
    if "anyio_backend" in request.fixturenames:
        return "_agy_home_anyio"
    if not request.config.pluginmanager.hasplugin("asyncio"):
        raise NoAsyncPluginError(
            f"{request.node.nodeid} is async, and no plugin runs async tests. Install "
            "pytest-asyncio, or write a sync test that uses agy.run"
        )
    marker = request.node.get_closest_marker("asyncio")
    given = marker.kwargs if marker else {}
    by_ini = request.config.getini("asyncio_default_test_loop_scope")
    return f"_agy_home_{given.get('loop_scope') or given.get('scope') or by_ini or 'function'}"
