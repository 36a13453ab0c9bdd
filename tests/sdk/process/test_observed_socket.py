"""`ObservedSocket`: every frame of a session, live or replayed, in the order of the wire."""

import asyncio
import json

import pytest

import agy_nb as agy
from agy_nb.sdk import connection
from agy_nb.sdk.process.observed_socket import ObservedSocket
from agy_nb.testing import ScriptedModel, call, say


class Wire:
    """Stands in for a WebSocket: `to_client` comes in, `sent` went out."""

    def __init__(self, *to_client):
        self.to_client = asyncio.Queue()
        self.sent = []
        self.room = asyncio.Event()
        self.room.set()
        self.close_code = 1000
        for message in to_client:
            self.to_client.put_nowait(message)

    async def send(self, message):
        self.sent.append(message)
        await self.room.wait()

    async def recv(self, decode=None):
        message = await self.to_client.get()
        if message is None:
            raise StopAsyncIteration
        return message

    async def __aiter__(self):
        while (message := await self.to_client.get()) is not None:
            yield message


@pytest.fixture
def frames():
    return []


def observed(wire, frames):
    return ObservedSocket(wire, lambda direction, raw: frames.append((direction, raw)))


async def test_a_received_frame_is_reported_before_it_is_returned_and_as_it_is(frames):
    socket = observed(Wire("a", b"\xff", "c", None), frames)
    assert await socket.recv() == "a"
    seen = [(message, list(frames)) async for message in socket]
    assert seen == [
        (b"\xff", [("in", "a"), ("in", b"\xff")]),
        ("c", [("in", "a"), ("in", b"\xff"), ("in", "c")]),
    ]


async def test_a_sent_frame_comes_before_its_reply_even_if_send_has_not_returned(frames):
    wire = Wire()
    wire.room.clear()
    socket = observed(wire, frames)
    sending = asyncio.create_task(socket.send("question"))
    await asyncio.sleep(0)
    assert frames == []
    wire.to_client.put_nowait("reply")
    await socket.recv()
    wire.room.set()
    await sending
    assert frames == [("out", "question"), ("in", "reply")]


async def test_a_frame_that_was_not_sent_is_not_reported(frames):
    class Closed(Wire):
        async def send(self, message):
            raise ConnectionError(message)

    socket = observed(Closed("late"), frames)
    with pytest.raises(ConnectionError):
        await socket.send("lost")
    await socket.recv()
    assert frames == [("in", "late")]


async def test_two_equal_frames_on_their_way_are_two_frames(frames):
    wire = Wire()
    wire.room.clear()
    socket = observed(wire, frames)
    both = [asyncio.create_task(socket.send("same")) for _ in range(2)]
    await asyncio.sleep(0)
    wire.room.set()
    await asyncio.gather(*both)
    assert frames == [("out", "same"), ("out", "same")]


async def test_all_else_is_the_inner_sockets(frames):
    wire = Wire()
    socket = observed(wire, frames)
    assert (socket.close_code, socket.inner) == (1000, wire)
    with pytest.raises(AttributeError):
        _ = socket.no_such_thing


@pytest.fixture
def seen(monkeypatch):
    """The frames of all agents of the test."""
    seen = []
    monkeypatch.setattr(
        connection.HarnessConnection,
        "_on_frame",
        lambda _, direction, raw: seen.append((direction, json.loads(raw))),
    )
    return seen


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def one_turn():
    script = [call("get_weather", city="Paris"), say("It is sunny.")]
    async with ScriptedModel(script) as model, agy.Runtime() as runtime:
        agent = await runtime.create_agent(model.config(), tools=[get_weather])
        await agent.chat_text("How is the weather?")
        await agent.shutdown()


def kinds(frames):
    """Direction and kind of each frame."""
    return [
        (direction, kind)
        for direction, frame in frames
        for kind in frame
        if kind not in ("seqNum", "timestampMicros")
    ]


@pytest.mark.real
@pytest.mark.blocking_allowed  # the SDK looks up the working folder on the loop
async def test_a_live_and_a_replayed_session_show_the_same_frames(seen, tmp_path):
    async with agy.use_cassette(tmp_path / "c", record_mode="once"):
        await one_turn()
    live = seen[:]
    seen.clear()
    async with agy.use_cassette(tmp_path / "c", record_mode="none"):
        await one_turn()
    assert kinds(live)[:2] == [("out", "config"), ("in", "initializeConversationResponse")]
    assert ("out", "userInput") in kinds(live)
    assert ("in", "toolCall") in kinds(live)
    assert ("out", "toolResponse") in kinds(live)
    assert kinds(live).index(("in", "toolCall")) < kinds(live).index(("out", "toolResponse"))
    assert sorted(kinds(seen)) == sorted(kinds(live))
