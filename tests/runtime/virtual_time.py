"""An event loop whose clock jumps to the next timer when nothing is ready: nobody waits."""

import asyncio
import selectors


class Deadlock(AssertionError):
    """Nothing is ready, and no timer is set."""


class _JumpingSelector(selectors.DefaultSelector):
    loop: "VirtualTimeLoop"

    def select(self, timeout=None):
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None:
            raise Deadlock("every task waits for something that nobody will do")
        self.loop.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.now = 1_000.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now


def run(coroutine):
    """Run a coroutine in virtual time; give what it returns and the seconds that it took."""
    loop = VirtualTimeLoop()
    with asyncio.Runner(loop_factory=lambda: loop, debug=False) as runner:
        began = loop.now

        async def timed():
            result = await coroutine
            return result, loop.now - began

        return runner.run(timed())
