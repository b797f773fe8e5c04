// Cache, database and process.
import { el, number, share, bytes, duration, ago, card, table } from "./dom.js";
import { facts } from "./overview.js";

export async function render({ body, get, session, isShown }) {
  const [top, below] = [el("div", { class: "columns" }), el("div", { class: "columns" })];

  async function refresh() {
    const found = await get("/api/health");
    if (!isShown()) return;
    top.replaceChildren(processCard(found), databaseCard(found, session), damageCard(found));
  }

  function live(state) {
    below.replaceChildren(stateCard(state), tierCard(state.cache));
    refresh().catch(() => {});
  }

  await refresh();
  body.append(el("h1", {}, "Health"), below, top,
    el("p", { class: "dim" }, "For monitoring: ", el("code", {}, "GET /metrics"), " (Prometheus), ",
      el("code", {}, "/healthz"), ", ", el("code", {}, "/readyz"), "."));
  return { refresh, live };
}

const good = (fine, text) => el("span", { class: fine ? "good" : "bad" }, text);

function stateCard({ seq, stale, problem, server, outbox, pool }) {
  return card("State", facts([
    ["database", good(!stale, stale ? "cannot be reached" : "answers")],
    ...(problem ? [["problem", problem]] : []),
    ["changes", number(seq)],
    ["pool", `${number(pool.in_use)} of ${number(pool.limit)} in use, ${number(pool.waiting)} waiting`],
    ...(server ? [["breaker", good(server.state === "closed", server.state)], ["requests", number(server.requests)],
      ["retries", number(server.retries)], ["rejected", number(server.rejected)],
      ["network", `${bytes(server.bytes_sent)} sent, ${bytes(server.bytes_received)} received`]] : []),
    ...(outbox ? [["outbox", `${number(outbox.queued)} queued, ${number(outbox.journaled)} journaled, ${bytes(outbox.bytes)}`],
      ["refused", good(!outbox.refused, number(outbox.refused))]] : []),
  ]));
}

function tierCard(cache) {
  if (!cache.tiers) return card("Cache", el("p", { class: "dim" }, "Turned off (cache.memory_bytes is 0)."));
  return card("Cache", table(["tier", "hit rate", "entries", "size", "evicted"], cache.tiers.map((tier) =>
    [tier.name, share(tier.hits, tier.hits + tier.misses), number(tier.entries), bytes(tier.bytes), number(tier.evictions)]),
  { numeric: [1, 2, 3, 4], caption: "Tiers of the cache" }));
}

function processCard(found) {
  const up = new Date(found.now) - new Date(found.started_at);
  return card("Process", facts([
    ["version", found.version], ["started", ago(found.started_at, new Date(found.now))],
    ["processor time", found.cpu_seconds === null ? "–" : `${duration(1000 * found.cpu_seconds)} (${share(1000 * found.cpu_seconds, up)} of the time)`],
    ["resident memory", bytes(found.resident_bytes)],
  ]));
}

function databaseCard({ files, file }, session) {
  const sizes = files.map(({ name, bytes: n }) => [name.replaceAll("_", " "), bytes(n)]);
  return card("Database", facts([
    ["kind", session.database === "server" ? "a libSQL server" : "a file on this machine"], ...sizes,
    ...(file ? [["commits", `${number(file.commits)} for ${number(file.committed_batches)} writes`],
      ["statements", `${share(file.reused, file.reused + file.prepared)} found prepared`],
      ["waits for other writers", number(file.busy_retries)], ["refused as overloaded", good(!file.overloaded, number(file.overloaded))],
      ["writer reopened", good(!file.reopened, number(file.reopened))]] : []),
  ]));
}

function damageCard({ cache_damage: damage, confirmed_ago_ms: confirmed, stale_serves: stale }) {
  return card("Trust in the cache", facts([
    ["change feed read", confirmed === null ? "not yet" : `${duration(confirmed)} ago`],
    ["served unconfirmed", good(!stale, number(stale))],
    ...(damage ? [["checksum failures", good(!damage.checksum_failures, number(damage.checksum_failures))],
      ["files set aside", good(!damage.quarantines, number(damage.quarantines))],
      ["built anew", number(damage.rebuilds)], ["repairs", good(!damage.repairs, number(damage.repairs))]] : []),
  ]));
}
