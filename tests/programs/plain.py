"""Two questions to one agent."""

import asyncio

from google.antigravity import Agent

from tests.programs.model import config


async def main():
    async with Agent(config()) as agent:
        for question in ("Say hello", "How are you?"):
            response = await agent.chat(question)
            print(await response.text())
        print(agent.conversation.total_usage.total_token_count, "tokens")


if __name__ == "__main__":
    asyncio.run(main())
