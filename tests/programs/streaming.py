"""An answer that is printed as it comes, behind the thoughts."""

import asyncio

from google.antigravity import Agent

from tests.programs.model import config


async def main():
    async with Agent(config()) as agent:
        response = await agent.chat("2 + 2?")
        async for thought in response.thoughts:
            print("thinks:", thought)
        async for token in response:
            print(token, end="", flush=True)
        print()


if __name__ == "__main__":
    asyncio.run(main())
