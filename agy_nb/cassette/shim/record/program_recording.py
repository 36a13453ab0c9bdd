"""The recording of one program: from its options to the exit code.

Rule 1: the real harness starts first. What else a recording needs is imported and loaded meanwhile,
since that is most of what a recording costs.
"""

from __future__ import annotations

import asyncio
import threading
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

from agy_nb.cassette import echo_model
from agy_nb.cassette.http.model_recorder import ModelRecorder
from agy_nb.cassette.http.upstream.http_client import HttpClient
from agy_nb.cassette.record.recorder import harness_text
from agy_nb.cassette.redaction import Redactor, engine
from agy_nb.cassette.redaction.late_secrets import LateSecrets
from agy_nb.cassette.redaction.streams import joined
from agy_nb.cassette.shim import handshake, shim_options
from agy_nb.cassette.shim.client_socket import Server
from agy_nb.cassette.shim.errors import ShimError
from agy_nb.cassette.shim.outcome import exit_code, tell
from agy_nb.cassette.shim.real_harness import RealHarness
from agy_nb.cassette.shim.record.merge import SessionMerger
from agy_nb.cassette.shim.record.record_handler import RecordHandler
from agy_nb.cassette.shim.shared_state import SharedState
from agy_nb.cassette.storage.format import Frame, Header
from agy_nb.cassette.storage.writer import CassetteWriter, new_header


def record(
    arguments: Namespace, greeting: handshake.InputConfig, binary: Path, harness: RealHarness
) -> int:
    """Record a client's conversations with a harness that has been started; gives the exit code.

    Args:
        arguments: The options.
        greeting: What the client said.
        binary: The harness's file.
        harness: The harness. It is stopped here.

    Raises:
        CassetteError: The cassette cannot be recorded.
        ShimError: The harness or its client does not talk to us.
    """
    recording: ProgramRecording | None = None
    threading.Thread(target=engine.is_available, name="load engine", daemon=True).start()
    try:
        header = replace(new_header(greeting.sdk), harness=harness_text(binary))
        recording = ProgramRecording(arguments, header)
        recording.start_model()
        harness.wait_for_address()
        asyncio.run(Server(partial(recording.new_handler, harness), greeting).run())
    finally:
        harness.hang_up()  # it ends while the recording is saved
        try:
            if recording is not None:
                recording.finish()
        finally:
            code = harness.stop()
    return exit_code(code)


class ProgramRecording:
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
            self._writer = CassetteWriter(place.own, header, redact=self._late.line, join=join)
        except BaseException:
            self._merger.give_up()
            raise
        self._check = None if arguments.echo else partial(_refuse_echo, arguments.record)
        self._handlers: list[RecordHandler] = []
        self._finishing = threading.Lock()
        self._is_finished = False
        self._model: ModelRecorder | None = None
        if arguments.model:
            relay = HttpClient()  # no library of the program's can patch this process
            self._model = ModelRecorder(self._writer.folder, redactor, replaying=False, relay=relay)

    def start_model(self) -> None:
        """Begin to record the model's side."""
        if self._model is not None:
            self._model.start()

    def new_handler(self, harness: RealHarness) -> RecordHandler:
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
            harness, self._writer, number, rewrite, self._check, self._finish_with_last
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
                _keep(self._writer, self._model, self._redactor, self._late)
                self._merger.add(self._place, self._redactor)
                return
            if self._model is not None:
                self._model.close()
            self._writer.abandon()
            self._merger.give_up()


def _refuse_echo(cassette: Path, config: Frame) -> None:
    if echo_model.is_echo(config):
        raise echo_model.refusal_to_program(cassette)


def _keep(
    writer: CassetteWriter, model: ModelRecorder | None, redactor: Redactor, late: LateSecrets
) -> None:
    """Finish the recording of one session, also if the model's side is incomplete."""
    writer.write_rest()  # so that the secrets in all frames are known
    if model is not None:
        try:
            model.save(as_log=True)  # `SessionMerger` writes `model.yaml`
        except Exception as error:
            tell(f"the model's side could not be kept: {error}")
    writer.finish(lambda: dict(redactor.counts), revise=late.revised)
