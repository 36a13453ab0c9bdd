"""A loop on the command line: read a line, print the answer, until the user leaves."""

import asyncio
import io
import sys

from google.antigravity import Agent

from tests.programs.model import config


async def main(lines):
    async with Agent(config()) as agent:
        for line in lines:
            if line.strip() == "/quit":
                break
            print("> ", line.strip())
            async for token in await agent.chat(line.strip()):
                print(token, end="")
            print()


if __name__ == "__main__":
    typed = io.StringIO("hello\nwhat next?\n/quit\nnever read\n")
    asyncio.run(main(typed if sys.stdin is None or not sys.stdin.isatty() else sys.stdin))
