// The gateways page by page, and one of them with its endpoints.

import { ask, at, newest, part } from "./api.js";
import { byId, h, replace, say, soon } from "./dom.js";
import { age, colour, counts, latency, letter, number, percent, verdict } from "./words.js";

/** Gateways on a page, and shares that are asked for at once. */
const PAGE = 20;
const AT_ONCE = 3;
/** Endpoints of one gateway that are shown. */
const ENDPOINTS = 200;

export class Gateways {
  #on;
  #offset = 0;
  #total = 0;
  #items = [];
  #shares = new Map();
  #selected = null;
  #clusters = [];
  #newestList = newest();
  #newestOne = newest();

  /** `on.selected` is called with the name of a gateway, `on.history` and `on.override` with an endpoint. */
  constructor(on) {
    this.#on = on;
    const search = soon(250, () => this.#turn(0));
    byId("gateway-filter").addEventListener("input", search);
    byId("gateways-before").addEventListener("click", () => this.#turn(this.#offset - PAGE));
    byId("gateways-after").addEventListener("click", () => this.#turn(this.#offset + PAGE));
  }

  get selected() {
    return this.#selected;
  }

  /** The clusters in the order of their letters. */
  setClusters(clusters) {
    this.#clusters = clusters;
  }

  async refresh() {
    const contains = byId("gateway-filter").value.trim();
    await this.#newestList(ask(at("/v1/gateways", { contains, offset: this.#offset, limit: PAGE })), (list) => {
      this.#total = list.total;
      this.#items = list.items;
      if (this.#selected === null && list.items.length > 0) this.select(list.items[0].name);
      this.#list();
    });
    await Promise.all([this.#weigh(), this.#one()]);
  }

  select(name) {
    this.#selected = name;
    this.#list();
    this.#on.selected(name);
    this.#one().catch((error) => say(byId("endpoints-error"), error.message));
  }

  //--- The list

  #turn(offset) {
    this.#offset = Math.max(0, offset);
    this.refresh().catch((error) => this.#on.failed(error));
  }

  /** The shares of the gateways on the page, a few at a time. */
  async #weigh() {
    const waiting = this.#items.map((gateway) => gateway.name);
    const next = async () => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        const shares = await ask(`/v1/gateways/${part(name)}/shares`).catch(() => null);
        if (shares !== null) this.#shares.set(name, shares.clusters);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    for (const name of this.#shares.keys()) {
      if (!this.#items.some((gateway) => gateway.name === name)) this.#shares.delete(name);
    }
    this.#list();
  }

  #list() {
    const rows = this.#items.map((gateway) => {
      const isSelected = gateway.name === this.#selected;
      const more = gateway.hostnames_count - gateway.hostnames.length;
      return h("tr", { class: isSelected ? "is-selected" : null },
        h("th", { scope: "row", "data-label": "Gateway" },
          h("button", { type: "button", class: "link", "data-key": `gateway ${gateway.name}`, "aria-pressed": String(isSelected), onclick: () => this.select(gateway.name) }, gateway.name),
          h("span", { class: "quiet" }, ` ${gateway.policy}`),
          h("div", { class: "quiet small break" }, gateway.hostnames.join(", "), more > 0 ? ` and ${number(more)} more` : "")),
        h("td", { "data-label": "Addresses" }, counts(gateway.addresses)),
        h("td", { "data-label": "Share of answers", class: "wide" }, this.#bar(this.#shares.get(gateway.name))));
    });
    replace(byId("gateway-rows"), rows.length > 0 ? rows : h("tr", {}, h("td", { colspan: 3, class: "quiet" }, "No gateway has that in its name.")));
    const last = Math.min(this.#offset + PAGE, this.#total);
    say(byId("gateways-count"), this.#total === 0 ? "none" : `${number(this.#offset + 1)} to ${number(last)} of ${number(this.#total)}`);
    byId("gateways-before").disabled = this.#offset === 0;
    byId("gateways-after").disabled = last >= this.#total;
  }

  /** Which share of the clients each cluster answers, as a bar and in words. */
  #bar(shares) {
    if (shares === undefined) return h("span", { class: "quiet" }, "…");
    const index = (name) => this.#clusters.findIndex((cluster) => cluster.name === name);
    const known = shares.filter((one) => one.share > 0);
    const words = known.slice(0, 3).map((one) => (one.cluster === null ? `no answer ${percent(one.share)}` : `${letter(Math.max(index(one.cluster), 0))} ${one.cluster} ${percent(one.share)}`));
    const more = known.length > 3 ? `, ${known.length - 3} more` : "";
    return [
      h("div", { class: "bar", "aria-hidden": "true" }, known.map((one) => {
        const piece = h("span", { class: `b-${one.cluster === null ? "none" : colour(Math.max(index(one.cluster), 0))}` });
        piece.style.flexGrow = String(one.share);
        return piece;
      })),
      h("div", { class: "quiet small" }, words.join(", ") + more),
    ];
  }

  //--- One gateway

  async #one() {
    const name = this.#selected;
    if (name === null) return;
    await this.#newestOne(ask(`/v1/gateways/${part(name)}`), (gateway) => {
      say(byId("endpoints-error"), "");
      this.#show(gateway);
    });
  }

  #show(gateway) {
    say(byId("endpoints-title"), `Endpoints of ${gateway.name}`);
    const promise = gateway.fail_over === null ? "nothing detects a dead address" : `a dead address is out of the answers within ${latency(gateway.fail_over.published_ms)}, out of caches within ${age(gateway.fail_over.caches_ms)}`;
    const facts = [`${gateway.policy}`, `TTL ${gateway.ttl} s (${gateway.min_ttl} s in doubt)`, gateway.probe === null ? "no probe" : `probe ${gateway.probe}`, `when all are down: ${gateway.all_down}`, gateway.residency ? "residency applies" : null, promise];
    say(byId("endpoints-facts"), facts.filter((fact) => fact !== null).join(" · "));
    const hostnames = gateway.hostnames.slice(0, 8).join(", ");
    const more = gateway.hostnames.length > 8 ? ` and ${number(gateway.hostnames.length - 8)} more` : "";
    say(byId("endpoints-hostnames"), hostnames + more);
    const all = gateway.endpoints.flatMap((endpoint) => endpoint.addresses.map((address) => ({ endpoint, address })));
    replace(byId("endpoint-rows"), all.slice(0, ENDPOINTS).map(({ endpoint, address }) => this.#endpoint(endpoint, address)));
    say(byId("endpoints-more"), all.length > ENDPOINTS ? `The first ${ENDPOINTS} of ${number(all.length)} addresses; GET /v1/endpoints has all of them.` : "");
  }

  #endpoint(endpoint, of) {
    const { probe } = of;
    const name = of.address ?? of.hostname ?? "";
    const key = `${of.gateway}/${of.cluster}/${name}`;
    const forced = of.forced === null ? null : verdict(of.forced, of.left_percent === null ? "" : ` (${Math.round(of.left_percent)} % left)`);
    const observed = of.forced !== null || of.frozen ? [" observed ", verdict(of.observed)] : null;
    const track = endpoint.track === "stable" ? "" : `, ${endpoint.track}`;
    return h("tr", {},
      h("th", { scope: "row", "data-label": "Address" }, h("span", { class: "address break" }, name), h("div", { class: "quiet" }, of.cluster)),
      h("td", { "data-label": "Counts as" }, verdict(of.effective), forced ? [" · forced ", forced] : null, observed, of.frozen ? " · frozen" : null,
        probe?.held_ms ? h("span", { class: "quiet" }, ` for ${age(probe.held_ms)}`) : null,
        probe?.cause ? h("div", { class: "cause quiet small" }, probe.cause) : null),
      h("td", { "data-label": "Weight", class: "number" }, `${endpoint.weight}${track}`),
      h("td", { "data-label": "Last probe", class: "number" }, probe?.last ? latency(probe.last.latency_ms) : "–"),
      h("td", { class: "actions" },
        of.address === null ? null : h("button", { type: "button", "data-key": `history ${key}`, "aria-label": `Probe history of ${key}`, onclick: () => this.#on.history(of, `history ${key}`) }, "History"),
        h("button", { type: "button", "data-key": `override ${key}`, "aria-label": `Override ${key}`, onclick: () => this.#on.override(`endpoint/${key}`) }, "Override…")));
  }
}
