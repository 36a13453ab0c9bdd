"""Hooks that write down what happens, and one that changes a call."""

import asyncio

from google.antigravity import Agent, types
from google.antigravity.hooks import hooks

from tests.programs.model import config

LOG = []


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def note(kind, result=None):
    class Hook(kind):
        async def run(self, context, data):
            LOG.append(kind.__name__)
            return result

    return Hook()


async def main():
    allow = types.HookResult(allow=True)
    found = [
        note(hooks.OnSessionStartHook),
        note(hooks.PreTurnHook, allow),
        note(hooks.PreToolCallDecideHook, allow),
        note(hooks.PostToolCallHook),
        note(hooks.PostTurnHook),
        note(hooks.OnSessionEndHook),
    ]
    async with Agent(config(tools=[weather], hooks=found)) as agent:
        print(await (await agent.chat("How is Rome?")).text())
    print(*LOG, sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
