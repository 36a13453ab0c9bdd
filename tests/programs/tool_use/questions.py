"""The model asks the user, and a hook answers."""

import asyncio

from google.antigravity import Agent, types
from google.antigravity.hooks import hooks

from tests.programs.model import config


class Answering(hooks.OnInteractionHook):
    async def run(self, context, data):
        print("asked:", data.questions[0].question)
        return types.QuestionHookResult(
            responses=[types.QuestionResponse(selected_option_ids=["2"])]
        )


async def main():
    capabilities = types.CapabilitiesConfig(
        agent_behavior=types.AgentBehavior.INTERACTIVE,
        enabled_tools=[types.BuiltinTools.ASK_QUESTION],
    )
    async with Agent(config(hooks=[Answering()], capabilities=capabilities)) as agent:
        print(await (await agent.chat("Pick a colour")).text())


if __name__ == "__main__":
    asyncio.run(main())
