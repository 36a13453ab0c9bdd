"""What the properties found first, each as an example of its own."""

import asyncio
import contextlib
import json

from agy_nb.runtime.limits.idle_timeout import SilenceWatch
from tests.cassette.conftest import Frames
from tests.properties.scenarios.replay import Client, matcher_of
from tests.properties.schedules import Replayed, run


def test_what_rounding_leaves_of_a_silence_does_not_keep_the_loop_busy():
    async def scenario(world):
        for step in range(200):
            await asyncio.sleep(0.1 + step / 7)
            silent = asyncio.Event()
            SilenceWatch(30, silent.set)
            before, turns = world.now, world.loop.iterations
            await silent.wait()
            assert round(world.now - before, 6) == 30
            assert world.loop.iterations - turns < 10

    run(scenario, Replayed([]))


def test_client_that_goes_on_in_the_moment_of_its_limit_did_not_stall():
    halt, last = Frames.halt(), Frames.idle()

    async def scenario(world):
        session = [Frames.config(), Frames.ready(), Frames.prompt("go"), halt, last]
        client = Client(world, matcher_of(session), stall_after=5)
        await client.start(session[0])
        await client.send(session[2])
        came = asyncio.Event()

        def goes_on():
            with contextlib.suppress(StopIteration):  # it is done at its first step
                client.socket.send(json.dumps(halt)).send(None)
            came.set()

        while client.socket._changed.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)
        within_one_turn_of_the_loop = world.loop._clock_resolution / 2
        limit = min(timer._when for timer in world.loop._scheduled)
        world.loop.call_at(limit + within_one_turn_of_the_loop, goes_on)
        await came.wait()
        await client.received(2)
        await client.close()
        assert client.error is None
        assert client.got[-1] == last

    run(scenario, Replayed([]))


def test_client_that_sends_its_prompt_too_early_and_then_waits_is_told():
    async def scenario(world):
        session = [Frames.config(), Frames.ready(), Frames.prompt("go"), Frames.halt()]
        client = Client(world, matcher_of(session), stall_after=5)
        for frame in (session[0], session[2]):  # with no turn of the loop between
            await client.socket.send(json.dumps(frame))
        await client.read()
        assert "no message came" in str(client.error)

    run(scenario, Replayed([]))
