// What was learned: patterns and heuristics, and playbooks, with the episodes behind them.
import { el, number, share, time, card, empty, field, select, table } from "./dom.js";
import { meter } from "./chart.js";

const KINDS = [["", "all"], ["heuristic", "heuristics"], ["task_action", "task actions"], ["error_recovery", "error recoveries"],
  ["tool_sequence", "tool sequences"], ["decision_point", "decision points"], ["context_pattern", "context patterns"]];

const evidence = (ids) => ids.length > 0 && el("p", { class: "evidence" }, "Evidence: ", ids.map((id, at) =>
  [at > 0 && ", ", el("a", { href: `#/episodes/${encodeURIComponent(id)}`, title: id }, `…${String(id).slice(-8)}`)]));

/** A lesson with what speaks for it. */
export function lessonCard({ kind, task_type: type, condition, action, stats, confidence, doubt, is_wrong: wrong, evidence: ids }) {
  return el("article", { class: "lesson" },
    el("p", {}, el("span", { class: "tag" }, kind.replaceAll("_", " ")), type && el("span", { class: "tag" }, type), wrong && el("span", { class: "badge failure" }, "said to be wrong")),
    el("p", { class: "says" }, el("span", { class: "dim" }, condition), " → ", el("span", {}, action)),
    el("div", { class: "score" }, meter(confidence, 1, `confidence ${confidence.toFixed(2)}`), el("b", {}, confidence.toFixed(2))),
    el("p", { class: "dim" }, `went well ${number(stats.successes)} of ${number(stats.uses)} times (${share(stats.successes, stats.uses)})`,
      doubt > confidence && `, doubt ${doubt.toFixed(2)}`,
      (stats.helped > 0 || stats.did_not_help > 0) && `; helped ${number(stats.helped)}, did not ${number(stats.did_not_help)}`,
      "; last seen ", time(stats.last_seen)),
    evidence(ids));
}

export async function renderLessons({ body, query, get, isShown }) {
  const kind = query.get("kind") ?? "";
  const choice = select("kind", KINDS, kind);
  choice.addEventListener("change", () => { location.hash = choice.value ? `#/lessons?kind=${choice.value}` : "#/lessons"; });
  const list = el("div", { class: "cards" });

  async function refresh() {
    const { lessons, most } = await get("/api/lessons", { kind });
    if (!isShown()) return;
    const note = lessons.length === most && el("p", { class: "dim" }, `The ${number(most)} with the most evidence.`);
    list.replaceChildren(...(lessons.length ? lessons.map((lesson) => el("div", { class: "card" }, lessonCard(lesson)))
      : [empty(kind ? "None of this kind" : "Nothing is learned yet", "Lessons are drawn when an episode is completed: with complete_episode, or by an import.")]), ...(note ? [note] : []));
  }

  await refresh();
  body.append(el("div", { class: "head" }, el("h1", {}, "Lessons"), field("Kind", choice)), list);
  return { refresh };
}

export async function renderPlaybooks({ body, query, get, isShown }) {
  const chosen = query.get("task_type");
  const place = el("div", { class: "results" });

  async function refresh() {
    const { task_types: types } = await get("/api/task-types");
    const book = chosen === null ? null : await get("/api/playbook", { task_type: chosen });
    if (!isShown()) return;
    if (!types.length) {
      place.replaceChildren(empty("No playbook yet", "A playbook is what runs of one task type share. Give episodes a task_type when they are started."));
      return;
    }
    const link = ({ name }) => el("a", { href: `#/playbooks?task_type=${encodeURIComponent(name)}`, "aria-current": name === chosen ? "true" : null }, name || "(no task type)");
    place.replaceChildren(
      card("Task types", table(["task type", "episodes", "went well"], types.map((type) =>
        [link(type), number(type.episodes), share(type.successes, type.episodes)]), { numeric: [1, 2], caption: "Task types" })),
      ...(book ? [bookCard(chosen, book)] : [el("p", { class: "dim" }, "Choose a task type to see its playbook.")]));
  }

  await refresh();
  body.append(el("h1", {}, "Playbooks"), place);
  return { refresh };
}

function bookCard(name, book) {
  if (!book.runs) return empty("No judged episode of this task type", "A playbook is drawn from completed and judged runs.");
  const part = (title, entries) => entries.length > 0 && [el("h3", {}, title), el("ol", { class: "entries" }, entries.map((entry) =>
    el("li", {}, el("span", {}, entry.what), el("span", { class: "dim" }, ` ${number(entry.runs)} of ${number(entry.of)} `),
      evidence(entry.evidence))))];
  return card(`${name || "(no task type)"}: ${number(book.runs)} runs, ${number(book.successes)} went well`,
    part("Steps that runs which went well share", book.steps),
    part("Errors of the other runs", book.errors),
    part("What got past an error", book.recoveries),
    !book.steps.length && !book.errors.length && !book.recoveries.length && el("p", { class: "dim" }, "These runs have nothing in common yet."));
}
