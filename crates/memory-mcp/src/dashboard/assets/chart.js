// Small charts, drawn as SVG. Each has a text that says the same.
import { el, svg, number } from "./dom.js";

/** The order in which outcomes are stacked: what went well at the bottom. */
export const STATES = ["success", "partial", "running", "unjudged", "abstained", "abandoned", "failure"];

const [HEIGHT, LEFT, BOTTOM, TOP] = [220, 36, 22, 8];

/** Episodes over time: a bar for each period, stacked by state. `periods`: `{start, state, episodes}`. */
export function overTime({ from, now, period_ms, periods }, width) {
  const first = new Date(from).getTime();
  const length = Math.max(1, Math.floor((new Date(now).getTime() - first) / period_ms) + 1);
  const bars = Array.from({ length }, (_, at) => ({ start: first + at * period_ms, total: 0, by: {} }));
  for (const { start, state, episodes } of periods) {
    const bar = bars[Math.round((new Date(start).getTime() - first) / period_ms)];
    if (!bar) continue;
    bar.by[state] = (bar.by[state] ?? 0) + episodes;
    bar.total += episodes;
  }
  const most = Math.max(1, ...bars.map((bar) => bar.total));
  const top = nice(most);
  const y = (n) => HEIGHT - BOTTOM - ((HEIGHT - BOTTOM - TOP) * n) / top;
  const slot = (width - LEFT) / length;
  const label = (start) => new Date(start).toLocaleString("en-GB", period_ms < 86400000
    ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short", timeZone: "UTC" });
  const ticks = [...new Set([0, Math.round(top / 2), top])].map((n) => [
    svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(n), y2: y(n) }),
    svg("text", { class: "tick", x: LEFT - 6, y: y(n) + 3.5, "text-anchor": "end" }, number(n)),
  ]);
  const labels = Math.max(2, Math.floor(width / 130));
  const every = Math.ceil(length / labels);
  const dates = bars.map((bar, at) => at % every === 0 &&
    svg("text", { class: "tick", x: LEFT + slot * (at + 0.5), y: HEIGHT - 6, "text-anchor": "middle" }, label(bar.start)));
  const columns = bars.map((bar, at) => {
    let below = 0;
    const parts = STATES.filter((state) => bar.by[state]).map((state) => {
      const n = bar.by[state];
      const part = svg("rect", {
        class: `fill ${state}`, x: LEFT + slot * at + slot * 0.12, width: slot * 0.76,
        y: y(below + n), height: Math.max(0.5, y(below) - y(below + n)),
      });
      below += n;
      return part;
    });
    const told = STATES.filter((state) => bar.by[state]).map((state) => `${number(bar.by[state])} ${state}`);
    return svg("g", {}, svg("title", {}, `${label(bar.start)}: ${told.join(", ") || "none"}`),
      svg("rect", { class: "hit", x: LEFT + slot * at, width: slot, y: TOP, height: HEIGHT - TOP - BOTTOM }), parts);
  });
  const total = bars.reduce((sum, bar) => sum + bar.total, 0);
  return el("figure", { class: "chart" },
    svg("svg", {
      viewBox: `0 0 ${width} ${HEIGHT}`, role: "img",
      "aria-label": `${number(total)} episodes from ${label(first)} on, ${number(most)} at most in one period`,
    }, ticks, dates, columns));
}

/** A number at least as large that reads well on an axis. */
function nice(n) {
  const power = 10 ** Math.floor(Math.log10(n));
  const step = [1, 2, 4, 5, 10].find((it) => it * power >= n);
  return Math.max(2, step * power);
}

/** A share of a whole as a bar; `label` says what of. */
export function meter(value, most, label, kind = "") {
  const part = most > 0 ? Math.min(1, Math.max(0, value / most)) : 0;
  return svg("svg", { class: `meter ${kind}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("rect", { class: "track", width: 100, height: 6 }),
    part > 0 && svg("rect", { class: "value", width: Math.max(2, 100 * part), height: 6 }));
}

/** The last values of something as a line. */
export function sparkline(values, label) {
  const most = Math.max(...values, 1e-9);
  const x = (at) => (values.length < 2 ? 0 : (at * 120) / (values.length - 1));
  const points = values.map((value, at) => `${x(at).toFixed(1)},${(27 - (24 * value) / most).toFixed(1)}`);
  return svg("svg", { class: "sparkline", viewBox: "0 0 120 30", preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("polyline", { points: points.join(" ") }));
}
