"""A recording holds the prompts that left, and none that found the connection closed."""

import asyncio
import json

import pytest
from google.antigravity import Agent
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from agy_nb.cassette import use_cassette
from agy_nb.cassette.record.recorder import FrameRecorder, RecordingSocket
from agy_nb.cassette.storage.cassette_reader import load
from agy_nb.testing import ScriptedModel, say
from tests.cassette.scenarios import NO_MODEL, Setting

PROMPT = {"userInput": {"parts": [{"text": "hello"}]}}


class Kept:
    def __init__(self):
        self.frames = []

    def put(self, session, direction, at, message):
        del session, at
        self.frames.append((direction, json.loads(message) if direction != "end" else message))

    @property
    def directions(self):
        return [direction for direction, _ in self.frames]


async def test_frame_to_a_closed_connection_is_not_kept():
    async def hang_up(ws):
        await ws.close(1011, "out of memory")

    kept = Kept()
    async with (
        serve(hang_up, "127.0.0.1", 0) as server,
        connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as ws,
    ):
        socket = RecordingSocket(ws, FrameRecorder(kept), 0)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        with pytest.raises(ConnectionClosed):
            await socket.send(json.dumps(PROMPT))
    assert kept.directions == ["end"]


async def test_answer_to_a_frame_that_is_still_sent_comes_after_it():
    class Slow:
        def __init__(self):
            self.answered = asyncio.Event()

        async def send(self, message):
            del message
            await self.answered.wait()

        async def recv(self):
            return json.dumps({"stepUpdate": {}})

    kept, ws = Kept(), Slow()
    socket = RecordingSocket(ws, FrameRecorder(kept), 0)
    sending = asyncio.create_task(socket.send(json.dumps(PROMPT)))
    await asyncio.sleep(0)
    await socket.recv()
    ws.answered.set()
    await sending
    assert kept.directions == ["client", "harness"]


@pytest.mark.parametrize("ending", ["finishes", "cancelled"])
async def test_frame_is_kept_once(ending):
    class Full:
        async def send(self, message):
            del message
            await asyncio.sleep(0.001 if ending == "finishes" else 60)

    kept = Kept()
    sending = asyncio.create_task(
        RecordingSocket(Full(), FrameRecorder(kept), 0).send(json.dumps(PROMPT))
    )
    await asyncio.sleep(0)
    if ending == "cancelled":
        sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert kept.directions == ["client"]


async def late(base_url, folder):
    """A program that prompts an agent after its end; gives what its user saw."""
    async with Agent(Setting(base_url, folder).config()) as agent:
        conversation = agent.conversation
        seen = [await (await agent.chat("hello")).text()]
    try:
        await conversation.send("too late")
    except Exception as error:
        seen.append(type(error).__name__)
    return seen


@pytest.mark.real
@pytest.mark.blocking_allowed
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_prompt_after_the_end_of_an_agent_is_not_demanded(tmp_path):
    async with ScriptedModel([say("Hi.")]) as model, use_cassette(tmp_path / "c"):
        live = await late(model.base_url, tmp_path)
    assert live[0] == "Hi."
    assert len(live) == 2, "the SDK refuses the late prompt"
    (session,) = load(tmp_path / "c").sessions
    assert "too late" not in str(session)
    async with use_cassette(tmp_path / "c", "none"):
        assert await late(NO_MODEL, tmp_path) == live
