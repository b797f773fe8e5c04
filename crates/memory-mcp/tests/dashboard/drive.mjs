// Drives a browser, for this test.
//
// Arguments: NODE_MODULES CHROMIUM PROFILE SCREENSHOTS SCENE URL CONFIG, where SCENE is one of the
// functions at the end and CONFIG what it needs, as JSON. A word on stdout says how far it got; what
// is not as it should be ends the process with an error.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, executablePath, profile, screenshots, scene, url, json] = process.argv.slice(2);
const config = JSON.parse(json);
const { chromium } = createRequire(join(modules, "..", "package.json"))("playwright-core");

const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  viewport: { width: 1280, height: 900 },
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
context.setDefaultTimeout(20000);
const page = context.pages()[0];

/** What must never happen: dialogs, script errors, what the policy forbade, requests to elsewhere. */
const wrong = [];
/** Failed requests that a scene provokes. */
let troubleIsExpected = false;
page.on("dialog", (dialog) => { wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
page.on("pageerror", (error) => wrong.push(`script error: ${error}`));
page.on("console", (message) => {
  const failed = /Failed to load resource/.test(message.text());
  if (message.type() === "error" && !(failed && troubleIsExpected)) wrong.push(`console: ${message.text()}`);
});
page.on("request", (request) => {
  if (!request.url().startsWith(url)) wrong.push(`request to ${request.url()}`);
});

const heading = (name) => page.getByRole("heading", { name, exact: true });
const ready = () => page.locator(".page:not([aria-busy])").waitFor();
const shot = (name) => page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });

async function go(hash) {
  await page.goto(`${url}/${hash}`);
  await ready();
}

async function logIn(token = config.token) {
  troubleIsExpected = true;
  await page.goto(url);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await ready();
  await page.locator("#live[data-state=live]").waitFor();
  troubleIsExpected = false;
}

/** Calls a tool as an agent does. */
async function call(tool, args) {
  const body = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: tool, arguments: args } };
  const answer = await fetch(`${url}/mcp`, {
    method: "POST", body: JSON.stringify(body),
    headers: { Authorization: `Bearer ${config.token}`, "Content-Type": "application/json", Accept: "application/json, text/event-stream" },
  });
  const { result } = await answer.json();
  assert.equal(result.isError, false, JSON.stringify(result));
  return result.structuredContent;
}

/** Nothing is wider than the window: a phone's reader scrolls in one direction. */
async function fits(name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
}

/** Every control has a name for those who do not see it. */
async function isNamed(name) {
  const nameless = await page.evaluate(() => [...document.querySelectorAll("a, button, input, select, textarea")]
    .filter((it) => it.offsetParent && !(it.textContent.trim() || it.ariaLabel || it.labels?.length))
    .map((it) => it.outerHTML));
  assert.deepEqual(nameless, [], `${name}: controls without a name`);
}

const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

const PAGES = {
  overview: ["#/overview?days=365", "Episodes over time"],
  episodes: ["#/episodes", "Episodes"],
  recall: ["#/recall?task=" + encodeURIComponent("the python tests fail on CI with an import error"), "Recall"],
  lessons: ["#/lessons", "Lessons"],
  playbooks: ["#/playbooks?task_type=ci", "Playbooks"],
  health: ["#/health", "Health"],
};

/** Opens the page of an episode that failed on the way and got past it. */
async function openTelling() {
  await go("#/episodes?q=" + encodeURIComponent("import error for ferry_api on CI"));
  await page.locator(".episodes .task").first().click();
  await page.locator(".timeline").waitFor();
}

const SCENES = {
  async pages() {
    await logIn();
    // Something to measure, as an agent would leave it.
    for (let n = 0; n < 5; n += 1) await call("recall", { task: "tests fail on CI", project: "ferry" });
    for (const look of ["light", "dark", "phone"]) {
      await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light" });
      await page.setViewportSize(look === "phone" ? { width: 375, height: 740 } : { width: 1280, height: 900 });
      for (const [name, [hash, title]] of Object.entries(PAGES)) {
        await go(hash);
        await heading(title).waitFor();
        await page.waitForTimeout(name === "overview" || name === "health" ? 2500 : 100);
        await isNamed(name);
        await fits(`${name}, ${look}`);
        await shot(`${name}-${look}`);
      }
      await openTelling();
      await fits(`episode, ${look}`);
      await shot(`episode-${look}`);
    }
    // Recall: what was found says why.
    await go(PAGES.recall[0]);
    assert.ok(await page.locator(".why").count() > 0);
    assert.match(await page.locator(".why").first().innerText(), /\d\.\d{3}/);
    await page.getByText("What the agent reads").waitFor();
    // Lessons and playbooks lead to their evidence.
    await go(PAGES.lessons[0]);
    assert.ok(await page.locator(".lesson").count() > 5);
    await page.locator(".evidence a").first().click();
    await page.locator(".timeline").waitFor();
    await go(PAGES.playbooks[0]);
    assert.ok(await page.locator(".entries li").count() > 0);
    // Without a mouse: the first stop skips to the content.
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.reload();
    await ready();
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.getElementById("main").contains(document.activeElement)));
    // The choice of a theme wins over the system's, and stays.
    await page.emulateMedia({ colorScheme: "light" });
    const light = await back();
    await page.getByRole("button", { name: "Switch between light and dark" }).click();
    const dark = await back();
    assert.notEqual(light, dark);
    await page.reload();
    await ready();
    assert.equal(await back(), dark);
  },

  async empty() {
    await logIn();
    for (const [name, [hash]] of Object.entries(PAGES)) {
      await go(name === "recall" ? "#/recall" : hash);
      if (name !== "health") await page.locator(".empty").first().waitFor();
      await shot(`empty-${name}`);
    }
  },

  async login() {
    troubleIsExpected = true;
    await page.goto(url);
    await shot("login-light");
    for (const token of ["mmcp_wrong", config.token.slice(0, -1)]) {
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByText("unknown token").waitFor();
    }
    await shot("login-refused");
    assert.equal(await page.getByRole("navigation").count(), 0);
    await logIn();
    // The token is nowhere a script could read it.
    const kept = await page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }));
    assert.ok(!kept.includes("memory_mcp_") && !kept.includes(config.token), kept);
    const [cookie] = await context.cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
    assert.ok(!cookie.value.includes(config.token));
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").waitFor();
    await context.addCookies([cookie]);
    troubleIsExpected = true;
    assert.equal((await page.request.get(`${url}/api/session`)).status(), 401, "a login that ended is used again");
  },

  async search() {
    await logIn();
    await go("#/episodes");
    assert.equal(await page.locator(".episodes > li").count(), 25);
    const first = await page.locator(".episodes .task").first().innerText();
    await page.getByRole("link", { name: "Older episodes" }).click();
    await page.getByRole("link", { name: "First page" }).waitFor();
    assert.notEqual(await page.locator(".episodes .task").first().innerText(), first);
    await page.getByRole("link", { name: "First page" }).click();
    await page.getByText(first).first().waitFor();

    await page.getByLabel("Search").fill("plant number 17");
    await page.getByRole("button", { name: "Search" }).click();
    await page.locator(".episodes .task", { hasText: "Water plant number 17" }).first().waitFor();
    await page.getByLabel("State").selectOption("failure");
    await page.getByLabel("Search").fill("");
    await page.getByRole("button", { name: "Search" }).click();
    await page.locator(".badge.failure").first().waitFor();
    await page.waitForFunction(() => !document.querySelector(".episodes .badge.running"));
    assert.equal(await page.locator(".episodes .badge:not(.failure)").count(), 0);
    troubleIsExpected = true;
    await go("#/episodes?where=" + encodeURIComponent("repo ="));
    await page.getByText("a value is missing").waitFor();
    troubleIsExpected = false;
    await go("#/episodes?q=zzzznothing");
    await page.getByText("No episode matches").waitFor();

    // The steps of one, with what failed and what got past it.
    await openTelling();
    assert.ok(await page.locator(".timeline > li.failed").count() > 0);
    assert.ok(await page.locator(".mark.recovered").count() > 0);
    const all = await page.locator(".timeline > li").count();
    await page.getByLabel("only errors, recoveries and checkpoints").check();
    await page.waitForFunction((n) => document.querySelectorAll(".timeline > li").length < n, all);
    await go(`#/episodes/${config.long}`);
    assert.ok((await page.locator("pre.observation").innerText()).length < 4100);
    await page.getByRole("button", { name: "Show all of it" }).click();
    await page.waitForFunction(() => document.querySelector("pre.observation").textContent.length > 9000);
    troubleIsExpected = true;
    await go("#/episodes/00000000-0000-8000-8000-000000000000");
    await page.getByText("there is no episode").waitFor();
  },

  async live() {
    await logIn();
    const total = async () => Number((await page.locator(".tile strong").first().innerText()).replace(",", ""));
    const before = await total();
    await page.evaluate(() => { window.sameDocument = true; });
    const { episode_id: id } = await call("start_episode", { task: "Catch the early train" });
    await page.waitForFunction((n) => Number(document.querySelector(".tile strong")?.textContent.replace(",", "")) === n, before + 1);
    await page.getByRole("link", { name: "Episodes", exact: true }).click();
    await page.locator(".episodes .task", { hasText: "Catch the early train" }).click();
    await page.getByText("No step is logged yet").waitFor();
    await call("log_steps", { episode_id: id, steps: [{ tool: "feet", action: "run to the station", success: true }] });
    await page.locator(".timeline", { hasText: "run to the station" }).waitFor();
    await call("complete_episode", { episode_id: id, outcome: "success" });
    await page.locator("h1 + .meta .badge.success").waitFor();
    assert.ok(await page.evaluate(() => window.sameDocument), "the page was loaded again");
  },

  async hostile() {
    await logIn();
    const { id, hostile } = config;
    const type = encodeURIComponent(hostile);
    const pages = ["#/overview", "#/episodes", `#/episodes/${id}`, "#/lessons", "#/playbooks", `#/playbooks?task_type=${type}`,
      "#/recall?task=" + encodeURIComponent("paint the fence " + hostile), "#/episodes?q=" + encodeURIComponent("fence " + hostile), "#/health"];
    let shown = 0;
    for (const hash of pages) {
      await go(hash);
      await page.waitForTimeout(300);
      const found = await page.evaluate((text) => ({
        injected: document.querySelectorAll("#injected, img[onerror], main script, main img").length,
        scripts: document.scripts.length,
        asText: document.body.innerText.split(text).length - 1,
      }), hostile);
      assert.deepEqual([found.injected, found.scripts], [0, 2], hash);
      shown += found.asText;
    }
    assert.ok(shown >= 10, `the text was shown ${shown} times`);
    await go(`#/episodes/${id}`);
    await shot("hostile");
    // What would be markup cannot even be made by a mistake: the policy keeps scripts from it.
    const stopped = await page.evaluate(() => {
      try {
        document.createElement("div").innerHTML = "<b>x</b>";
        return false;
      } catch (error) {
        return error instanceof TypeError;
      }
    });
    assert.ok(stopped, "innerHTML is not kept from text");
    wrong.splice(0, wrong.length, ...wrong.filter((it) => !it.includes("TrustedHTML")));
  },

  async projects() {
    await logIn();
    const everywhere = async () => {
      let text = "";
      for (const hash of ["#/overview", "#/episodes", "#/lessons", "#/playbooks", "#/recall?task=" + encodeURIComponent(config.secret)]) {
        await go(hash);
        text += await page.locator("main").innerText();
      }
      return text;
    };
    const text = await everywhere();
    assert.ok(text.includes("Plant the roses") && !text.includes("treasure") && !text.includes("ferry"), text);
    assert.deepEqual(await page.locator("#project option").allInnerTexts(), ["garden"]);
    troubleIsExpected = true;
    await go(`#/episodes/${config.other}`);
    await page.getByText("there is no episode").waitFor();
    // Past the pages, with the same login.
    const status = (path) => page.evaluate(async (it) => (await fetch(it)).status, path);
    assert.equal(await status("/api/episodes?project=island"), 403);
    assert.equal(await status("/api/overview?project=ferry"), 403);
    assert.equal(await status(`/api/episodes/${config.other}`), 404);
    assert.equal(await status(`/api/episodes/${config.other}/steps/1`), 404);
    assert.equal(await status(`/api/episodes/${config.other}?project=island`), 403);
    assert.equal(await status("/api/recall?task=treasure&project=island"), 403);
    const found = await page.evaluate(async () => (await fetch("/api/episodes?q=treasure")).text());
    assert.ok(!found.includes("treasure"), found);
  },

  async away() {
    await logIn();
    await go("#/episodes");
    await page.getByText("Mind the harbour light").waitFor();
    troubleIsExpected = true;
    console.log("shown");
    await page.locator("#live[data-state=stale]").waitFor({ timeout: 60000 });
    await page.getByText("The database cannot be reached").waitFor();
    await page.getByText("Mind the harbour light").waitFor();
    await shot("stale");
    console.log("marked");
    await page.locator("#live[data-state=live]").waitFor({ timeout: 60000 });
    await page.locator("#notice").waitFor({ state: "hidden" });
  },
};

try {
  await SCENES[scene]();
  assert.deepEqual(wrong, []);
} catch (error) {
  await page.screenshot({ path: join(screenshots, `${scene}-failed.png`) }).catch(() => {});
  if (wrong.length) console.error(wrong.join("\n"));
  throw error;
} finally {
  await context.close();
}
