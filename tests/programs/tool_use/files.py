"""The harness's own tools write and read a file."""

import asyncio

from google.antigravity import Agent

from tests.programs.model import config


async def main():
    async with Agent(config()) as agent:
        response = await agent.chat("Take notes")
        async for call in response.tool_calls:
            print(call.name)
        print(await response.text())


if __name__ == "__main__":
    asyncio.run(main())
