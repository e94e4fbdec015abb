// Panel 3: the tokens left at each layer of the LLM, and any two layers side by side.
import { AliveCurve } from "./curve.js";
import { h, icon } from "./dom.js";
import { clamp, percent } from "./format.js";
import { ImageCanvas } from "./image.js";
import { drawBorder, drawGrid, drawHover, drawLayer, drawPinned, drawRegion } from "./layers.js";
import { tokenTip } from "./tooltip.js";
import { ViewSwitch } from "./views.js";

const PAUSE = "M4 2h3v12H4zM9 2h3v12H9z";
const PLAY = "M4 2l10 6-10 6z";
const PLAY_MS = 6000; // about the length of the animation over all layers
const EMPTY = "Layer by layer, the tokens that the text attends to least are pruned, outside the region first.";

// What the legend of a layer counts: LLM input tokens, but for those that no LLM ever saw. here: pruned after layer `from`.
export function layerCounts({ members, inputDropLayer, inputRing, inRegion, region, group }, layer, from = layer - 1) {
  const inputs = members.map((_, j) => j);
  const alive = inputs.filter((j) => inputDropLayer[j] > layer);
  const pooled = alive.filter((j) => members[j].length > 1);
  const dropped = group.filter((j) => j < 0).length;
  return {
    alive: alive.length,
    inside: region ? alive.filter((j) => inRegion[members[j][0]]).length : 0,
    pooled: pooled.length,
    members: pooled.reduce((sum, j) => sum + members[j].length, 0),
    padding: alive.filter((j) => inputRing[j] < 0).length,
    here: inputs.filter((j) => inputDropLayer[j] > from && inputDropLayer[j] <= layer).length,
    before: inputs.filter((j) => inputDropLayer[j] <= from).length + dropped,
  };
}

// Legend of a layer: a swatch, a name and a count each.
function legendRows(trace, layer, from) {
  const counts = layerCounts(trace, layer, from);
  const rows = [["cx-alive", "alive", `${counts.alive}`]];
  if (trace.region) rows.push(["cx-inside", "of these in the region", `${counts.inside}`]);
  if (trace.members.some((list) => list.length > 1)) {
    rows.push(["cx-pooled", "of these pooled", `${counts.pooled}, stand for ${counts.members}`]);
  }
  if (trace.ring.some((ring) => ring < 0)) rows.push(["cx-hatched", "of these padding", `${counts.padding}`]);
  const here = from === layer - 1 ? "pruned at this layer" : "pruned between";
  rows.push(["cx-here", here, `${counts.here}`], ["cx-gone", "pruned earlier", `${counts.before}`]);
  return rows.map(([kind, name, count]) =>
    h("li", { class: "cx-key" }, h("i", { class: kind }), h("b", {}, name), h("span", {}, count)),
  );
}

// The image at one layer, with its slider.
class LayerView {
  // onPick: called with the token that is clicked; onMove: when the layer changed.
  constructor(label, onPick, onMove) {
    this.onMove = onMove;
    this.layer = 0;
    this.against = null; // the view whose layer this one's is compared with
    const alt = "The visual tokens alive at the chosen layer";
    this.canvas = new ImageCanvas(alt, (ctx, p) => this.paint(ctx, p));
    this.views = new ViewSwitch(() => this.canvas.draw());
    this.canvas.tipAt = (x, y) => tokenTip(this.views.shown, x, y);
    this.canvas.onPick = onPick;
    const range = { type: "range", min: 0, max: 0, value: 0, class: "cx-slider", "aria-label": label };
    this.slider = h("input", { ...range, oninput: () => this.go(Number(this.slider.value)) });
    this.now = h("p", { class: "cx-caption cx-now" });
    this.controls = h("div", { class: "cx-controls" }, this.slider);
    this.legend = h("ul", { class: "cx-legend", "aria-label": "Legend" });
    const parts = [this.canvas.root, this.views.root, this.controls, this.now, this.legend];
    this.root = h("div", { class: "cx-layer" }, parts);
  }

  update({ trace, image, size }, layer) {
    this.trace = trace;
    this.views.update(trace);
    this.controls.hidden = !trace;
    if (trace) this.slider.max = trace.layers - 1;
    if (image) this.canvas.show(image, size);
    this.legend.hidden = !trace;
    if (trace) this.go(layer);
    else this.now.textContent = EMPTY;
  }

  go(layer) {
    const { trace } = this;
    if (!trace) return;
    const before = this.layer;
    this.layer = clamp(layer, 0, trace.layers - 1);
    this.slider.value = this.layer;
    const alive = trace.alive[this.layer];
    this.slider.setAttribute("aria-valuetext", `layer ${this.layer}, ${alive} visual tokens alive`);
    this.redraw();
    this.onMove(this.layer - before);
  }

  // The later of the layers that are shown, and the one after which a token counts as pruned here.
  get span() {
    const other = this.against?.layer ?? this.layer - 1;
    return [Math.max(this.layer, other), Math.min(this.layer, other)];
  }

  redraw() {
    const { trace } = this;
    if (!trace) return;
    const [layer, from] = this.span;
    if (this.against) this.now.textContent = `Between layers ${from} and ${layer} (0–${trace.layers - 1})`;
    else this.describe(trace, trace.alive[layer]);
    this.legend.replaceChildren(...legendRows(trace, layer, from));
    this.canvas.draw();
  }

  describe(trace, alive) {
    this.now.replaceChildren(
      h("b", {}, `Layer ${this.layer}`),
      ` (0–${trace.layers - 1}): `,
      h("b", {}, `${alive}`),
      ` of ${trace.total} alive (${percent(alive, trace.total)})`,
    );
  }

  paint(ctx, { px, size, hover, pinned }) {
    const trace = this.views.shown;
    if (!trace) return drawGrid(ctx, px, size);
    drawLayer(ctx, px, trace, ...this.span);
    drawBorder(ctx, px, size, trace.visible);
    if (trace.region) drawRegion(ctx, px, size, trace.region.grid);
    drawHover(ctx, px, trace, hover);
    drawPinned(ctx, px, trace, pinned);
  }
}

export class PruningPanel {
  // onPick: called with the token that is clicked; onWiden: with whether the panel needs room for two views.
  constructor(onPick, onWiden) {
    this.state = {};
    this.moving = false; // whether a view is moved by the other one, or by a new trace
    this.onWiden = onWiden;
    this.view = new LayerView("LLM layer", onPick, (by) => this.moved(by, this.other));
    this.other = new LayerView("Second LLM layer", onPick, (by) => this.moved(by, this.view));
    this.curve = new AliveCurve((layer) => this.view.go(layer));
    this.play = h("button", { type: "button", class: "cx-button cx-play", onclick: () => this.toggle() });
    const compare = { "aria-pressed": "false", hidden: true, onclick: () => this.compare(this.other.root.hidden) };
    this.beside = h("button", { type: "button", class: "cx-button", ...compare }, "Compare two layers");
    const toggle = (text, onclick) =>
      h("button", { type: "button", class: "cx-button", "aria-pressed": "false", hidden: true, onclick }, text);
    this.lock = toggle("Move both", () => this.press(this.lock));
    this.difference = toggle("Difference", () => this.differ(this.press(this.difference)));
    this.view.controls.prepend(this.play);
    this.other.root.hidden = true;
    this.layers = h("div", { class: "cx-layers" }, this.view.root, this.other.root);
    const tools = h("div", { class: "cx-tools" }, this.beside, this.lock, this.difference);
    this.root = h("div", { class: "cx-pruning" }, this.layers, this.curve.root, tools);
    this.setPlaying(false);
  }

  get canvases() {
    return [this.view.canvas, this.other.canvas];
  }

  // A new trace opens at `opensAt`, or at its last layer, where all that is pruned is gone.
  update(state) {
    const fresh = state.trace !== this.state.trace;
    this.state = state;
    const { trace, opensAt } = state;
    this.beside.hidden = this.curve.root.hidden = !trace;
    if (!trace) this.compare(false);
    if (!trace || !fresh) {
      for (const view of [this.view, this.other]) view.update(state, view.layer);
      return;
    }
    this.setPlaying(false);
    this.curve.show(trace);
    this.moving = true; // neither moves the other
    this.view.update(state, opensAt ?? trace.layers - 1);
    this.other.update(state, trace.layers - 1);
    this.moving = false;
  }

  compare(on) {
    for (const part of [this.other.root, this.lock, this.difference]) part.hidden = !on;
    if (!on) for (const button of [this.lock, this.difference]) button.setAttribute("aria-pressed", "false");
    if (!on) this.differ(false);
    if (on && this.view.layer === this.other.layer) this.view.go(0); // the same layer twice tells nothing
    this.layers.classList.toggle("cx-two", on);
    this.beside.setAttribute("aria-pressed", String(on));
    this.onWiden(on);
  }

  // Presses a button, or releases it; returns whether it is pressed.
  press(button) {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    return on;
  }

  // Lets the second picture show what was pruned between the two layers, or its own layer.
  differ(on) {
    this.other.against = on ? this.view : null;
    this.other.redraw();
  }

  // A view moved by some layers; locked, the other one moves with it, but not it in turn.
  moved(by, other) {
    const locked = this.lock.getAttribute("aria-pressed") === "true";
    if (locked && by && !this.moving) {
      this.moving = true;
      other.go(other.layer + by);
      this.moving = false;
    }
    if (other === this.other) this.mark(); // the first view's layer is the page's
    if (this.other.against) this.other.redraw();
  }

  // Shows a layer, the last one for none.
  open(layer) {
    const { trace } = this.state;
    if (trace) this.view.go(layer ?? trace.layers - 1);
  }

  // Shows the chosen layer on the curve and in data attributes.
  mark() {
    this.curve.mark(this.view.layer);
    this.root.dataset.layer = this.view.layer;
    this.root.dataset.alive = this.view.trace.alive[this.view.layer];
  }

  setPlaying(on) {
    clearTimeout(this.timer);
    this.playing = on;
    this.play.replaceChildren(icon(on ? PAUSE : PLAY));
    this.play.setAttribute("aria-label", on ? "Pause" : "Play the layers");
  }

  toggle() {
    if (this.playing) return this.setPlaying(false);
    this.setPlaying(true);
    this.view.go(0);
    this.step();
  }

  step() {
    const { layers } = this.state.trace;
    const next = () => {
      if (!this.playing) return;
      this.view.go(this.view.layer + 1);
      if (this.view.layer < layers - 1) this.step();
      else this.setPlaying(false);
    };
    this.timer = setTimeout(next, clamp(PLAY_MS / layers, 180, 500));
  }
}
