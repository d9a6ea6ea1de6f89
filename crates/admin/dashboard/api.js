// What the server is asked, and what goes wrong in words.

/** An answer that is not what was asked for. */
export class Refused extends Error {
  constructor(status, message, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** Longer than the server takes for anything. */
const PATIENCE = 25_000;

/** Asks; answers with the JSON, or throws a `Refused` with words for people. Status 0: there was no answer. */
export async function ask(path, options = {}) {
  const { json } = await exchange(path, { ...options, accept: "application/json" });
  if (json === null) throw new Refused(200, "The server's answer is no JSON.");
  return json;
}

/** The same, for the words that a command prints. */
export async function askText(path) {
  return (await exchange(path, { accept: "text/plain" })).text;
}

async function exchange(path, { method = "GET", body, headers = {}, accept }) {
  const request = { method, headers: { Accept: accept, ...headers }, cache: "no-store" };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, { ...request, signal: AbortSignal.timeout(PATIENCE) });
  } catch (error) {
    const why = error.name === "TimeoutError" ? "did not answer in time" : "cannot be reached";
    throw new Refused(0, `The server ${why}.`);
  }
  const text = await response.text().catch(() => "");
  let json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // Of something in between.
  }
  if (!response.ok) throw new Refused(response.status, json?.error ?? `The server answered ${response.status}.`, json);
  return { json, text };
}

/** A path with a query; what is empty is left out. */
export function at(path, query = {}) {
  const all = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== undefined));
  return all.size > 0 ? `${path}?${all}` : path;
}

/** A part of a path. */
export const part = encodeURIComponent;

/** Calls for the newest of some questions: answers to older ones are dropped. */
export function newest() {
  let turn = 0;
  return async (question, use) => {
    const mine = ++turn;
    const answer = await question;
    if (mine === turn) use(answer);
  };
}
