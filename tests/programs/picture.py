"""A question about a picture."""

import asyncio
import base64

from google.antigravity import Agent, types

from tests.programs.model import config

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def main():
    async with Agent(config()) as agent:
        image = types.Image(data=PIXEL, mime_type="image/png", description="a dot")
        print(await (await agent.chat(["What is this?", image])).text())


if __name__ == "__main__":
    asyncio.run(main())
