// Light, dark, or as the system is.

import { byId } from "./dom.js";

const KEY = "meridian-theme";

/** Takes up what was chosen before, and follows the choice; `changed` is called after each change. */
export function themes(changed) {
  const select = byId("theme");
  let chosen = "auto";
  try {
    chosen = localStorage.getItem(KEY) ?? "auto";
  } catch {
    // A browser that keeps nothing.
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const is = select.value === "auto" ? (dark.matches ? "dark" : "light") : select.value;
    document.documentElement.dataset.theme = is;
    changed();
  };
  select.value = ["light", "dark"].includes(chosen) ? chosen : "auto";
  select.addEventListener("change", () => {
    try {
      localStorage.setItem(KEY, select.value);
    } catch {
      // As above.
    }
    apply();
  });
  dark.addEventListener("change", apply);
  apply();
}
