"""A workflow that is a function of the program."""

import asyncio

from google.antigravity import Agent, workflows

from tests.programs.model import config


@workflows.define
async def audit():
    """Audit everything."""
    workflows.phase("Audit")
    workflows.log("all is well")


async def main():
    async with Agent(config()) as agent:
        response = await agent.beta.run_workflow(audit)
        print(await response.text())


if __name__ == "__main__":
    asyncio.run(main())
