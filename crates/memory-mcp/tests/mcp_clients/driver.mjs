// Drives an MCP server with an official TypeScript client, for this test.
//
// Arguments: NODE_MODULES PACKAGE MODE SERVER [ARGUMENT...], where the server is started and spoken to
// over stdio, or NODE_MODULES PACKAGE MODE URL TOKEN. PACKAGE is `sdk` (only the legacy era;
// MODE is ignored) or `client`, whose MODE is its own: `legacy` (initialize), `auto`
// (server/discover, else initialize) or a protocol revision of the modern era.
//
// Once connected it prints one JSON line about the server; then, for each JSON line on stdin, `{"do":
// "call" | "list" | "read" | "prompt" | "complete", ...}`, one JSON line with the result, or with an
// `error`. `"hold"` is a call that tells its progress, a line each, and is cancelled at the next line
// of stdin. End of stdin ends the session.
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

const text = (parts) => parts.flatMap((part) => part.text ?? []).join("\n");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// All pages of a list. One of the clients turns them by itself.
async function pages(list, items, name) {
  const names = [];
  for (let cursor; ; ) {
    const page = await list(cursor ? { cursor } : {});
    names.push(...page[items].map((item) => item[name]));
    cursor = page.nextCursor;
    if (!cursor) return { names };
  }
}

async function hold(name, args) {
  const stop = new AbortController();
  const told = ({ message }) => emit({ progress: message });
  const options = { signal: stop.signal, onprogress: told, timeout: 600_000 };
  const call =
    packageName === "sdk"
      ? client.callTool({ name, arguments: args }, undefined, options)
      : client.callTool({ name, arguments: args }, options);
  const settled = call.then(
    () => ({ stopped: false }),
    () => ({ stopped: stop.signal.aborted }),
  );
  await lines.next();
  stop.abort("changed my mind");
  return settled;
}

const commands = {
  async call({ name, arguments: args }) {
    const result = await client.callTool({ name, arguments: args });
    return {
      is_error: result.isError === true,
      text: text(result.content),
      structured: result.structuredContent ?? null,
    };
  },
  hold: ({ name, arguments: args }) => hold(name, args),
  list: ({ what }) =>
    ({
      tools: () => pages((page) => client.listTools(page), "tools", "name"),
      prompts: () => pages((page) => client.listPrompts(page), "prompts", "name"),
      resources: () => pages((page) => client.listResources(page), "resources", "uri"),
      templates: () =>
        pages((page) => client.listResourceTemplates(page), "resourceTemplates", "uriTemplate"),
    })[what](),
  read: async ({ uri }) => ({ text: text((await client.readResource({ uri })).contents) }),
  async prompt({ name, arguments: args }) {
    const { messages } = await client.getPrompt({ name, arguments: args });
    return { text: text(messages.map((message) => message.content)) };
  },
  async complete({ prompt, resource, argument, value }) {
    const ref = prompt ? { type: "ref/prompt", name: prompt } : { type: "ref/resource", uri: resource };
    const { completion } = await client.complete({ ref, argument: { name: argument, value } });
    return { values: completion.values };
  },
};

for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const command = JSON.parse(line.value);
  try {
    emit(await commands[command.do](command));
  } catch (e) {
    emit({ error: { code: e.code ?? null, message: e.message } });
  }
}
await client.close();
