"""Sessions in a few words, and cassettes made of them."""

import argparse
import functools
import json

import pytest

import agy_nb.cli
from agy_nb.cassette import cli
from agy_nb.cassette.storage.cassette_reader import by_session
from agy_nb.cassette.storage.format import HEADER, WIRE, Header, WireRecord, encode_line
from agy_nb.cassette.storage.writer import CassetteWriter


class Frames:
    """Frames as the SDK and its harness send them, with only what matters."""

    @staticmethod
    def config(**fields):
        return {"config": {"tools": [], "models": [{"name": "gemini-test"}]} | fields}

    @staticmethod
    def ready(conversation="c0"):
        return {"initializeConversationResponse": {"cascadeId": conversation}, "seqNum": "1"}

    @staticmethod
    def prompt(text):
        return {"userInput": {"parts": [{"text": text}]}}

    @staticmethod
    def step(text, *, index=0, trajectory="c0", state="STATE_DONE", **fields):
        step = {"trajectoryId": trajectory, "stepIndex": index, "state": state, "text": text}
        return {"stepUpdate": step | fields}

    @staticmethod
    def call(call_id, name="add", **args):
        return {"toolCall": {"id": call_id, "name": name, "argumentsJson": json.dumps(args)}}

    @staticmethod
    def result(call_id, value):
        return {"toolResponse": {"id": call_id, "responseJson": json.dumps({"result": value})}}

    @staticmethod
    def hook(request_id, kind="preToolArgs"):
        return {"callHookRequest": {"requestId": request_id, kind: {}}}

    @staticmethod
    def hook_answer(request_id, **result):
        return {"callHookResponse": {"requestId": request_id, "emptyResult": {}} | result}

    @staticmethod
    def ask(request_id, rule_id="rule_0"):
        return {"policyDecisionRequest": {"requestId": request_id, "ruleId": rule_id}}

    @staticmethod
    def decision(request_id, outcome="ALLOW"):
        return {"policyDecisionResponse": {"requestId": request_id, "outcome": outcome}}

    @staticmethod
    def usage(total):
        return {"usageUpdate": {"total": {"totalTokenCount": str(total)}}}

    @staticmethod
    def idle(trajectory="c0"):
        return {"trajectoryStateUpdate": {"trajectoryId": trajectory, "state": "STATE_FULLY_IDLE"}}

    @staticmethod
    def halt():
        return {"haltRequest": True}

    @staticmethod
    def goodbye():
        return {"sessionEndRequest": True}


CLIENT = {
    "config", "userInput", "toolResponse", "policyDecisionResponse", "questionResponse",
    "toolConfirmation", "callHookResponse", "haltRequest", "automatedTrigger", "sessionEndRequest",
}  # fmt: skip


def to_lines(frames, *, session=0, end=None):
    lines = [
        WireRecord(session, "client" if CLIENT & set(frame) else "harness", 0.001, frame)
        for frame in frames
    ]
    return lines if end is None else [*lines, WireRecord(session, "end", 0.001, end)]


@pytest.fixture
def frames():
    return Frames


@pytest.fixture
def lines_of():
    return to_lines


@pytest.fixture
def session_of():
    """A recorded session made of frames."""

    def make(*frames, end={"by": "client"}):  # noqa: B006 - not changed
        (session,) = by_session(to_lines(frames, end=end))
        return session

    return make


@pytest.fixture
def hello(frames):
    """A turn with a tool call."""
    return [
        frames.config(),
        frames.ready(),
        frames.prompt("hello"),
        frames.step("hello"),
        frames.call("call-1", a=1, b=2),
        frames.result("call-1", 3),
        frames.step("3 it is", index=1),
        frames.usage(105),
        frames.idle(),
    ]


@pytest.fixture
def cassette(tmp_path):
    """Write a cassette as a recorder does; gives its folder."""

    def make(*sessions, name="c", end={"by": "client"}, **header):  # noqa: B006 - not changed
        journal = CassetteWriter(tmp_path / name, Header(**header))
        for number, frames in enumerate(sessions):
            for line in to_lines(frames, session=number, end=end):
                journal.put(number, line.direction, 0.0, line.frame)
        journal.finish()
        return tmp_path / name

    return make


@pytest.fixture
def raw_cassette(tmp_path):
    """Write a cassette's files as given, sound or not."""

    def make(header, wire=b"", name="raw"):
        folder = tmp_path / name
        folder.mkdir()
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        (folder / HEADER).write_bytes(text)
        (folder / WIRE).write_bytes(
            wire if isinstance(wire, bytes) else b"".join(map(encode_line, wire))
        )
        return folder

    return make


@pytest.fixture(scope="session")
def one_parser_of_a_worker():
    return functools.cache(agy_nb.cli._parser)


@pytest.fixture
def one_parser(monkeypatch, one_parser_of_a_worker):
    """Build the command line's parser once, for tests that run hundreds of commands."""
    monkeypatch.setattr(agy_nb.cli, "_parser", one_parser_of_a_worker)


@pytest.fixture
def run(capsys):
    """Run `agy-nb cassette ...`; give its code and what it printed, and keep its complaint."""

    def run(*arguments):
        parser = argparse.ArgumentParser()
        cli.add_parser(parser.add_subparsers())
        parsed = parser.parse_args(["cassette", *map(str, arguments)])
        code = parsed.run(parsed)
        captured = capsys.readouterr()
        run.complaint = captured.err
        return code, captured.out

    return run
