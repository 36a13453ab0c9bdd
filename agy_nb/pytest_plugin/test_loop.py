"""The loop that a test's agents live on, and their end.

| the test is | its agents live on |
| --- | --- |
| async, run by pytest-asyncio (auto or strict) | the loop of the test |
| async, run by anyio on asyncio | the loop of the test |
| a plain function | the loop that `agy.run` and `agent.sync` use |
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
    """Where the agents of one test live.

    Args:
        run: Runs a coroutine on their loop, from outside of it.

    Attributes:
        exits: What is to be closed at the end, on that loop.
        servers: The same, once all that is gone.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.exits = contextlib.AsyncExitStack()
        self.servers = contextlib.AsyncExitStack()
        self.exits.push_async_callback(self.servers.aclose)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, before the test or after it."""
        result: T = self._run(coro)
        return result


@pytest.fixture
def agy_home(request: pytest.FixtureRequest) -> Iterator[TestLoop]:
    """Where the agents of this test live, for fixtures of ours."""
    if not _is_async(request.node):
        from agy_nb import kernel

        home = TestLoop(kernel.run)
        yield home
        home.run(home.exits.aclose())
        return
    yield request.getfixturevalue(_home_of(request))


def homes(config: pytest.Config) -> ModuleType:
    """The async fixtures behind `agy_home`: one for each kind of loop that there is here."""
    module = ModuleType("agy_nb.pytest_plugin.homes")
    module.__dict__["_agy_home_anyio"] = pytest.fixture(name="_agy_home_anyio")(_on_this_loop)
    if config.pluginmanager.hasplugin("asyncio"):
        import pytest_asyncio

        mine = pytest_asyncio.fixture  # what is not its own, pytest-asyncio leaves alone if strict
        for scope in _SCOPES:
            made = mine(name=f"_agy_home_{scope}", loop_scope=scope)(_copy(_on_this_loop))
            module.__dict__[f"_agy_home_{scope}"] = made
    return module


async def _on_this_loop() -> AsyncIterator[TestLoop]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise NoAsyncPluginError(
            "agents live on asyncio, and this test runs on something else; with anyio, let the "
            "fixture anyio_backend be 'asyncio'"
        ) from None
    home = TestLoop(loop.run_until_complete)
    async with home.exits:
        yield home


def _copy(function: Callable[[], AsyncIterator[TestLoop]]) -> Callable[[], AsyncIterator[TestLoop]]:
    """The same function as another object: pytest-asyncio writes the scope onto it."""
    assert isinstance(function, FunctionType)  # noqa: S101 - for the type checker
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
            f"{request.node.nodeid} is async, and nothing runs it: install pytest-asyncio, or make "
            "it a plain function that uses agy.run"
        )
    marker = request.node.get_closest_marker("asyncio")
    given = marker.kwargs if marker else {}
    by_ini = request.config.getini("asyncio_default_test_loop_scope")
    return f"_agy_home_{given.get('loop_scope') or given.get('scope') or by_ini or 'function'}"
