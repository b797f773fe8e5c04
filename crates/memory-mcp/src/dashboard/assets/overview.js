// What the memory holds and how it performs.
import { el, number, share, duration, bytes, card, empty, table } from "./dom.js";
import { overTime, meter, sparkline } from "./chart.js";

const RANGES = [[1, "24 h"], [7, "7 d"], [30, "30 d"], [365, "1 y"]];

/** Calls a second lately, newest last. */
let rates = [];
let lastCalls = null;

export async function render({ body, query, get, projects, isShown }) {
  const days = Number(query.get("days")) || 30;
  const tiles = el("div", { class: "tiles" });
  const chart = el("div", {});
  const states = el("div", {});
  const performance = el("div", { class: "columns" });
  const sum = { counts: null, live: null };

  function showTiles() {
    const { counts, live } = sum;
    if (!counts) return;
    const by = counts.episodes;
    const total = Object.values(by).reduce((a, b) => a + b, 0);
    const judged = (by.success ?? 0) + (by.partial ?? 0) + (by.failure ?? 0);
    const cache = live?.cache;
    const hits = cache && cache.hits + cache.query_hits;
    const reads = cache && hits + cache.misses + cache.query_misses;
    const recall = live?.calls.find((call) => call.name === "recall");
    tiles.replaceChildren(
      tile("Episodes", number(total), `${number(by.running ?? 0)} running`),
      tile("Went well", share(by.success ?? 0, judged), `of ${number(judged)} judged`),
      tile("Lessons", number(counts.patterns + counts.heuristics), `${number(counts.patterns)} patterns, ${number(counts.heuristics)} heuristics`),
      tile("Cache hit rate", cache ? share(hits, reads) : "–", reads ? `of ${number(reads)} reads` : "no reads yet"),
      tile("Recall, p95", recall ? duration(recall.p95_ms) : "–", recall ? `p50 ${duration(recall.p50_ms)}, p99 ${duration(recall.p99_ms)}` : "not called yet"),
      tile("Round trips saved", live ? number(live.round_trips_saved) : "–", "since the server started"),
    );
  }

  async function refresh() {
    const found = await get("/api/overview", { days });
    if (!isShown()) return;
    projects(found.projects);
    sum.counts = found.counts;
    showTiles();
    const total = Object.values(found.counts.episodes).reduce((a, b) => a + b, 0);
    if (!total) {
      chart.replaceChildren(empty("Nothing is recorded yet",
        el("span", {}, "Connect an agent: ", el("code", {}, "claude mcp add memory -- memory-mcp serve")),
        el("span", {}, "or take in recorded runs: ", el("code", {}, "memory-mcp import PATH"))));
      states.replaceChildren();
      return;
    }
    const inRange = found.periods.length > 0;
    chart.replaceChildren(inRange ? overTime(found, Math.max(320, chart.clientWidth)) : empty("No episode began in this time", "Choose a longer one."));
    const rows = Object.entries(found.counts.episodes).sort((a, b) => b[1] - a[1]);
    states.replaceChildren(el("ul", { class: "states" }, rows.map(([state, n]) =>
      el("li", {}, el("a", { href: `#/episodes?state=${state}` },
        el("span", { class: `swatch ${state}`, "aria-hidden": "true" }), el("span", {}, state),
        el("b", {}, number(n)), el("span", { class: "dim" }, share(n, total)))))));
  }

  function live(state) {
    sum.live = state;
    showTiles();
    const calls = state.calls.reduce((total, call) => total + call.count, 0);
    if (lastCalls) {
      const seconds = (new Date(state.now) - lastCalls.at) / 1000;
      if (seconds > 0) rates = [...rates, Math.max(0, calls - lastCalls.calls) / seconds].slice(-60);
    }
    lastCalls = { at: new Date(state.now), calls };
    performance.replaceChildren(el("div", { class: "stack" },
      latencyCard("Calls of tools", state.calls, "No agent has called yet.",
        rates.length > 1 && el("p", { class: "dim rate" }, sparkline(rates, `${rates.at(-1).toFixed(1)} calls a second`),
          `${rates.at(-1).toFixed(1)} calls/s`)),
      cacheCard(state.cache), poolCard(state)), el("div", { class: "stack" },
      latencyCard("Operations of the database", state.operations, "The database was not asked yet."),
      connectionCard(state)));
  }

  const ranges = el("div", { class: "segments", role: "group", "aria-label": "Time" }, RANGES.map(([n, text]) =>
    el("a", { href: `#/overview?days=${n}`, "aria-current": n === days ? "true" : null }, text)));
  body.append(el("h1", { class: "hidden" }, "Overview"), tiles,
    el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Episodes over time"), ranges), chart, states),
    performance);
  try {
    await refresh();
  } catch (problem) {
    body.replaceChildren();
    throw problem;
  }
  return { refresh, live };
}

const tile = (name, value, detail) =>
  el("div", { class: "tile" }, el("span", { class: "name" }, name), el("strong", {}, value), el("span", { class: "dim" }, detail));

function latencyCard(title, rows, none, extra = null) {
  if (!rows.length) return card(title, el("p", { class: "dim" }, none));
  const sorted = [...rows].sort((a, b) => b.count - a.count);
  return card(title, extra, table(["name", "count", "errors", "p50", "p95", "p99"], sorted.map((row) => [
    el("code", {}, row.name), number(row.count),
    row.errors ? el("span", { class: "bad" }, number(row.errors)) : "0",
    duration(row.p50_ms), duration(row.p95_ms), duration(row.p99_ms),
  ]), { numeric: [1, 2, 3, 4, 5], caption: `${title}: latencies` }));
}

function poolCard({ pool, server }) {
  const what = server ? "reads under way" : "connections in use";
  return card("Pool", meter(pool.in_use, pool.limit, `${pool.in_use} of ${pool.limit} ${what}`, pool.waiting ? "bad" : ""),
    facts([[what, `${number(pool.in_use)} of ${number(pool.limit)}`], ["idle", number(pool.idle)], ["waiting", number(pool.waiting)]]));
}

function connectionCard({ server, outbox }) {
  if (!server) {
    return card("Server", el("p", { class: "dim" }, "The database is a file on this machine: no breaker, no outbox, nothing to lose on the way."));
  }
  return card("Server", facts([
    ["breaker", el("span", { class: server.state === "closed" ? "good" : "bad" }, server.state)],
    ["opened", number(server.opened)], ["requests", number(server.requests)], ["retries", number(server.retries)],
    ["sent", bytes(server.bytes_sent)], ["received", bytes(server.bytes_received)],
    ...(outbox ? [["outbox", `${number(outbox.queued)} queued, ${number(outbox.journaled)} journaled`],
      ["refused", outbox.refused ? el("span", { class: "bad" }, number(outbox.refused)) : "0"]] : []),
  ]));
}

function cacheCard(cache) {
  if (!cache.tiers) return card("Cache", el("p", { class: "dim" }, "Turned off (cache.memory_bytes is 0)."));
  const rows = [...cache.tiers.map((tier) => [tier.name, tier.hits, tier.misses, tier.entries, tier.bytes]),
    ["queries", cache.query_hits, cache.query_misses, null, null]];
  return card("Cache", table(["tier", "hit rate", "hits", "misses", "entries", "size"], rows.map(([name, hits, misses, entries, size]) => [
    name, share(hits, hits + misses), number(hits), number(misses), number(entries), bytes(size),
  ]), { numeric: [1, 2, 3, 4, 5], caption: "Tiers of the cache" }));
}

/** Names and values. */
export const facts = (pairs) => el("dl", { class: "facts" }, pairs.map(([name, value]) =>
  el("div", {}, el("dt", {}, name), el("dd", {}, value))));
