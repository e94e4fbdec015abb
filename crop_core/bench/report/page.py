"""The page's style and script: readable on a phone, in the dark and on paper; columns sort by a click or a key."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1c2530; --soft: #5a6673; --line: #d5dbe2; --page: #fff; --card: #f5f7f9;
  --accent: #0072b2 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #a3aeb9; --line: #3a444f; --page: #14181d;
  --card: #1d232a; --accent: #56b4e9 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1200px; padding: 16px; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--page) }
h1 { font-size: 1.6rem; line-height: 1.25 } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem }
nav a { margin-right: 1rem; color: var(--accent) } .soft { color: var(--soft) }
.headline { background: var(--card); border-left: 4px solid var(--accent); padding: .6rem 1rem .6rem 2rem; margin: 0 }
.scroll { overflow: auto; max-height: 75vh; border: 1px solid var(--line) }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; width: 100% }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap }
td.reply { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 8rem } td.wrong { color: var(--soft) }
thead th { position: sticky; top: 0; background: var(--card) }
th button { all: unset; cursor: pointer; font-weight: 600 } th button:focus-visible { outline: 2px solid var(--accent) }
th[aria-sort=ascending] button::after { content: " ▲" } th[aria-sort=descending] button::after { content: " ▼" }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem }
dt { font-weight: 600 } dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 600px) { dl { grid-template-columns: 1fr } dd { margin-bottom: .5rem } .pane { min-width: 640px } }
details summary { cursor: pointer; color: var(--accent) }
@media print { nav { display: none } thead th { position: static }
  .scroll { overflow: visible; max-height: none } body { max-width: none }
  table { font-size: 7pt } th, td { padding: 1pt 3pt; white-space: normal } figure { break-inside: avoid } }
.cartesianlayer [class*=tick] text, .infolayer text { fill: var(--ink) !important }
figure { margin: 1rem 0; overflow-x: auto }
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const value = (row, at) => row.cells[at].textContent.trim();
  const compare = (a, b) => {
    const x = parseFloat(a.replace("<", "")), y = parseFloat(b.replace("<", ""));
    if (Number.isNaN(x) || Number.isNaN(y)) return a.localeCompare(b);
    return x - y;
  };
  heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
    body.append(...[...body.rows].sort((a, b) => down * compare(value(a, at), value(b, at))));
  }));
}
const plots = () => document.querySelectorAll(".js-plotly-plot");
addEventListener("beforeprint", () => plots().forEach(plot => Plotly.relayout(plot, { width: 680 })));
addEventListener("afterprint", () => plots().forEach(plot => Plotly.relayout(plot, { width: null, autosize: true })));
"""
