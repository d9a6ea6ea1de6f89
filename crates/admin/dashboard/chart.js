// The probe history of an address, as a small chart and in words.

import { ask, newest, part } from "./api.js";
import { byId, h, replace, say } from "./dom.js";
import { age, latency, number } from "./words.js";

/** How often an open chart is drawn anew. */
const EVERY = 2000;
const KINDS = [["good", "is-healthy", ""], ["degraded", "is-degraded", "▲"], ["failed", "is-unhealthy", "✕"], ["no_data", "is-unknown", "?"]];
const WORDS = { good: "good", degraded: "degraded", failed: "failed", no_data: "no data" };

export class History {
  #panel = byId("history");
  #shown = null;
  #charts = [];
  #timer = null;
  #newest = newest();

  constructor() {
    byId("history-close").addEventListener("click", () => this.close());
    new ResizeObserver(() => this.#size()).observe(byId("history-charts"));
  }

  /** Opens it for an address; `opener` gets the focus back. */
  open(endpoint, opener) {
    this.#shown = { ...endpoint, opener };
    this.#panel.hidden = false;
    say(byId("history-title"), `Probe history of ${endpoint.gateway}/${endpoint.cluster}/${endpoint.address}`);
    this.#drop();
    say(byId("history-error"), "");
    byId("history-title").focus();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.refresh(), EVERY);
    this.refresh();
  }

  close() {
    clearInterval(this.#timer);
    this.#panel.hidden = true;
    const { opener } = this.#shown ?? {};
    this.#shown = null;
    this.#drop();
    const again = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === opener);
    again?.focus();
  }

  /** Closes it if it is of another gateway. */
  keepOnly(gateway) {
    if (this.#shown !== null && this.#shown.gateway !== gateway) this.close();
  }

  async refresh() {
    if (this.#shown === null || document.hidden) return;
    const { gateway, cluster, address } = this.#shown;
    try {
      await this.#newest(ask(`/v1/endpoints/${part(gateway)}/${part(cluster)}/${part(address)}/history`), (history) => this.#show(history));
      say(byId("history-error"), "");
    } catch (error) {
      say(byId("history-error"), error.message);
    }
  }

  /** Draws anew, in other colours. */
  repaint() {
    this.#drop();
    this.refresh();
  }

  #drop() {
    for (const { chart } of this.#charts) chart.destroy();
    this.#charts = [];
    byId("history-charts").replaceChildren();
  }

  #show(history) {
    if (this.#shown === null) return;
    if (history.probes.length === 0) {
      replace(byId("history-charts"), h("p", { class: "quiet" }, "It has no probe, and counts as healthy."));
      return;
    }
    const names = history.probes.map((probe) => `${probe.name} ${probe.at}`).join();
    if (this.#charts.map((one) => one.name).join() !== names) this.#make(history.probes);
    history.probes.forEach((probe, index) => this.#fill(this.#charts[index], probe));
  }

  #make(probes) {
    this.#drop();
    for (const probe of probes) {
      const words = h("p", {});
      const place = h("div", { class: "chart", "aria-hidden": "true" });
      const rows = h("tbody", {});
      byId("history-charts").append(h("section", { "aria-label": `Probe ${probe.name}` },
        h("h4", {}, `Probe ${probe.name} of ${probe.at}`), words, place,
        h("details", {}, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Outcomes of ${probe.name}` },
          h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Ago"), h("th", { scope: "col" }, "Outcome"), h("th", { scope: "col", class: "number" }, "Took"))), rows)))));
      const chart = new window.uPlot(options(place.clientWidth || 600), [[], [], [], [], []], place);
      this.#charts.push({ name: `${probe.name} ${probe.at}`, chart, words, rows, place });
    }
  }

  #fill({ chart, words, rows }, probe) {
    const { outcomes } = probe;
    const times = outcomes.map((one) => -one.ago_ms / 1000);
    const series = KINDS.map(([kind]) => outcomes.map((one) => (one.result === kind ? Math.max(one.latency_ms, 0.01) : null)));
    chart.setData([times, ...series]);
    say(words, summary(probe));
    replace(rows, [...outcomes].reverse().map((one) => h("tr", {},
      h("td", {}, age(one.ago_ms)), h("td", {}, WORDS[one.result]), h("td", { class: "number" }, latency(one.latency_ms)))));
  }

  #size() {
    for (const { chart, place } of this.#charts) {
      if (place.clientWidth > 0 && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: chart.height });
    }
  }
}

function summary({ outcomes, timeout_ms: timeout }) {
  if (outcomes.length === 0) return "No outcome yet.";
  const counted = KINDS.map(([kind]) => [kind, outcomes.filter((one) => one.result === kind).length]).filter(([, count]) => count > 0);
  const took = outcomes.map((one) => one.latency_ms).sort((a, b) => a - b);
  const [first] = outcomes;
  const failed = outcomes.findLast((one) => one.result === "failed");
  const last = failed ? ` The last failure was ${age(failed.ago_ms)} ago.` : "";
  return `${number(outcomes.length)} outcomes in ${age(first.ago_ms)}: ${counted.map(([kind, count]) => `${count} ${WORDS[kind]}`).join(", ")}. `
    + `Median ${latency(took[took.length >> 1])}, slowest ${latency(took[took.length - 1])}, of ${latency(timeout)} that it may take.${last}`;
}

function options(width) {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(name).trim();
  const colours = { "is-healthy": token("--healthy"), "is-degraded": token("--degraded"), "is-unhealthy": token("--unhealthy"), "is-unknown": token("--unknown") };
  const bars = window.uPlot.paths.bars({ size: [0.7, 7] });
  const axis = { stroke: token("--quiet"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width,
    height: 130,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: (_, low) => [Math.min(low ?? -60, -10), 0] }, y: { range: (_, __, high) => [0, Math.max(high ?? 1, 1) * 1.2] } },
    axes: [
      { ...axis, size: 24, values: (_, marks) => marks.map((mark) => (mark === 0 ? "now" : `${-mark} s`)) },
      { ...axis, size: 52, values: (_, marks) => marks.map((mark) => `${mark} ms`) },
    ],
    series: [{}, ...KINDS.map(([label, kind]) => ({ label, paths: bars, fill: colours[kind], stroke: colours[kind], width: 0, points: { show: false } }))],
    hooks: { draw: [(chart) => marks(chart, colours)] },
  };
}

/** A symbol over every outcome that is not good: colours alone say nothing. */
function marks(chart, colours) {
  const { ctx } = chart;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  KINDS.forEach(([, kind, symbol], index) => {
    if (symbol === "") return;
    ctx.fillStyle = colours[kind];
    chart.data[index + 1].forEach((value, at) => {
      if (value === null) return;
      ctx.fillText(symbol, chart.valToPos(chart.data[0][at], "x", true), chart.valToPos(value, "y", true) - 3 * devicePixelRatio);
    });
  });
  ctx.restore();
}
