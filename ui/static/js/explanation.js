// How the region came about: lines or boxes with scores, or a map over the image; the same for every localizer.
import { h } from "./dom.js";
import { drawMap, drawQuads } from "./layers.js";

const percent = (score) => (Number.isFinite(score) ? ` ${Math.round(100 * score)} %` : "");

// "“Total” 98 %, like “total”": label, score and reason of an item.
export function itemWords({ label, score, reason }) {
  return `“${label}”${percent(score)}${reason ? `, ${reason}` : ""}`;
}

// Whether a point lies in a convex quadrilateral of clockwise corners.
export function inQuad(corners, x, y) {
  return corners.every(([x0, y0], k) => {
    const [x1, y1] = corners[(k + 1) % corners.length];
    return (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0;
  });
}

// Value of a map at a point of an image of this size.
export function mapAt(values, [width, height], x, y) {
  const row = values[Math.min(values.length - 1, Math.floor((y * values.length) / height))];
  return row[Math.min(row.length - 1, Math.floor((x * row.length) / width))];
}

export class ExplanationView {
  // onChange: called when what is drawn changes.
  constructor(onChange) {
    this.onChange = onChange;
    this.on = false;
    this.at = 0; // the chosen map
    const toggle = { type: "button", class: "cx-button", "aria-pressed": "false", onclick: () => this.toggle() };
    this.button = h("button", toggle, "How the region came about");
    this.maps = h("select", { class: "cx-maps", "aria-label": "Map", onchange: () => this.pick() });
    this.summary = h("p", { class: "cx-caption" });
    this.list = h("ul", { class: "cx-found" });
    this.body = h("div", { hidden: true }, this.summary, this.maps, this.list);
    this.root = h("div", { class: "cx-explanation", hidden: true }, this.button, this.body);
  }

  toggle() {
    this.on = !this.on;
    this.show();
    this.onChange();
  }

  pick() {
    this.at = Number(this.maps.value);
    this.onChange();
  }

  // Of the chosen image, once it is answered; a drawn region has none.
  update({ trace, size }) {
    const explanation = trace?.explanation || null;
    this.size = size;
    if (explanation !== this.explanation) this.fill(explanation);
    this.show();
  }

  fill(explanation) {
    this.explanation = explanation;
    this.at = 0;
    if (!explanation) return;
    const { summary, items, maps } = explanation;
    this.summary.textContent = summary;
    this.maps.replaceChildren(...maps.map(({ title }, k) => h("option", { value: k }, title)));
    this.maps.hidden = maps.length < 2;
    const chosen = items.filter((item) => item.chosen);
    const rest = items.length - chosen.length;
    const lines = chosen.map((item) => h("li", {}, itemWords(item)));
    if (chosen.length && rest) lines.push(h("li", {}, `${rest} more, not chosen`));
    this.list.replaceChildren(...lines);
  }

  show() {
    this.root.hidden = !this.explanation;
    this.body.hidden = !this.shown;
    this.button.setAttribute("aria-pressed", String(this.on));
  }

  // Whether it is drawn now.
  get shown() {
    return this.on && Boolean(this.explanation);
  }

  paint(ctx, px, size) {
    if (!this.shown) return;
    const map = this.explanation.maps[this.at];
    if (map) drawMap(ctx, size, map.values);
    drawQuads(ctx, px, this.explanation.items);
  }

  // What a tooltip says at a point: the item there, else the map's value.
  tip(x, y) {
    if (!this.shown) return { token: -1, lines: [] };
    const item = this.explanation.items.find(({ corners }) => inQuad(corners, x, y));
    if (item) return { token: -1, lines: [itemWords(item)] };
    const map = this.explanation.maps[this.at];
    return { token: -1, lines: map ? [map.title, mapAt(map.values, this.size, x, y).toPrecision(2)] : [] };
  }
}
