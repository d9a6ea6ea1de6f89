// A real browser with the dashboard in it, which does what it is told, one line of JSON after the other:
// {"script": "..."} runs with `page` and `the` (below), and is answered with {"value"} or {"error"}.
// The modules are where $DASHBOARD_MODULES says; the page is $DASHBOARD_URL, the look $DASHBOARD_LOOK.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const { DASHBOARD_MODULES: modules, DASHBOARD_URL: url, DASHBOARD_PICTURES: pictures, DASHBOARD_LOOK: look } = process.env;
const require = createRequire(path.join(modules, "package.json"));
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

/** Everything else waits as long as this for what it wants. */
const PATIENCE = 30_000;

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...JSON.parse(look) });
const page = await context.newPage();
page.setDefaultTimeout(PATIENCE);

const asked = new Set();
const errors = [];
context.on("request", (request) => asked.add(new URL(request.url()).origin));
page.on("pageerror", (error) => errors.push(String(error)));
// What breaks the policy is said there; so is an answer that is an error, which tests ask for.
page.on("console", (message) => {
  if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) errors.push(message.text());
});

const the = {
  url,
  errors,
  /** Every server that was asked for anything. */
  origins: () => [...asked],
  /** Until the page has what it shows first. */
  ready: () => page.waitForFunction(() => document.querySelectorAll("#cluster-rows tr").length > 0
    && document.querySelectorAll("#endpoint-rows tr").length > 0 && document.querySelector("#connection.is-live") !== null),
  /** Until a function of the page says true, looked at with every frame; answers with milliseconds of this process's clock. */
  until: async (condition, argument) => {
    await page.waitForFunction(condition, argument, { polling: "raf" });
    return Date.now();
  },
  /** Findings of axe-core that are serious or worse. */
  axe: async () => {
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
    return { passed: passes.length, serious: serious.map((one) => ({ id: one.id, help: one.help, nodes: one.nodes.map((node) => `${node.html}: ${node.failureSummary}`) })) };
  },
  /** A picture of the whole page, for people to look at. */
  picture: async (name) => {
    fs.mkdirSync(pictures, { recursive: true });
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
  },
};

const AsyncFunction = (async () => {}).constructor;
for await (const line of readline.createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { script } = JSON.parse(line);
    answer = { value: (await new AsyncFunction("page", "the", script)(page, the)) ?? null };
  } catch (error) {
    answer = { error: String(error.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
