"""`agy_runtime`, `agy_agent`, `scripted_model`: agents in tests, sync and async.

A fixture ends everything that it starts, on the same loop. Settings are fixtures, so that a module,
a class or a conftest can override them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from agy_nb.pytest_plugin.test_loop import TestLoop, agy_home

if TYPE_CHECKING:
    from agy_nb.runtime.agent import Agent
    from agy_nb.runtime.runtime import Runtime
    from agy_nb.runtime.runtime_config import RuntimeConfig
    from agy_nb.testing import ScriptedModel, ScriptedModelFactory
    from agy_nb.testing.script.script_router import Scripts

__all__ = [
    "agy_agent",
    "agy_agent_settings",
    "agy_cassette_config",
    "agy_home",
    "agy_runtime",
    "agy_runtime_config",
    "scripted_model",
]

_running: list[pytest.Item] = []
"""The test that runs; a test of pytest itself runs others inside."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Remember the running test, for `running_fixture`."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


def running_fixture(name: str) -> Any:
    """Return the value of a fixture in the running test.

    Args:
        name: Name of the fixture.

    Returns:
        Its value; None if no test runs, or if there is no such fixture.
    """
    request = getattr(_running[-1], "_request", None) if _running else None
    if request is None:
        return None
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        return None


@pytest.fixture(scope="session")
def agy_cassette_config() -> Mapping[str, Any]:
    """Return arguments of `use_cassette` for the cassettes of tests: none by default. Override it.

    A module, a class or a conftest can override it for its tests. The arguments of a marker win,
    except for `redact`, whose rules add up. The fixture can use `pytestconfig` only, because a
    cassette opens before other fixtures.
    """
    return {}


@pytest.fixture
def agy_runtime_config() -> RuntimeConfig | None:
    """Return the `RuntimeConfig` of `agy_runtime`, without a pause between chats. Override it."""
    from agy_nb.runtime.runtime_config import RuntimeConfig

    return RuntimeConfig(chat_pause=0)


@pytest.fixture
def agy_runtime(agy_home: TestLoop, agy_runtime_config: RuntimeConfig | None) -> Runtime:
    """Start a runtime for this test. It closes with its agents when the test is over."""
    from agy_nb.runtime.runtime import Runtime

    runtime = Runtime(agy_runtime_config)
    agy_home.exits.push_async_callback(runtime.close)
    return runtime


@pytest.fixture
def agy_agent_settings() -> Mapping[str, Any]:
    """Return the arguments of `create_agent` for `agy_agent`: none by default. Override it."""
    return {}


@pytest.fixture
def agy_agent(
    agy_home: TestLoop, agy_runtime: Runtime, agy_agent_settings: Mapping[str, Any]
) -> Agent:
    """Create an agent on `agy_runtime` with the arguments of `agy_agent_settings`."""
    return agy_home.run(agy_runtime.create_agent(**agy_agent_settings))


@pytest.fixture
def scripted_model(agy_home: TestLoop) -> ScriptedModelFactory:
    """Return a function that starts scripted models. They stop when the test is over.

    Write `model = await scripted_model([say("Hello")])` in an async test, and leave out `await` in
    a sync test or fixture. The function has the arguments of `agy_nb.testing.ScriptedModel`. A
    model call that the script does not answer fails the test.
    """
    from agy_nb.kernel.environment import running_loop
    from agy_nb.testing import ScriptedModel

    def make(
        script: Scripts, *, strict: bool = False, keep_requests: int | None = None
    ) -> ScriptedModel:
        model = ScriptedModel(script, strict=strict, keep_requests=keep_requests)
        agy_home.servers.push_async_exit(model)
        return model if running_loop() else agy_home.run(model.start())

    return make
