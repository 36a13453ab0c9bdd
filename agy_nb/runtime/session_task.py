"""The task that opens and closes the session of an agent.

One task does both, because the SDK's session is a context manager that must be entered and left in
the same task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agy_nb.errors import AgyError, AgyTimeoutError, BackendError
from agy_nb.runtime.runtime_config import RuntimeConfig
from agy_nb.sdk.interfaces.open_session import Session


class SessionTask:
    """The life of one session, from its start to its exit.

    Args:
        agent_id: The agent's number.
        config: The runtime's limits.

    Attributes:
        session: The session after its start, also after its end; None before.
        stopping: Set it to let the task close the session.
    """

    def __init__(self, agent_id: int, config: RuntimeConfig) -> None:
        self.session: Session | None = None
        self.stopping: asyncio.Event = asyncio.Event()
        self._agent_id = agent_id
        self._config = config
        self._task: asyncio.Task[None] | None = None

    async def open(
        self, open_session: Callable[[], Awaitable[Session]], on_open: Callable[[], None]
    ) -> None:
        """Start the task, and wait until the session is open.

        Args:
            open_session: Opens the session; runs in the task.
            on_open: Called when the session is open.

        Raises:
            InvalidConfigError: The SDK or agy_nb rejects the configuration.
            BackendError: The agent does not start.
            AgyTimeoutError: The start takes longer than `start_timeout`.
        """
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(
            self._run(open_session, on_open, opened), name=f"agy_nb agent {self._agent_id}"
        )
        try:
            async with asyncio.timeout(self._config.start_timeout):
                await asyncio.shield(opened)
        except TimeoutError as error:
            if isinstance(error, AgyError):
                raise
            await self._abandon(self._task)
            raise AgyTimeoutError(
                self._config.start_timeout,
                "create_agent",
                hint="check with `agy-nb doctor` that the harness starts, "
                "or raise RuntimeConfig(start_timeout=...)",
            ) from None
        except asyncio.CancelledError:
            await self._abandon(self._task)
            raise

    async def _abandon(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task], timeout=self._config.exit_timeout)

    async def _run(
        self,
        open_session: Callable[[], Awaitable[Session]],
        on_open: Callable[[], None],
        opened: asyncio.Future[None],
    ) -> None:
        try:
            self.session = await open_session()
        except BaseException as error:
            if not opened.done():
                if isinstance(error, Exception):
                    opened.set_exception(_ours(error))
                else:
                    opened.cancel()
            if isinstance(error, Exception):
                return
            raise
        on_open()
        if not opened.done():
            opened.set_result(None)
        try:
            await self.stopping.wait()
        finally:
            await self.session.close()

    async def exit(self) -> None:
        """Wait until the session is closed, at most `exit_timeout` seconds.

        Raises:
            AgyTimeoutError: The exit takes longer.
        """
        if self._task is None:
            return
        # `wait_for` would cancel the task and then wait for its end without a limit.
        _, late = await asyncio.wait([self._task], timeout=self._config.exit_timeout)
        if late:
            self._task.cancel()
            raise AgyTimeoutError(
                self._config.exit_timeout,
                f"exit of agent {self._agent_id}",
                hint="its harness still runs and ends in the background",
            )
        if not self._task.cancelled() and (error := self._task.exception()):
            raise _ours(error)


def _ours(error: BaseException) -> AgyError:
    if isinstance(error, AgyError):
        return error
    return BackendError(f"{type(error).__name__}: {error}")
