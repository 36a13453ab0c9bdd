"""One use of a cassette: intercept the harness, record or replay, and save at the end.

Rule 1: one cassette at a time per process; nesting raises `CassetteActiveError`.
Rule 2: `prepare` and `finish` read and write the disk. If an event loop runs, they run in a thread.
Rule 3: a mismatch is raised at the end of the block, also if the code in the block caught it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.cassette.cassette_files import CassetteFiles
from agy_nb.cassette.cassette_options import CassetteOptions
from agy_nb.cassette.errors import (
    CassetteActiveError,
    CassetteError,
    CassetteMismatchError,
)
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.record import recorder
from agy_nb.cassette.record_modes import check_mode, plan
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.replay import missing_files, transport
from agy_nb.cassette.replay.session_matcher import PlaySettings, SessionMatcher
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.ownership import recover_unless_busy

if TYPE_CHECKING:
    from agy_nb.sdk.process.launch import Connected, HarnessStart

_active: Path | None = None


class CassetteSession:
    """Record or replay the agents of one `with` block.

    Args:
        options: The options of `use_cassette`.
    """

    def __init__(self, options: CassetteOptions) -> None:
        self._options = options
        self._redactor = Redactor(
            options.redact, media=options.record_media, allow=options.allow_values
        )
        self._playback = transport.PlaybackSettings(
            speed=options.speed,
            stall_after=options.stall_after,
            tools=options.tools,
            restore_files=options.restore_files,
        )
        self._files = CassetteFiles(options, self._redactor)
        self._stack = contextlib.ExitStack()
        self._prepared = False
        self._matcher: SessionMatcher | None = None
        self._replayed: list[HarnessStart] = []
        self._process = 0
        self._unseen_harnesses = 0

    @property
    def recording(self) -> bool | None:
        """Whether the block is recorded; None before that is decided."""
        return None if self._files.plan is None else self._files.recorder is not None

    @property
    def has_echo(self) -> bool:
        """Whether the recording contains the echo model's answers."""
        return self._files.has_echo

    # -- begin -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def intercepting(self) -> Iterator[None]:
        """Intercept harness starts from now on; stop again if the body of the `with` fails."""
        global _active  # noqa: PLW0603 - one process, one seam
        if _active is not None:
            raise CassetteActiveError(
                f"the cassette {_active} is in use; cassettes do not nest. "
                "Record several agents into one cassette, or use the cassettes one after the other",
                path=str(_active),
            )
        from agy_nb.sdk.process import inherited_cassette, interception

        if not self._options.path.is_absolute():
            self._files.folder = Path.cwd()
        try:
            self._stack.enter_context(
                interception.intercepted(
                    self._connect,
                    model_needed=self._model_needed,
                    harness_needed=self._harness_needed,
                    engine_needed=self._engine_needed,
                )
            )
        except RuntimeError as error:
            raise CassetteActiveError(f"cannot use a cassette here: {error}") from error
        self._stack.enter_context(inherited_cassette.announced(self._options.path))
        _active = self._options.path
        self._process = os.getpid()
        try:
            yield
        except BaseException:
            self.release()
            raise

    def prepare(self) -> None:
        """Decide whether to record or replay, and open the files. Reads and writes the disk.

        If this fails, nothing stays open: neither the lock nor the proxy nor vcrpy's patches.
        """
        with self._files.opening:
            self._files.check_not_over()
            if self._prepared:
                return
            try:
                self._prepare()
            except BaseException:
                self._matcher = None
                self._files.close_all()
                raise
            self._prepared = True

    def discard(self) -> None:
        """Close everything and keep no recording, after a cancelled start. Blocks shortly."""
        with self._files.opening:
            self._files.is_over = True
            self._matcher = None
            self._files.close_all()

    def _prepare(self) -> None:
        options, files = self._options, self._files
        self._redactor.warm_up()
        mode, place = check_mode(options.record_mode), files.place()
        if mode != "none":
            recover_unless_busy(place)
        files.plan = plan(place, mode)
        if files.plan == "record":
            files.open_writer()
        elif options.seam == "model":
            files.cassette = load(place)  # raises for a damaged cassette
            files.model = files.open_model(place, replaying=True)
        else:
            files.cassette = load(place)
            self._matcher = SessionMatcher(files.cassette, self._play_settings())
        if files.plan == "extend" and options.seam == "model" and options.tool_http:
            files.open_writer()  # tools run also if the model's answers are replayed
        elif files.plan != "record":
            files.tool_http = files.open_tool_http(place, "none")

    def _play_settings(self) -> PlaySettings:
        options = self._options
        match_on = options.match_on
        if options.tools != "check":
            match_on = tuple(name for name in match_on if name != "result")
        return PlaySettings(
            comparer=Comparer(match_on, options.ignore, options.normalize),
            redactor=self._redactor,
            approvals=options.approvals,
            questions=options.questions,
            runs_tools=options.tools != "replay",
        )

    # -- meanwhile ---------------------------------------------------------------------------

    async def _connect(self, start: HarnessStart) -> Connected:
        if os.getpid() != self._process:
            raise CassetteActiveError(
                f"this process was forked while the cassette {self._options.path} was in use, and "
                "its agents are neither recorded nor replayed. Start agents in the process that "
                "uses the cassette, or use the cassette in the forked process",
                path=str(self._options.path),
            )
        await self._make_ready()
        if start.is_outside:
            self._unseen_harnesses = 0
        if self._files.plan != "record" and self._options.seam == "model":
            recorded = self._files.plan == "replay" and start.any_model
            if self._files.plan == "replay":
                start.needs_no_key()  # the cassette answers for the model
            return await recorder.record(
                start, self._files.unrecorded, self._files.rewrite(recorded_models=recorded)
            )
        if self._files.plan == "replay":
            assert self._matcher is not None
            self._replayed.append(start)
            return transport.replay(start, self._matcher, self._playback)

        async def record() -> Connected:
            self._files.refuse_without_model(start)  # before the cassette has a folder
            if self._files.recorder is None:
                await asyncio.to_thread(self._files.open_writer)
            assert self._files.recorder is not None
            harness = recorder.harness_path(start)
            self._files.harness = await asyncio.to_thread(recorder.harness_text, harness)
            return await recorder.record(start, self._files.recorder, self._files.rewrite())

        if self._files.plan == "extend":
            assert self._matcher is not None
            return transport.replay_or_record(start, self._matcher, self._playback, record)
        return await record()

    async def _model_needed(self) -> bool:
        await self._make_ready()
        if self._files.plan == "record":
            self._files.refuse_echo()
        self._files.on_echo = self._files.plan != "replay"
        return self._files.on_echo

    def _harness_needed(self) -> bool:
        """Return whether a harness that the program itself starts must run. May read the disk."""
        self.prepare()
        self._unseen_harnesses += 1
        return self._files.plan != "replay" or self._options.seam == "model"

    async def _engine_needed(self) -> bool:
        await self._make_ready()
        return self._files.plan != "replay"

    async def _make_ready(self) -> None:
        if not self._prepared:
            await asyncio.to_thread(self.prepare)

    # -- end ---------------------------------------------------------------------------------

    def release(self) -> None:
        """Stop intercepting harness starts."""
        global _active  # noqa: PLW0603 - one process, one seam
        try:
            if self._files.recorder is not None:
                self._files.recorder.stop()
            self._files.unrecorded.stop()
            self._stack.close()
        finally:  # a failure must not keep the next cassette from being used
            _active = None

    def finish(self, error: BaseException | None) -> None:
        """Save the recording. Writes the disk."""
        if not self._prepared and error is None and self._would_replay():
            self.prepare()  # the block started no agent, so all recorded sessions are unplayed
        with self._files.opening:  # a start that was cancelled may still open files in its thread
            self._files.is_over = True
        try:
            for start in self._replayed:  # removing a folder takes time; we are in a thread
                start.forget_new_folder()
            with self._files.model_over():
                self._files.save(error)
        finally:
            if self._files.writer is not None:  # something failed before the recording was saved
                self._files.writer.leave_partial()
        if self._unseen_harnesses and self._files.plan != "replay":
            warnings.warn(
                f"the program started a harness by itself while {self._options.path} was "
                "recorded, and opened no WebSocket with websockets.asyncio: its conversations, if "
                "any, are not in the cassette. Use a connection strategy of the SDK, or record "
                "with `agy-nb harness`",
                RuntimeWarning,
                stacklevel=1,
            )

    def _would_replay(self) -> bool:
        return plan(self._files.place(), check_mode(self._options.record_mode)) != "record"

    def raise_mismatch(
        self,
        error: BaseException | None,
        *,
        still_open: bool = False,
        allow_unplayed: bool = False,
    ) -> None:
        """Raise the first mismatch of the replay, unless the block raised it already."""
        if self._matcher is not None and self._files.cassette is not None:
            missing_files.explain(error, self._files.cassette.sessions)
        if isinstance(error, CassetteMismatchError):
            return
        if error is not None and not isinstance(error, Exception):
            return
        allow = allow_unplayed or self._options.allow_unplayed or error is not None
        for found in self._mismatches(allow_unplayed=allow, still_open=still_open):
            raise found from error

    def _mismatches(self, *, allow_unplayed: bool, still_open: bool) -> Sequence[CassetteError]:
        if self._matcher is not None:
            return self._matcher.errors(allow_unplayed=allow_unplayed, still_open=still_open)
        if self._files.model is None or self._files.plan == "record":
            return []
        allow_unplayed = allow_unplayed or self._files.plan == "extend"
        unplayed = (
            None if self._files.model.errors or allow_unplayed else self._files.model.unplayed()
        )
        return self._files.model.errors + ([unplayed] if unplayed else [])
