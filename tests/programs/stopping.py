"""A user who stops an answer, and asks again."""

import asyncio

from google.antigravity import Agent, types

from tests.programs.model import config


async def main():
    async with Agent(config()) as agent:
        response = await agent.chat("Count")
        try:
            async for token in response:
                print(token)
                await response.cancel()
        except types.AntigravityCancelledError:
            print("stopped")
        print(await (await agent.chat("Are you there?")).text())


if __name__ == "__main__":
    asyncio.run(main())
