// Requests to this server.

/** Nobody is logged in, or no longer. */
export class Unauthorized extends Error {}

/** Reads JSON. Parameters without a value are left out. What is marked with `data` is unwrapped. */
export async function get(path, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  const answer = await ask(query ? `${path}?${query}` : path, {});
  return "data" in answer ? answer.data : answer;
}

/** Sends JSON. */
export function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, cache: "no-store" });
  } catch {
    throw new Error("The server does not answer.");
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    answer = { error: text.trim() };
  }
  if (response.ok) return answer;
  const problem = answer.error || `The server answered ${response.status}.`;
  throw response.status === 401 ? new Unauthorized(problem) : new Error(problem);
}
