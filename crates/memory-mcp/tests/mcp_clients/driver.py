"""Drives an MCP server over stdio with the official Python client, for this test.

Arguments: MODE SERVER [ARGUMENT...]. MODE is the client's own: `legacy` (initialize),
`auto` (server/discover, else initialize) or a protocol revision of the modern era.

Once connected it prints one JSON line about the server; then, for each JSON line
`{"tool", "arguments"}` on stdin, one JSON line with the result. End of stdin ends the session.
The server gets the environment variables whose names start with MEMORY_MCP_ or XDG_.
"""

import json
import os
import sys

import anyio
from mcp import Client, StdioServerParameters
from mcp.types import TextContent


def emit(line: dict) -> None:
    print(json.dumps(line), flush=True)


async def main(mode: str, command: str, *args: str) -> None:
    env = {name: value for name, value in os.environ.items() if name.startswith(("MEMORY_MCP_", "XDG_"))}
    server = StdioServerParameters(command=command, args=list(args), env=env)
    async with Client(server, mode=mode, read_timeout_seconds=60) as client:
        tools = (await client.list_tools()).tools
        emit(
            {
                "protocol": client.protocol_version,
                "instructions": client.instructions,
                "tools": [tool.name for tool in tools],
            }
        )
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            call = json.loads(line)
            result = await client.call_tool(call["tool"], call["arguments"])
            emit(
                {
                    "is_error": bool(result.is_error),
                    "text": "\n".join(part.text for part in result.content if isinstance(part, TextContent)),
                    "structured": result.structured_content,
                }
            )


anyio.run(main, *sys.argv[1:])
