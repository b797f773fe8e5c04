// Episodes, filtered and searched.
import { el, count, time, badge, empty, field, select } from "./dom.js";
import { STATES } from "./chart.js";

export async function render({ body, query, get, project, isShown }) {
  const asked = Object.fromEntries(["q", "state", "task_type", "since", "until", "where", "cursor"].map((name) => [name, query.get(name) ?? ""]));
  const list = el("div", { class: "results", "aria-live": "polite" });
  const more = ["task_type", "since", "until", "where"].some((name) => asked[name]);
  const form = el("form", { class: "filters card", role: "search", on: { submit } },
    el("div", { class: "row" },
      field("Search", el("input", { type: "search", name: "q", value: asked.q, placeholder: "Words of a task, an action, an error" })),
      field("State", select("state", [["", "any"], ...STATES.map((state) => [state, state])], asked.state)),
      el("button", { type: "submit", class: "primary" }, "Search")),
    el("details", { open: more }, el("summary", {}, "More filters"),
      el("div", { class: "row" },
        field("Task type", el("input", { name: "task_type", value: asked.task_type })),
        field("Begun on or after", el("input", { type: "date", name: "since", value: asked.since })),
        field("Begun before", el("input", { type: "date", name: "until", value: asked.until })),
        field("Metadata", el("input", { name: "where", value: asked.where, placeholder: 'repo = "api" AND attempts > 2' })))));

  function submit(event) {
    event.preventDefault();
    const given = [...new FormData(form)].filter(([, value]) => value.trim());
    const wanted = new URLSearchParams(given).toString();
    location.hash = wanted ? `#/episodes?${wanted}` : "#/episodes";
  }

  async function refresh() {
    const found = await get("/api/episodes", asked);
    if (!isShown()) return;
    list.replaceChildren(...(found.episodes.length ? rows(found.episodes, !project) : [nothing()]), pages(found.next));
  }

  function nothing() {
    const filtered = Object.values(asked).some(Boolean);
    return filtered
      ? empty("No episode matches", el("a", { href: "#/episodes" }, "Show all episodes"))
      : empty("No episode yet", el("span", {}, "An agent records one with ", el("code", {}, "start_episode"), "; recorded runs come in with ", el("code", {}, "memory-mcp import PATH"), "."));
  }

  function pages(next) {
    if (!next && !asked.cursor) return null ?? el("span");
    const to = (cursor) => {
      const wanted = new URLSearchParams(Object.entries({ ...asked, cursor }).filter(([, value]) => value));
      return `#/episodes?${wanted}`;
    };
    return el("nav", { class: "pages", "aria-label": "Pages of episodes" },
      asked.cursor && el("a", { class: "button", href: to("") }, "First page"),
      next && el("a", { class: "button", href: to(next), rel: "next" }, "Older episodes"));
  }

  body.append(el("h1", {}, "Episodes"), form, list);
  try {
    await refresh();
  } catch (problem) {
    list.replaceChildren(el("div", { class: "empty problem-box" }, el("p", {}, problem.message)));
    if (problem.constructor !== Error) throw problem;
  }
  return { refresh };
}

/** Episodes as rows that lead to them. */
export function rows(episodes, withProject, detail = () => null) {
  return [el("ol", { class: "episodes" }, episodes.map((episode) =>
    el("li", {},
      el("a", { class: "task", href: `#/episodes/${encodeURIComponent(episode.id)}` }, episode.task || "(no task)"),
      el("div", { class: "meta" }, badge(episode.state), time(episode.started_at),
        el("span", {}, count(episode.steps, "step")),
        episode.errors > 0 && el("span", { class: "bad" }, count(episode.errors, "error")),
        episode.reward !== null && el("span", {}, `reward ${episode.reward.toFixed(2)}`),
        episode.task_type && el("span", { class: "tag" }, episode.task_type),
        withProject && el("span", { class: "tag" }, episode.project)),
      detail(episode))))];
}
