"""Three threads, each with an event loop and an agent of its own, as in Django."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from google.antigravity import Agent

from tests.programs.model import config


async def ask(city):
    async with Agent(config()) as agent:
        return await (await agent.chat(f"How is {city}?")).text()


def view(city):
    return asyncio.run(ask(city))


def main():
    with ThreadPoolExecutor(3) as pool:
        print(*pool.map(view, ("Rome", "Oslo", "Bern")), sep="\n")


if __name__ == "__main__":
    main()
