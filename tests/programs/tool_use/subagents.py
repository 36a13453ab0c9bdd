"""An agent that asks another one."""

import asyncio

from google.antigravity import Agent, types

from tests.programs.model import config


def look_up(what: str) -> str:
    """Look something up."""
    return f"{what}: 42"


async def main():
    helper = types.SubagentConfig(
        name="researcher",
        description="Looks things up.",
        system_instructions="You research.",
        tools=[look_up],
    )
    async with Agent(config(subagents=[helper], tools=[look_up])) as agent:
        print(await (await agent.chat("Ask around")).text())


if __name__ == "__main__":
    asyncio.run(main())
