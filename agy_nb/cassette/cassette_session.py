"""One block in which a cassette is used: what is prepared, who answers, how it ends.

Rule 1: one cassette at a time in a process; nesting is refused.
Rule 2: `prepare` and `finish` read and write the disk; where an event loop runs, a thread calls
them.
Rule 3: what went wrong in a replay is raised at the block's end, whatever became of it inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

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
from agy_nb.cassette.record_modes import Plan, check_mode, plan
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.replay import transport
from agy_nb.cassette.replay.session_matcher import PlaySettings, SessionMatcher
from agy_nb.cassette.storage.cassette_reader import Cassette, load
from agy_nb.cassette.storage.format import EPISODES, MODEL, TOOLS, Frame, read_lines
from agy_nb.cassette.storage.model_log import has_model
from agy_nb.cassette.storage.writer import CassetteWriter, new_header
from agy_nb.wire.frames import CONFIG

if TYPE_CHECKING:
    from agy_nb.sdk.process.launch import Connected, HarnessStart

_active: Path | None = None


class CassetteSession:
    """One block.

    Args:
        options: How the cassette is used.
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
        self._prepared = True
        self._preparing: asyncio.Lock | None = None
        self._plan: Plan | None = None
        self._kept: Cassette | None = None
        self._deck: SessionMatcher | None = None
        self._journal: CassetteWriter | None = None
        self._tape: recorder.FrameRecorder | None = None
        self._replayed: list[HarnessStart] = []
        self._unrecorded = recorder.FrameRecorder(None)
        self._model: ModelRecorder | None = None
        self._tool_http: ToolHttp | None = None
        self._harness = ""

    @property
    def recording(self) -> bool | None:
        """Whether it is being recorded; None until that is decided."""
        return None if self._plan is None else self._tape is not None

    # -- begin -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def taking_the_place(self) -> Iterator[None]:
        """Stand at the seam; give the place back if what follows fails."""
        global _active  # noqa: PLW0603 - one process, one seam
        if _active is not None:
            raise CassetteActiveError(
                f"the cassette {_active} is in use; cassettes do not nest. "
                "Record several agents into one cassette, or use one after the other",
                path=str(_active),
            )
        from agy_nb.sdk.process import interception

        try:
            self._stack.enter_context(
                interception.intercepted(self._connect, model_needed=self._model_needed)
            )
        except RuntimeError as error:
            raise CassetteActiveError(f"no cassette can be used here: {error}") from error
        _active = self._options.path
        try:
            yield
        except BaseException:
            self.leave()
            raise

    def prepare_later(self) -> None:
        """Leave the disk alone until the first agent starts: an event loop runs here."""
        self._prepared = False

    def prepare(self) -> None:
        """Find out what to do. Reads and writes the disk."""
        options = self._options
        self._redactor.warm_up()
        self._plan = plan(options.path, check_mode(options.record_mode))
        if self._plan == "record":
            self._open_journal()
        elif options.seam == "model":
            self._kept = load(options.path)  # says what is wrong with it
            self._open_model(options.path, replaying=True)
        else:
            self._kept = load(options.path)
            self._deck = SessionMatcher(self._kept, self._play_settings())
        if self._plan == "replay":
            self._open_tool_http(options.path, "none")
        elif self._plan == "extend" and options.seam == "model" and options.tool_http:
            self._open_journal()  # tools run whatever the model's side does
        self._prepared = True

    def _open_tool_http(self, folder: Path, mode: str) -> None:
        if self._options.tool_http:
            self._tool_http = ToolHttp(folder, self._redactor, mode=mode)
            self._tool_http.open()

    def _open_model(self, folder: Path, *, replaying: bool) -> None:
        self._model = ModelRecorder(
            folder,
            self._redactor,
            replaying=replaying,
            speed=self._options.speed,
            extend=self._extend_model if self._plan == "extend" and replaying else None,
        )
        self._model.open()
        self._model.start()

    def _extend_model(self) -> Path:
        """Begin a recording with all that was there; new requests to a model go into it."""
        if self._journal is None:
            self._open_journal()
        assert self._journal is not None  # noqa: S101 - for the type checker
        return self._journal.folder

    def _play_settings(self) -> PlaySettings:
        options = self._options
        match_on = options.match_on
        if options.tools != "check":
            match_on = tuple(name for name in match_on if name != "result")
        return PlaySettings(
            comparer=Comparer(match_on, options.ignore),
            redactor=self._redactor,
            approvals=options.approvals,
            questions=options.questions,
            runs_tools=options.tools != "replay",
        )

    def _open_journal(self) -> None:
        kept, at_model = self._kept, self._options.seam == "model"
        header = new_header()
        if kept and at_model:  # its frames stay as they are, and so does what they are of
            header = replace(kept.header, complete=False)
        self._journal = CassetteWriter(
            self._options.path,
            header,
            redact=self._redactor.line,
            join=partial(joined, redactor=self._redactor),
            keep=read_lines(kept.path) if kept else (),
        )
        first = 1 + max((s.number for s in kept.sessions), default=-1) if kept else 0
        self._tape = recorder.FrameRecorder(self._journal, first=first)
        for name in (MODEL, EPISODES, TOOLS):
            if kept and (kept.path / name).exists():
                shutil.copyfile(kept.path / name, self._journal.folder / name)
        if self._options.record_model and (not kept or (has_model(kept.path) and not at_model)):
            self._open_model(self._journal.folder, replaying=False)
        self._open_tool_http(self._journal.folder, "new_episodes" if kept else "all")

    # -- meanwhile ---------------------------------------------------------------------------

    async def _connect(self, start: HarnessStart) -> Connected:
        await self._make_ready()
        if self._plan != "record" and self._options.seam == "model":
            recorded = self._plan == "replay" and start.any_model
            if self._plan == "replay":
                start.needs_no_key()  # the cassette answers for the model
            return await recorder.record(
                start, self._unrecorded, self._rewrite(recorded_models=recorded)
            )
        if self._plan == "replay":
            assert self._deck is not None  # noqa: S101 - for the type checker
            self._replayed.append(start)
            return transport.replay(start, self._deck, self._playback)

        async def record() -> Connected:
            if self._tape is None:
                await asyncio.to_thread(self._open_journal)
            assert self._tape is not None  # noqa: S101 - for the type checker
            harness = recorder.harness_path(start)
            self._harness = await asyncio.to_thread(recorder.harness_text, harness)
            return await recorder.record(start, self._tape, self._rewrite())

        if self._plan == "extend":
            assert self._deck is not None  # noqa: S101 - for the type checker
            return transport.episode(start, self._deck, self._playback, record)
        return await record()

    async def _model_needed(self) -> bool:
        await self._make_ready()
        return self._plan != "replay"

    def _rewrite(self, *, recorded_models: bool = False) -> recorder.Rewrite | None:
        """What happens to a configuration on its way to the harness.

        Args:
            recorded_models: Whether it gets the models that were recorded.
        """
        model, kept = self._model, self._kept
        if model is None or kept is None or not kept.sessions or not recorded_models:
            return None if model is None else model.rewrite
        models = model.only_replayed(kept.sessions[0].config)

        def with_models(session: int, frame: Frame) -> Frame:
            return model.rewrite(session, frame | {CONFIG: frame[CONFIG] | {"models": models}})

        return with_models

    async def _make_ready(self) -> None:
        if self._prepared:
            return
        if self._preparing is None:
            self._preparing = asyncio.Lock()
        async with self._preparing:
            if not self._prepared:
                await asyncio.to_thread(self.prepare)

    # -- end ---------------------------------------------------------------------------------

    def leave(self) -> None:
        """Give the seam back; from now on nothing is recorded or replayed."""
        global _active  # noqa: PLW0603 - one process, one seam
        if self._tape is not None:
            self._tape.stop()
        self._stack.close()
        _active = None

    def finish(self, error: BaseException | None) -> None:
        """Put the recording in its place. Writes the disk."""
        if not self._prepared and error is None and self._would_replay():
            self.prepare()  # no agent was started, and that is less than was recorded
        for start in self._replayed:  # here, as removing a folder may take long
            start.forget_new_folder()
        with self._model_over():
            self._keep(error)

    @contextlib.contextmanager
    def _model_over(self) -> Iterator[None]:
        """Stop to stand before the model: now, or once the agents have ended that outlive it."""
        model, tapes = self._model, [each for each in (self._tape, self._unrecorded) if each]
        if model is None:
            yield
            return
        if not any(each.is_open for each in tapes):
            model.stop()
            yield
            return
        model.settle()
        try:
            yield
        finally:
            hang_up = model.go_on()
            for each in tapes:
                each.when_over(lambda: any(t.is_open for t in tapes) or hang_up())

    def _keep(self, error: BaseException | None) -> None:
        if self._tool_http is not None:
            self._tool_http.close()
        journal, self._journal = self._journal, None
        if journal is None:
            self._close_model()
        elif not self._is_new() or (error is not None and not self._options.record_on_exception):
            self._close_model()
            journal.abandon()
        else:
            self._save_model(journal)
            kept = self._kept
            journal.finish(
                lambda: self._counts(kept),
                complete=kept is None or not kept.partial,
                harness=self._harness,
            )

    def _is_new(self) -> bool:
        """Whether anything was recorded."""
        sessions = self._tape.sessions if self._tape is not None else 0
        return bool(sessions) or (self._kept is not None and self._options.seam == "model")

    def _counts(self, kept: Cassette | None) -> dict[str, int]:
        return dict(Counter(kept.header.redactions if kept else {}) + self._redactor.counts)

    def _close_model(self) -> None:
        if self._model is not None:
            self._model.close()

    def _would_replay(self) -> bool:
        return plan(self._options.path, check_mode(self._options.record_mode)) != "record"

    def _save_model(self, journal: CassetteWriter) -> None:
        try:
            if self._model is not None:
                self._model.save()
        except OSError as error:
            journal.leave_partial()
            raise journal.not_written(error) from error
        except Exception as error:
            journal.abandon()
            raise CassetteNotWrittenError(
                f"{self._options.path} could not be recorded: {error}. What was there before is "
                "untouched",
                path=str(self._options.path),
            ) from error

    def complain(self, error: BaseException | None, *, still_open: bool = False) -> None:
        """Raise what went wrong in the replay."""
        if isinstance(error, CassetteMismatchError):
            return
        if error is not None and not isinstance(error, Exception):
            return
        allow = self._options.allow_unplayed or error is not None
        for found in self._mismatches(allow_unplayed=allow, still_open=still_open):
            raise found from error

    def _mismatches(self, *, allow_unplayed: bool, still_open: bool) -> Sequence[CassetteError]:
        if self._deck is not None:
            return self._deck.errors(allow_unplayed=allow_unplayed, still_open=still_open)
        if self._model is None or self._plan == "record":
            return []
        allow_unplayed = allow_unplayed or self._plan == "extend"
        unplayed = None if self._model.errors or allow_unplayed else self._model.unplayed()
        return self._model.errors + ([unplayed] if unplayed else [])
