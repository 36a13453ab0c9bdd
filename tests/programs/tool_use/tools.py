"""Tools of the program: plain, async, with state, and one that fails."""

import asyncio

from google.antigravity import Agent, ToolContext

from tests.programs.model import config


def weather(city: str) -> dict:
    """Tell the weather of a city."""
    return {"city": city, "sky": "sunny"}


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    await asyncio.sleep(0)
    return a + b


def remember(word: str, context: ToolContext) -> str:
    """Remember a word."""
    words = [*context.get_state("words", []), word]
    context.set_state("words", words)
    return ", ".join(words)


def broken() -> str:
    """Fail."""
    raise KeyError("customer 17")


async def main():
    tools = [weather, add, remember, broken]
    async with Agent(config(tools=tools)) as agent:
        response = await agent.chat("Try everything")
        async for chunk in response.chunks:
            print(type(chunk).__name__)
        print(await response.text())
        print(await (await agent.chat("Remember more")).text())


if __name__ == "__main__":
    asyncio.run(main())
