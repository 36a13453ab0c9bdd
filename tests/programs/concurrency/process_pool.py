"""Processes that the program forks, each with an agent of its own."""

import asyncio
import multiprocessing

from google.antigravity import Agent

from tests.programs.model import config


async def ask(city):
    async with Agent(config()) as agent:
        return await (await agent.chat(f"How is {city}?")).text()


def work(city):
    return asyncio.run(ask(city))


def main():
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        print(*pool.map(work, ("Rome", "Oslo", "Bern"), chunksize=1), sep="\n")


if __name__ == "__main__":
    main()
