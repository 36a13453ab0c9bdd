"""The wire seam played back: what the SDK takes for its harness.

Beside `tape`, the only module that knows how a connection of the SDK is made. All that both touch
of the SDK is named there, and a test pins each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from agy_nb.cassette.deck import Deck
from agy_nb.cassette.format import Frame, parse_frame
from agy_nb.cassette.machine import SessionMachine, Tools
from agy_nb.cassette.playback import NoProcess, ReplaySocket
from agy_nb.cassette.tape import Connected, Spawn, websockets_of_sdk
from agy_nb.wire.frames import ERROR_MESSAGE, RESPONSE_JSON

URL = "ws://cassette/"


@dataclass(frozen=True, slots=True)
class PlaybackSettings:
    """How sockets play.

    Attributes:
        speed: 0 for no waiting, 1 for the recorded pace, 2 for twice that pace.
        stall_after: Seconds after which a session in which nothing can move is an error.
        tools: Whether host tools run (and are checked), or their recorded results are used.
    """

    speed: float = 0
    stall_after: float = 10.0
    tools: Tools = "check"


def replay(strategy: Any, deck: Deck, settings: PlaybackSettings) -> Connected:  # noqa: ANN401
    """Stand in for the harness.

    Args:
        strategy: The SDK's; its host tools are stood in for too where the settings say so.
        deck: Deals the recorded sessions.
        settings: How they are played.
    """
    return NoProcess(), _socket(strategy, deck, settings), URL


def any_model(strategy: Any) -> bool:  # noqa: ANN401 - the SDK's
    """Whether an agent leaves it open which model it has."""
    from agy_nb.sdk.harness import options_of

    return options_of(strategy).any_model


def needs_no_key(strategy: Any) -> None:  # noqa: ANN401 - the SDK's
    """Let the real harness start without a key, as the cassette answers for the model."""
    from agy_nb.sdk.harness import needs_no_key

    needs_no_key(strategy)


def _socket(strategy: Any, deck: Deck, settings: PlaybackSettings) -> ReplaySocket:  # noqa: ANN401
    on_deal: Callable[[SessionMachine], None] | None = None
    runner = getattr(strategy, "_tool_runner", None)
    if settings.tools == "replay" and runner is not None:
        strategy._tool_runner = silent = _RecordedTools(runner)  # noqa: SLF001 - no public way in
        on_deal = silent.use
    return ReplaySocket(
        deck,
        speed=settings.speed,
        stall_after=settings.stall_after,
        closed=connection_closed,
        on_deal=on_deal,
        any_model=any_model(strategy),
    )


class EpisodeSocket:
    """Plays a session if it was recorded, and records it if it was not.

    Which of the two shows only when the client's configuration comes.
    """

    def __init__(
        self,
        play: ReplaySocket,
        recorded: Callable[[Frame], bool],
        start: Spawn,
        process: LateProcess,
    ) -> None:
        self._inner: Any = play
        self._recorded = recorded
        self._start = start
        self._process = process
        self._undecided = True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the chosen one has
        return getattr(self._inner, name)

    async def send(self, message: Any) -> None:  # noqa: ANN401 - str or bytes
        """Decide, then send."""
        if self._undecided:
            self._undecided = False
            if not self._recorded(parse_frame(message)):
                real, self._inner, _ = await self._start()
                self._process.become(real)
        await self._inner.send(message)

    def __aiter__(self) -> Any:  # noqa: ANN401 - the chosen one's
        return self._inner.__aiter__()


class LateProcess:
    """A process that is known only later; none until then."""

    def __init__(self) -> None:
        self._real: Any = NoProcess()

    def become(self, process: Any) -> None:  # noqa: ANN401 - a Popen
        """Be that process from now on."""
        self._real = process

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a process has
        return getattr(self._real, name)


def episode(
    strategy: Any,  # noqa: ANN401 - the SDK's
    deck: Deck,
    settings: PlaybackSettings,
    start: Spawn,
) -> Connected:
    """Play what was recorded, record what was not."""
    process = LateProcess()
    play = _socket(strategy, deck, settings)
    recorded = partial(deck.has, any_model=any_model(strategy))
    return process, EpisodeSocket(play, recorded, start, process), URL


class _RecordedTools:
    """The SDK's tool runner, with results from the recording instead of the tools'."""

    def __init__(self, runner: Any) -> None:  # noqa: ANN401 - the SDK's
        self._runner = runner
        self._machine: SessionMachine | None = None

    def use(self, machine: SessionMachine) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real one has
        return getattr(self._runner, name)

    async def process_tool_calls(self, calls: list[Any]) -> list[Any]:
        from google.antigravity import types

        results = []
        for call in calls:
            recorded = self._machine.recorded_result(call.id) if self._machine else {}
            fields = _result_fields(recorded)
            results.append(types.ToolResult(id=call.id, name=call.name, **fields))
        await asyncio.sleep(0)
        return results


def _result_fields(response: Frame) -> dict[str, Any]:
    import json

    if ERROR_MESSAGE in response:
        return {"error": response[ERROR_MESSAGE]}
    try:
        value = json.loads(response.get(RESPONSE_JSON) or "null")
    except ValueError:
        value = response.get(RESPONSE_JSON)
    if isinstance(value, dict) and set(value) == {"result"}:
        value = value["result"]
    return {"result": value}


def connection_closed(code: int, reason: str) -> Exception:
    """The error that a WebSocket raises when the other side closed it."""
    websockets = websockets_of_sdk()
    if code == 1006:  # noqa: PLR2004 - "abnormal": there was no closing frame
        return websockets.ConnectionClosedError(None, None)  # type: ignore[no-any-return]
    kind = (
        websockets.ConnectionClosedOK if code in (1000, 1001) else websockets.ConnectionClosedError
    )
    return kind(websockets.frames.Close(code, reason), None)  # type: ignore[no-any-return]
