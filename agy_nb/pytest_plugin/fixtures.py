"""`agy_runtime`, `agy_agent`, `scripted_model`: agents in tests, sync and async.

Rule 1: what a fixture starts, it ends on the same loop.
Rule 2: settings are fixtures, so that a module, a class or a conftest overrides them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from agy_nb.pytest_plugin.test_loop import TestLoop, agy_home

if TYPE_CHECKING:
    from agy_nb.runtime.agent import Agent
    from agy_nb.runtime.runtime import Runtime
    from agy_nb.runtime.runtime_config import RuntimeConfig
    from agy_nb.testing import ScriptedModel

__all__ = [
    "agy_agent",
    "agy_agent_settings",
    "agy_home",
    "agy_runtime",
    "agy_runtime_config",
    "scripted_model",
]


@pytest.fixture
def agy_runtime_config() -> RuntimeConfig | None:
    """Limits and pauses of `agy_runtime`: none between chats. Override it to change them."""
    from agy_nb.runtime.runtime_config import RuntimeConfig

    return RuntimeConfig(chat_pause=0)


@pytest.fixture
def agy_runtime(agy_home: TestLoop, agy_runtime_config: RuntimeConfig | None) -> Runtime:
    """A runtime of the test's own; it and its agents are closed when the test is over."""
    from agy_nb.runtime.runtime import Runtime

    runtime = Runtime(agy_runtime_config)
    agy_home.exits.push_async_callback(runtime.close)
    return runtime


@pytest.fixture
def agy_agent_settings() -> Mapping[str, Any]:
    """The arguments of `create_agent` for `agy_agent`: none. Override it to give some."""
    return {}


@pytest.fixture
def agy_agent(
    agy_home: TestLoop, agy_runtime: Runtime, agy_agent_settings: Mapping[str, Any]
) -> Agent:
    """An agent that is ready to chat, on `agy_runtime`, made of `agy_agent_settings`."""
    return agy_home.run(agy_runtime.create_agent(**agy_agent_settings))


@pytest.fixture
def scripted_model(agy_home: TestLoop) -> Callable[..., ScriptedModel]:
    """Make models that follow a script; they listen on loopback until the test is over.

    `model = await scripted_model([say("Hello")])` in an async test, the same without `await` in a
    plain test or fixture. Takes what `agy_nb.testing.ScriptedModel` takes; what a script could not
    answer fails the test.
    """
    from agy_nb.kernel.environment import running_loop
    from agy_nb.testing import ScriptedModel

    class Model(ScriptedModel):
        """A scripted model that can be awaited, which starts it."""

        def __await__(self) -> Generator[Any, None, Model]:
            return self.start().__await__()

    def make(script: Any, **options: Any) -> Model:  # noqa: ANN401 - as ScriptedModel
        model = Model(script, **options)
        agy_home.servers.push_async_exit(model)
        return model if running_loop() else agy_home.run(model.start())

    return make
