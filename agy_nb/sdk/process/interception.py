"""Stand between the SDK and its harness: the seam that recordings and tests use."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator

from agy_nb.sdk.patches import harness_start, outside_start
from agy_nb.sdk.process import launch
from agy_nb.sdk.process.interceptor import Interceptor, intercepting


def follow(follower: launch.Follower) -> None:
    """Have the running task's next start belong to this agent.

    Args:
        follower: The agent; it gets the start's connection.

    Raises:
        UnsupportedSdkError: The SDK lacks something that this needs.
    """
    harness_start.install()
    launch.follow(follower)


def starts() -> int:
    """Return how many starts there were in this process since the first call of this function.

    Raises:
        UnsupportedSdkError: The SDK lacks something that this needs.
    """
    harness_start.install()
    return launch.count()


@contextlib.contextmanager
def intercepted(
    interceptor: Interceptor,
    *,
    model_needed: Callable[[], Awaitable[bool]] | None = None,
    harness_needed: Callable[[], bool] | None = None,
    engine_needed: Callable[[], Awaitable[bool]] | None = None,
) -> Iterator[None]:
    """Intercept the SDK's harnesses in the whole process while the block runs.

    This works for agents of our runtime, for code that uses the SDK's `Agent` directly, and for
    programs that start the harness by themselves.

    Args:
        interceptor: Called for each start.
        model_needed: Asked whether an agent that is started now needs a model; it does by default.
        harness_needed: Asked for each harness process that the program starts by itself, whether
            it must run; it must by default. May raise, which the program gets.
        engine_needed: Asked for each agent that runs its model in this process, whether the model
            must be loaded; it must by default.

    Raises:
        RuntimeError: Another interceptor is there already.
        UnsupportedSdkError: The SDK lacks something that this needs.
    """
    harness_start.install()
    with (
        intercepting(interceptor, model_needed, harness_needed, engine_needed),
        outside_start.led(),
    ):
        yield
