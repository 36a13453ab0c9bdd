"""An answer as data."""

import asyncio

import pydantic
from google.antigravity import Agent

from tests.programs.model import config


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


async def main():
    async with Agent(config(response_schema=Weather)) as agent:
        response = await agent.chat("How warm is it?")
        print(await response.structured_output())


if __name__ == "__main__":
    asyncio.run(main())
