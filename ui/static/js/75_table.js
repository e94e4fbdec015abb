// Every visual token as a row of a table; a row and its cell in the pictures are one click apart.

const PAGE = 25;
const NOT_NUMBER = -Infinity;
const lastScore = (trace, i) => {
  const scores = trace.group[i] < 0 ? [] : trace.steps.map((step) => step.scores && step.scores[trace.group[i]]).filter(Number.isFinite);
  return scores.length ? scores[scores.length - 1] : NOT_NUMBER;
};
const COLUMNS = [
  { name: "token", value: (t, i) => i, text: (v) => v },
  { name: "column", value: (t, i) => gridCell(t, i, 0), text: (v) => (v < 0 ? "–" : v) },
  { name: "row", value: (t, i) => gridCell(t, i, 1), text: (v) => (v < 0 ? "–" : v) },
  { name: "in region", value: (t, i) => Number(Boolean(t.inRegion[i])), text: (v) => (v ? "yes" : "no") },
  { name: "ring", value: (t, i) => t.ring[i], text: (v, t) => ringName(v, t.lastRing) },
  { name: "pooled with", value: (t, i) => (t.group[i] < 0 ? -1 : t.members[t.group[i]].length - 1), text: (v) => (v < 0 ? "dropped before the LLM" : v || "–") },
  { name: "last score", value: lastScore, text: (v) => (v === NOT_NUMBER ? "–" : v.toPrecision(3)) },
  { name: "gone from layer", value: (t, i) => t.diedAt[i], text: (v, t) => (v >= t.layers ? "never" : v) },
];

// Column (axis 0) or row (1) of the 8x8 grid in which a token lies, -1 without a place.
function gridCell(trace, i, axis) {
  const box = trace.boxes[i];
  return hasPlace(box) ? clamp(Math.floor((4 * (box[axis] + box[axis + 2])) / trace.size[axis]), 0, 7) : -1;
}

class TokenTable {
  constructor(pin) {
    this.pin = pin;
    this.pinned = -1;
    this.by = { column: 0, down: false };
    this.page = 0;
    this.head = COLUMNS.map((column, k) => h("th", { scope: "col" }, h("button", { type: "button", onclick: () => this.sort(k) }, column.name)));
    this.body = h("tbody", {});
    this.where = h("span", { class: "cx-small", role: "status" });
    const step = (by, words) => h("button", { type: "button", class: "cx-button", onclick: () => this.turn(this.page + by) }, words);
    const table = h("table", {}, h("caption", {}, "Visual tokens; click one to find it in the pictures"), h("thead", {}, h("tr", {}, this.head)), this.body);
    this.root = h("details", { class: "cx-table cx-card", hidden: true, ontoggle: () => this.draw() }, h("summary", {}, "Every visual token in a table"), h("div", { class: "cx-scroll", tabindex: 0, role: "region", "aria-label": "Table of visual tokens" }, table), h("div", { class: "cx-tools" }, step(-1, "Back"), this.where, step(1, "Next")));
  }

  update({ trace }) {
    this.root.hidden = !trace;
    if (!trace || trace === this.trace) return;
    this.trace = trace;
    this.sorted();
  }

  sort(column) {
    this.by = { column, down: this.by.column === column && !this.by.down };
    this.sorted();
  }

  sorted() {
    const { column, down } = this.by;
    const value = COLUMNS[column].value;
    const keys = this.trace.group.map((_, i) => value(this.trace, i));
    this.rows = keys.map((_, i) => i).sort((a, b) => (down ? keys[b] - keys[a] : keys[a] - keys[b]) || a - b);
    this.head.forEach((cell, k) => cell.setAttribute("aria-sort", k !== column ? "none" : down ? "descending" : "ascending"));
    this.turn(0);
  }

  turn(page) {
    this.page = clamp(page, 0, Math.ceil(this.rows.length / PAGE) - 1);
    this.draw();
  }

  // The page with a token, which is marked; -1 marks none.
  show(token) {
    this.pinned = token;
    if (!this.trace) return;
    if (token >= 0) this.page = Math.floor(this.rows.indexOf(token) / PAGE);
    this.draw();
  }

  draw() {
    if (!this.root.open || !this.trace) return;
    const first = this.page * PAGE;
    const rows = this.rows.slice(first, first + PAGE);
    this.where.textContent = `${first + 1}–${first + rows.length} of ${this.rows.length}`;
    this.body.replaceChildren(...rows.map((i) => this.row(i)));
  }

  row(i) {
    const pick = () => this.pin(i === this.pinned ? -1 : i);
    const [first, ...others] = COLUMNS.map((column) => String(column.text(column.value(this.trace, i), this.trace)));
    const button = h("button", { type: "button", "aria-pressed": String(i === this.pinned), onclick: pick }, first);
    return h("tr", { class: i === this.pinned ? "cx-pinned" : null }, h("th", { scope: "row" }, button), others.map((text) => h("td", {}, text)));
  }
}
