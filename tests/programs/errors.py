"""A model that refuses the key: the program catches the SDK's error."""

import asyncio

from google.antigravity import Agent, types

from tests.programs.model import config


async def main():
    async with Agent(config()) as agent:
        try:
            print(await (await agent.chat("Hello")).text())
        except types.AntigravityConnectionError as error:
            print(type(error).__name__, "401" in str(error))


if __name__ == "__main__":
    asyncio.run(main())
