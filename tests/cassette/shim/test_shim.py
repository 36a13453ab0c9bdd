"""The stand-in for the harness: records and replays for clients that know nothing of us."""

import asyncio
import contextlib
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from google.antigravity.connections.local import local_connection
from hypothesis import given, strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agy_nb import cli
from agy_nb.cassette import use_cassette
from agy_nb.cassette.errors import CassetteBusyError, CassetteNotWrittenError
from agy_nb.cassette.inspect.session_digests import digest_of
from agy_nb.cassette.inspect.verify import problems
from agy_nb.cassette.matching.placeholders import Placeholders
from agy_nb.cassette.redaction import Redactor
from agy_nb.cassette.shim import handshake, real_harness
from agy_nb.cassette.shim.errors import HandshakeError, NoLauncherError
from agy_nb.cassette.shim.record.merge import SessionMerger
from agy_nb.cassette.shim.shared_state import SharedState, _process
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.cassette.storage.format import WIRE, frame_message
from agy_nb.testing import EchoModel, ScriptedModel, say
from tests.cassette.scenarios import NO_MODEL, SCENARIOS, Setting, seen
from tests.cassette.storage.recordings import record
from tests.processes import output_of

# The SDK and the tests' own clients wait for processes; the stand-in has a process of its own.
pytestmark = [
    pytest.mark.blocking_allowed,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.usefixtures("sdk_alone"),
]

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(path.parent for path in (ROOT / "cassettes").glob("*/header.json"))
pb = local_connection.localharness_pb2

PLAYS = """
import asyncio, logging, sys
from pathlib import Path
from tests.cassette.scenarios import SCENARIOS, Setting, seen

logging.disable(logging.CRITICAL)
name, base_url, folder = sys.argv[1:]
at = Setting(base_url, Path(folder))
print(seen(asyncio.run(SCENARIOS[name].play(at)), at))
"""


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """What stand-ins know of each other stays with the test."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))


@pytest.fixture
def launcher(tmp_path, capsys):
    """Make a file for ANTIGRAVITY_HARNESS_PATH, as a user does."""

    def make(*options):
        path = tmp_path / f"harness-{len(list(tmp_path.glob('harness-*')))}"
        assert cli.main(["harness", *map(str, options), "--write-launcher", str(path)]) == 0
        assert capsys.readouterr().out == f"{path}\n"
        return path

    return make


async def program(name, base_url, folder, harness):
    """A program that uses the SDK and knows nothing of us; gives what its user saw."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PLAYS, name, base_url, str(folder),
        cwd=ROOT, env={**os.environ, "ANTIGRAVITY_HARNESS_PATH": str(harness)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await output_of(process)
    return process.returncode, out.decode(), err.decode()


def folds(path):
    return sorted(json.dumps(digest_of(session), sort_keys=True) for session in load(path).sessions)


def bare(data):
    """A protobuf field of bytes, by hand."""
    return bytes([len(data)]) + data


class RawClient:
    """A client made from the protocol alone, in no SDK's words."""

    def __init__(self, harness, greeting=b"", **options):
        self.process = subprocess.Popen(
            [harness], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **options,
        )  # fmt: skip
        self.process.stdin.write(struct.pack("<I", len(greeting)) + greeting)
        self.process.stdin.flush()
        head = self.process.stdout.read(4)
        self.address = self.process.stdout.read(struct.unpack("<I", head)[0]) if head else b""
        self.port = self.key = None
        if self.address:
            address = pb.OutputConfig.FromString(self.address)
            self.port, self.key = address.port, address.api_key

    async def __aenter__(self):
        self.ws = await self.connect(self.key)
        return self

    async def __aexit__(self, *error):
        await self.ws.close()
        self.process.stdin.close()

    async def connect(self, key):
        headers = {"x-goog-api-key": key} if key else {}
        return await connect(
            f"ws://127.0.0.1:{self.port}/", additional_headers=headers, max_size=None
        )

    async def send(self, frame):
        await self.ws.send(json.dumps(frame))

    async def until(self, kind, **values):
        """Frames up to one of that kind with those values."""
        found = []
        while True:
            found.append(json.loads(await self.ws.recv()))
            body = found[-1].get(kind)
            if body is not None and all(body.get(k) == v for k, v in values.items()):
                return found

    async def ended(self):
        """Why the other side hung up."""
        try:
            while True:
                await self.ws.recv()
        except ConnectionClosed as closed:
            return closed.rcvd

    def finish(self):
        """Hang up, and wait; gives exit code and stderr."""
        self.process.stdin.close()
        code = self.process.wait(20)
        return code, self.process.stderr.read().decode()


def raw_config(base_url, folder):
    endpoint = {"baseUrl": base_url, "apiKey": "raw-client-key-0"}
    model = {"name": "gemini-test", "types": ["MODEL_TYPE_TEXT"], "geminiApiEndpoint": endpoint}
    return {
        "config": {
            "models": [model],
            "workspaces": [{"filesystemWorkspace": {"directory": str(folder)}}],
            "appDataDir": str(folder / "app"),
        }
    }


async def raw_talk(harness, base_url, folder, *prompts):
    """A whole session of a raw client; gives what the model said, the exit code and stderr."""
    folder.mkdir(exist_ok=True)
    client = RawClient(harness, b"\x22" + bare(b"\x0a" + bare(b"rust") + b"\x12" + bare(b"0.3.0")))
    answers = []
    async with client:
        await client.send(raw_config(base_url, folder))
        await client.until("initializeConversationResponse")
        for prompt in prompts:
            await client.send({"userInput": {"parts": [{"text": prompt}]}})
            frames = await client.until("trajectoryStateUpdate", state="STATE_FULLY_IDLE")
            steps = [frame["stepUpdate"] for frame in frames if "stepUpdate" in frame]
            answers.append([s["text"] for s in steps if s.get("source") == "SOURCE_MODEL"][-1])
    return answers, *client.finish()


# -- any SDK, in a process of its own --------------------------------------------------------------


@pytest.mark.real
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["host_tools", "several_agents"])
async def test_program_replays_what_it_recorded(name, launcher, tmp_path):
    """At both seams: without a harness, and with the real one and the recorded model."""
    cassette = tmp_path / "c"
    async with ScriptedModel(SCENARIOS[name].script(tmp_path / "then")) as model:
        recorded = await program(
            name, model.base_url, tmp_path / "then", launcher("--record", cassette)
        )
    assert (recorded[0], recorded[2]) == (0, "")
    assert list(problems(cassette)) == []
    replayed = await program(name, NO_MODEL, tmp_path / "now", launcher("--replay", cassette))
    assert replayed == recorded
    through = launcher("--replay", cassette, "--seam", "model")
    replayed = await program(name, NO_MODEL, tmp_path / "through", through)
    assert replayed == recorded
    within = Setting(NO_MODEL, tmp_path / "within")
    async with use_cassette(cassette, "none", seam="model"):
        assert f"{seen(await SCENARIOS[name].play(within), within)}\n" == recorded[1]


@pytest.mark.real
@pytest.mark.parametrize("name", ["every_hook", "resume", "cancel"])
async def test_session_replays_as_it_was_recorded(name, launcher, tmp_path, monkeypatch):
    cassette, then, now = (tmp_path / folder for folder in ("c", "then", "now"))
    async with ScriptedModel(SCENARIOS[name].script(then)) as model:
        monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", str(launcher("--record", cassette)))
        at = Setting(model.base_url, then)
        recorded = seen(await SCENARIOS[name].play(at), at)
    assert list(problems(cassette)) == []
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", str(launcher("--replay", cassette)))
    at = Setting(NO_MODEL, now)
    assert seen(await SCENARIOS[name].play(at), at) == recorded


@pytest.mark.real
async def test_request_that_was_not_recorded_is_told(launcher, tmp_path):
    cassette = ROOT / "cassettes" / "plain_chat"
    harness = launcher("--replay", cassette, "--seam", "model")
    code, _, err = await program("thoughts", NO_MODEL, tmp_path / "now", harness)
    assert code == 1
    assert "a request to the model differs from the recording" in err
    assert "+2 + 2?" in err


@pytest.mark.real
async def test_models_side_is_left_out_on_request(launcher, tmp_path):
    async with ScriptedModel([say("Hello")]) as model:
        harness = launcher("--record", tmp_path / "c", "--no-model")
        await raw_talk(harness, model.base_url, tmp_path / "then", "Hi")
    assert not load(tmp_path / "c").header.model
    client = RawClient(launcher("--replay", tmp_path / "c", "--seam", "model"))
    code, err = client.finish()
    assert (code, "has no recorded requests to the model" in err) == (1, True)


@pytest.mark.real
async def test_recording_is_that_of_use_cassette(launcher, tmp_path, monkeypatch):
    scenario = SCENARIOS["host_tools"]
    for name in ("in process", "stand in"):
        at = tmp_path / name / "at"
        async with contextlib.AsyncExitStack() as stack:
            model = await stack.enter_async_context(ScriptedModel(scenario.script(at)))
            if name == "in process":
                await stack.enter_async_context(use_cassette(tmp_path / name / "c"))
            else:
                path = launcher("--record", tmp_path / name / "c")
                monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", str(path))
            await scenario.play(Setting(model.base_url, at))
    one, other = tmp_path / "in process" / "c", tmp_path / "stand in" / "c"
    assert folds(one) == folds(other)
    assert {path.name for path in other.iterdir()} == {"header.json", "wire.jsonl", "model.yaml"}
    headers = [load(path).header for path in (one, other)]
    assert headers[0].sdk == headers[1].sdk
    # How often the harness repeats a step is chance.
    summaries = [[replace(s, frames=0) for s in header.sessions] for header in headers]
    assert summaries[0] == summaries[1]
    assert headers[1].redactions["secret"] > 0
    assert "localharness" in headers[1].harness


@pytest.mark.parametrize("cassette", SHIPPED, ids=[path.name for path in SHIPPED])
async def test_shipped_cassette_replays_through_the_stand_in(
    cassette, launcher, tmp_path, monkeypatch
):
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", str(launcher("--replay", cassette)))
    through = Setting(NO_MODEL, tmp_path / "through")
    transcript = seen(await SCENARIOS[cassette.name].play(through), through)
    monkeypatch.delenv("ANTIGRAVITY_HARNESS_PATH")
    within = Setting(NO_MODEL, tmp_path / "within")
    async with use_cassette(cassette, "none"):
        assert transcript == seen(await SCENARIOS[cassette.name].play(within), within)


async def test_program_that_diverges_is_told_why(launcher, tmp_path):
    harness = launcher("--replay", ROOT / "cassettes" / "plain_chat")
    code, _, err = await program("thoughts", NO_MODEL, tmp_path / "now", harness)
    assert code == 1
    for text in (
        "session 0, turn 1: the prompt differs from the recording",
        "-Say hello",
        "+2 + 2?",
        "with --record",
    ):
        assert text in err


# -- any client ------------------------------------------------------------------------------------


@pytest.mark.real
async def test_raw_client_replays_what_it_recorded(launcher, tmp_path):
    async with ScriptedModel([say(["Hel", "lo"]), say("Fine.")]) as model:
        recorded = await raw_talk(
            launcher("--record", tmp_path / "c"), model.base_url, tmp_path / "then", "Hi", "And?"
        )
    assert recorded[:2] == (["Hello", "Fine."], 0)
    assert load(tmp_path / "c").header.sdk == "rust 0.3.0"
    assert list(problems(tmp_path / "c")) == []
    harness = launcher("--replay", tmp_path / "c")
    for place in ("now", "again"):
        replayed = await raw_talk(harness, NO_MODEL, tmp_path / place, "Hi", "And?")
        assert replayed == (["Hello", "Fine."], 0, "")


@pytest.mark.parametrize("name", ["host_tools", "every_hook", "resume"])
async def test_raw_client_plays_a_shipped_cassette(name, launcher):
    harness = launcher("--replay", ROOT / "cassettes" / name)
    for session in load(ROOT / "cassettes" / name).sessions:
        here = Placeholders(session.config, session.config, redact=str)
        async with RawClient(harness) as client:
            for line in session.lines:
                message = frame_message(line.frame)
                if line.direction == "client":
                    await client.ws.send(here.outward(message))
                else:
                    assert json.loads(await client.ws.recv()) == json.loads(here.outward(message))
        assert client.finish() == (0, "")


async def play_hello(client, frames, *prompts):
    await client.send(frames.config())
    for prompt in prompts:
        await client.send(frames.prompt(prompt))


async def test_divergence_ends_the_connection_with_its_reason(launcher, cassette, hello, frames):
    async with RawClient(launcher("--replay", cassette(hello))) as client:
        await play_hello(client, frames, "good-bye")
        closing = await client.ended()
    code, err = client.finish()
    assert closing.code == 4409
    assert closing.reason.startswith("session 0, turn 1: the prompt differs from the recording")
    assert code == 1
    assert "-hello" in err
    assert "--ignore 'userInput.parts[0].text'" in err
    assert "leave prompt out of --match-on" in err


async def test_divergence_that_was_named_is_ignored(launcher, cassette, hello, frames):
    ignore = "userInput.parts[0].text"
    harness = launcher("--replay", cassette(hello[:4]), "--ignore", ignore)
    async with RawClient(harness) as client:
        await play_hello(client, frames, "good-bye")
        await client.until("stepUpdate")
    assert client.finish() == (0, "")


async def test_client_that_says_goodbye_too_early_is_not_left_waiting(
    launcher, cassette, hello, frames
):
    async with RawClient(launcher("--replay", cassette(hello))) as client:
        await play_hello(client, frames)
        await client.send(frames.goodbye())
        await client.until("sessionEndResponse")
        assert (await client.ended()).code == 4409
    assert client.finish()[0] == 1


@pytest.mark.parametrize("allowed", [False, True])
async def test_client_that_hangs_up_too_early_is_told(launcher, cassette, hello, frames, allowed):
    options = ["--allow-unplayed"] if allowed else []
    async with RawClient(launcher("--replay", cassette(hello), *options)) as client:
        await play_hello(client, frames)
        await client.until("initializeConversationResponse")
    code, err = client.finish()
    assert code == (0 if allowed else 1)
    assert ("not played to its end" in err) is not allowed


async def test_client_that_waits_for_ever_is_told(launcher, cassette, hello, frames):
    harness = launcher("--replay", cassette([*hello[:4], frames.halt()]), "--stall-after", "0.05")
    async with RawClient(harness) as client:
        await play_hello(client, frames, "hello")
        assert "no message came" in (await client.ended()).reason
    code, err = client.finish()
    assert code == 1
    assert "This one is not" in err or "this one is not" in err


@pytest.mark.parametrize(("code", "seen_code"), [(1011, 1011), (1006, None)])
async def test_harness_that_died_dies_again(launcher, cassette, frames, code, seen_code):
    end = {"by": "harness", "code": code, "reason": "out of luck"}
    path = cassette([frames.config(), frames.ready(), frames.prompt("hello")], end=end)
    async with RawClient(launcher("--replay", path)) as client:
        await play_hello(client, frames, "hello")
        closing = await client.ended()
    assert (closing and closing.code) == seen_code
    assert client.finish() == (0, "")


async def test_hand_edited_frame_is_explained(launcher, cassette, frames):
    path = cassette([frames.config(), {"$base64": "?"}])
    wire = path / "wire.jsonl"
    wire.write_text(
        wire.read_text().replace('"d":"client","dt":0.0,"f":{"$b', '"d":"harness","dt":0,"f":{"$b')
    )
    async with RawClient(launcher("--replay", path)) as client:
        await play_hello(client, frames)
        assert (await client.ended()).code == 1011
    code, err = client.finish()
    assert (code, "not base64" in err) == (1, True)


async def test_agents_alike_play_the_sessions_in_turn(launcher, cassette, frames):
    def session(answer):
        return [frames.config(), frames.ready(), frames.prompt("hello"), frames.step(answer)]

    harness = launcher("--replay", cassette(session("one"), session("two")))
    answers = []
    for _ in range(3):
        async with RawClient(harness) as client:
            await play_hello(client, frames, "hello")
            answers.append((await client.until("stepUpdate"))[-1]["stepUpdate"]["text"])
        assert client.finish() == (0, "")
    assert answers == ["one", "two", "one"]


async def test_agents_alike_are_told_apart_by_their_first_prompt(launcher, cassette, frames):
    def session(name):
        return [frames.config(), frames.ready(), frames.prompt(name), frames.step(name.upper())]

    harness = launcher("--replay", cassette(session("north"), session("south")))
    async with RawClient(harness) as one, RawClient(harness) as other:
        for client, name in ((one, "south"), (other, "north")):
            await play_hello(client, frames, name)
            assert (await client.until("stepUpdate"))[-1]["stepUpdate"]["text"] == name.upper()
    assert one.finish() == other.finish() == (0, "")


# -- its manners -----------------------------------------------------------------------------------


async def test_key_is_asked_for(launcher, cassette, hello):
    async with RawClient(launcher("--replay", cassette(hello), "--allow-unplayed")) as client:
        for key in (None, "wrong"):
            with pytest.raises(InvalidStatus) as caught:
                await client.connect(key)
            assert caught.value.response.status_code == 401
    client.finish()


async def test_conversations_on_one_process_replay_a_session_each(launcher, cassette, frames):
    path = cassette(*(alike(frames, name) for name in ("one", "two")))
    async with RawClient(launcher("--replay", path)) as client:
        others = client.ws
        for name, ws in (("one", others), ("two", await client.connect(client.key))):
            client.ws = ws
            await client.send(frames.config())
            await client.until("initializeConversationResponse")
            await client.send(frames.prompt("hello"))
            assert (await client.until("stepUpdate"))[-1]["stepUpdate"]["text"] == name
            await client.until("trajectoryStateUpdate")
        await others.close()
    assert client.finish() == (0, "")


async def test_process_stays_while_the_client_may_open_another_conversation(
    launcher, cassette, frames
):
    path = cassette(*(alike(frames, name) for name in ("one", "two")))
    client = RawClient(launcher("--replay", path))
    for name in ("one", "two"):
        client.ws = await client.connect(client.key)
        await client.send(frames.config())
        await client.send(frames.prompt("hello"))
        assert (await client.until("stepUpdate"))[-1]["stepUpdate"]["text"] == name
        await client.until("trajectoryStateUpdate")
        await client.ws.close()
    assert client.finish() == (0, "")


def alike(frames, name):
    return [
        frames.config(), frames.ready(), frames.prompt("hello"), frames.step(name), frames.idle(),
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["stdin", "terminate", "never connected"])
async def test_it_goes_when_the_client_hangs_up(launcher, cassette, hello, how):
    harness = launcher("--replay", cassette(hello), "--allow-unplayed")
    client = RawClient(harness)
    if how != "never connected":
        await client.__aenter__()
    match how:
        case "terminate":
            client.process.terminate()
        case _:
            client.process.stdin.close()
    assert client.process.wait(20) == 0
    client.process.stdin.close()


def processes_of(folder):
    """The harness and the shim that have a folder of this test in their environment."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (path / "cmdline").read_bytes()
            if os.fsencode(folder) in (path / "environ").read_bytes():
                for name in (b"localharness", b"cassette.shim"):
                    if name in command:
                        found[name.decode()] = int(path.name)
    return found


@pytest.mark.real
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks into /proc")
@pytest.mark.parametrize("victim", ["cassette.shim", "localharness"])
async def test_nothing_is_left_when_one_of_the_two_is_killed(launcher, tmp_path, victim):
    client = RawClient(launcher("--record", tmp_path / "c"))
    async with client:
        await client.send(raw_config(NO_MODEL, tmp_path))
        await client.until("initializeConversationResponse")
        until = time.monotonic() + 20
        (own,) = tmp_path.glob("c.session-0-*.partial-*")
        wire = own / WIRE
        while b"initializeConversationResponse" not in wire.read_bytes():  # a thread writes it
            assert time.monotonic() < until, "it is not written"
            await asyncio.sleep(0.01)
        running = processes_of(tmp_path)
        assert running.keys() == {"cassette.shim", "localharness"}
        assert running["cassette.shim"] == client.process.pid
        os.kill(running[victim], signal.SIGKILL)
        await client.ended()
        client.process.wait(20)
    until = time.monotonic() + 20
    while processes_of(tmp_path):
        assert time.monotonic() < until, "something is left"
        await asyncio.sleep(0.01)
    if victim == "localharness":
        assert client.process.returncode == 128 + signal.SIGKILL
        (session,) = load(tmp_path / "c").sessions
        assert session.end["by"] == "harness"
    else:
        (session,) = load(own).sessions
        assert "initializeConversationResponse" in session.lines[-1].frame


@pytest.mark.real
async def test_program_that_goes_on_adds_until_the_launcher_is_written_again(launcher, tmp_path):
    async with ScriptedModel([say("One"), say("Two"), say("Three")]) as model:
        harness = launcher("--record", tmp_path / "c", "--no-model")
        for sessions in (1, 2):
            await raw_talk(harness, model.base_url, tmp_path / "at", "Hi")
            assert len(load(tmp_path / "c").sessions) == sessions
        harness = launcher("--record", tmp_path / "c", "--no-model")
        await raw_talk(harness, model.base_url, tmp_path / "at", "Hi")
        assert len(load(tmp_path / "c").sessions) == 1


@pytest.mark.real
async def test_client_that_never_speaks_leaves_no_cassette(launcher, tmp_path):
    client = RawClient(launcher("--record", tmp_path / "c"))
    assert client.finish()[0] == 0
    assert not list(tmp_path.glob("c*"))


async def test_client_gets_the_address_that_it_asks_for(launcher, cassette, hello):
    greeting = pb.InputConfig(bind_address="127.0.0.2").SerializeToString()
    client = RawClient(launcher("--replay", cassette(hello), "--allow-unplayed"), greeting)
    async with connect(
        f"ws://127.0.0.2:{client.port}/", additional_headers={"x-goog-api-key": client.key}
    ):
        pass
    assert client.finish() == (0, "")


@pytest.mark.parametrize(
    ("mode", "message"),
    [("--replay", "there is no cassette at"), ("--record", "is not a cassette (stray.txt)")],
)
def test_what_cannot_work_is_told_before_the_client_connects(launcher, tmp_path, mode, message):
    if mode == "--record":
        (tmp_path / "c").mkdir()
        (tmp_path / "c" / "stray.txt").write_text("mine")
    client = RawClient(launcher(mode, tmp_path / "c"))
    assert client.address == b""
    code, err = client.finish()
    assert code == 1
    assert message in err


def test_start_by_hand_is_explained(cassette, hello):
    command = [sys.executable, "-m", "agy_nb.cassette.shim", "--replay", str(cassette(hello))]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Do not start this program by hand" in done.stderr


def test_stand_in_that_would_record_itself_is_refused(launcher, tmp_path):
    one = launcher("--record", tmp_path / "a")
    client = RawClient(launcher("--record", tmp_path / "b", "--harness", one))
    code, err = client.finish()
    assert code == 1
    assert "would start itself endlessly" in err


def test_harness_that_is_none_is_explained(launcher, tmp_path):
    for binary, message in (("/bin/false", "does not start"), ("/none", "cannot be started")):
        client = RawClient(launcher("--record", tmp_path / "c", "--harness", binary))
        code, err = client.finish()
        assert (code, message in err) == (1, True)
    assert not list(tmp_path.glob("c*"))


def test_real_harness_is_found_without_the_variable(monkeypatch):
    monkeypatch.setenv("ANTIGRAVITY_HARNESS_PATH", "/the/stand-in")
    found = real_harness.find()
    monkeypatch.delenv("ANTIGRAVITY_HARNESS_PATH")
    assert str(found) == local_connection._get_default_binary_path(None)


# -- launchers -------------------------------------------------------------------------------------


def test_launcher_holds_every_option(launcher, tmp_path):
    options = [
        "--replay", str(tmp_path / "a b"), "--ignore", "a['b c']", "--ignore", "$.x",
        "--match-on", "prompt,config", "--seam=wire", "--no-model", "--speed=2",
        "--stall-after=3", "--approvals=ask", "--questions=replay", "--allow-unplayed",
    ]  # fmt: skip
    text = launcher(*options).read_text()
    assert text.startswith("#!/bin/sh\n")
    command = shlex.split(text.splitlines()[-1])
    assert command[:5] == ["exec", sys.executable, "-P", "-m", "agy_nb.cassette.shim"]
    assert command[-1] == "$@"
    assert command[5:-1] == options


def test_launcher_replaces_only_launchers(launcher, cassette, hello, tmp_path, capsys):
    path = launcher("--replay", cassette(hello))
    again = ["harness", "--record", str(tmp_path / "new"), "--write-launcher", str(path)]
    assert cli.main(again) == 0
    assert "--record" in path.read_text()
    path.write_text("precious")
    assert cli.main(again) == 1
    assert "is not a launcher" in capsys.readouterr().err
    assert path.read_text() == "precious"


def test_launcher_that_cannot_be_written_is_explained(tmp_path, capsys):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "launcher"
    assert cli.main(["harness", "--record", "c", "--write-launcher", str(path)]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert NoLauncherError.__doc__


@pytest.mark.parametrize(
    "wrong", [["--speed", "-1"], ["--match-on", "mood"], ["--regex", "("], ["--jsonpath", "$["]]
)
def test_wrong_option_is_refused(wrong, tmp_path, capsys):
    assert cli.main(["harness", "--replay", str(tmp_path / "c"), *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err


# -- several stand-ins, one cassette ---------------------------------------------------------------


def test_second_program_that_records_the_same_is_refused(tmp_path):
    folder = tmp_path / "ledgers"
    folder.mkdir()
    here = SessionMerger(
        tmp_path / "c", SharedState(tmp_path / "c", "record", client="1-a", group=1, folder=folder)
    )
    there = SessionMerger(
        tmp_path / "c", SharedState(tmp_path / "c", "record", client="1-b", group=2, folder=folder)
    )
    assert [here.begin().session, here.begin().session] == [0, 1]
    # This process is both, and one does not stand in one's own way; somebody else would.
    own = SharedState(tmp_path / "c", "record", client="1-a", group=1, folder=folder)
    with own.open() as state:
        state["at_work"] = [os.getppid()]
    with pytest.raises(CassetteBusyError, match="by another program"):
        there.begin()
    assert here.begin().session == 2


def test_processes_of_one_group_record_one_cassette_while_one_of_them_runs(tmp_path):
    """The workers of a server: none is the parent of another."""
    workers = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) for _ in range(3)]

    def merger(client):
        state = SharedState(tmp_path / "c", "record", client=client, group=7, folder=tmp_path)
        return SessionMerger(tmp_path / "c", state)

    def end(worker):
        worker.stdin.close()
        worker.wait()

    first, second, third = (merger(f"{worker.pid}-{_process(worker.pid)[1]}") for worker in workers)
    try:
        assert first.begin().session == 0
        first.give_up()
        assert second.begin().session == 1
        second.give_up()
        end(workers[0])
        assert third.begin().session == 2
        third.give_up()
        assert second.begin().session == 3
        second.give_up()
        end(workers[1])
        end(workers[2])
        assert merger("1-later").begin().session == 0
    finally:
        for worker in workers:
            end(worker)


def test_sessions_that_cannot_be_merged_stay_and_are_named(tmp_path):
    merger = SessionMerger(
        tmp_path / "c",
        SharedState(tmp_path / "c", "record", client="1-a", group=1, folder=tmp_path),
    )
    slot = merger.begin()
    record(slot.own, "Hello").finish()
    (tmp_path / ".c.agy-lock").mkdir()  # so the lock cannot be created, as on a full disk
    with pytest.raises(CassetteNotWrittenError, match=f"are the cassette {slot.own}"):
        merger.add(slot, Redactor())
    assert len(load(slot.own).sessions) == 1


def test_ledger_of_a_client_that_is_no_more_is_removed(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    clients = {"here": f"{os.getpid()}-x", "gone": f"{gone.pid}-x"}
    for name, client in clients.items():
        with SharedState(Path(name), "replay", client=client, folder=tmp_path).open() as state:
            state["played"] = {"0": 1}
    ledger = SharedState(Path("here"), "replay", client=clients["here"], folder=tmp_path)
    ledger.tidy()
    assert len(list(tmp_path.glob("*.json"))) == 1
    with ledger.open() as state:
        assert state["played"] == {"0": 1}


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"at_work": "x", "client": 3}'])
def test_damaged_ledger_is_begun_anew(tmp_path, damage):
    ledger = SharedState(tmp_path / "c", "record", client="7-a", folder=tmp_path)
    with ledger.open() as state:
        state["next"] = 5
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(damage)
    with ledger.open() as state:
        assert "next" not in state


# -- the handshake ---------------------------------------------------------------------------------

TEXT = st.text(max_size=20)


@given(
    folder=TEXT, port=st.integers(0, 2**32 - 1), address=TEXT, language=TEXT, version=TEXT,
    env=st.dictionaries(TEXT, TEXT, max_size=3), interactions=st.booleans(),
)  # fmt: skip
def test_greeting_is_what_the_sdk_writes(
    folder, port, address, language, version, env, interactions
):
    config = pb.InputConfig(
        storage_directory=folder, port=port, bind_address=address, env=env,
        client_info=pb.ClientInfo(language=language, version=version),
        use_interactions_api=interactions,
    )  # fmt: skip
    greeting = handshake.parse_greeting(config.SerializeToString())
    assert (greeting.port, greeting.bind_address) == (port, address)
    assert (greeting.language, greeting.version) == (language, version)
    config.ClearField("port")
    config.ClearField("bind_address")
    assert pb.InputConfig.FromString(greeting.for_harness) == config


@given(port=st.integers(1, 65535), key=st.text(max_size=300))
def test_address_is_what_the_sdk_reads(port, key):
    message = handshake.address_message(port, key)
    assert pb.OutputConfig.FromString(message) == pb.OutputConfig(port=port, api_key=key)
    assert handshake.parse_address(message) == (port, key)


def test_fields_that_are_not_known_reach_the_harness():
    unknown = b"\xaa\x06\x03new"  # field 101
    port, address = b"\x10\x07", b"\x1a\x070.0.0.0"
    greeting = handshake.parse_greeting(port + unknown + address)
    assert (greeting.port, greeting.bind_address, greeting.for_harness) == (7, "0.0.0.0", unknown)


@given(st.binary(max_size=40))
def test_rubbish_is_understood_or_refused(message):
    with contextlib.suppress(HandshakeError):
        handshake.parse_greeting(message)


REFUSED = """
import asyncio, logging, sys
from pathlib import Path
from google.antigravity import Agent, types
from tests.cassette.scenarios import Setting

logging.disable(logging.CRITICAL)

async def start():
    resume = types.SessionContinuationMode.RESUME
    at = Setting(sys.argv[1], Path(sys.argv[2]))
    config = at.config(
        conversation_id="a" * 32, session_continuation_mode=resume, save_dir=sys.argv[2] + "/saved"
    )
    try:
        async with Agent(config):
            pass
    except RuntimeError as error:
        print(str(error).partition("Stderr:")[2], repr(error.__cause__))

asyncio.run(start())
"""


@pytest.mark.real
@pytest.mark.timeout(120)
async def test_refused_start_replays_the_same_and_leaves_nothing(launcher, tmp_path, monkeypatch):
    cassette, folder = tmp_path / "cassettes" / "c", tmp_path / "at"
    folder.mkdir()
    monkeypatch.setattr(sys.modules[__name__], "PLAYS", "import sys; sys.argv.pop(1)\n" + REFUSED)
    shown = []
    for option in ("--record", "--replay"):
        code, out, err = await program("refused", NO_MODEL, folder, launcher(option, cassette))
        assert code == 0, err
        shown.append(out)
    assert "cannot resume" in shown[0]
    assert shown[1] == shown[0]
    assert [path.name for path in cassette.parent.iterdir()] == ["c"]


@pytest.mark.real
@pytest.mark.timeout(120)
async def test_echo_model_is_recorded_on_purpose_only(launcher, tmp_path):
    async def talk(*options):
        cassette = tmp_path / "cassettes" / "c"
        async with EchoModel() as model:
            config = raw_config(model.base_url, tmp_path)
            config["config"]["models"][0]["name"] = "echo-model"
            client = RawClient(launcher("--record", cassette, *options))
            async with client:
                await client.send(config)
                if options:
                    await client.until("initializeConversationResponse")
                else:
                    assert "is not recorded" in (await client.ended()).reason
            return (*client.finish(), cassette.exists())

    code, err, exists = await talk()
    assert "is not recorded" in err
    assert "use --echo" in err
    assert (code, exists) == (1, False)
    assert list((tmp_path / "cassettes").iterdir()) == []
    assert (await talk("--echo"))[2]
