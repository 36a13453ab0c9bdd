"""A trigger that wakes the agent once."""

import asyncio

from google.antigravity import Agent
from google.antigravity.triggers import trigger

from tests.programs.model import config

ring = asyncio.Event()


@trigger
async def doorbell(context):
    await ring.wait()
    await context.send("The doorbell rings")


async def main():
    async with Agent(config(triggers=[doorbell])) as agent:
        print(await (await agent.chat("Wait for the bell")).text())
        ring.set()
        async for step in agent.conversation.receive_steps():
            if step.content:
                print(step.content)


if __name__ == "__main__":
    asyncio.run(main())
