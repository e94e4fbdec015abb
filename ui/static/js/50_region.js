// Panel 1: the 8x8 grid, the region and its confidence. The region is moved, resized and drawn with pointer or keys.

const SOURCES = { predicted: "Predicted by the localizer", drawn: "Drawn by you", whole: "The whole picture" };

function regionCaption(region) {
  const [x0, y0, x1, y1] = region.grid;
  const cells = (x1 - x0 + 1) * (y1 - y0 + 1);
  return `${SOURCES[region.source] || region.source}: columns ${x0}–${x1}, rows ${y0}–${y1}, ${cells} of 64 cells.`;
}

function borderCaption(size, visible) {
  if (!visible || !borderHidden(size, visible)) return null;
  const share = 1 - ((visible[2] - visible[0]) * (visible[3] - visible[1])) / (size[0] * size[1]);
  return `Hatched: the model cannot see this border (${Math.round(100 * share)} % of the picture); its image processor cuts it off.`;
}

const RESIZE = { nw: [1, 1, 0, 0], n: [0, 1, 0, 0], ne: [0, 1, 1, 0], e: [0, 0, 1, 0], se: [0, 0, 1, 1], s: [0, 0, 0, 1], sw: [1, 0, 0, 1], w: [1, 0, 0, 0] };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const isGrid = (g) => Array.isArray(g) && g.every((v) => Number.isInteger(v) && v >= 0 && v <= 7) && g[2] >= g[0] && g[3] >= g[1];
const sameGrid = (a, b) => Boolean(a && b) && a.every((v, k) => v === b[k]);

// A grid moved by cells, pushed back where it would leave the picture.
function moved([x0, y0, x1, y1], dx, dy) {
  const [a, b] = [clamp(dx, -x0, 7 - x1), clamp(dy, -y0, 7 - y1)];
  return [x0 + a, y0 + b, x1 + a, y1 + b];
}

// The edges that `edge` names moved by cells; an edge stops at the opposite one.
function resized([x0, y0, x1, y1], edge, dx, dy) {
  const [l, t, r, b] = RESIZE[edge];
  return [clamp(x0 + l * dx, 0, x1), clamp(y0 + t * dy, 0, y1), clamp(x1 + r * dx, x0, 7), clamp(y1 + b * dy, y0, 7)];
}

class RegionPanel {
  // tell: hears of every region that the user made; ask: of the wish to have it answered. own: the user's regions until
  // they are asked about, by picture.
  constructor(tell, ask) {
    this.tell = tell;
    this.ask = ask;
    this.state = {};
    this.own = {};
    this.drawing = false;
    this.picture = new Picture("The picture with its 8 by 8 grid and the region", (ctx, p) => this.paint(ctx, p));
    this.handles = Object.keys(RESIZE).map((edge) => h("i", { class: "cx-handle", "data-edge": edge }));
    this.box = h("div", { class: "cx-box", role: "application", tabindex: 0, hidden: true, "aria-roledescription": "movable region" }, this.handles);
    this.picture.root.append(this.box);
    this.button = h("button", { type: "button", class: "cx-button", "aria-pressed": "false", onclick: () => this.setDrawing(!this.drawing) }, "Draw a region");
    this.again = h("button", { type: "button", class: "cx-button cx-primary", onclick: () => this.ask() }, "Ask with this region");
    this.back = h("button", { type: "button", class: "cx-button", onclick: () => this.put(this.state.region.grid) }, "Put it back");
    this.auto = h("input", { type: "checkbox" });
    this.caption = h("p", { class: "cx-caption", "aria-live": "polite" });
    this.border = h("p", { class: "cx-caption cx-note" });
    this.confidence = h("div", { class: "cx-confidence", hidden: true });
    this.byItself = h("label", { class: "cx-small cx-auto" }, this.auto, "Ask again by itself when the region changes");
    this.root = h("div", {}, this.picture.root, this.caption, this.confidence, this.border, h("div", { class: "cx-tools" }, this.again, this.back, this.button), this.byItself);
    this.listen(this.picture.canvas, this.box);
  }

  listen(canvas, box) {
    canvas.addEventListener("pointerdown", (event) => this.drawing && this.start(event, canvas, "new"));
    box.addEventListener("pointerdown", (event) => this.start(event, box, event.target.dataset.edge || "move"));
    for (const target of [canvas, box]) {
      target.addEventListener("pointermove", (event) => this.drag(event));
      target.addEventListener("pointerup", () => this.finish());
      target.addEventListener("pointercancel", () => (this.from = null));
      target.addEventListener("keydown", (event) => this.key(event));
    }
  }

  // The user's region in the shown picture, or null; a recorded run has none.
  get drawn() {
    return this.state.fixed ? null : this.own[this.state.at || 0] || null;
  }

  set drawn(cells) {
    const { [this.state.at || 0]: old, ...others } = this.own;
    this.own = cells ? { ...others, [this.state.at || 0]: cells } : others;
  }

  // The user's regions in all pictures, as the page has them.
  setOwn(regions) {
    this.own = regions;
    this.update(this.state);
  }

  // The region that is on the picture: the user's own until it is asked about, else that of the answer.
  get grid() {
    return this.drawn || (this.state.region ? this.state.region.grid : null);
  }

  get edited() {
    return Boolean(this.drawn && this.state.region && !sameGrid(this.drawn, this.state.region.grid));
  }

  setDrawing(on) {
    this.drawing = on;
    this.button.setAttribute("aria-pressed", String(on));
    this.button.textContent = on ? "Done drawing" : "Draw a region";
    this.picture.canvas.classList.toggle("cx-drawing", on);
    if (on) {
      this.picture.canvas.tabIndex = 0;
      this.setDrawn(this.grid || [2, 2, 5, 5], true);
      this.picture.canvas.focus({ preventScroll: true });
    } else this.picture.canvas.removeAttribute("tabindex");
    this.update(this.state);
  }

  // Cells of the user's region, or null; told to the page when they were made here.
  setDrawn(cells, tell) {
    this.drawn = isGrid(cells) ? cells : null;
    if (tell && this.drawn) this.tell();
    this.update(this.state);
  }

  // A region that is finished: told, and asked about where that is wished.
  put(cells) {
    this.setDrawn(cells, true);
    if (this.auto.checked && this.edited) this.ask();
  }

  cell(event) {
    const [x, y] = this.picture.toPicture(event);
    const [width, height] = this.picture.size;
    return [clamp(Math.floor((8 * x) / width), 0, 7), clamp(Math.floor((8 * y) / height), 0, 7)];
  }

  start(event, target, how) {
    event.preventDefault();
    target.setPointerCapture(event.pointerId);
    target.focus({ preventScroll: true });
    this.from = { cell: this.cell(event), grid: this.grid, how };
    this.drag(event);
  }

  drag(event) {
    if (!this.from) return;
    const { cell: [a, b], grid, how } = this.from;
    const [x, y] = this.cell(event);
    if (how === "new") return this.setDrawn([Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)], false);
    this.setDrawn(how === "move" ? moved(grid, x - a, y - b) : resized(grid, how, x - a, y - b), false);
  }

  finish() {
    if (this.from && this.drawn) this.put(this.drawn);
    this.from = null;
  }

  // Arrow keys move the region by a cell, with shift they move its lower right corner; Enter asks.
  key(event) {
    if (event.key === "Escape") return this.drawing ? this.setDrawing(false) : this.state.region && this.put(this.state.region.grid);
    if (event.key === "Enter" && this.edited) return this.ask();
    const arrow = ARROWS[event.key];
    if (!arrow || !this.grid) return;
    event.preventDefault();
    this.put(event.shiftKey ? resized(this.grid, "se", ...arrow) : moved(this.grid, ...arrow));
  }

  update(state) {
    if (state.regions !== this.state.regions) this.settle(state);
    if (state.at !== this.state.at && this.drawing) this.setDrawing(false);
    this.state = state;
    const { region, trace, size } = state;
    this.caption.textContent = this.words();
    this.border.textContent = (trace && size && borderCaption(size, trace.visible)) || "";
    this.showConfidence(this.drawn && !sameGrid(this.drawn, region && region.grid) ? null : region);
    const done = state.stage === "done";
    this.again.hidden = this.back.hidden = !(done && this.edited) || state.fixed;
    this.byItself.hidden = !(done && region) || state.fixed;
    this.button.hidden = Boolean(state.fixed);
    if (state.image) this.picture.show(state.image, size);
    this.place();
  }

  // A new answer or picture: what was drawn for another one is no longer on the pictures.
  settle(state) {
    if (this.from || this.drawing) return;
    const stays = ([at]) => !state.regions[at] || (state.stage !== "done" && state.regions[at].source === "drawn");
    this.own = Object.fromEntries(Object.entries(this.own).filter(stays));
  }

  words() {
    const { region } = this.state;
    if (this.drawing) return "Drag over the cells that matter (arrow keys move, Shift + arrows resize), then press Run.";
    if (this.edited) return regionCaption({ grid: this.drawn, source: "drawn" }) + " Not asked yet.";
    if (this.state.fixed) return regionCaption(region);
    return region ? `${regionCaption(region)} Drag it or its edges to change it.` : "The region appears here when you press Run.";
  }

  // The box over the canvas that is dragged.
  place() {
    const grid = this.state.image && this.state.region ? this.grid : null;
    this.box.hidden = !grid || this.drawing || Boolean(this.state.fixed);
    if (!grid) return;
    const [x0, y0, x1, y1] = grid;
    Object.assign(this.box.style, { left: `${12.5 * x0}%`, top: `${12.5 * y0}%`, width: `${12.5 * (x1 - x0 + 1)}%`, height: `${12.5 * (y1 - y0 + 1)}%` });
    this.box.setAttribute("aria-label", `Region, columns ${x0} to ${x1}, rows ${y0} to ${y1}. Arrow keys move it, Shift and arrow keys resize it, Enter asks again.`);
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
    if (grid) dimOutside(ctx, size, regionBox(size, grid), 0.32);
    drawGrid(ctx, px, size);
    if (!grid) return;
    const own = this.drawing || this.edited || !region;
    if (own && region) drawRegion(ctx, px, size, region.grid, true);
    drawRegion(ctx, px, size, grid, own && !region);
    if (own) return drawTag(ctx, px, size, grid, "drawn");
    drawTag(ctx, px, size, grid, Number.isFinite(region.confidence) ? `${region.source} · ${Math.round(100 * region.confidence)} %` : region.source);
  }
}
