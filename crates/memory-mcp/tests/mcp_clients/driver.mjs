// Drives an MCP server with an official TypeScript client, for this test.
//
// Arguments: NODE_MODULES PACKAGE MODE SERVER [ARGUMENT...], where the server is started and spoken to
// over stdio, or NODE_MODULES PACKAGE MODE URL TOKEN. PACKAGE is `sdk` (only the legacy era;
// MODE is ignored) or `client`, whose MODE is its own: `legacy` (initialize), `auto`
// (server/discover, else initialize) or a protocol revision of the modern era.
//
// Once connected it prints one JSON line about the server; then, for each JSON line
// `{"tool", "arguments"}` on stdin, one JSON line with the result. End of stdin ends the session.
// The server gets the environment variables whose names start with MEMORY_MCP_ or XDG_.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [modules, packageName, mode, command, ...args] = process.argv.slice(2);
const require = createRequire(join(modules, "..", "package.json"));

function load() {
  const info = { name: "memory-mcp-tests", version: "1.0.0" };
  if (packageName === "sdk") {
    const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
    const http = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
    return {
      client: new Client(info),
      Stdio: StdioClientTransport,
      Http: http.StreamableHTTPClientTransport,
    };
  }
  const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
  const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");
  const era = mode === "legacy" || mode === "auto" ? mode : { pin: mode };
  return {
    client: new Client(info, { versionNegotiation: { mode: era } }),
    Stdio: StdioClientTransport,
    Http: StreamableHTTPClientTransport,
  };
}

const emit = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const passed = (name) => name.startsWith("MEMORY_MCP_") || name.startsWith("XDG_");
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => passed(name)));

const { client, Stdio, Http } = load();
const headers = { Authorization: `Bearer ${args[0]}` };
const transport = command.startsWith("http://")
  ? new Http(new URL(command), { requestInit: { headers } })
  : new Stdio({ command, args, env });
let protocol = null;
// The one way to learn the revision that works for both packages: transports are told.
const told = transport.setProtocolVersion?.bind(transport);
transport.setProtocolVersion = (version) => {
  protocol = version;
  told?.(version);
};
await client.connect(transport);
const { tools } = await client.listTools();
emit({
  protocol,
  instructions: client.getInstructions() ?? null,
  tools: tools.map((tool) => tool.name),
});

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  const result = await client.callTool({ name: call.tool, arguments: call.arguments });
  const texts = result.content.filter((part) => part.type === "text").map((part) => part.text);
  emit({
    is_error: result.isError === true,
    text: texts.join("\n"),
    structured: result.structuredContent ?? null,
  });
}
await client.close();
