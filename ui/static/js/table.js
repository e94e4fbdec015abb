// Every visual token as a row of a table; a click on a row marks the token in the views, and vice versa.
import { h } from "./dom.js";
import { clamp, ringName } from "./format.js";
import { cellAt } from "./grid.js";
import { hasBox } from "./trace.js";

const PAGE = 25; // rows
const NO_SCORE = -Infinity;

const onImage = ({ ring, boxes }, i) => ring[i] >= 0 && hasBox(boxes[i]);
const inRegion = (trace, i) => (trace.region ? Number(Boolean(trace.inRegion[i])) : -1);

// Column (axis 0) or row (1) of the 8x8 grid that holds a token's centre, -1 for a token that is not on the image.
function gridCell(trace, i, axis) {
  const box = trace.boxes[i];
  return onImage(trace, i) ? cellAt((box[axis] + box[axis + 2]) / 2, trace.size[axis]) : -1;
}

// "0–14, 28–42"
function pixels([l, t, r, b]) {
  const range = (from, to) => `${Math.round(from)}–${Math.round(to)}`;
  return `${range(l, r)}, ${range(t, b)}`;
}

// The score of a token at the last cut that scored it.
function lastScore({ group, steps }, i) {
  const scores = group[i] < 0 ? [] : steps.map((step) => step.scores?.[group[i]]).filter(Number.isFinite);
  return scores.length ? scores[scores.length - 1] : NO_SCORE;
}

const pooledWith = ({ group, members }, i) => (group[i] < 0 ? -1 : members[group[i]].length - 1);
const cellText = (cell) => (cell < 0 ? "–" : cell);

// value(trace, token) is sorted by, text(value, trace) is shown.
export const COLUMNS = [
  { name: "token", value: (_, i) => i, text: (v) => v },
  { name: "column", value: (t, i) => gridCell(t, i, 0), text: cellText },
  { name: "row", value: (t, i) => gridCell(t, i, 1), text: cellText },
  { name: "x, y px", value: (t, i) => (onImage(t, i) ? i : -1), text: (v, t) => (v < 0 ? "–" : pixels(t.boxes[v])) },
  { name: "in region", value: inRegion, text: (v) => ["no", "yes"][v] ?? "–" },
  { name: "ring", value: (t, i) => t.ring[i], text: (v, t) => (v || t.lastRing ? ringName(v, t) : "–") },
  { name: "pooled with", value: pooledWith, text: (v) => (v < 0 ? "pruned before the LLM" : v || "–") },
  { name: "last score", value: lastScore, text: (v) => (v === NO_SCORE ? "–" : v.toPrecision(3)) },
  { name: "pruned at layer", value: (t, i) => t.dropLayer[i], text: (v, t) => (v >= t.layers ? "never" : v) },
];

// All tokens in the order of a column; equal ones stay in their own order.
export function sortedTokens(trace, column, descending) {
  const keys = trace.group.map((_, i) => COLUMNS[column].value(trace, i));
  const sign = descending ? -1 : 1;
  return keys.map((_, i) => i).sort((a, b) => (keys[a] === keys[b] ? a - b : sign * (keys[a] - keys[b])));
}

// The texts of a token's row.
export const rowTexts = (trace, i) => COLUMNS.map((column) => String(column.text(column.value(trace, i), trace)));

export class TokenTable {
  // onPick: called with the token whose row is clicked, -1 when it was marked already.
  constructor(onPick) {
    this.onPick = onPick;
    this.pinned = -1;
    this.order = { column: 0, descending: false };
    this.page = 0;
    this.head = COLUMNS.map(({ name }, k) => {
      const sort = h("button", { type: "button", onclick: () => this.sortBy(k) }, name);
      return h("th", { scope: "col" }, sort);
    });
    this.body = h("tbody", {});
    this.range = h("span", { class: "cx-small", role: "status" });
    this.root = h(
      "details",
      { class: "cx-table cx-card", hidden: true, ontoggle: () => this.draw() },
      h("summary", {}, "Every visual token in a table"),
      this.makeTable(),
      h("div", { class: "cx-tools" }, this.pageButton(-1, "Back"), this.range, this.pageButton(1, "Next")),
    );
  }

  makeTable() {
    const caption = h("caption", {}, "Visual tokens; click a row to mark it in the image");
    const table = h("table", {}, caption, h("thead", {}, h("tr", {}, this.head)), this.body);
    const role = { tabindex: 0, role: "region", "aria-label": "Table of visual tokens" };
    return h("div", { class: "cx-scroll", ...role }, table);
  }

  pageButton(by, text) {
    return h("button", { type: "button", class: "cx-button", onclick: () => this.turn(this.page + by) }, text);
  }

  update({ trace }) {
    this.root.hidden = !trace;
    if (!trace || trace === this.trace) return;
    this.trace = trace;
    this.sort();
  }

  // A second click on the same column turns its order round.
  sortBy(column) {
    this.order = { column, descending: this.order.column === column && !this.order.descending };
    this.sort();
  }

  sort() {
    const { column, descending } = this.order;
    this.rows = sortedTokens(this.trace, column, descending);
    this.head.forEach((cell, k) => {
      cell.setAttribute("aria-sort", k !== column ? "none" : descending ? "descending" : "ascending");
    });
    this.turn(0);
  }

  turn(page) {
    this.page = clamp(page, 0, Math.ceil(this.rows.length / PAGE) - 1);
    this.draw();
  }

  // Marks a token and turns to its page; -1 marks none.
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
    this.range.textContent = `${first + 1}–${first + rows.length} of ${this.rows.length}`;
    this.body.replaceChildren(...rows.map((i) => this.row(i)));
  }

  row(i) {
    const pinned = i === this.pinned;
    const [first, ...others] = rowTexts(this.trace, i);
    const pick = () => this.onPick(pinned ? -1 : i);
    const button = h("button", { type: "button", "aria-pressed": String(pinned) }, first); // for the keyboard
    const cells = others.map((text) => h("td", {}, text));
    const props = { class: pinned ? "cx-pinned" : null, onclick: pick };
    return h("tr", props, h("th", { scope: "row" }, button), cells);
  }
}
