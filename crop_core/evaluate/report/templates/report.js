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
