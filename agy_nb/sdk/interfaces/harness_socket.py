"""The socket between the SDK and a harness, or a recording that is replayed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeAlias

from agy_nb.protocol.values import JsonObject
from agy_nb.sdk.interfaces.agent_clock import Clock


class Socket(Protocol):
    """The methods of a WebSocket that the SDK uses."""

    async def send(self, message: Any) -> None:
        """Send a frame."""
        ...

    async def recv(self) -> Any:
        """Return the next frame."""
        ...

    def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over the received frames until the socket is closed."""
        ...

    async def close(self) -> None:
        """Close the socket."""
        ...


class Start(Protocol):
    """The start of a harness; see `process.launch.HarnessStart`."""

    @property
    def binary_path(self) -> str:
        """Path of the harness binary."""
        ...

    @property
    def any_model(self) -> bool:
        """Whether the user's configuration does not name a model."""
        ...


Listen: TypeAlias = Callable[[Start, Any], Any]
"""Called with a start and its connected socket; returns the socket to use instead."""


class RecordedAnswers(Protocol):
    """The user's recorded answers; see `cassette.replay.cassette_answers.CassetteAnswers`."""

    def decision(self, request_id: str) -> JsonObject | None:
        """Return the recorded `PolicyDecisionResponse`, None to decide now."""
        ...

    def hook(self, request_id: str) -> JsonObject | None:
        """Return the recorded `CallHookResponse`, None to decide now."""
        ...

    def question(self, trajectory_id: str, step: int) -> JsonObject | None:
        """Return the recorded `UserQuestionsResponse`, None to ask now."""
        ...

    def denial(self, call_id: str) -> str | None:
        """Return why a subagent's call was denied, empty if it was allowed, None to decide now."""
        ...

    def is_left_to_client(self, call_id: str) -> bool:
        """Return whether the client must apply its policies to this call of a host tool."""
        ...


class ReplaySocket(Protocol):
    """The additional interface of a replayed session's socket."""

    @property
    def clock(self) -> Clock | None:
        """The clock of the recording, None to use the event loop's."""
        ...

    @property
    def error(self) -> Exception | None:
        """The error that ended the replay, as an object; the SDK keeps its text only."""
        ...

    def read_through(self, is_read: Callable[[], bool]) -> None:
        """Let turns end when the client has read their steps."""
        ...

    def show_requests(self) -> RecordedAnswers | None:
        """Release requests that the recording answers.

        Returns:
            The recorded answers, None for a live session.
        """
        ...
