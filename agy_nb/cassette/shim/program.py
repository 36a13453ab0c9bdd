"""The stand-in as a program: from its options to its exit code.

Rule 1: stdout belongs to the handshake; all that is said goes to stderr, where SDKs look for it.
Rule 2: exit code 0 when all went well, 1 when something did not; what the real harness gives
where it is recorded.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

from agy_nb.cassette import echo_model
from agy_nb.cassette.http.model_recorder import ModelRecorder
from agy_nb.cassette.record.recorder import harness_text
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.redaction.late_secrets import LateSecrets
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.shim import handshake, launcher, real_harness, shim_options
from agy_nb.cassette.shim.client_socket import Server
from agy_nb.cassette.shim.errors import ShimError
from agy_nb.cassette.shim.merge import SessionMerger
from agy_nb.cassette.shim.record_handler import RecordHandler
from agy_nb.cassette.shim.replay_handler import ReplayHandler, in_options
from agy_nb.cassette.shim.shared_state import SharedState
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import Frame, Header
from agy_nb.cassette.storage.writer import CassetteWriter, new_header
from agy_nb.errors import AgyError
from agy_nb.terminal import printable

_SIGNALLED = 128


def run(arguments: Namespace) -> int:
    """Do what the options say; gives the exit code."""
    if sys.platform == "win32":
        raise ShimError("agy-nb harness needs a POSIX system; on Windows, run it in WSL")
    if arguments.write_launcher is not None:
        path = launcher.write(arguments.write_launcher, shim_options.to_argv(arguments))
        if arguments.record:
            SessionMerger(arguments.record, SharedState(arguments.record, "record")).begin_anew()
        sys.stdout.write(f"{path}\n")
        return 0
    try:
        return _record(arguments) if arguments.record else _replay(arguments)
    except (AgyError, OSError, ValueError) as error:
        _tell(str(error))
        return 1


def _replay(arguments: Namespace) -> int:
    if arguments.seam == "model":
        return _replay_model(arguments)
    ledger = SharedState(arguments.replay, "replay")
    ledger.tidy()
    cassette = load(arguments.replay)
    settings = shim_options.play_settings(arguments)
    handlers: list[ReplayHandler] = []

    def new_handler() -> ReplayHandler:
        handler = ReplayHandler(
            cassette,
            settings,
            ledger,
            speed=arguments.speed,
            stall_after=arguments.stall_after,
            allow_unplayed=arguments.allow_unplayed,
            tell=_tell,
        )
        handlers.append(handler)
        return handler

    greeting = handshake.parse_greeting(handshake.read_message(sys.stdin.buffer))
    asyncio.run(Server(new_handler, greeting).run())
    return 1 if any(handler.error for handler in handlers) else 0


def _replay_model(arguments: Namespace) -> int:
    load(arguments.replay)  # explains the fault
    redactor = shim_options.redactor(arguments)
    redactor.warm_up()
    model = ModelRecorder(arguments.replay, redactor, replaying=True, speed=arguments.speed)
    model.open()
    greeting = handshake.parse_greeting(handshake.read_message(sys.stdin.buffer))
    model.start()
    try:
        harness = real_harness.RealHarness(
            arguments.harness or real_harness.find(), greeting.for_harness
        )
        try:
            sessions = itertools.count()

            def new_handler() -> RecordHandler:
                number = next(sessions)
                return RecordHandler(harness, None, number, partial(model.rewrite, number))

            asyncio.run(Server(new_handler, greeting).run())
        finally:
            code = harness.stop()
    finally:
        model.stop()
    for error in model.errors:
        _tell(in_options(error))
    return 1 if model.errors else _exit_code(code)


def _record(arguments: Namespace) -> int:
    greeting = handshake.parse_greeting(handshake.read_message(sys.stdin.buffer))
    binary = arguments.harness or real_harness.find()
    header = replace(new_header(), sdk=greeting.sdk, harness=harness_text(binary))
    recording = _ProgramRecording(arguments, header)
    try:
        recording.start_model()
        harness = real_harness.RealHarness(binary, greeting.for_harness, keeps_stderr=True)
        try:
            asyncio.run(Server(partial(recording.new_handler, harness), greeting).run())
        finally:
            code = harness.stop()
    finally:
        recording.finish()
    return _exit_code(code)


class _ProgramRecording:
    """The recording of one stand-in, from its first conversation until it is merged.

    Args:
        arguments: The options.
        header: Begins the recording.

    Raises:
        CassetteError: The cassette cannot be recorded.
    """

    def __init__(self, arguments: Namespace, header: Header) -> None:
        self._redactor = redactor = shim_options.redactor(arguments)
        redactor.warm_up()
        self._merger = SessionMerger(arguments.record, SharedState(arguments.record, "record"))
        self._place = place = self._merger.begin()
        try:
            join = partial(joined, redactor=redactor, live=True)
            self._late = LateSecrets(redactor)
            self._journal = CassetteWriter(place.own, header, redact=self._late.line, join=join)
        except BaseException:
            self._merger.give_up()
            raise
        self._check = None if arguments.echo else partial(_refuse_echo, arguments.record)
        self._handlers: list[RecordHandler] = []
        self._finishing = threading.Lock()
        self._is_finished = False
        self._model: ModelRecorder | None = None
        if arguments.model:
            self._model = ModelRecorder(self._journal.folder, redactor, replaying=False)

    def start_model(self) -> None:
        """Begin to record the model's side."""
        if self._model is not None:
            self._model.start()

    def new_handler(self, harness: real_harness.RealHarness) -> RecordHandler:
        """Return what records the next conversation.

        Raises:
            ShimError: The recording is complete.
        """
        if self._is_finished:
            raise ShimError("the harness hung up before, so the recording is complete")
        place, model = self._place, self._model
        number = self._merger.another_session() if self._handlers else place.session
        rewrite = None if model is None else partial(model.rewrite, number)
        handler = RecordHandler(
            harness, self._journal, number, rewrite, self._check, self._finish_with_last
        )
        self._handlers.append(handler)
        return handler

    def _finish_with_last(self) -> None:
        if sum(handler.is_open for handler in self._handlers) == 1:
            self.finish()

    def finish(self) -> None:
        """Save the recording and merge it; do nothing the second time. Writes the disk."""
        with self._finishing:
            if self._is_finished:
                return
            self._is_finished = True
            if self._model is not None:
                self._model.stop()
            if any(handler.frames for handler in self._handlers):
                _keep(self._journal, self._model, self._redactor, self._late)
                self._merger.add(self._place, self._redactor)
                return
            if self._model is not None:
                self._model.close()
            self._journal.abandon()
            self._merger.give_up()


def _refuse_echo(cassette: Path, config: Frame) -> None:
    if echo_model.is_echo(config):
        raise echo_model.refusal_to_program(cassette)


def _keep(
    journal: CassetteWriter, model: ModelRecorder | None, redactor: Redactor, late: LateSecrets
) -> None:
    """Finish the recording of one session, also if the model's side is incomplete."""
    journal.write_rest()  # so that the secrets in all frames are known
    if model is not None:
        try:
            model.save()
        except Exception as error:
            _tell(f"the model's side could not be kept: {error}")
    journal.finish(lambda: dict(redactor.counts), revise=late.revised)


def _exit_code(code: int) -> int:
    return code if code >= 0 else _SIGNALLED - code


def _tell(text: str) -> None:
    sys.stderr.write(f"agy-nb harness: {printable(text)}\n")
    sys.stderr.flush()
