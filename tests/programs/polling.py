"""A client that looks from time to time whether the agent is idle."""

import asyncio

from google.antigravity import Agent

from tests.programs.model import config


async def main():
    async with Agent(config()) as agent:
        for prompt in ("Hello", "And now?"):
            await agent.conversation.send(prompt)
            await asyncio.sleep(0.01)
            while not agent.conversation.is_idle:
                async for _ in agent.conversation.receive_steps():
                    pass
                await asyncio.sleep(0.01)
            print(agent.conversation.last_response)


if __name__ == "__main__":
    asyncio.run(main())
