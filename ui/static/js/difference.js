// What two methods keep of the same tokens: those kept by both, by one alone, by none, on the image with both answers.
import { h } from "./dom.js";
import { ImageCanvas } from "./image.js";
import { drawBorder, drawHatched, drawPinned, fillTokens } from "./layers.js";
import { palette, withAlpha } from "./palette.js";
import { inView, tokenAt } from "./trace.js";

const HELP =
  "A token is kept where it is alive in the last layer, by itself or pooled with others. Choose two methods of the last comparison.";
const KINDS = ["both", "first", "second", "none"];
const isKept = ({ dropLayer, layers }, token) => dropLayer[token] >= layers;

// The visual tokens by who keeps them in the last layer; the traces are of the same image and model.
export function keptBy(first, second) {
  const kinds = { both: [], first: [], second: [], none: [] };
  for (let token = 0; token < first.total; token++) {
    const [one, other] = [isKept(first, token), isKept(second, token)];
    kinds[one && other ? "both" : one ? "first" : other ? "second" : "none"].push(token);
  }
  return kinds;
}

export class MethodDifference {
  constructor() {
    this.canvas = new ImageCanvas("What two methods keep", (ctx, p) => this.paint(ctx, p));
    this.canvas.tipAt = (x, y) => this.tip(x, y);
    [this.first, this.second] = ["First method", "Second method"].map((label) =>
      h("select", { class: "cx-select", "aria-label": label, onchange: () => this.show() }),
    );
    this.answers = h("div", { class: "cx-caption" });
    this.legend = h("ul", { class: "cx-legend", "aria-label": "Legend", "aria-live": "polite" });
    const chosen = h("div", { class: "cx-tools" }, this.first, h("span", {}, "and"), this.second);
    const side = h("div", { class: "cx-brushside" }, h("p", { class: "cx-caption" }, HELP), chosen, this.answers);
    side.append(this.legend);
    const body = h("div", { class: "cx-brush" }, h("div", {}, this.canvas.root), side);
    const toggle = { class: "cx-byhand cx-card cx-methods-difference", ontoggle: () => this.canvas.draw() };
    this.root = h("details", toggle, h("summary", {}, "Difference between two methods"), body);
  }

  // rows: of the gallery, with a parsed `trace` each, the baseline first.
  update(rows, image, size) {
    this.root.hidden = rows.length < 3;
    if (this.root.hidden) return;
    const [before, names] = [this.rows && this.chosen, rows.map(({ name }) => name)];
    this.rows = rows;
    [this.first, this.second].forEach((select, k) => {
      select.replaceChildren(...names.map((name, at) => h("option", { value: at }, name)));
      const again = names.indexOf(before?.[k]?.name);
      select.value = again < 0 ? k + 1 : again;
    });
    this.canvas.show(image, size);
    this.show();
  }

  // Both rows that are chosen.
  get chosen() {
    return [this.first, this.second].map((select) => this.rows[Number(select.value)]);
  }

  show() {
    const [first, second] = this.chosen;
    this.kinds = keptBy(first.trace, second.trace);
    this.shown = inView(first.trace, first.trace.views[first.trace.views.length - 1]);
    const answer = ({ name, text, answer_probability }) =>
      h("p", {}, h("b", {}, name), `: “${text}”; the baseline's answer is ${answer_probability} likely`);
    this.answers.replaceChildren(answer(first), answer(second));
    const names = {
      both: "kept by both",
      first: `only by ${first.name}`,
      second: `only by ${second.name}`,
      none: "by none",
    };
    const row = (kind) => {
      const count = h("span", {}, `${this.kinds[kind].length} of ${first.trace.total}`);
      return h("li", { class: "cx-key" }, h("i", { class: `cx-by-${kind}` }), h("b", {}, names[kind]), count);
    };
    this.legend.replaceChildren(...KINDS.map(row));
    this.canvas.draw();
  }

  tip(x, y) {
    const token = this.shown ? tokenAt(this.shown, x, y) : -1;
    if (token < 0) return { token, lines: [] };
    const fate = ({ name, trace }) =>
      `${name}: ${isKept(trace, token) ? "kept" : `pruned at layer ${trace.dropLayer[token]}`}`;
    return { token, lines: [`Visual token ${token}`, ...this.chosen.map(fate)] };
  }

  paint(ctx, { px, size, hover }) {
    if (!this.shown) return;
    fillTokens(ctx, this.shown, this.kinds.none, withAlpha(palette.veil, 0.9));
    drawHatched(ctx, px, this.shown, this.kinds.first, palette.region, "rising");
    drawHatched(ctx, px, this.shown, this.kinds.second, palette.cut, "falling");
    drawBorder(ctx, px, size, this.shown.visible);
    drawPinned(ctx, px, this.shown, hover);
  }
}
