// Panel 2: the visual tokens after compression before the LLM (PLC: pooled in rings around the region).
import { h } from "./dom.js";
import { ringName } from "./format.js";
import { ImageCanvas } from "./image.js";
import { drawBorder, drawGrid, drawGroups, drawHover, drawPinned, drawRegion, fillTokens } from "./layers.js";
import { palette, ringColour, ringHatch, withAlpha } from "./palette.js";
import { tokenTip } from "./tooltip.js";
import { ringRows } from "./trace.js";
import { ViewSwitch } from "./views.js";

export function compressionCaption({ inputs, total, group }) {
  if (inputs === total) return `Nothing is compressed before the LLM: all ${total} visual tokens enter it.`;
  const pruned = group.filter((j) => j < 0).length;
  const tail = pruned ? `, ${pruned} ${pruned === 1 ? "is" : "are"} pruned outright` : "";
  return `${inputs} of ${total} visual tokens enter the LLM${tail}. Hover over or tap a cell for its group.`;
}

// Legend text of a row of `ringRows`.
export function ringText({ before, after }) {
  if (before === after) return `${before} retained`;
  if (!after) return `${before}, pooled with others`;
  return `${before} → ${after}, ${(before / after).toPrecision(3)} to 1`;
}

export class CompressionPanel {
  // onPick: called with the token that is clicked.
  constructor(onPick) {
    this.state = {};
    this.ring = null; // the only ring shown, null for all
    this.canvas = new ImageCanvas("The visual tokens after compression", (ctx, p) => this.paint(ctx, p));
    this.views = new ViewSwitch(() => this.canvas.draw());
    this.canvas.tipAt = (x, y) => tokenTip(this.views.shown, x, y);
    this.canvas.onPick = onPick;
    this.caption = h("p", { class: "cx-caption" });
    this.legend = h("ul", { class: "cx-legend" });
    this.root = h("div", {}, this.canvas.root, this.views.root, this.caption, this.legend);
  }

  update(state) {
    if (state.trace !== this.state.trace) this.ring = null;
    this.state = state;
    const { trace } = state;
    this.views.update(trace);
    this.caption.textContent = trace
      ? compressionCaption(trace)
      : "CROP averages tokens outside the region in rings of growing windows.";
    const pooled = trace?.members.some((list) => list.length > 1);
    this.legend.replaceChildren(...(pooled ? ringRows(trace).map((row) => this.legendItem(row)) : []));
    if (state.image) this.canvas.show(state.image, state.size);
  }

  // A ring's line in the legend; pressed, only this ring is shown. What is beside the image cannot be shown on it.
  legendItem(row) {
    const name = h("b", {}, ringName(row.ring, this.state.trace));
    const counts = h("span", {}, ringText(row));
    if (row.ring < 0) return h("li", { class: "cx-key" }, h("i", { class: "cx-hatched" }), name, counts);
    const pick = () => {
      this.ring = this.ring === row.ring ? null : row.ring;
      this.update(this.state);
    };
    const hatch = row.before === row.after ? "retained" : ringHatch(row.ring);
    const swatch = h("i", { class: `cx-ring cx-${hatch}`, style: `--ring:${ringColour(row.ring)}` });
    const pressed = String(this.ring === row.ring);
    const props = { type: "button", class: "cx-key", "aria-pressed": pressed, onclick: pick };
    return h("li", {}, h("button", props, swatch, name, counts));
  }

  paint(ctx, { px, size, hover, pinned }) {
    const trace = this.views.shown;
    if (!trace) return drawGrid(ctx, px, size);
    drawGroups(ctx, px, trace);
    if (this.ring !== null) {
      const others = trace.drawOrder.filter((i) => trace.ring[i] !== this.ring);
      fillTokens(ctx, trace, others, withAlpha(palette.veil, 0.9));
    }
    drawBorder(ctx, px, size, trace.visible);
    if (trace.region) drawRegion(ctx, px, size, trace.region.grid);
    drawHover(ctx, px, trace, hover);
    drawPinned(ctx, px, trace, pinned);
  }
}
