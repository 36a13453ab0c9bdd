"""`use_cassette`: record the agents of a block once, and replay them afterwards."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from agy_nb.cassette import decorate
from agy_nb.cassette.cassette_options import CassetteOptions, Seam, items_of
from agy_nb.cassette.cassette_session import CassetteSession
from agy_nb.cassette.matching.compare_frames import MATCHERS
from agy_nb.cassette.record_modes import RecordMode
from agy_nb.cassette.redaction import Rule
from agy_nb.cassette.replay.cassette_answers import Answers, Tools
from agy_nb.cassette.storage.disk_work import finished, loop_runs, wait_for
from agy_nb.cassette.storage.format import cassette_path
from agy_nb.protocol.labels import checked_labels

_Function = TypeVar("_Function", bound=Callable[..., Any])
_LONGEST_PATH = 60
"""Characters of a path in the repr."""


class use_cassette:  # noqa: N801 - a context manager that reads as a function, as in vcrpy
    """Record the agents of a block, or replay them from a cassette.

    Use it as a context manager (`with` or `async with`) or as a decorator of functions, coroutine
    functions and generators, such as fixtures. The cassette of a generator is in use from its first
    item to its end. It works for agents of agy_nb and of the SDK's own `Agent`, without changes
    to their code or configuration.

    Args:
        path: Folder of the cassette.
        record_mode: `once` records a cassette that does not exist and replays one that does.
            `none` only replays. `new_episodes` replays, and adds new agents (new requests to the
            model with `seam="model"`) to the cassette. `all` always records again. Ids, times and
            ports then keep their old values where the new recording means the same, so that git
            shows the changes. `rewrite` is another name for `all`.
        seam: The part that is replayed: `wire` replaces the harness and the model, `model` only
            the model of the real harness.
        match_on: The messages of the client that must equal the recorded ones: any of `config`,
            `prompt`, `result`, `approval`, `question` and `hook`; by default all of them.
        ignore: Paths that may differ, as mismatch errors show them: in the client's messages, or
            with `seam="model"` in requests to the model.
        normalize: Values in texts that differ from run to run and do not count: `uuid`, `datetime`,
            `port`, `hex_address`, or compiled regular expressions of your own.
        speed: 0 replays without waiting, 1 at the recorded pace, 2 at twice that pace.
        tools: `check` runs host tools and compares their results, `run` runs them without
            comparing, `replay` uses the recorded results without running them.
        approvals: `replay` uses the recorded decisions of the user, `ask` calls the handler.
        questions: The same for the model's questions.
        redact: Redaction rules in addition to the built-in ones: compiled regular expressions,
            JSON paths, or functions that take a frame, or a JSON object in an HTTP body, and
            return it changed. The log names rules that matched nothing in a recording.
        allow_unplayed: Whether the block may end before the recording does.
        stall_after: Seconds without progress after which a replay raises an error.
        record_on_exception: Whether the recording is saved if the block raises.
        record_model: Whether requests to the model are recorded, for `seam="model"`.
        share_texts: Whether instructions and tool declarations that requests to the model repeat
            are stored once for all cassettes of a folder, in `_shared` beside them. If False, the
            cassette holds all of its texts itself.
        echo: Whether the echo model may be recorded, which answers agents without a key and without
            a model. It needs `record_mode="all"` as well.
        tool_http: Whether to record and replay HTTP requests of host tools (requests, httpx,
            aiohttp, urllib3). vcrpy patches these libraries for the whole process, so other
            requests in the block are recorded as well.
        restore_files: Whether a replay at the wire writes the text files that the harness's file
            tools wrote in the recording. It writes only inside the workspaces of the agent, never
            to hidden files, and only if the file is as it was before. Other files stay, with a
            warning. Files of commands and images are not restored.
        record_media: Whether images, audio, video and PDF stay in the recording. Redaction does
            not look into media. If False, a placeholder replaces them.
        allow_values: Texts that redaction keeps because they only look like secrets, or compiled
            regular expressions that match the whole text.
        labels: Labels of the recording, such as `{"user": "ada"}`: columns of the tables. They are
            written when the block is recorded, after redaction. `agy-nb cassette label` changes
            them.

    Raises:
        InvalidInputError: An option or a label is not valid.
        CassetteActiveError: Another cassette is in use.
        CassetteNotFoundError: The cassette does not exist, and the record mode is `none`.
        CassetteInvalidError: The path is not a cassette, or the cassette cannot be read.
        EchoRecordingError: The echo model would be recorded, and `echo` is False.
        CassetteBusyError: Another recording writes to the cassette.
        CassetteNotWrittenError: The recording could not be saved.
        CassetteMismatchError: The block sent something else than the recorded client.

    Example:
        >>> async def ask(config=None):
        ...     async with agy.use_cassette("cassettes/weather"):
        ...         agent = await agy.create_agent(config)
        ...         return await agent.chat_text("How is the weather?")
        >>> async with ScriptedModel([say("Sunny.")]) as model:
        ...     await ask(model.config())  # records
        'Sunny.'
        >>> await ask()  # replays: no harness, no model, no network
        'Sunny.'
    """

    def __init__(  # noqa: PLR0913 - settings by keyword
        self,
        path: str | Path,
        record_mode: RecordMode = "once",
        *,
        seam: Seam = "wire",
        match_on: Iterable[str] = tuple(MATCHERS),
        ignore: Iterable[str] = (),
        normalize: Iterable[str | re.Pattern[str]] = (),
        speed: float = 0,
        tools: Tools = "check",
        approvals: Answers = "replay",
        questions: Answers = "replay",
        redact: Iterable[Rule] = (),
        allow_unplayed: bool = False,
        stall_after: float = 10.0,
        record_on_exception: bool = True,
        record_model: bool = True,
        share_texts: bool = True,
        echo: bool = False,
        tool_http: bool = False,
        restore_files: bool = False,
        record_media: bool = True,
        allow_values: Iterable[str | re.Pattern[str]] = (),
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._options = CassetteOptions(
            path=cassette_path(path),
            record_mode=record_mode,
            seam=seam,
            match_on=items_of("match_on", match_on),
            ignore=items_of("ignore", ignore),
            normalize=items_of("normalize", normalize, kinds=(str, re.Pattern)),
            speed=speed,
            tools=tools,
            approvals=approvals,
            questions=questions,
            redact=items_of("redact", redact, kinds=()),
            allow_unplayed=allow_unplayed,
            stall_after=stall_after,
            record_on_exception=record_on_exception,
            record_model=record_model,
            share_texts=share_texts,
            echo=echo,
            tool_http=tool_http,
            restore_files=restore_files,
            record_media=record_media,
            allow_values=items_of("allow_values", allow_values, kinds=(str, re.Pattern)),
            labels={} if labels is None else checked_labels(labels),
        )
        self._use: CassetteSession | None = None

    @property
    def path(self) -> Path:
        """The cassette's folder."""
        return self._options.path

    @property
    def recording(self) -> bool | None:
        """Whether the block is recorded; None before that is decided."""
        return self._use.recording if self._use else None

    @property
    def has_echo(self) -> bool:
        """Whether the echo model answers in the recording; False before that is known."""
        return self._use is not None and self._use.has_echo

    def __repr__(self) -> str:
        path = str(self.path)
        shown = path if len(path) <= _LONGEST_PATH else f"...{path[-_LONGEST_PATH:]}"
        return f"use_cassette({shown!r}, {self._options.record_mode!r})"

    def __enter__(self) -> Self:
        session = CassetteSession(self._options)
        with session.intercepting():
            if not loop_runs():  # otherwise the first agent's start prepares, in a thread
                session.prepare()
        self._use = session
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._use is not None:
            session = self._use
            session.release()
            wait_for(lambda: session.finish(error))
            session.raise_mismatch(error)

    async def __aenter__(self) -> Self:
        session = CassetteSession(self._options)
        with session.intercepting():
            try:
                await finished(session.prepare)
            except asyncio.CancelledError:
                await finished(session.discard)
                raise
        self._use = session
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._use is not None:
            self._use.release()
            await finished(partial(self._use.finish, error))
            self._use.raise_mismatch(error)

    def check(self, error: BaseException | None = None, *, unplayed: bool = True) -> None:
        """Raise a mismatch now, before the end of the block. Agents may still run.

        Args:
            error: The exception of the block, if any; it becomes the cause of the mismatch.
            unplayed: Whether it is a mismatch that frames of the recording have not been played.

        Raises:
            CassetteMismatchError: The block sent something else than the recorded client, or less.
                Sessions that are still open are not a mismatch.
        """
        if self._use is not None:
            self._use.raise_mismatch(error, still_open=True, allow_unplayed=not unplayed)

    def __call__(self, function: _Function) -> _Function:
        """Decorate a function or a generator so that each call uses the cassette.

        Raises:
            TypeError: It is a class, a fixture or another object that is not a function.
        """
        decorate.check(function)
        decorated = decorate.in_cassette(function, self._again)
        return functools.wraps(function)(decorated)  # type: ignore[return-value]  # wrapped

    def _again(self) -> use_cassette:
        fresh = object.__new__(use_cassette)
        fresh._options = self._options
        fresh._use = None
        return fresh
