"""Run recorded turns on the real harness, so that its file holds their conversation.

Rule 1: the model's answers, the results of host tools, the answers of hooks and the user's
decisions come from the recording. The harness runs no tool of its own.
Rule 2: a conversation that differs from the recording is an error, never a result.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from agy_nb.cassette.drift.errors import DriftError, HarnessSilentError
from agy_nb.cassette.drift.runner import DriftSettings, HarnessRun
from agy_nb.cassette.errors import CassetteError, RebuildError
from agy_nb.cassette.http.model_recorder import ModelRecorder
from agy_nb.cassette.inspect.session_digests import digest_of
from agy_nb.cassette.matching.compare_frames import Comparer
from agy_nb.cassette.rebuild.recorded_turns import RecordedTurns, first_turns
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.late_secrets import LateSecrets
from agy_nb.cassette.shim import real_harness
from agy_nb.cassette.shim.errors import ShimError
from agy_nb.cassette.storage.cassette_reader import Cassette, RecordedSession, load
from agy_nb.cassette.storage.format import Frame, Header, spoken_frame
from agy_nb.cassette.storage.writer import CassetteWriter, this_moment
from agy_nb.wire import frames as f
from agy_nb.wire.frames import CONFIG, given_id
from agy_nb.wire.json_values import list_of, number_of, object_of
from agy_nb.wire.summaries.digest_diff import differences

_SILENCE_S = 30.0
_COMPARED = ("prompt", "agents", "calls", "state")
_NOT_OF_THE_CONVERSATION = (
    "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_choice",
    "generationConfig", "safetySettings",
)  # fmt: skip
_MOST_LINES = 12
"""Lines of a difference that an error quotes."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A conversation in the harness's own file.

    Attributes:
        turn: Number of turns.
        conversation_id: The harness's id of the conversation, empty without turns.
        messages: Who said what, in order: `user`, `model` or `system`, and the text.
    """

    turn: int
    conversation_id: str = ""
    messages: tuple[tuple[str, str], ...] = ()


class Rebuild:
    """Rebuild the first turns of a recorded session.

    Args:
        path: Folder of the recording.
        turn: The last turn; see `first_turns`.
        session: Number of the session.
    """

    def __init__(self, path: Path, turn: int | None, session: int | None) -> None:
        self._path = path
        self._turn = turn
        self._number = session
        self._lock = threading.Lock()
        self._stop: Any = None
        self._cassette: Cassette | None = None
        self._turns: RecordedTurns | None = None

    def read(self) -> int:
        """Read the recording, and return the number of turns to rebuild. Reads the disk.

        Raises:
            CassetteError: The recording does not exist, is damaged, or cannot be rebuilt.
            InvalidInputError: The session or the turn does not exist.
        """
        self._cassette = load(self._path)
        self._turns = first_turns(self._cassette, self._turn, self._number)
        return self._turns.turn

    def run(self, save_dir: Path, workspaces: Sequence[str] | None = None) -> Rebuilt:
        """Rebuild the conversation. Blocks; starts a harness, and writes the disk.

        Args:
            save_dir: Folder for the harness's file.
            workspaces: Folders that the conversation names in place of the recorded workspaces; the
                working folder when None.

        Raises:
            RebuildError: The harness rejects the recording, the result differs from it, or a file
                cannot be written.
            CassetteError: The requests to the model cannot be read.
        """
        if self._turns is None:
            self.read()
        assert self._turns is not None
        assert self._cassette is not None
        if not self._turns.turn:
            return Rebuilt(0)
        try:
            with tempfile.TemporaryDirectory(prefix="agy-") as folder:
                return self._rebuilt(self._turns, Path(folder), save_dir, workspaces)
        except OSError as error:
            raise self._failed(self._turns.session, f"the disk cannot be used: {error}") from error

    def _rebuilt(
        self, turns: RecordedTurns, root: Path, save_dir: Path, workspaces: Sequence[str] | None
    ) -> Rebuilt:
        given = [str(Path.cwd())] if workspaces is None else map(os.path.abspath, workspaces)
        live = self._again(root, turns.session, tuple(given))
        self._must_be_equal(turns.session, live)
        conversation = _conversation_of(live)
        _move(root / "here" / "save", save_dir, conversation)
        return Rebuilt(turns.turn, conversation, tuple(_messages(live)))

    def must_be_history(self, rebuilt: Rebuilt, history: Sequence[tuple[str, str]]) -> None:
        """Check the history of the agent that continues the conversation.

        Args:
            rebuilt: The conversation.
            history: Who said what, as the SDK reports it.

        Raises:
            RebuildError: They differ.
        """
        expected = [list(each) for each in rebuilt.messages]
        different = Comparer().first(expected, [list(each) for each in history])
        if different is not None:
            assert self._turns is not None
            raise self._failed(
                self._turns.session,
                "the harness does not give the history back as it was recorded: "
                f"{different.path} is {different.actual!r:.200}, not {different.expected!r:.200}",
            )

    def cancel(self) -> None:
        """Stop `run` soon, from any thread."""
        with self._lock:
            stop, self._stop = self._stop, lambda: None
        if stop is not None:
            stop()

    def _again(
        self, root: Path, session: RecordedSession, workspaces: tuple[str, ...]
    ) -> RecordedSession:
        """Run the session, and return its new recording."""
        assert self._cassette is not None
        redactor = Redactor()
        late = LateSecrets(redactor)
        header = Header(recorded_at=this_moment(), sdk=self._cassette.header.sdk)
        writer = CassetteWriter(root / "recording", header, redact=late.line)
        here = root / "here"
        here.mkdir()
        try:
            with self._model(session, redactor) as model:
                settings = DriftSettings(model=model, silence_s=_SILENCE_S, workspaces=workspaces)
                run = HarnessRun((session,), real_harness.find(), here, settings, writer)
                asyncio.run(self._stoppable(run))
                self._must_be_recorded(session, model.error)
            writer.finish(lambda: dict(redactor.counts), revise=late.revised)
        except HarnessSilentError as error:
            writer.abandon()
            words = f"the harness sent nothing for {_SILENCE_S:g} s in the middle of a turn"
            raise self._failed(session, words) from error
        except (DriftError, ShimError) as error:
            writer.abandon()
            raise self._failed(session, str(error)) from error
        except BaseException:
            writer.abandon()
            raise
        return load(root / "recording").sessions[0]

    def _must_be_equal(self, recorded: RecordedSession, live: RecordedSession) -> None:
        """Compare the rebuilt conversation with the recording.

        Raises:
            RebuildError: They differ.
        """
        one, other = digest_of(recorded), digest_of(live)
        found = differences(recorded.number, one, other, ("recorded", "rebuilt"), _COMPARED)
        lines = list(islice(found, _MOST_LINES))
        if lines:
            raise self._failed(
                recorded, "\n".join(["the conversation differs from the recording.", *lines])
            )

    def _must_be_recorded(self, session: RecordedSession, error: CassetteError | None) -> None:
        """Check that the harness sent only requests that were recorded.

        Raises:
            RebuildError: It did not.
        """
        if error is None:
            return
        words = "the harness asks the model for more than was recorded"
        if diff := getattr(error, "diff", ""):
            words = f"a request to the model differs from the recording:\n{diff}"
        raise self._failed(session, words) from error

    def _failed(self, session: RecordedSession, words: str) -> RebuildError:
        return RebuildError(
            f"session {session.number} of {self._path} cannot be rebuilt: {words}",
            path=str(self._path),
        )

    async def _stoppable(self, run: HarnessRun) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        with self._lock:
            if self._stop is not None:  # before the start
                return
            self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        await run.run()

    @contextlib.contextmanager
    def _model(self, session: RecordedSession, redactor: Redactor) -> Iterator[_RecordedModel]:
        comparer = Comparer(ignore=_NOT_OF_THE_CONVERSATION)
        recorder = ModelRecorder(
            self._path,
            redactor,
            replaying=True,
            comparer=comparer,
            conversation=_conversation_of(session),
        )
        recorder.open()
        try:
            recorder.start()
            yield _RecordedModel(recorder, session)
        finally:
            recorder.discard()


class _RecordedModel:
    """The recorded answers of the model, on a loopback address."""

    def __init__(self, recorder: ModelRecorder, session: RecordedSession) -> None:
        self._recorder = recorder
        self._number = session.number
        self._hooks = list_of(object_of(session.config.get(CONFIG)).get(f.ENABLED_HOOKS))

    def into(self, config: Frame) -> Frame:
        """See `AnsweringModel`. No address of the recording is used.

        Hooks get their recorded answers. An answer can allow a call, so the harness has no tools of
        its own: they are switched off, besides the rules that deny them.
        """
        models = self._recorder.only_replayed(config)
        body = object_of(config.get(CONFIG)) | {"models": models}
        if self._hooks:
            body[f.ENABLED_HOOKS] = self._hooks
        tools = object_of(body.get(f.HARNESS_TOOLS))
        body[f.HARNESS_TOOLS] = {
            name: tool if name == f.USER_QUESTIONS else {"enabled": False}
            for name, tool in tools.items()
        }
        return self._recorder.rewrite(self._number, {CONFIG: body})

    @property
    def error(self) -> CassetteError | None:
        """The error for the first request that was not recorded, None if all were."""
        return next(iter(self._recorder.errors), None)


def _conversation_of(session: RecordedSession) -> str:
    """Return the id that the harness gave the conversation, empty if there is none."""
    return next(filter(None, (given_id(line.frame) for line in session.lines)), "")


def _messages(session: RecordedSession) -> Iterator[tuple[str, str]]:
    """Yield who said what, from the last state of each step with text."""
    latest: dict[tuple[str, int], tuple[str, str]] = {}
    for line in session.lines:
        step = object_of(spoken_frame(line).get(f.STEP)) if line.direction == "harness" else {}
        if text := step.get(f.TEXT):
            key = str(step.get(f.TRAJECTORY_ID)), number_of(step.get(f.STEP_INDEX))
            latest[key] = f.SOURCES.get(str(step.get(f.SOURCE)), "unknown"), str(text)
    yield from latest.values()


def _move(source: Path, target: Path, conversation: str) -> None:
    """Move the harness's file of a conversation, with SQLite's additional files."""
    found = list(source.glob(f"{conversation}.db*")) if conversation else []
    if not found:
        raise OSError(f"the harness left no file of the conversation in {source}")
    target.mkdir(parents=True, exist_ok=True)
    for file in found:
        shutil.move(file, target / file.name)
