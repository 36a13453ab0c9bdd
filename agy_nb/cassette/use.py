"""`use_cassette`: record a block once, replay it for ever."""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from agy_nb.cassette.cassette_options import CassetteOptions, Seam
from agy_nb.cassette.cassette_session import CassetteSession
from agy_nb.cassette.matching.compare_frames import MATCHERS
from agy_nb.cassette.redaction import Rule
from agy_nb.cassette.replay.machine import Answers, Tools
from agy_nb.cassette.storage.disk_work import loop_runs, wait_for
from agy_nb.cassette.storage.format import cassette_path

_Function = TypeVar("_Function", bound=Callable[..., Any])


class use_cassette:  # noqa: N801 - a context manager that reads as a function, as in vcrpy
    """Record the agents of a block, or replay them.

    A context manager, sync and async, and a decorator for functions and coroutine functions. Holds
    for agents of our runtime and for those of the SDK's own `Agent`; their code and configuration
    stay as they are.

    Args:
        path: Folder of the cassette.
        record_mode: `once` records what is not there and replays what is; `none` only replays;
            `new_episodes` replays, and records what was not recorded: agents at the wire, requests
            to the model at its seam; `all` records anew.
        seam: What is replayed: `wire` the whole harness, `model` only the model behind the real
            harness.
        match_on: What must be as recorded, of `config`, `prompt`, `result`, `approval`, `question`
            and `hook`; all of them by default.
        ignore: Paths in the client's frames that need not be, as a mismatch names them.
        speed: 0 to replay at once, 1 at the recorded pace, 2 at twice that pace.
        tools: `check` runs host tools and compares their results, `run` does not compare, `replay`
            uses the recorded results and calls no tool.
        approvals: `replay` takes a person's decisions from the cassette, `ask` asks for real.
        questions: The same for the agent's questions.
        redact: Rules beside the built-in ones: compiled expressions, JSON paths, functions from
            frame to frame.
        allow_unplayed: Whether the block may end before the recording does.
        stall_after: Seconds after which a replay in which nothing can move is an error.
        record_on_exception: Whether a block that raises is kept.
        record_model: Whether the model's side is recorded beside the wire.
        tool_http: Whether the HTTP of host tools (requests, httpx, aiohttp, urllib3) is recorded
            and replayed too. vcrpy's patches do that, and they hold for the whole process: other
            requests made meanwhile are taken as well.
        record_media: Whether pictures, sound, video and PDF stay in the recording. A mark stands
            for them otherwise; redaction does not look into them.
        allow_values: Texts, or compiled expressions that match them whole, that redaction leaves
            as they are, because they only look like secrets.

    Raises:
        CassetteActiveError: A cassette is in use already.
        CassetteNotFoundError: There is none, and `none` forbids to record.
        CassetteInvalidError: What is there is no cassette, or cannot be read.
        CassetteBusyError: Somebody else records it.
        CassetteNotWrittenError: It could not be kept.
        CassetteMismatchError: The block did something else than what was recorded.

    Example:
        >>> async def ask():
        ...     async with agy.use_cassette("cassettes/weather"):
        ...         agent = await agy.create_agent(tools=[get_weather])
        ...         return await agent.chat_text("Use get_weather for Paris")
        >>> await ask()  # records
        'get_weather says: sunny in Paris'
        >>> await ask()  # replays: no harness, no model, no network
        'get_weather says: sunny in Paris'
    """

    def __init__(  # noqa: PLR0913 - settings by keyword
        self,
        path: str | Path,
        record_mode: str = "once",
        *,
        seam: Seam = "wire",
        match_on: Iterable[str] = tuple(MATCHERS),
        ignore: Iterable[str] = (),
        speed: float = 0,
        tools: Tools = "check",
        approvals: Answers = "replay",
        questions: Answers = "replay",
        redact: Iterable[Rule] = (),
        allow_unplayed: bool = False,
        stall_after: float = 10.0,
        record_on_exception: bool = True,
        record_model: bool = True,
        tool_http: bool = False,
        record_media: bool = True,
        allow_values: Iterable[str | re.Pattern[str]] = (),
    ) -> None:
        self._options = CassetteOptions(
            path=cassette_path(path),
            record_mode=record_mode,
            seam=seam,
            match_on=tuple(match_on),
            ignore=tuple(ignore),
            speed=speed,
            tools=tools,
            approvals=approvals,
            questions=questions,
            redact=tuple(redact),
            allow_unplayed=allow_unplayed,
            stall_after=stall_after,
            record_on_exception=record_on_exception,
            record_model=record_model,
            tool_http=tool_http,
            record_media=record_media,
            allow_values=tuple(allow_values),
        )
        self._use: CassetteSession | None = None

    @property
    def path(self) -> Path:
        """Folder of the cassette."""
        return self._options.path

    @property
    def recording(self) -> bool | None:
        """Whether the block is being recorded; None until that is decided."""
        return self._use.recording if self._use else None

    def __repr__(self) -> str:
        return f"use_cassette({str(self.path)!r}, {self._options.record_mode!r})"

    def __enter__(self) -> Self:
        use = CassetteSession(self._options)
        with use.taking_the_place():
            if loop_runs():
                use.prepare_later()
            else:
                use.prepare()
        self._use = use
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._use is not None:
            use = self._use
            use.leave()
            wait_for(lambda: use.finish(error))
            use.complain(error)

    async def __aenter__(self) -> Self:
        use = CassetteSession(self._options)
        with use.taking_the_place():
            await asyncio.to_thread(use.prepare)
        self._use = use
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._use is not None:
            self._use.leave()
            await asyncio.shield(asyncio.to_thread(self._use.finish, error))
            self._use.complain(error)

    def check(self, error: BaseException | None = None) -> None:
        """Raise now what the block's end would raise, while its agents may still run.

        Args:
            error: What the block failed with, if it did; becomes the cause of what is raised.

        Raises:
            CassetteMismatchError: The block did something else than what was recorded, or less.
                That a session has not ended yet is no mismatch.
        """
        if self._use is not None:
            self._use.complain(error, still_open=True)

    def __call__(self, function: _Function) -> _Function:
        """Decorate a function: each call is a block of its own."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def in_cassette(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's
                async with self._again():
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def in_cassette(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's
                with self._again():
                    return function(*args, **kwargs)

        return in_cassette  # type: ignore[return-value]  # wrapped

    def _again(self) -> use_cassette:
        fresh = object.__new__(use_cassette)
        fresh._options = self._options
        fresh._use = None
        return fresh
