"""A small MCP server over stdio, for the tests."""

from mcp.server import MCPServer

server = MCPServer("shop")


@server.tool()
def price(item: str) -> str:
    """Price of an item."""
    return f"{item} costs 3 euros"


if __name__ == "__main__":
    server.run("stdio")
