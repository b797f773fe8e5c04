// What an agent would be given for a task, and why.
import { el, number, card, empty, field } from "./dom.js";
import { meter } from "./chart.js";
import { rows } from "./episodes.js";

export async function render({ body, query, get, project, isShown }) {
  const task = query.get("task") ?? "";
  const limit = query.get("limit") ?? "5";
  const budget = query.get("budget") ?? "1500";
  const found = el("div", { class: "results", "aria-live": "polite" });
  const form = el("form", { class: "card filters", on: { submit } },
    field("Task or problem", el("textarea", { name: "task", rows: 3, required: true, placeholder: "In the words in which an agent would be given it, error messages included" }, task)),
    el("div", { class: "row" },
      field("Episodes, at most", el("input", { type: "number", name: "limit", min: 1, max: 50, value: limit })),
      field("Tokens, at most", el("input", { type: "number", name: "budget", min: 120, max: 100000, value: budget })),
      el("button", { type: "submit", class: "primary" }, "Recall")));

  function submit(event) {
    event.preventDefault();
    location.hash = `#/recall?${new URLSearchParams(new FormData(form))}`;
  }

  async function refresh() {
    if (!task.trim()) {
      found.replaceChildren(empty("Try what an agent would get", "Nothing here counts as recalled; statistics stay as they are."));
      return;
    }
    const answer = await get("/api/recall", { task, limit, budget_tokens: budget });
    if (isShown()) found.replaceChildren(...shown(answer, !project));
  }

  body.append(el("h1", {}, "Recall"), form, found);
  try {
    await refresh();
  } catch (problem) {
    if (problem.constructor !== Error) throw problem;
    found.replaceChildren(el("div", { class: "empty problem-box" }, el("p", {}, problem.message)));
  }
  return { refresh };
}

function shown({ ranked, candidates, recall, text }, withProject) {
  if (!ranked.length) {
    return [empty("Nothing relevant", recall.nothing_relevant ?? "No episode helps with this.",
      `${number(candidates)} candidates were looked at.`)];
  }
  const best = Math.max(...ranked.map((episode) => episode.score));
  const given = new Set((recall.items ?? []).map((item) => item.id));
  const why = (episode) => el("div", { class: "why" },
    el("div", { class: "score" }, meter(episode.score, best, `score ${episode.score.toFixed(3)}`), el("b", {}, episode.score.toFixed(3))),
    el("p", {}, episode.why.join("; "),
      episode.alike.length > 0 && ` (${number(episode.alike.length)} runs alike left out)`,
      !given.has(episode.id) && el("span", { class: "bad" }, " · no room in the token budget")));
  const lessons = recall.lessons ?? [];
  return [
    card(`Ranked: ${number(ranked.length)} of ${number(candidates)} candidates`, ...rows(ranked, withProject, why)),
    lessons.length > 0 && card("Lessons given along", el("ul", { class: "lessons" }, lessons.map((lesson) =>
      el("li", {}, el("b", {}, lesson.when), ": ", lesson.do || `no run did well with ${lesson.failed_with}`,
        el("span", { class: "dim" }, ` worked ${lesson.worked}, confidence ${lesson.confidence.toFixed(2)}`))))),
    card(`What the agent reads (${number(recall.tokens)} tokens as JSON)`, el("pre", { class: "given" }, text)),
  ].filter(Boolean);
}
