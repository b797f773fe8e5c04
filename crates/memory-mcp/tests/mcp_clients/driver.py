"""Drives an MCP server with the official Python client, for this test.

Arguments: MODE SERVER [ARGUMENT...], where the server is started and spoken to over stdio, or
MODE URL TOKEN. MODE is the client's own: `legacy` (initialize),
`auto` (server/discover, else initialize) or a protocol revision of the modern era.

Once connected it prints one JSON line about the server; then, for each JSON line on stdin, `{"do":
"call" | "list" | "read" | "prompt" | "complete", ...}`, one JSON line with the result, or with an
`error`. `"hold"` is a call that tells its progress, a line each, and is cancelled at the next line of
stdin. End of stdin ends the session.
The server gets the environment variables whose names start with MEMORY_MCP_ or XDG_.
"""

import json
import os
import sys

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import PromptReference, ResourceTemplateReference


def emit(line: dict) -> None:
    print(json.dumps(line), flush=True)


def connection(command: str, *args: str):
    if command.startswith("http://"):
        http = create_mcp_http_client(headers={"Authorization": f"Bearer {args[0]}"})
        return streamable_http_client(command, http_client=http)
    env = {name: value for name, value in os.environ.items() if name.startswith(("MEMORY_MCP_", "XDG_"))}
    return StdioServerParameters(command=command, args=list(args), env=env)


def text(parts) -> str:
    return "\n".join(part.text for part in parts if getattr(part, "text", None))


async def pages(fetch, items: str, name: str) -> dict:
    """All pages of a list."""
    names, cursor = [], None
    while True:
        page = await fetch(cursor=cursor)
        names += [getattr(item, name) for item in getattr(page, items)]
        cursor = page.next_cursor
        if cursor is None:
            return {"names": names}


async def next_line() -> str:
    return await anyio.to_thread.run_sync(sys.stdin.readline)


class Commands:
    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, name: str, arguments: dict) -> dict:
        result = await self.client.call_tool(name, arguments)
        return {
            "is_error": bool(result.is_error),
            "text": text(result.content),
            "structured": result.structured_content,
        }

    async def hold(self, name: str, arguments: dict) -> dict:
        async def told(progress: float, total: float | None, message: str | None) -> None:
            emit({"progress": message})

        ended = False

        async def call() -> None:
            nonlocal ended
            await self.client.call_tool(name, arguments, 600, told)
            ended = True

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await next_line()
            group.cancel_scope.cancel()
        return {"stopped": not ended}

    async def list(self, what: str) -> dict:
        client = self.client
        return await {
            "tools": lambda: pages(client.list_tools, "tools", "name"),
            "prompts": lambda: pages(client.list_prompts, "prompts", "name"),
            "resources": lambda: pages(client.list_resources, "resources", "uri"),
            "templates": lambda: pages(
                client.list_resource_templates, "resource_templates", "uri_template"
            ),
        }[what]()

    async def read(self, uri: str) -> dict:
        return {"text": text((await self.client.read_resource(uri)).contents)}

    async def prompt(self, name: str, arguments: dict) -> dict:
        result = await self.client.get_prompt(name, arguments)
        return {"text": text([message.content for message in result.messages])}

    async def complete(self, argument: str, value: str, prompt: str = "", resource: str = "") -> dict:
        ref = PromptReference(name=prompt) if prompt else ResourceTemplateReference(uri=resource)
        result = await self.client.complete(ref, {"name": argument, "value": value})
        return {"values": result.completion.values}


async def main(mode: str, *where: str) -> None:
    async with Client(connection(*where), mode=mode, read_timeout_seconds=600) as client:
        tools = (await client.list_tools()).tools
        emit(
            {
                "protocol": client.protocol_version,
                "instructions": client.instructions,
                "tools": [tool.name for tool in tools],
            }
        )
        commands = Commands(client)
        while line := await next_line():
            command = json.loads(line)
            try:
                emit(await getattr(commands, command.pop("do"))(**command))
            except MCPError as e:
                emit({"error": {"code": e.error.code, "message": e.error.message}})


anyio.run(main, *sys.argv[1:])
