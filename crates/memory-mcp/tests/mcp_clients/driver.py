"""Drives an MCP server with the official Python client, for this test.

Arguments: MODE SERVER [ARGUMENT...], where the server is started and spoken to over stdio, or
MODE URL TOKEN. MODE is the client's own: `legacy` (initialize),
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
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.types import TextContent


def emit(line: dict) -> None:
    print(json.dumps(line), flush=True)


def connection(command: str, *args: str):
    if command.startswith("http://"):
        http = create_mcp_http_client(headers={"Authorization": f"Bearer {args[0]}"})
        return streamable_http_client(command, http_client=http)
    env = {name: value for name, value in os.environ.items() if name.startswith(("MEMORY_MCP_", "XDG_"))}
    return StdioServerParameters(command=command, args=list(args), env=env)


async def main(mode: str, *where: str) -> None:
    server = connection(*where)
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
