// Class mode: the page for a projector, by `class=1` in its address; and the page as it opens, for the next class.
import { onlyOf, withValue } from "./address.js";

const isOn = () => new URLSearchParams(location.search).get("class") === "1";

// Shows the page in the mode that its address names.
export function showClassMode() {
  document.body.classList.toggle("class-mode", isOn());
}

export function setClassMode(on) {
  const query = withValue(location.search, "class", on ? "1" : null);
  history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}`);
  showClassMode();
}

// Loads the page as it opens, in the mode and theme that it has.
export function startOver() {
  const query = onlyOf(location.search, ["__theme", "view", "class"]);
  location.assign(`${location.pathname}${query ? `?${query}` : ""}`);
}
