"""One use of a cassette: intercept the harness, record or replay, and save at the end.

Rule 1: one cassette at a time per process; nesting raises `CassetteActiveError`.
Rule 2: `prepare` and `finish` read and write the disk. If an event loop runs, they run in a thread.
Rule 3: a mismatch is raised at the end of the block, also if the code in the block caught it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.cassette import echo_model
from agy_nb.cassette.cassette_labels import labels_to_keep, redacted
from agy_nb.cassette.cassette_options import CassetteOptions
from agy_nb.cassette.errors import (
    CassetteActiveError,
    CassetteError,
    CassetteMismatchError,
    CassetteNotWrittenError,
)
from agy_nb.cassette.http.model_recorder import ModelRecorder
from agy_nb.cassette.http.tool_http import ToolHttp
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.record import recorder
from agy_nb.cassette.record.stable_recording import Revised, revised
from agy_nb.cassette.record_modes import Plan, check_mode, plan
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.replay import missing_files, transport
from agy_nb.cassette.replay.session_matcher import PlaySettings, SessionMatcher
from agy_nb.cassette.storage.cassette_reader import Cassette, load
from agy_nb.cassette.storage.format import EPISODES, MODEL, TOOLS, Frame, read_lines
from agy_nb.cassette.storage.model_log import has_model
from agy_nb.cassette.storage.ownership import recover_unless_busy
from agy_nb.cassette.storage.writer import CassetteWriter, new_header
from agy_nb.wire.frames import CONFIG

if TYPE_CHECKING:
    from agy_nb.sdk.process.launch import Connected, HarnessStart

_log = logging.getLogger("agy_nb.cassette")
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
            speed=options.speed, stall_after=options.stall_after, tools=options.tools
        )
        self._stack = contextlib.ExitStack()
        self._prepared = False
        self._over = False
        self._opening = threading.RLock()  # of all that opens files, in any thread
        self._plan: Plan | None = None
        self._cassette: Cassette | None = None
        self._matcher: SessionMatcher | None = None
        self._writer: CassetteWriter | None = None
        self._recorder: recorder.FrameRecorder | None = None
        self._replayed: list[HarnessStart] = []
        self._unrecorded = recorder.FrameRecorder(None)
        self._model: ModelRecorder | None = None
        self._tool_http: ToolHttp | None = None
        self._harness = ""
        self._process = 0
        self._unseen_harnesses = 0
        self._on_echo = False
        self._folder = Path()

    @property
    def recording(self) -> bool | None:
        """Whether the block is recorded; None before that is decided."""
        return None if self._plan is None else self._recorder is not None

    @property
    def has_echo(self) -> bool:
        """Whether the recording contains the echo model's answers."""
        sessions = self._cassette.sessions if self._cassette is not None else ()
        if self._recorder is not None and self._recorder.sessions and self._on_echo:
            return True
        return echo_model.any_echo(session.config for session in sessions)

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
            self._folder = Path.cwd()
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
        with self._opening:
            self._check_not_over()
            if self._prepared:
                return
            try:
                self._prepare()
            except BaseException:
                self._close_all()
                raise
            self._prepared = True

    def _place(self) -> Path:
        """Return the cassette's folder. A relative path holds if the block changes directories."""
        path = self._options.path
        moved = not path.is_absolute() and Path.cwd() != self._folder
        return self._folder / path if moved else path

    def discard(self) -> None:
        """Close everything and keep no recording, after a cancelled start. Blocks shortly."""
        with self._opening:
            self._over = True
            self._close_all()

    def _check_not_over(self) -> None:
        if self._over:
            raise CassetteError(
                f"the block that uses the cassette {self._options.path} has ended; start agents "
                "inside the block",
                path=str(self._options.path),
            )

    def _close_all(self) -> None:
        """Close all that is open, and keep no recording. Each part is closed if another fails."""
        tool_http, self._tool_http = self._tool_http, None
        model, self._model = self._model, None
        writer, self._writer = self._writer, None
        self._recorder, self._plan, self._cassette, self._matcher = None, None, None, None
        with contextlib.ExitStack() as stack:  # closes in reverse order
            if writer is not None:
                stack.callback(writer.abandon)
            if model is not None:
                stack.callback(model.discard)
            if tool_http is not None:
                stack.callback(tool_http.close)

    def _prepare(self) -> None:
        options = self._options
        self._redactor.warm_up()
        mode = check_mode(options.record_mode)
        if mode != "none":
            recover_unless_busy(self._place())
        self._plan = plan(self._place(), mode)
        if self._plan == "record":
            self._open_writer()
        elif options.seam == "model":
            self._cassette = load(self._place())  # raises for a damaged cassette
            self._model = self._new_model(self._place(), replaying=True)
        else:
            self._cassette = load(self._place())
            self._matcher = SessionMatcher(self._cassette, self._play_settings())
        if self._plan == "extend" and options.seam == "model" and options.tool_http:
            self._open_writer()  # tools run also if the model's answers are replayed
        elif self._plan != "record":
            self._tool_http = self._new_tool_http(self._place(), "none")

    def _new_tool_http(self, folder: Path, mode: str) -> ToolHttp | None:
        if not self._options.tool_http:
            return None
        opened = ToolHttp(folder, self._redactor, mode=mode)
        opened.open()
        return opened

    def _new_model(self, folder: Path, *, replaying: bool) -> ModelRecorder:
        model = ModelRecorder(
            folder,
            self._redactor,
            replaying=replaying,
            speed=self._options.speed,
            extend=self._extend_model if self._plan == "extend" and replaying else None,
            comparer=Comparer(ignore=self._options.ignore, normalize=self._options.normalize),
            share_texts=self._options.share_texts,
        )
        try:
            model.open()
            model.start()
        except BaseException:
            model.discard()
            raise
        if replaying:
            self._unrecorded = recorder.FrameRecorder(model.learner)
        return model

    def _extend_model(self) -> Path:
        """Start a recording with a copy of the old cassette, for new requests to the model."""
        if self._on_echo:
            self._refuse_echo()
        self._open_writer()
        assert self._writer is not None
        return self._writer.folder

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

    def _open_writer(self) -> None:
        """Open the recording, unless another agent of the block has opened it."""
        with self._opening:
            self._check_not_over()
            if self._writer is None:
                with contextlib.ExitStack() as undo:
                    self._new_writer(undo)
                    undo.pop_all()

    def _new_writer(self, undo: contextlib.ExitStack) -> None:
        cassette, at_model = self._cassette, self._options.seam == "model"
        source = self._folder / cassette.path if cassette else self._folder
        header = new_header()
        if cassette:
            header = replace(header, id=cassette.header.id or header.id)
        if cassette and at_model:  # the old frames stay, and so does the header that describes them
            header = replace(cassette.header, complete=False)
        old = labels_to_keep(self._place(), self._redactor)
        header = replace(header, labels={**old, **redacted(self._options.labels, self._redactor)})
        writer = CassetteWriter(
            self._folder / self._options.path,
            header,
            redact=self._redactor.line,
            join=partial(joined, redactor=self._redactor, live=True),
            keep=read_lines(source) if cassette else (),
        )
        with writer.adding_files():
            for name in (MODEL, EPISODES, TOOLS):
                if cassette and (source / name).exists():
                    shutil.copyfile(source / name, writer.folder / name)
        undo.callback(writer.abandon)
        model = self._model
        if self._options.record_model and (not cassette or (has_model(source) and not at_model)):
            model = self._new_model(writer.folder, replaying=False)
            undo.callback(model.discard)
        if self._tool_http is not None:
            self._tool_http.extend(writer.folder)
        else:
            mode = "new_episodes" if cassette else "all"
            self._tool_http = self._new_tool_http(writer.folder, mode)
        self._model = model
        first = 1 + max((s.number for s in cassette.sessions), default=-1) if cassette else 0
        self._recorder = recorder.FrameRecorder(writer, first=first)
        self._writer = writer

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
        if self._plan != "record" and self._options.seam == "model":
            recorded = self._plan == "replay" and start.any_model
            if self._plan == "replay":
                start.needs_no_key()  # the cassette answers for the model
            return await recorder.record(
                start, self._unrecorded, self._rewrite(recorded_models=recorded)
            )
        if self._plan == "replay":
            assert self._matcher is not None
            self._replayed.append(start)
            return transport.replay(start, self._matcher, self._playback)

        async def record() -> Connected:
            if start.on_echo_model:
                self._refuse_echo()
            if self._recorder is None:
                await asyncio.to_thread(self._open_writer)
            assert self._recorder is not None
            harness = recorder.harness_path(start)
            self._harness = await asyncio.to_thread(recorder.harness_text, harness)
            return await recorder.record(start, self._recorder, self._rewrite())

        if self._plan == "extend":
            assert self._matcher is not None
            return transport.replay_or_record(start, self._matcher, self._playback, record)
        return await record()

    async def _model_needed(self) -> bool:
        await self._make_ready()
        if self._plan == "record":
            self._refuse_echo()
        self._on_echo = self._plan != "replay"
        return self._on_echo

    def _refuse_echo(self) -> None:
        options = self._options
        error = echo_model.refusal(options.path, options.record_mode, echo=options.echo)
        if error is not None:
            raise error

    def _harness_needed(self) -> bool:
        """Return whether a harness that the program itself starts must run. May read the disk."""
        self.prepare()
        self._unseen_harnesses += 1
        return self._plan != "replay" or self._options.seam == "model"

    async def _engine_needed(self) -> bool:
        await self._make_ready()
        return self._plan != "replay"

    def _rewrite(self, *, recorded_models: bool = False) -> recorder.Rewrite | None:
        """Return a function that changes a configuration on its way to the harness.

        Args:
            recorded_models: Whether to insert the recorded models.
        """
        model, cassette = self._model, self._cassette
        if model is None or cassette is None or not cassette.sessions or not recorded_models:
            return None if model is None else model.rewrite
        models = model.only_replayed(cassette.sessions[0].config)

        def with_models(session: int, frame: Frame) -> Frame:
            return model.rewrite(session, frame | {CONFIG: frame[CONFIG] | {"models": models}})

        return with_models

    async def _make_ready(self) -> None:
        if not self._prepared:
            await asyncio.to_thread(self.prepare)

    # -- end ---------------------------------------------------------------------------------

    def release(self) -> None:
        """Stop intercepting harness starts."""
        global _active  # noqa: PLW0603 - one process, one seam
        if self._recorder is not None:
            self._recorder.stop()
        self._unrecorded.stop()
        self._stack.close()
        _active = None

    def finish(self, error: BaseException | None) -> None:
        """Save the recording. Writes the disk."""
        if not self._prepared and error is None and self._would_replay():
            self.prepare()  # the block started no agent, so all recorded sessions are unplayed
        with self._opening:  # a start that was cancelled may still open files in its thread
            self._over = True
        try:
            for start in self._replayed:  # removing a folder takes time; we are in a thread
                start.forget_new_folder()
            with self._model_over():
                self._save(error)
        finally:
            if self._writer is not None:  # something failed before the recording was saved
                self._writer.leave_partial()
        if self._unseen_harnesses and self._plan != "replay":
            warnings.warn(
                f"the program started a harness by itself while {self._options.path} was "
                "recorded, and opened no WebSocket with websockets.asyncio: its conversations, if "
                "any, are not in the cassette. Use a connection strategy of the SDK, or record "
                "with `agy-nb harness`",
                RuntimeWarning,
                stacklevel=1,
            )

    @contextlib.contextmanager
    def _model_over(self) -> Iterator[None]:
        """Stop the model's proxy now, or after the end of the agents that outlive the block.

        An agent that is still open after the block goes on with its real model. The proxy must
        then stay, because the agent's harness knows no other address.
        """
        model, recorders = (
            self._model,
            [each for each in (self._recorder, self._unrecorded) if each],
        )
        if model is None:
            yield
            return
        if not any(each.is_open for each in recorders):
            model.stop()
            yield
            return
        model.wait_for_answers()
        try:
            yield
        finally:
            hang_up = model.detach()
            for each in recorders:
                each.when_over(lambda: any(t.is_open for t in recorders) or hang_up())

    def _save(self, error: BaseException | None) -> None:
        self._close_tool_http()
        if self._writer is None:
            self._close_model()
        elif not self._is_new() or (error is not None and not self._options.record_on_exception):
            self._close_model()
            writer, self._writer = self._writer, None
            writer.abandon()
        else:
            self._save_model(self._writer)
            cassette = self._cassette
            writer, self._writer = self._writer, None
            writer.finish(
                lambda: self._counts(cassette),
                complete=cassette is None or not cassette.partial,
                harness=self._harness,
                revise=self._revised,
            )
            for rule in self._redactor.rules.unmatched():
                _log.info("the redaction rule %r matched nothing in %s", rule, self._options.path)

    def _revised(self, folder: Path) -> Revised | None:
        """Return a re-recording with the ids and times of the recording that it replaces."""
        options = self._options
        if self._plan != "record" or not self._place().exists():
            return None
        return revised(self._place(), folder, self._redactor, share=options.share_texts)

    def _is_new(self) -> bool:
        """Return whether anything was recorded."""
        sessions = self._recorder.sessions if self._recorder is not None else 0
        return bool(sessions) or (self._cassette is not None and self._options.seam == "model")

    def _counts(self, cassette: Cassette | None) -> dict[str, int]:
        return dict(Counter(cassette.header.redactions if cassette else {}) + self._redactor.counts)

    def _close_tool_http(self) -> None:
        try:
            if self._tool_http is not None:
                self._tool_http.close()  # writes `tools.yaml`
        except OSError as error:
            if self._writer is None:
                raise
            raise self._writer.not_written(error) from error

    def _close_model(self) -> None:
        if self._model is not None:
            self._model.close()

    def _would_replay(self) -> bool:
        return plan(self._place(), check_mode(self._options.record_mode)) != "record"

    def _save_model(self, writer: CassetteWriter) -> None:
        try:
            if self._model is not None:
                self._model.save()
        except OSError as error:
            raise writer.not_written(error) from error
        except Exception as error:
            self._writer = None
            writer.abandon()
            raise CassetteNotWrittenError(
                f"{self._options.path} could not be recorded: {error}. An older cassette is "
                "unchanged",
                path=str(self._options.path),
            ) from error

    def raise_mismatch(
        self,
        error: BaseException | None,
        *,
        still_open: bool = False,
        allow_unplayed: bool = False,
    ) -> None:
        """Raise the first mismatch of the replay, unless the block raised it already."""
        if self._matcher is not None and self._cassette is not None:
            missing_files.explain(error, self._cassette.sessions)
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
        if self._model is None or self._plan == "record":
            return []
        allow_unplayed = allow_unplayed or self._plan == "extend"
        unplayed = None if self._model.errors or allow_unplayed else self._model.unplayed()
        return self._model.errors + ([unplayed] if unplayed else [])
