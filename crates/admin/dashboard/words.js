// How verdicts, shares and times read.

import { h } from "./dom.js";

const SYMBOLS = { healthy: "✓", degraded: "▲", unhealthy: "✕", unknown: "?", up: "↑", down: "↓", drain: "⇣" };

export const symbolOf = (word) => SYMBOLS[word] ?? "";

/** A verdict, or what an operator says, by symbol, word and colour. */
export function verdict(word, more = "") {
  return h("span", { class: `verdict is-${word}` }, h("span", { "aria-hidden": "true" }, symbolOf(word)), ` ${word}${more}`);
}

/** How many addresses have each verdict: `8 ✓ 1 ✕`. */
export function counts(addresses) {
  const some = ["healthy", "degraded", "unhealthy", "unknown"].filter((word) => addresses[word] > 0);
  if (some.length === 0) return h("span", { class: "quiet" }, "none");
  return h("span", { class: "counts" }, some.map((word) =>
    h("span", { class: `verdict is-${word}`, title: `${addresses[word]} ${word}` },
      `${number(addresses[word])} `, h("span", { "aria-hidden": "true" }, symbolOf(word)),
      h("span", { class: "unseen" }, ` ${word} `))));
}

export const number = (value) => value.toLocaleString("en");

/** A share from 0 to 1. */
export function percent(share) {
  if (share >= 0.9995) return "100 %";
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** `42 s`, `3 min`, `5 h`, `2 d`. */
export function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function latency(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

export const clock = (rfc3339) => new Date(rfc3339).toLocaleTimeString("en-GB");

/** A time that may be on another day. */
export function moment(rfc3339) {
  const time = new Date(rfc3339);
  const day = time.toDateString() === new Date().toDateString() ? "" : `${time.toISOString().slice(0, 10)} `;
  return day + time.toLocaleTimeString("en-GB");
}

/** The letter by which a cluster is known on the map: A to Z, then AA. */
export function letter(index) {
  const first = index < 26 ? "" : String.fromCharCode(64 + Math.floor(index / 26));
  return first + String.fromCharCode(65 + (index % 26));
}

/** Which of the eight colours a cluster has. */
export const colour = (index) => `c${index % 8}`;
