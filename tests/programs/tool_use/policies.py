"""Policies: a rule that denies, a question to the user, and an answer from a table."""

import asyncio

from google.antigravity import Agent
from google.antigravity.hooks import policy

from tests.programs.model import config

ANSWERS = {"mail": False, "weather": True}


def weather(city: str) -> str:
    """Tell the weather of a city."""
    print("the tool runs for", city)
    return f"sunny in {city}"


def mail(to: str) -> str:
    """Send a mail."""
    print("a mail to", to)
    return "sent"


async def ask(call):
    print("asked about", call.name)
    return ANSWERS[call.name]


async def main():
    policies = [
        policy.deny("weather", when=lambda args: args.get("city") == "Oslo"),
        policy.ask_user("mail", handler=ask),
        policy.ask_user("weather", handler=ask),
    ]
    async with Agent(config(tools=[weather, mail], policies=policies)) as agent:
        print(await (await agent.chat("Do what you can")).text())


if __name__ == "__main__":
    asyncio.run(main())
