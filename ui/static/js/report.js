// Entry module of the one-file report: the explorer with the recorded run in the page, in the reader's theme.
import { Explorer } from "./explorer.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const explorer = new Explorer(document.getElementById("run"));

function applyTheme() {
  document.documentElement.classList.toggle("dark", dark.matches);
  explorer.redraw();
}

dark.addEventListener("change", applyTheme);
applyTheme();
explorer.update(JSON.parse(document.getElementById("payload").textContent));
