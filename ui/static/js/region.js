// Panel 1: the 8x8 grid, the region and its confidence. The region is moved, resized and drawn with pointer or keys.
import { h } from "./dom.js";
import { ExplanationView } from "./explanation.js";
import { clamp } from "./format.js";
import { cellAt, EDGES, isRegion, moved, regionBox, resized, sameRegion, spanned } from "./grid.js";
import { ImageCanvas } from "./image.js";
import { borderHidden, dimOutside, drawBorder, drawGrid, drawRegion, drawTag } from "./layers.js";

const SOURCES = { predicted: "Predicted by the localizer", drawn: "Drawn by hand", whole: "The whole image" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const START = [2, 2, 5, 5]; // of drawing

export function regionCaption({ grid: [x0, y0, x1, y1], source }) {
  const cells = (x1 - x0 + 1) * (y1 - y0 + 1);
  return `${SOURCES[source] || source}: columns ${x0}–${x1}, rows ${y0}–${y1}, ${cells} of 64 cells.`;
}

// Text on the part of an image that the model cannot see; null where it sees all of it.
export function borderCaption(size, visible) {
  if (!visible || !borderHidden(size, visible)) return null;
  const share = 1 - ((visible[2] - visible[0]) * (visible[3] - visible[1])) / (size[0] * size[1]);
  return `Hatched: the model cannot see this border (${Math.round(100 * share)} % of the image); its image processor cuts it off.`;
}

// What a run has answered so far; not that it is measured.
const answered = ({ id, result, regions }) => JSON.stringify([id, Boolean(result), regions]);

const button = (props, text) => h("button", { type: "button", class: "cx-button", ...props }, text);

export class RegionPanel {
  // onDraw: called when the user changed a region; onAsk: when it shall be run.
  constructor(onDraw, onAsk) {
    this.onDraw = onDraw;
    this.onAsk = onAsk;
    this.state = {};
    this.own = {}; // the user's regions until they are run, by image
    this.drawing = false;
    this.guess = null; // the region that was drawn before the run of a lesson's step
    this.starter = "Run"; // what starts a run of the drawn region
    this.dragged = null; // {cell, grid, how} where a drag began
    this.canvas = new ImageCanvas("The image with its 8 by 8 grid and the region", (ctx, p) => this.paint(ctx, p));
    this.box = this.makeBox();
    this.canvas.root.append(this.box);
    this.caption = h("p", { class: "cx-caption", "aria-live": "polite" });
    this.border = h("p", { class: "cx-caption cx-note" });
    this.confidence = h("div", { class: "cx-confidence", hidden: true });
    this.explanation = new ExplanationView(() => this.update(this.state));
    this.canvas.tipAt = (x, y) => this.explanation.tip(x, y);
    const [tools, explained] = [this.makeTools(), this.explanation.root];
    this.root = h("div", {}, this.canvas.root, this.caption, this.confidence, explained, this.border, ...tools);
    this.listen(this.canvas.element, this.box);
  }

  // The box over the canvas that is dragged, with a handle at each edge and corner.
  makeBox() {
    const handles = Object.keys(EDGES).map((edge) => h("i", { class: "cx-handle", "data-edge": edge }));
    const role = { role: "application", "aria-roledescription": "movable region" };
    return h("div", { class: "cx-box", tabindex: 0, hidden: true, ...role }, handles);
  }

  makeTools() {
    const toggle = () => {
      this.setDrawing(!this.drawing);
      if (this.drawing) this.canvas.element.focus({ preventScroll: true });
    };
    const draw = { "aria-pressed": "false", onclick: toggle };
    this.draw = button(draw, "Draw a region");
    this.ask = button({ class: "cx-button cx-primary", onclick: () => this.onAsk() }, "Run with this region");
    this.reset = button({ onclick: () => this.finishRegion(this.state.region.grid) }, "Reset the region");
    this.auto = h("input", { type: "checkbox" });
    const label = "Run again automatically when the region changes";
    this.autoLabel = h("label", { class: "cx-small cx-auto" }, this.auto, label);
    return [h("div", { class: "cx-tools" }, this.ask, this.reset, this.draw), this.autoLabel];
  }

  listen(canvas, box) {
    canvas.addEventListener("pointerdown", (event) => this.drawing && this.startDrag(event, canvas, "new"));
    box.addEventListener("pointerdown", (event) => this.startDrag(event, box, event.target.dataset.edge || "move"));
    for (const target of [canvas, box]) {
      target.addEventListener("pointermove", (event) => this.drag(event));
      target.addEventListener("pointerup", () => this.endDrag());
      target.addEventListener("pointercancel", () => {
        this.dragged = null;
      });
      target.addEventListener("keydown", (event) => this.key(event));
    }
  }

  // The user's region in the shown image, or null; a recorded run has none.
  get drawn() {
    return this.state.fixed || this.state.no_region ? null : this.own[this.state.at || 0] || null;
  }

  set drawn(cells) {
    const { [this.state.at || 0]: old, ...others } = this.own;
    this.own = cells ? { ...others, [this.state.at || 0]: cells } : others;
  }

  // The user's regions in all images, as the page's fields have them.
  setOwn(regions) {
    this.own = regions;
    this.update(this.state);
  }

  // The region that is shown: the user's own until it is run, else that of the answer.
  get grid() {
    return this.drawn || (this.state.region ? this.state.region.grid : null);
  }

  get edited() {
    return Boolean(this.drawn && this.state.region && !sameRegion(this.drawn, this.state.region.grid));
  }

  // report: whether the box that drawing starts with counts as drawn.
  setDrawing(on, report = true) {
    const canvas = this.canvas.element;
    this.drawing = on;
    this.draw.setAttribute("aria-pressed", String(on));
    this.draw.textContent = on ? "Done drawing" : "Draw a region";
    canvas.classList.toggle("cx-drawing", on);
    if (on) {
      canvas.tabIndex = 0;
      this.setDrawn(this.grid || START, report);
    } else canvas.removeAttribute("tabindex");
    this.update(this.state);
  }

  // A step of the lesson has a region drawn before its run (`draw`), and shows the drawn one beside the result (`guess`).
  // starter: what starts the run.
  predict(draw, guess, starter) {
    Object.assign(this, { guess, starter });
    if (draw) this.drawn = START; // whatever region of the run before is still on screen
    this.setDrawing(draw, false); // what nobody has drawn is no prediction
  }

  // The user's region, or null; with `report`, the page is notified.
  setDrawn(cells, report) {
    this.drawn = isRegion(cells) ? cells : null;
    if (report && this.drawn) this.onDraw();
    this.update(this.state);
  }

  // A region that is no longer dragged: reported, and run if the checkbox is set.
  finishRegion(cells) {
    this.setDrawn(cells, true);
    if (this.auto.checked && this.edited) this.onAsk();
  }

  cell(event) {
    const [x, y] = this.canvas.position(event);
    const [width, height] = this.canvas.size;
    return [cellAt(x, width), cellAt(y, height)];
  }

  // how: "new", "move" or one of EDGES.
  startDrag(event, target, how) {
    event.preventDefault();
    target.setPointerCapture(event.pointerId);
    target.focus({ preventScroll: true });
    this.dragged = { cell: this.cell(event), grid: this.grid, how };
    this.drag(event);
  }

  drag(event) {
    if (!this.dragged) return;
    const { cell, grid, how } = this.dragged;
    const now = this.cell(event);
    const by = [now[0] - cell[0], now[1] - cell[1]];
    if (how === "new") this.setDrawn(spanned(cell, now), false);
    else this.setDrawn(how === "move" ? moved(grid, ...by) : resized(grid, how, ...by), false);
  }

  endDrag() {
    if (this.dragged && this.drawn) this.finishRegion(this.drawn);
    this.dragged = null;
  }

  // Arrow keys move the region by a cell, with shift they move its lower right corner; Enter runs, Escape resets.
  key(event) {
    if (event.key === "Escape") return this.escape();
    if (event.key === "Enter" && this.edited) return this.onAsk();
    const arrow = ARROWS[event.key];
    const grid = this.grid || (this.drawing ? START : null);
    if (!arrow || !grid) return;
    event.preventDefault();
    this.finishRegion(event.shiftKey ? resized(grid, "se", ...arrow) : moved(grid, ...arrow));
  }

  escape() {
    if (this.drawing) this.setDrawing(false);
    else if (this.state.region) this.finishRegion(this.state.region.grid);
  }

  update(state) {
    if (answered(state) !== answered(this.state)) this.dropAnswered(state);
    if (state.image !== this.state.image) this.guess = null;
    if (state.at !== this.state.at && this.drawing) this.setDrawing(false);
    this.state = state;
    const { region, trace, size } = state;
    this.caption.textContent = this.words();
    this.border.textContent = (trace && size && borderCaption(size, trace.visible)) || "";
    this.showConfidence(this.drawn && !sameRegion(this.drawn, region?.grid) ? null : region);
    const done = Boolean(state.result);
    this.ask.hidden = this.reset.hidden = !(done && this.edited) || state.fixed;
    this.autoLabel.hidden = !(done && region) || state.fixed;
    this.draw.hidden = Boolean(state.fixed || state.no_region);
    this.explanation.update(state);
    if (state.image) this.canvas.show(state.image, size);
    this.placeBox();
  }

  // On a new answer or image, drops what the user drew for another one.
  dropAnswered(state) {
    if (this.dragged || this.drawing) return;
    const stays = ([at]) => !state.regions[at] || (!state.result && state.regions[at].source === "drawn");
    this.own = Object.fromEntries(Object.entries(this.own).filter(stays));
  }

  words() {
    const { region } = this.state;
    if (this.state.no_region) return this.state.no_region;
    if (this.drawing)
      return `Drag over the cells that matter (arrow keys move, Shift + arrows resize), then press ${this.starter}.`;
    if (this.drawn && !sameRegion(this.drawn, region?.grid))
      return `${regionCaption({ grid: this.drawn, source: "drawn" })} Not run yet.`;
    if (this.state.fixed) return regionCaption(region);
    if (!region) return `The region appears here when you press ${this.starter}.`;
    return `${regionCaption(region)} Drag it or its edges to change it.`;
  }

  placeBox() {
    const grid = this.state.image && this.state.region ? this.grid : null;
    this.box.hidden = !grid || this.drawing || Boolean(this.state.fixed) || this.explanation.shown;
    if (!grid) return;
    const [left, top, right, bottom] = regionBox([100, 100], grid);
    const edges = { left, top, width: right - left, height: bottom - top };
    for (const [edge, share] of Object.entries(edges)) this.box.style[edge] = `${share}%`;
    const [x0, y0, x1, y1] = grid;
    const keys = "Arrow keys move it, Shift and arrow keys resize it, Enter runs again.";
    this.box.setAttribute("aria-label", `Region, columns ${x0} to ${x1}, rows ${y0} to ${y1}. ${keys}`);
  }

  showConfidence(region) {
    const value = region ? region.confidence : null;
    this.confidence.hidden = value === null || value === undefined;
    if (this.confidence.hidden) return;
    const bar = h("span", { class: "cx-bar" }, h("span", { style: `width:${100 * clamp(value, 0, 1)}%` }));
    this.confidence.replaceChildren("confidence ", h("b", {}, `${Math.round(100 * value)} %`), bar);
  }

  paint(ctx, { px, size }) {
    const { region, trace } = this.state;
    const grid = this.grid;
    if (trace) drawBorder(ctx, px, size, trace.visible);
    if (grid && !this.explanation.shown) dimOutside(ctx, size, regionBox(size, grid), 0.32);
    if (!this.state.no_region) drawGrid(ctx, px, size);
    this.explanation.paint(ctx, px, size);
    if (this.guess) {
      drawRegion(ctx, px, size, this.guess, true);
      drawTag(ctx, px, size, this.guess, "yours", true);
    }
    if (!grid) return;
    const own = this.drawing || this.edited || !region;
    if (own && region) drawRegion(ctx, px, size, region.grid, true);
    drawRegion(ctx, px, size, grid, own && !region);
    drawTag(ctx, px, size, grid, own ? "drawn" : this.tag(region));
  }

  tag({ source, confidence }) {
    return Number.isFinite(confidence) ? `${source} · ${Math.round(100 * confidence)} %` : source;
  }
}
