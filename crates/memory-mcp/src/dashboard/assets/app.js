// Who is logged in, which page is shown, what is new.
import { el, ago } from "./dom.js";
import { get, post, Unauthorized } from "./api.js";
import * as overview from "./overview.js";
import * as episodes from "./episodes.js";
import * as episode from "./episode.js";
import * as recall from "./recall.js";
import * as lessons from "./lessons.js";
import * as health from "./health.js";

const LIVE_EVERY_MS = 2000;

const byId = (id) => document.getElementById(id);
const [main, notice, project] = ["main", "notice", "project"].map(byId);

let session = null;
/** The page shown: `refresh()` reads its data again, `live(state)` shows how the memory performs. */
let page = null;
let shown = 0;
let seq = null;
let readAt = null;

const PAGES = {
  overview: ["Overview", overview.render],
  episodes: ["Episodes", episodes.render],
  recall: ["Recall", recall.render],
  lessons: ["Lessons", lessons.renderLessons],
  playbooks: ["Playbooks", lessons.renderPlaybooks],
  health: ["Health", health.render],
};

/** The route of the address: its page, what follows, its parameters. */
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: name || "overview", rest: rest.map(decodeURIComponent), query: new URLSearchParams(query) };
}

async function show(focus) {
  if (!session) return;
  const { name, rest, query } = route();
  const [title, render] = name === "episodes" && rest[0] ? ["Episode", episode.render] : PAGES[name] ?? PAGES.overview;
  const mine = (shown += 1);
  document.title = `${title} · memory-mcp`;
  for (const link of byId("nav").children) {
    const current = link.hash === `#/${name}`;
    link.toggleAttribute("aria-current", current);
    if (current) link.setAttribute("aria-current", "page");
  }
  const body = el("div", { class: "page", "aria-busy": "true" });
  const context = {
    body, query, rest, session, project: project.value,
    get: (path, params) => get(path, { project: project.value, ...params }),
    projects: setProjects,
    isShown: () => mine === shown,
  };
  page = null;
  main.replaceChildren(body);
  if (focus) main.focus({ preventScroll: true });
  scrollTo(0, 0);
  await guarded(async () => {
    const made = await render(context);
    if (mine === shown) page = made ?? {};
    readAt = Date.now();
  }, body);
  body.removeAttribute("aria-busy");
}

/** Runs what asks the server. What went wrong is said where it would have been shown. */
async function guarded(work, place) {
  try {
    await work();
  } catch (problem) {
    if (problem instanceof Unauthorized) return loggedOut("Your login has ended. Log in again.");
    if (place && !place.childElementCount) {
      place.append(el("div", { class: "empty problem-box" },
        el("p", { class: "lead" }, "This cannot be shown now"), el("p", {}, problem.message),
        el("button", { type: "button", on: { click: () => show(false) } }, "Try again")));
    } else {
      warn(problem.message);
    }
  }
}

function warn(text) {
  notice.hidden = !text;
  if (notice.textContent !== text) notice.textContent = text ?? "";
}

function liveness(state, text) {
  byId("live").dataset.state = state;
  byId("live-text").textContent = text;
}

/** Asks what is new; a change of the database makes the page read its data again. */
async function tick() {
  if (!session || document.hidden) return;
  try {
    const state = await get("/api/live");
    const read = readAt ? ` What you see was read ${ago(readAt)}.` : "";
    warn(state.stale ? `The database cannot be reached: this may be out of date.${read}` : null);
    liveness(state.stale ? "stale" : "live", state.stale ? "stale" : "live");
    document.body.classList.toggle("is-stale", state.stale);
    const changed = state.seq !== null && seq !== null && state.seq !== seq;
    seq = state.seq ?? seq;
    page?.live?.(state);
    if (changed && page?.refresh) {
      await page.refresh();
      readAt = Date.now();
    }
  } catch (problem) {
    if (problem instanceof Unauthorized) return loggedOut("Your login has ended. Log in again.");
    liveness("away", "away");
    document.body.classList.add("is-stale");
    warn(`${problem.message} What you see was read ${readAt ? ago(readAt) : "before"}; trying again.`);
  }
}

/** The projects that can be chosen. Who is kept to some sees only those, and no "all". */
function setProjects(names) {
  const chosen = project.value || localStorage.getItem("project") || "";
  const all = session.projects.length ? [] : [["", "All projects"]];
  const known = [...all, ...(session.projects.length ? session.projects : names).map((name) => [name, name])];
  const same = known.length === project.options.length && known.every(([value], at) => project.options[at].value === value);
  if (same) return;
  project.replaceChildren(...known.map(([value, text]) => el("option", { value }, text)));
  project.value = known.some(([value]) => value === chosen) ? chosen : known[0]?.[0] ?? "";
}

async function begin() {
  try {
    session = await get("/api/session");
  } catch (problem) {
    if (problem instanceof Unauthorized) return loggedOut();
    main.replaceChildren(el("div", { class: "empty problem-box" }, el("p", { class: "lead" }, problem.message),
      el("button", { type: "button", on: { click: begin } }, "Try again")));
    return;
  }
  byId("top").hidden = false;
  byId("logout").title = `Logged in with the token “${session.name}”`;
  const restored = localStorage.getItem("project");
  setProjects(restored ? [restored] : []);
  await show(false);
  await tick();
}

function loggedOut(problem = "") {
  [session, page, seq] = [null, null, null];
  shown += 1;
  byId("top").hidden = true;
  warn(null);
  main.replaceChildren(byId("login-page").content.cloneNode(true));
  document.title = "Log in · memory-mcp";
  byId("login-problem").textContent = problem;
  byId("token").focus();
  byId("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("login-problem").textContent = "";
    try {
      await post("/api/login", { token: byId("token").value });
      await begin();
    } catch (refused) {
      byId("login-problem").textContent = refused.message;
      byId("token").select();
    }
  });
}

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
byId("logout").addEventListener("click", async () => {
  await post("/api/logout").catch(() => {});
  loggedOut();
});
byId("theme").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  const theme = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
});
project.addEventListener("change", () => {
  localStorage.setItem("project", project.value);
  show(false);
});
addEventListener("hashchange", () => show(true));
document.addEventListener("visibilitychange", tick);
setInterval(tick, LIVE_EVERY_MS);
begin();
