// One episode: its task, its steps as a timeline, what it taught.
import { el, number, time, moment, badge, card, duration, empty } from "./dom.js";
import { facts } from "./overview.js";
import { lessonCard } from "./lessons.js";

export async function render({ body, rest: [id], get, isShown }) {
  const path = `/api/episodes/${encodeURIComponent(id)}`;
  let from = 0;
  let onlyTelling = false;

  async function refresh() {
    const count = Math.max(1, Math.ceil(from / 200) + 1);
    const parts = [];
    for (let at = 0; at < count; at += 1) parts.push(await get(path, { from: at * 200, project: "" }));
    if (!isShown()) return;
    const [first] = parts;
    body.replaceChildren(...shown(first, parts.flatMap((part) => part.steps)));
  }

  function shown({ episode, lessons, relations, recoveries }, steps) {
    const failed = steps.filter((step) => step.failed);
    const list = el("ol", { class: "timeline" }, steps
      .filter((step) => !onlyTelling || step.failed || step.got_past || step.checkpoint)
      .map((step) => stepView(step, () => get(`${path}/steps/${step.number}`, { project: "" }))));
    const toggle = el("label", { class: "check" },
      el("input", { type: "checkbox", checked: onlyTelling, on: { change: (event) => { onlyTelling = event.target.checked; refresh(); } } }),
      "only errors, recoveries and checkpoints");
    const left = episode.steps - steps.length;
    return [
      el("p", { class: "crumbs" }, el("a", { href: "#/episodes" }, "Episodes"), " / ", el("code", {}, episode.id)),
      el("h1", { class: "task" }, episode.task || "(no task)"),
      el("div", { class: "meta" }, badge(episode.state), time(episode.started_at),
        episode.reward !== null && el("span", {}, `reward ${episode.reward.toFixed(2)}`),
        el("span", { class: "tag" }, episode.project), episode.task_type && el("span", { class: "tag" }, episode.task_type),
        episode.archived_at && el("span", { class: "tag" }, "archived")),
      episode.outcome?.verdict && el("blockquote", {}, episode.outcome.verdict),
      el("div", { class: "with-side" },
        el("section", { class: "card" },
          el("div", { class: "head" }, el("h2", {}, `Steps (${number(episode.steps)})`), steps.length > 0 && toggle),
          steps.length > 0 && el("p", { class: "dim" }, `${number(failed.length)} failed, ${number(recoveries)} got past. `,
            failed.slice(0, 12).map((step) => [jump(step.number), " "])),
          steps.length ? list : empty(episode.state === "running" ? "No step is logged yet" : "It has no steps"),
          left > 0 && el("button", { type: "button", on: { click: () => { from += 200; refresh(); } } }, `Show ${number(Math.min(200, left))} more of ${number(left)}`)),
        el("aside", {}, details(episode), reflection(episode.reflection), related(episode.id, relations),
          lessons.length > 0 && card("What it taught", lessons.map(lessonCard)))),
    ].filter(Boolean);
  }

  await refresh();
  return { refresh };
}

/** Leads to a step without changing the address, which is the page's. */
function jump(number) {
  const to = (event) => {
    event.preventDefault();
    const step = document.getElementById(`step-${number}`);
    step?.scrollIntoView({ block: "center" });
    step?.focus();
  };
  return el("a", { href: `#step-${number}`, class: "bad", on: { click: to } }, `step ${number}`);
}

function stepView(step, whole) {
  const kind = step.failed ? "failed" : step.got_past ? "recovered" : step.checkpoint ? "checkpoint" : step.success ? "ok" : "";
  const marks = {
    failed: "failed", checkpoint: "checkpoint",
    recovered: `got past the error of step ${step.got_past}`,
  };
  const item = el("li", { class: kind, id: `step-${step.number}`, tabindex: -1 });
  const text = (name, value) => value && el("pre", { class: name }, value);
  const more = step.is_cut && whole && el("button", { type: "button", class: "quiet", on: { click: async () => item.replaceWith(stepView(await whole(), null)) } }, "Show all of it");
  item.append(el("div", { class: "step-head" },
    el("span", { class: "step-number" }, step.number), step.tool && el("code", {}, step.tool),
    marks[kind] && el("span", { class: `mark ${kind}` }, marks[kind]),
    step.latency_ms !== null && el("span", { class: "dim" }, duration(step.latency_ms)),
    step.tokens !== null && el("span", { class: "dim" }, `${number(step.tokens)} tokens`),
    step.at && time(step.at)),
  ...[text("action", step.action), text("parameters", step.parameters), text("observation", step.observation),
    step.error !== step.observation && text("error", step.error), more].filter(Boolean));
  return item;
}

function details(episode) {
  const { context, reward_detail: reward } = episode;
  const components = Object.entries(reward?.components ?? {}).map(([name, value]) => `${name} ${value.toFixed(2)}`);
  const pairs = [
    ["begun", moment(episode.started_at)], ["ended", episode.ended_at && moment(episode.ended_at)],
    ["domain", context.domain], ["language", context.language], ["framework", context.framework],
    ["complexity", context.complexity], ["tags", context.tags?.join(", ")],
    ["reward by", reward?.source], ["made of", components.join(", ")],
    ["from", episode.source && `${episode.source.format} ${episode.source.identity}`], ["version", number(episode.version)],
    ...Object.entries(episode.metadata).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  ];
  return card("Details", facts(pairs.filter(([, value]) => value)));
}

function reflection({ worked, failed, next_time: next }) {
  const parts = [["Next time", next], ["What worked", worked], ["What failed", failed]].filter(([, lines]) => lines?.length);
  return parts.length > 0 && card("Reflection", parts.map(([title, lines]) => [el("h3", {}, title), el("ul", {}, lines.map((line) => el("li", {}, line)))]));
}

function related(id, relations) {
  const link = (other) => el("a", { href: `#/episodes/${encodeURIComponent(other)}` }, el("code", {}, other));
  return relations.length > 0 && card("Relations", el("ul", {}, relations.map(({ from, relation, to }) =>
    el("li", {}, from === id ? [`${relation.replaceAll("_", " ")} `, link(to)] : [link(from), ` ${relation.replaceAll("_", " ")} this`]))));
}
