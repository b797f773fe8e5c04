// Elements, numbers and times. Text only ever becomes text.

/** An element. `props`: `class`, `on` (handlers by event), the rest attributes; null ones are left out. */
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same in SVG. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const grouped = new Intl.NumberFormat("en");

/** 12,345 */
export const number = (n) => (n === null || n === undefined ? "–" : grouped.format(n));

/** 1 step, 2 steps */
export const count = (n, thing) => `${number(n)} ${thing}${n === 1 ? "" : "s"}`;

/** 42 %, or a dash without anything to divide by. */
export function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** Milliseconds with three digits: 0.034 ms, 12.3 ms, 1.20 s. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms >= 60000) return `${Math.round(ms / 1000)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms >= 100) return `${ms.toFixed(0)} ms`;
  if (ms >= 10) return `${ms.toFixed(1)} ms`;
  return ms >= 1 ? `${ms.toFixed(2)} ms` : `${Math.round(ms * 1000)} µs`;
}

/** 1.5 MiB */
export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) {
    n /= 1024;
    at += 1;
  }
  return `${at && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

/** How long ago, in one unit. */
export function ago(from, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(from)) / 1000);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return seconds < 5 ? "just now" : `${Math.floor(seconds)} s ago`;
}

/** A moment, in the reader's time zone. */
export function moment(iso) {
  if (!iso) return "–";
  const options = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
  return new Date(iso).toLocaleString("en-GB", options);
}

/** A `time` that shows how long ago, and the moment when pointed at. */
export const time = (iso) => el("time", { datetime: iso, title: moment(iso) }, ago(iso));

/** A state as a badge. Its name is the label, its colour only repeats it. */
export const badge = (state) => el("span", { class: `badge ${state}` }, state);

/** A head and what belongs to it. */
export const card = (title, ...children) =>
  el("section", { class: "card" }, title && el("h2", {}, title), ...children);

/** What to do when there is nothing to see. */
export const empty = (title, ...hints) =>
  el("div", { class: "empty" }, el("p", { class: "lead" }, title), hints.map((hint) => el("p", {}, hint)));

/** Rows of cells under heads. `numeric`: columns of numbers. */
export function table(heads, rows, { numeric = [], caption = null } = {}) {
  const kind = (at) => (numeric.includes(at) ? "number" : null);
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption ?? heads.join(", ") },
    el("table", {},
      caption && el("caption", { class: "hidden" }, caption),
      el("thead", {}, el("tr", {}, heads.map((head, at) => el("th", { scope: "col", class: kind(at) }, head)))),
      el("tbody", {}, rows.map((row) =>
        el("tr", {}, row.map((cell, at) => el("td", { class: kind(at), "data-head": heads[at] }, cell)))))));
}

/** A field with its label. */
export function field(label, input) {
  return el("label", { class: "field" }, el("span", {}, label), input);
}

/** A choice of `[value, text]`. */
export function select(name, options, chosen) {
  return el("select", { name }, options.map(([value, text]) =>
    el("option", { value, selected: value === chosen }, text)));
}
