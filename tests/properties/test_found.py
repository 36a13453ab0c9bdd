"""What the properties found first, each as an example of its own."""

import asyncio

from agy_nb.runtime.watch import SilenceWatch
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
