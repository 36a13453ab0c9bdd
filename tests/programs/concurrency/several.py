"""Several agents at the same time on one loop, in a task group."""

import asyncio

from google.antigravity import Agent

from tests.programs.model import config


async def ask(city, found):
    async with Agent(config(system_instructions=f"You live in {city}.")) as agent:
        found[city] = await (await agent.chat("How is it?")).text()


async def main():
    found = {}
    async with asyncio.TaskGroup() as group:
        for city in ("Rome", "Oslo", "Bern"):
            group.create_task(ask(city, found))
    print(sorted(found.items()))


if __name__ == "__main__":
    asyncio.run(main())
