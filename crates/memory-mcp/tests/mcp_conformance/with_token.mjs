// A loopback proxy that adds the token, for a client that cannot send a header of its own.
//
// Arguments: HOST:PORT of the server, TOKEN. Prints its own HOST:PORT on one line and runs until its
// stdin ends. All else of a request goes through as it came, `Host` and `Origin` too.

import { createServer, request } from "node:http";

const [upstream, token] = process.argv.slice(2);
const [host, port] = upstream.split(":");

const server = createServer((incoming, outgoing) => {
  const headers = [...incoming.rawHeaders, "Authorization", `Bearer ${token}`];
  const { method, url: path } = incoming;
  const forwarded = request({ host, port, method, path, headers, setHost: false }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(outgoing);
  });
  forwarded.on("error", () => outgoing.destroy());
  outgoing.on("close", () => forwarded.destroy());
  incoming.pipe(forwarded);
});
server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit()).resume();
