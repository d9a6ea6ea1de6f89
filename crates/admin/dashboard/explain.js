// Why a client gets the answer it gets, in the words of `meridian explain`.

import { askText, at } from "./api.js";
import { byId, h, replace, say } from "./dom.js";

/** A label and what it says; lines without a label belong to the one before. */
const LINE = /^(\S+)? +(\S.*)$/;

export class Explain {
  constructor() {
    byId("explain-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
  }

  /** What may be asked for. */
  suggest(hostnames) {
    replace(byId("explain-names"), hostnames.map((value) => h("option", { value })));
    const name = byId("explain-name");
    if (name.value === "" && hostnames.length > 0) name.value = hostnames[0];
  }

  async #ask() {
    const value = (id) => byId(id).value.trim();
    const query = { name: value("explain-name"), client: value("explain-client"), type: value("explain-type"), resolver: value("explain-resolver") };
    say(byId("explain-error"), "");
    try {
      show(await askText(at("/v1/explain", query)));
    } catch (error) {
      replace(byId("explain-result"));
      say(byId("explain-error"), error.message);
    }
  }
}

function show(text) {
  const [title, ...lines] = text.trim().split("\n").filter((line) => line !== "");
  const stages = [];
  for (const line of lines) {
    const [, label, words] = LINE.exec(line) ?? [null, undefined, line];
    if (label === undefined && stages.length > 0) stages.at(-1).lines.push(words);
    else stages.push({ label: label ?? "", lines: [words] });
  }
  replace(byId("explain-result"), h("h3", {}, title),
    h("dl", { class: "stages" }, stages.map(({ label, lines: all }) => h("div", { class: label === "answer" ? "is-answer" : null },
      h("dt", {}, label), h("dd", {}, all.map((one) => h("div", {}, one)))))));
}
