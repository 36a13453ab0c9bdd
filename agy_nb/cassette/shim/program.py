"""The stand-in as a program: from its options to its exit code.

Rule 1: stdout belongs to the handshake; all that is said goes to stderr, where SDKs look for it.
Rule 2: exit code 0 when all went well, 1 when something did not; what the real harness gives
where it is recorded.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from argparse import Namespace
from functools import partial
from typing import TYPE_CHECKING

from agy_nb.cassette.shim import handshake, launcher
from agy_nb.cassette.shim.outcome import exit_code, tell
from agy_nb.cassette.shim.real_harness import RealHarness, find
from agy_nb.errors import AgyError

if TYPE_CHECKING:
    from agy_nb.cassette.shim.replay_handler import ReplayHandler


def run(arguments: Namespace) -> int:
    """Carry out the options; return the exit code."""
    if arguments.write_launcher is not None:
        from agy_nb.cassette.shim.record.merge import SessionMerger
        from agy_nb.cassette.shim.shared_state import SharedState
        from agy_nb.cassette.shim.shim_options import to_argv

        path = launcher.write(arguments.write_launcher, to_argv(arguments))
        if arguments.record:
            SessionMerger(arguments.record, SharedState(arguments.record, "record")).begin_anew()
        sys.stdout.write(f"{path}\n")
        return 0
    try:
        return _record(arguments) if arguments.record else _replay(arguments)
    except (AgyError, OSError, ValueError) as error:
        tell(str(error))
        return 1


def _record(arguments: Namespace) -> int:
    greeting = handshake.parse_greeting(handshake.read_message(sys.stdin.buffer))
    binary = arguments.harness or find()
    harness = RealHarness(binary, greeting.for_harness, keeps_stderr=True)
    try:
        from agy_nb.cassette.shim.record import program_recording
    except BaseException:
        harness.stop()
        raise
    return program_recording.record(arguments, greeting, binary, harness)


def _replay(arguments: Namespace) -> int:
    if arguments.seam == "model":
        return _replay_model(arguments)
    from agy_nb.cassette.shim import shim_options
    from agy_nb.cassette.shim.client_socket import Server
    from agy_nb.cassette.shim.replay_handler import ReplayHandler
    from agy_nb.cassette.shim.shared_state import SharedState
    from agy_nb.cassette.storage.cassette_reader import load

    shared = SharedState(arguments.replay, "replay")
    shared.tidy()
    cassette = load(arguments.replay)
    settings = shim_options.play_settings(arguments)
    handlers: list[ReplayHandler] = []

    def new_handler() -> ReplayHandler:
        handler = ReplayHandler(
            cassette,
            settings,
            shared,
            speed=arguments.speed,
            stall_after=arguments.stall_after,
            allow_unplayed=arguments.allow_unplayed,
            tell=tell,
        )
        handlers.append(handler)
        return handler

    greeting = handshake.parse_greeting(handshake.read_message(sys.stdin.buffer))
    asyncio.run(Server(new_handler, greeting).run())
    return 1 if any(handler.error for handler in handlers) else 0


def _replay_model(arguments: Namespace) -> int:
    from agy_nb.cassette.http.model_recorder import ModelRecorder
    from agy_nb.cassette.shim import shim_options
    from agy_nb.cassette.shim.client_socket import Server
    from agy_nb.cassette.shim.record.record_handler import RecordHandler
    from agy_nb.cassette.shim.replay_handler import in_options
    from agy_nb.cassette.storage.cassette_reader import load

    load(arguments.replay)  # explains the fault
    redactor = shim_options.redactor(arguments)
    redactor.warm_up()
    model = ModelRecorder(arguments.replay, redactor, replaying=True, speed=arguments.speed)
    model.open()
    greeting = handshake.parse_greeting(handshake.read_message(sys.stdin.buffer))
    model.start()
    try:
        harness = RealHarness(arguments.harness or find(), greeting.for_harness)
        try:
            harness.wait_for_address()
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
        tell(in_options(error))
    return 1 if model.errors else exit_code(code)
