"""The files of a cassette in use, and the proxy of its model: open them, and save a recording.

Most of this reads or writes the disk. If an event loop runs, `cassette_session` calls it in a
thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agy_nb.cassette import echo_model
from agy_nb.cassette.cassette_labels import labels_to_keep, redacted
from agy_nb.cassette.cassette_options import CassetteOptions
from agy_nb.cassette.errors import CassetteError, CassetteNotWrittenError
from agy_nb.cassette.http.model_recorder import ModelRecorder
from agy_nb.cassette.http.tool_http import ToolHttp
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.record.recorder import FrameRecorder, Rewrite
from agy_nb.cassette.record.stable_recording import revised
from agy_nb.cassette.record_modes import Plan
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.http.exchanges import cleaned
from agy_nb.cassette.redaction.late_secrets import LateSecrets
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.storage.cassette_reader import Cassette
from agy_nb.cassette.storage.format import EPISODES, MODEL, TOOLS, Frame, read_lines
from agy_nb.cassette.storage.model_log import has_model
from agy_nb.cassette.storage.safe_files import copy_any
from agy_nb.cassette.storage.shared.vcr_file import read_vcr, write_vcr
from agy_nb.cassette.storage.writer import CassetteWriter, RevisedLines, new_header
from agy_nb.wire.frames import CONFIG

if TYPE_CHECKING:
    from agy_nb.sdk.process.launch import HarnessStart

_log = logging.getLogger("agy_nb.cassette")


class CassetteFiles:
    """Everything that is open while a cassette is in use.

    Args:
        options: The options of `use_cassette`.
        redactor: Removes secrets.

    Attributes:
        plan: Whether to record, replay or extend; None before that is decided.
        cassette: The recorded cassette, None for a new recording.
        writer: Writes the recording, None for a replay.
        recorder: Records frames, None for a replay.
        unrecorded: Takes the frames of sessions that `seam="model"` replays.
        model: Records or answers the requests to the model.
        tool_http: Records or answers the HTTP requests of host tools.
        harness: Description of the harness.
        on_echo: Whether an agent without a model started.
        folder: The working directory at the start of the block, for a relative path.
        opening: Held by each thread that opens files.
        is_over: Whether the block has ended.
    """

    def __init__(self, options: CassetteOptions, redactor: Redactor) -> None:
        self._options = options
        self._redactor = redactor
        self._late: LateSecrets | None = None
        self.plan: Plan | None = None
        self.cassette: Cassette | None = None
        self.writer: CassetteWriter | None = None
        self.recorder: FrameRecorder | None = None
        self.unrecorded: FrameRecorder = FrameRecorder(None)
        self.model: ModelRecorder | None = None
        self.tool_http: ToolHttp | None = None
        self.harness = ""
        self.on_echo = False
        self.folder: Path = Path()
        self.opening: threading.RLock = threading.RLock()
        self.is_over = False

    @property
    def has_echo(self) -> bool:
        """Whether the recording contains the echo model's answers."""
        sessions = self.cassette.sessions if self.cassette is not None else ()
        if self.recorder is not None and self.recorder.sessions and self.on_echo:
            return True
        return echo_model.any_echo(session.config for session in sessions)

    def place(self) -> Path:
        """Return the cassette's folder. A relative path holds if the block changes directories."""
        path = self._options.path
        moved = not path.is_absolute() and Path.cwd() != self.folder
        return self.folder / path if moved else path

    def check_not_over(self) -> None:
        """Check that the block has not ended.

        Raises:
            CassetteError: It has.
        """
        if self.is_over:
            raise CassetteError(
                f"the block that uses the cassette {self._options.path} has ended; start agents "
                "inside the block",
                path=str(self._options.path),
            )

    def close_all(self) -> None:
        """Close all that is open, and keep no recording. Each part is closed if another fails."""
        tool_http, self.tool_http = self.tool_http, None
        model, self.model = self.model, None
        writer, self.writer = self.writer, None
        self.recorder, self.plan, self.cassette = None, None, None
        with contextlib.ExitStack() as stack:  # closes in reverse order
            if writer is not None:
                stack.callback(writer.abandon)
            if model is not None:
                stack.callback(model.discard)
            if tool_http is not None:
                stack.callback(tool_http.close)

    def open_tool_http(self, folder: Path, mode: str) -> ToolHttp | None:
        """Record or answer the HTTP requests of host tools; None if the user does not want it.

        Args:
            folder: Folder of the cassette or of the recording.
            mode: The record mode of vcrpy.
        """
        if not self._options.tool_http:
            return None
        opened = ToolHttp(folder, self._redactor, mode=mode)
        opened.open()
        return opened

    def open_model(self, folder: Path, *, replaying: bool) -> ModelRecorder:
        """Start the proxy of the model; if this fails, it does not stay open.

        Args:
            folder: Folder of the cassette or of the recording.
            replaying: Whether the cassette answers.
        """
        model = ModelRecorder(
            folder,
            self._redactor,
            replaying=replaying,
            speed=self._options.speed,
            extend=self._extend_model if self.plan == "extend" and replaying else None,
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
            self.unrecorded = FrameRecorder(model.learner)
        return model

    def _extend_model(self) -> Path:
        """Start a recording with a copy of the old cassette, for new requests to the model."""
        if self.on_echo:
            self.refuse_echo()
        self.open_writer()
        assert self.writer is not None
        return self.writer.folder

    def open_writer(self) -> None:
        """Open the recording, unless another agent of the block has opened it."""
        with self.opening:
            self.check_not_over()
            if self.writer is None:
                with contextlib.ExitStack() as undo:
                    self._new_writer(undo)
                    undo.pop_all()

    def _new_writer(self, undo: contextlib.ExitStack) -> None:
        cassette, at_model = self.cassette, self._options.seam == "model"
        source = self.folder / cassette.path if cassette else self.folder
        header = new_header()
        if cassette:
            header = replace(header, id=cassette.header.id or header.id)
        if cassette and at_model:  # the old frames stay, and so does the header that describes them
            header = replace(cassette.header, complete=False)
        old = labels_to_keep(self.place(), self._redactor)
        header = replace(header, labels={**old, **redacted(self._options.labels, self._redactor)})
        late = LateSecrets(self._redactor)
        writer = CassetteWriter(
            self.folder / self._options.path,
            header,
            redact=late.line,
            join=partial(joined, redactor=self._redactor, live=True),
            keep=read_lines(source) if cassette else (),
        )
        with writer.adding_files():
            if cassette and self._options.tool_http and (source / TOOLS).exists():
                read_vcr(source / TOOLS)  # raises for a damaged file
            for name in (MODEL, EPISODES, TOOLS):
                if cassette and (source / name).exists():
                    copy_any(source / name, writer.folder / name)
        undo.callback(writer.abandon)
        model = self.model
        if self._options.record_model and (not cassette or (has_model(source) and not at_model)):
            model = self.open_model(writer.folder, replaying=False)
            undo.callback(model.discard)
        if self.tool_http is not None:
            self.tool_http.extend(writer.folder)
        else:
            mode = "new_episodes" if cassette else "all"
            self.tool_http = self.open_tool_http(writer.folder, mode)
        self.model = model
        first = 1 + max((s.number for s in cassette.sessions), default=-1) if cassette else 0
        self.recorder = FrameRecorder(writer, first=first)
        self.writer, self._late = writer, late

    def rewrite(self, *, recorded_models: bool = False) -> Rewrite | None:
        """Return a function that changes a configuration on its way to the harness.

        Args:
            recorded_models: Whether to insert the recorded models.
        """
        model, cassette = self.model, self.cassette
        if model is None or cassette is None or not cassette.sessions or not recorded_models:
            return None if model is None else model.rewrite
        models = model.only_replayed(cassette.sessions[0].config)

        def with_models(session: int, frame: Frame) -> Frame:
            return model.rewrite(session, frame | {CONFIG: frame[CONFIG] | {"models": models}})

        return with_models

    @contextlib.contextmanager
    def model_over(self) -> Iterator[None]:
        """Stop the model's proxy now, or after the end of the agents that outlive the block.

        An agent that is still open after the block continues with its real model. The proxy must
        then stay, because the agent's harness knows no other address.
        """
        model = self.model
        recorders = [each for each in (self.recorder, self.unrecorded) if each]
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

    def save(self, error: BaseException | None) -> None:
        """Save the recording, and replace the old cassette.

        Args:
            error: What the block raised; None if it ended well.

        Raises:
            CassetteError: The recording cannot be saved. The old cassette is unchanged.
        """
        if self.writer is not None:
            self.writer.write_rest()  # so that the secrets in all frames are known
        self._close_tool_http()
        if self.writer is None:
            self._close_model()
        elif not self._is_new() or (error is not None and not self._options.record_on_exception):
            self._close_model()
            writer, self.writer = self.writer, None
            writer.abandon()
        else:
            self._save_model(self.writer)
            cassette = self.cassette
            writer, self.writer = self.writer, None
            writer.finish(
                lambda: self._counts(cassette),
                complete=cassette is None or not cassette.partial,
                harness=self.harness,
                revise=self._revised,
            )
            for rule in self._redactor.rules.unmatched():
                _log.info("the redaction rule %r matched nothing in %s", rule, self._options.path)

    def _revised(self, folder: Path) -> RevisedLines | None:
        """Return the lines of a finished recording, if they change.

        A re-recording has the ids and times of the recording that it replaces. Lines that were
        written before a secret in them became known are redacted again.
        """
        options, found = self._options, None
        if self.plan == "record" and self.place().exists():
            found = revised(
                self.place(), folder, self._redactor, share=options.share_texts, late=self._late
            )
        return found or (None if self._late is None else self._late.revised(folder))

    def _is_new(self) -> bool:
        """Return whether anything was recorded."""
        sessions = self.recorder.sessions if self.recorder is not None else 0
        return bool(sessions) or (self.cassette is not None and self._options.seam == "model")

    def _counts(self, cassette: Cassette | None) -> dict[str, int]:
        return dict(Counter(cassette.header.redactions if cassette else {}) + self._redactor.counts)

    def _close_tool_http(self) -> None:
        try:
            if self.tool_http is not None:
                self.tool_http.close()  # writes `tools.yaml`
            if self.writer is not None and self._late is not None and self._late.found:
                self._redact_again(self.writer.folder / TOOLS)
        except OSError as error:
            if self.writer is None:
                raise
            raise self.writer.not_written(error) from error

    def _redact_again(self, file: Path) -> None:
        if file.exists():
            write_vcr(file, [cleaned(made, self._redactor) for made in read_vcr(file)])

    def _close_model(self) -> None:
        if self.model is not None:
            self.model.close()

    def _save_model(self, writer: CassetteWriter) -> None:
        try:
            if self.model is not None:
                self.model.save()
        except OSError as error:
            raise writer.not_written(error) from error
        except Exception as error:
            self.writer = None
            writer.abandon()
            raise CassetteNotWrittenError(
                f"{self._options.path} could not be recorded: {error}. An older cassette is "
                "unchanged",
                path=str(self._options.path),
            ) from error

    def refuse_without_model(self, start: HarnessStart) -> None:
        """Raise the error for an agent that no real model would answer.

        Raises:
            EchoRecordingError: The user did not ask for a recording of the echo model.
            AntigravityValidationError: An agent of the SDK has no key.
        """
        if start.on_echo_model:
            self.refuse_echo()
        if start.invalid is not None:
            start.invalid.add_note(
                f"{self._options.path} is not recorded yet, so the agent needs a model. What to "
                "do: set GEMINI_API_KEY; or, without a key, give the agent `model.config(config)`: "
                "its configuration with an agy_nb.testing.ScriptedModel or EchoModel as the model"
            )
            raise start.invalid

    def refuse_echo(self) -> None:
        """Raise the error for a recording of the echo model, unless the user wants one.

        Raises:
            EchoRecordingError: The user did not ask for it.
        """
        options = self._options
        error = echo_model.refusal(options.path, options.record_mode, echo=options.echo)
        if error is not None:
            raise error
