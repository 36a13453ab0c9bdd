"""Tools of an MCP server that runs as a process."""

import asyncio
import sys
from pathlib import Path

from google.antigravity import Agent, types

from tests.programs.model import config

SERVER = Path(__file__).parents[2] / "sdk" / "mcp_server.py"


async def main():
    shop = types.McpStdioServer(
        name="shop", command=sys.executable, args=[str(SERVER)], force_all_tools_eager=True
    )
    async with Agent(config(mcp_servers=[shop])) as agent:
        print(await (await agent.chat("What is the price of tea?")).text())


if __name__ == "__main__":
    asyncio.run(main())
