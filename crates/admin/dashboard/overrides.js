// What operators say: the list, and the form that adds to it.

import { ask, at } from "./api.js";
import { byId, h, replace, say } from "./dom.js";
import { moment, number, percent, verdict } from "./words.js";

/** How long a second press lifts an override. */
const SURE = 6000;
/** Kinds of gateways whose moves are told. */
const MOVES = 6;

export class Overrides {
  #on;
  #mayChange = false;
  #sure = null;
  #all = [];
  /** What "do it anyway" does. */
  #anyway = null;

  /** `on.changed` is called after each change. */
  constructor(on) {
    this.#on = on;
    const form = byId("override-form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.submitter?.id === "override-try") this.#try();
      else this.#say(false);
    });
    byId("override-anyway").addEventListener("click", () => this.#anyway?.());
    form.addEventListener("change", () => this.#follow());
    form.addEventListener("input", () => {
      byId("override-anyway").hidden = true;
    });
    this.#follow();
  }

  /** A viewer sees the form, and why it is closed. */
  permit({ name, role }) {
    this.#mayChange = role === "operator";
    byId("override-fields").disabled = !this.#mayChange;
    say(byId("override-closed"), this.#mayChange ? "" : `Your token${name ? ` (${name})` : ""} is a viewer's: it is good for looking. Overrides need one of an operator.`);
    const by = byId("override-by");
    if (by.value === "" && name) by.value = name;
    this.#list();
  }

  /** Fills the target in, and goes there. */
  of(target) {
    byId("override-target").value = target;
    byId("override-anyway").hidden = true;
    byId("override-state-drain").checked = true;
    this.#follow();
    byId("override-form").scrollIntoView({ block: "center" });
    (this.#mayChange ? byId("override-reason") : byId("override-title")).focus({ preventScroll: true });
  }

  suggest(clusters, gateways) {
    const targets = [...clusters.map((name) => `cluster/${name}`), ...gateways.map((name) => `gateway/${name}`)];
    replace(byId("override-targets"), targets.slice(0, 200).map((value) => h("option", { value })));
  }

  async refresh() {
    this.#all = await ask("/v1/overrides");
    this.#list();
  }

  //--- The list

  #list() {
    const rows = this.#all.map((one) => h("tr", {},
      h("th", { scope: "row", class: "break", "data-label": "Target" }, one.target),
      h("td", { "data-label": "State" }, verdict(one.state, one.over && one.over !== "0s" ? ` over ${one.over}` : "")),
      h("td", { "data-label": "Addresses", class: "number" }, one.addresses === null ? "–" : number(one.addresses)),
      h("td", { "data-label": "Until" }, one.until === null ? "lifted" : moment(one.until)),
      h("td", { "data-label": "Why" }, one.reason, h("div", { class: "quiet small" }, `${one.by}, ${moment(one.since)}`)),
      h("td", { class: "actions" }, this.#mayChange ? this.#restore(one.target) : null)));
    const none = h("tr", {}, h("td", { colspan: 6, class: "quiet" }, "None: what the probes say counts everywhere."));
    replace(byId("override-rows"), rows.length > 0 ? rows : none);
  }

  #restore(target) {
    const isSure = this.#sure === target;
    const press = () => (isSure ? this.#lift(target) : this.#ask(target));
    return h("button", { type: "button", class: isSure ? "danger" : null, "data-key": `restore ${target}`, "aria-label": isSure ? `Really restore ${target}` : `Restore ${target}`, onclick: press }, isSure ? "Really restore" : "Restore");
  }

  #ask(target) {
    this.#sure = target;
    this.#list();
    setTimeout(() => {
      if (this.#sure !== target) return;
      this.#sure = null;
      this.#list();
    }, SURE);
  }

  async #lift(target, force = "") {
    this.#sure = null;
    this.#wait();
    try {
      const by = byId("override-by").value.trim();
      await ask(at("/v1/overrides", { target, force, by }), { method: "DELETE" });
      this.#told(`${target} is restored.`, false);
    } catch (error) {
      this.#refused(error, () => this.#lift(target, "true"));
    }
    await this.#changed();
    byId("override-title").focus();
  }

  //--- The form

  #follow() {
    const isDrain = byId("override-state-drain").checked;
    byId("override-over").disabled = !isDrain;
    byId("override-over-field").classList.toggle("is-off", !isDrain);
  }

  #body() {
    const value = (id) => byId(id).value.trim();
    const state = new FormData(byId("override-form")).get("state");
    const body = { target: value("override-target"), state, reason: value("override-reason"), by: value("override-by") };
    if (state === "drain" && value("override-over") !== "") body.over = value("override-over");
    if (value("override-for") !== "") body.for = value("override-for");
    return body;
  }

  /** What it would do. */
  async #try() {
    this.#wait();
    try {
      const { consequences } = await ask("/v1/overrides", { method: "PUT", body: { ...this.#body(), dry_run: true } });
      this.#told(consequences.moves.length === 0 ? "It would move nobody." : "It would move clients:", false);
      this.#moves(consequences);
    } catch (error) {
      this.#told(error.message, true);
    }
  }

  async #say(force) {
    this.#wait();
    try {
      const said = await ask("/v1/overrides", { method: "PUT", body: force ? { ...this.#body(), force } : this.#body() });
      const addresses = said.addresses === null ? "" : `; it decides for ${number(said.addresses)} ${said.addresses === 1 ? "address" : "addresses"}`;
      const kept = said.not_kept ? ` A restart would not know of it: ${said.not_kept}` : "";
      this.#told(`${said.target} is ${said.state}${addresses}.${kept}`, Boolean(said.not_kept));
      byId("override-reason").value = "";
    } catch (error) {
      this.#refused(error, () => this.#say(true));
    }
    await this.#changed();
  }

  #wait() {
    this.#told("…", false);
    this.#moves(null);
    byId("override-anyway").hidden = true;
  }

  /** What was refused as nothing would be left that serves can be done all the same. */
  #refused(error, anyway) {
    this.#told(error.message, true);
    const consequences = error.body?.consequences ?? null;
    this.#moves(consequences);
    this.#anyway = anyway;
    byId("override-anyway").hidden = consequences === null;
  }

  #moves(consequences) {
    const share = (of) => percent(Math.max(of.ipv4 ?? 0, of.ipv6 ?? 0) / 100);
    const rows = (consequences?.moves ?? []).slice(0, MOVES).map((one) => h("li", {},
      one.gateways.slice(0, 3).join(", "), one.gateways_count > 3 ? ` and ${number(one.gateways_count - 3)} more` : "",
      `: ${share(one.moved_percent)} of the clients move`,
      one.left_countries.length > 0 ? h("strong", {}, `, ${share(one.left_percent)} are left with nothing that serves`) : null));
    const more = (consequences?.moves.length ?? 0) - rows.length;
    if (more > 0) rows.push(h("li", {}, `and ${number(more)} kinds more`));
    if (consequences?.not_compared > 0) rows.push(h("li", {}, `${number(consequences.not_compared)} gateways were not looked at: it took too long`));
    replace(byId("override-moves"), rows);
  }

  #told(text, isError) {
    const told = byId("override-told");
    told.classList.toggle("is-error", isError);
    say(told, text);
  }

  async #changed() {
    await this.refresh().catch((error) => this.#told(error.message, true));
    this.#on.changed();
  }
}
