// The dashboard: asks the server that it came from, and shows what it says.

import { ask, at } from "./api.js";
import { History } from "./chart.js";
import { byId, h, replace, say, soon } from "./dom.js";
import { Explain } from "./explain.js";
import { Gateways } from "./gateways.js";
import { follow } from "./live.js";
import { WorldMap } from "./map.js";
import { Overrides } from "./overrides.js";
import { themes } from "./theme.js";
import { age, clock, colour, counts, letter, moment, number, percent, verdict } from "./words.js";

/** How long changes are waited for, so that many are shown at once. */
const TOGETHER = 300;
/** How often everything is asked for anew, whatever happens. */
const EVERY = 15_000;
/** From one attempt at a first answer to the next. */
const AGAIN = 2000;
/** Transitions that are shown. */
const FEED = 60;
/** From one that is read aloud to the next. */
const ALOUD = 4000;
/** Clusters that are shown: more than there are letters for would be no map. */
const CLUSTERS = 200;

const state = { clusters: [], clustersTotal: 0, map: null, live: null, refreshed: null, last: 0, aloud: 0 };
const map = new WorldMap();
const history = new History();
const explain = new Explain();
const overrides = new Overrides({ changed: () => refreshSoon() });
const gateways = new Gateways({
  selected: (name) => {
    history.keepOnly(name);
    choose(name);
    refreshMap().catch(failed);
  },
  history: (endpoint, opener) => history.open(endpoint, opener),
  override: (target) => overrides.of(target),
  failed,
});

//--- Asking

async function refresh() {
  const [clusters, verdicts, configuration] = await Promise.all([ask(at("/v1/clusters", { limit: CLUSTERS })), ask("/v1/verdicts"), ask("/v1/configuration")]);
  state.clusters = clusters.items;
  state.clustersTotal = clusters.total;
  gateways.setClusters(state.clusters);
  summary(verdicts, configuration);
  await Promise.all([gateways.refresh(), overrides.refresh(), refreshMap()]);
  state.refreshed = Date.now();
  say(byId("problem"), "");
  tell();
}

async function refreshMap() {
  if (gateways.selected === null) return;
  const name = gateways.selected;
  const answer = await ask(at("/v1/map", { gateway: name }));
  if (name !== gateways.selected) return;
  state.map = answer;
  map.show(answer, state.clusters);
  clusterRows();
}

let isAsking = false;
let again = false;
const refreshSoon = soon(TOGETHER, async () => {
  if (isAsking) {
    again = true;
    return;
  }
  isAsking = true;
  await refresh().catch(failed);
  isAsking = false;
  if (again) refreshSoon();
  again = false;
});

function failed(error) {
  say(byId("problem"), error.message);
  tell();
}

async function transitions() {
  const found = await ask(at("/v1/transitions", { limit: FEED }));
  replace(byId("feed"));
  state.last = 0;
  for (const one of found.items) feed(one);
}

//--- Showing

function summary(verdicts, configuration) {
  replace(byId("sum-addresses"), counts(verdicts.effective));
  const forced = Object.entries(verdicts.forced);
  replace(byId("sum-forced"), forced.length === 0 ? h("span", { class: "quiet" }, "none") : forced.map(([word, count], index) => [index > 0 ? " " : null, verdict(word, ` ${number(count)}`)]));
  const healthy = state.clusters.filter((cluster) => cluster.effective === "healthy").length;
  replace(byId("sum-clusters"), counts(state.clusters.reduce((sum, one) => ({ ...sum, [one.effective]: (sum[one.effective] ?? 0) + 1 }), {})));
  document.title = healthy === state.clusters.length ? "Meridian" : `(${state.clusters.length - healthy}) Meridian`;
  const { refused } = configuration;
  replace(byId("sum-configuration"),
    h("code", {}, configuration.sha256.slice(0, 12)), h("span", { class: "quiet" }, ` ${age(configuration.age_ms)} old`));
  byId("refused").hidden = refused === null;
  if (refused !== null) {
    say(byId("refused-when"), `A new configuration was refused at ${moment(refused.at)}; the one before it is in force.`);
    say(byId("refused-issues"), refused.issues);
  }
}

function clusterRows() {
  const shares = new Map((state.map?.clusters ?? []).map((one) => [one.cluster, one.share]));
  const rows = state.clusters.map((cluster, index) => {
    const share = shares.get(cluster.name) ?? 0;
    const meter = h("span", { class: "meter", "aria-hidden": "true" }, h("span", { class: `b-${colour(index)}` }));
    meter.firstChild.style.width = `${share * 100}%`;
    return h("tr", {},
      h("th", { scope: "row", "data-label": "Cluster" }, h("span", { class: `swatch b-${colour(index)}`, "aria-hidden": "true" }, letter(index)), h("span", { class: "unseen" }, `${letter(index)}: `), ` ${cluster.name}`),
      h("td", { "data-label": "State" }, verdict(cluster.effective), cluster.forced > 0 ? h("span", { class: "quiet" }, ` · ${number(cluster.forced)} forced`) : null),
      h("td", { "data-label": "Addresses" }, counts(cluster.addresses)),
      h("td", { "data-label": "Clients", class: "number" }, percent(share), meter),
      h("td", { class: "actions" }, h("button", { type: "button", "data-key": `drain ${cluster.name}`, "aria-label": `Override cluster ${cluster.name}`, onclick: () => overrides.of(`cluster/${cluster.name}`) }, "Override…")));
  });
  const nobody = shares.get(null) ?? 0;
  replace(byId("cluster-rows"), rows);
  const more = state.clustersTotal > state.clusters.length ? `The first ${state.clusters.length} of ${number(state.clustersTotal)} clusters. ` : "";
  say(byId("clusters-more"), more + (nobody > 0 ? `${percent(nobody)} of the clients get no cluster.` : ""));
}

/** The gateways to choose from, above the map. */
let choices = [];
async function choose(selected) {
  if (choices.length === 0) {
    const list = await ask(at("/v1/gateways", { limit: 100 })).catch(() => null);
    if (list === null) return;
    choices = list.items.map((gateway) => gateway.name);
    explain.suggest(list.items.flatMap((gateway) => gateway.hostnames).filter((name) => !name.startsWith("*")));
    overrides.suggest(state.clusters.map((cluster) => cluster.name), choices);
  }
  const shown = choices.includes(selected) ? choices : [selected, ...choices];
  const select = byId("map-gateway");
  if (select.options.length !== shown.length) replace(select, shown.map((name) => h("option", { value: name }, name)));
  select.value = selected;
}

//--- What happens

function feed(one) {
  if (one.number <= state.last) return;
  state.last = one.number;
  const list = byId("feed");
  list.prepend(h("li", {},
    h("div", {}, h("time", { datetime: one.at, class: "quiet" }, clock(one.at)), " ", verdict(one.from), " → ", verdict(one.effective)),
    h("div", { class: "break" }, one.endpoint, one.gateways > 1 ? h("span", { class: "quiet" }, ` and ${number(one.gateways - 1)} more`) : null),
    h("div", { class: "quiet small break" }, one.cause)));
  while (list.children.length > FEED) list.lastChild.remove();
}

function aloud(one) {
  const now = Date.now();
  if (now - state.aloud < ALOUD) return;
  state.aloud = now;
  say(byId("aloud"), `${one.endpoint} is ${one.effective}, it was ${one.from}.`);
}

/** Whether what is shown is what is. */
function tell() {
  const old = state.refreshed === null ? null : Date.now() - state.refreshed;
  const isStale = state.live === false || (old !== null && old > 2.5 * EVERY);
  document.body.classList.toggle("is-stale", isStale);
  const pill = byId("connection");
  pill.className = `pill ${state.live === true && !isStale ? "is-live" : "is-away"}`;
  const words = state.live === null ? "Connecting…" : isStale ? `Connection lost: trying again. What you see is ${old === null ? "nothing" : `${age(old)} old`}.` : "Live";
  say(byId("connection-words"), words);
}

//--- Begin

/** Tries until it succeeds: a server that starts may answer some and not the other. */
async function first() {
  try {
    map.draw(await ask("/dashboard/vendor/countries-110m.json"));
    overrides.permit(await ask("/v1/caller"));
    say(byId("version"), (await ask("/v1/process")).version);
    await Promise.all([transitions(), refresh()]);
  } catch (error) {
    failed(error);
    setTimeout(first, AGAIN);
  }
}

themes(() => history.repaint());
byId("map-gateway").addEventListener("change", (event) => gateways.select(event.target.value));
first();
follow("/v1/events", {
  state: (isLive) => {
    state.live = isLive;
    tell();
  },
  view: refreshSoon,
  change: refreshSoon,
  transition: (one) => {
    feed(one);
    aloud(one);
    refreshSoon();
  },
  lost: () => {
    choices = [];
    transitions().catch(failed);
    refreshSoon();
  },
});
setInterval(() => {
  if (!document.hidden) refreshSoon();
}, EVERY);
setInterval(tell, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refreshSoon();
});
