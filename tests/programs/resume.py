"""A conversation that goes on in another agent."""

import asyncio

from google.antigravity import Agent

from tests.programs.model import config


async def main():
    async with Agent(config()) as agent:
        print(await (await agent.chat("My name is Ada")).text())
        known = agent.conversation_id
    async with Agent(config(conversation_id=known)) as agent:
        print(len(agent.conversation.history) > 0, agent.conversation_id == known)
        print(await (await agent.chat("What is my name?")).text())


if __name__ == "__main__":
    asyncio.run(main())
