// Panel 1: the 8x8 grid, the region and its confidence, and drawing a region with pointer or keys.

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

class RegionPanel {
  constructor(announce) {
    this.announce = announce;
    this.state = {};
    this.drawn = null;
    this.drawing = false;
    this.picture = new Picture("The picture with its 8 by 8 grid and the region", (ctx, p) => this.paint(ctx, p));
    this.button = h("button", { type: "button", class: "cx-button", "aria-pressed": "false", onclick: () => this.setDrawing(!this.drawing) }, "Draw a region");
    this.caption = h("p", { class: "cx-caption" });
    this.border = h("p", { class: "cx-caption cx-note" });
    this.confidence = h("div", { class: "cx-confidence", hidden: true });
    this.root = h("div", {}, this.picture.root, this.caption, this.confidence, this.border, h("div", { class: "cx-tools" }, this.button));
    this.listen(this.picture.canvas);
  }

  listen(canvas) {
    canvas.addEventListener("pointerdown", (event) => this.start(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", () => this.finish());
    canvas.addEventListener("pointercancel", () => (this.from = null));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  setDrawing(on) {
    this.drawing = on;
    this.button.setAttribute("aria-pressed", String(on));
    this.button.textContent = on ? "Done drawing" : "Draw a region";
    this.picture.canvas.classList.toggle("cx-drawing", on);
    if (on) {
      this.picture.canvas.tabIndex = 0;
      this.setDrawn(this.drawn || (this.state.region ? this.state.region.grid : [2, 2, 5, 5]), true);
      this.picture.canvas.focus({ preventScroll: true });
    } else this.picture.canvas.removeAttribute("tabindex");
    this.update(this.state);
  }

  // Cells the user drew, or null; told to the page when the user did it here.
  setDrawn(cells, tell) {
    this.drawn = cells && cells.every((v) => Number.isInteger(v) && v >= 0 && v <= 7) && cells[2] >= cells[0] && cells[3] >= cells[1] ? cells : null;
    if (tell && this.drawn) this.announce(this.drawn);
    this.update(this.state);
  }

  cell(event) {
    const [x, y] = this.picture.toPicture(event);
    const [width, height] = this.picture.size;
    return [clamp(Math.floor((8 * x) / width), 0, 7), clamp(Math.floor((8 * y) / height), 0, 7)];
  }

  start(event) {
    if (!this.drawing) return;
    event.preventDefault();
    this.picture.canvas.setPointerCapture(event.pointerId);
    this.from = this.cell(event);
    this.drag(event);
  }

  drag(event) {
    if (!this.drawing || !this.from) return;
    const [x, y] = this.cell(event);
    const [a, b] = this.from;
    this.setDrawn([Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)], false);
  }

  finish() {
    if (this.from && this.drawn) this.announce(this.drawn);
    this.from = null;
  }

  // Arrow keys move the drawn region by a cell, with shift they move its lower right corner.
  key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") this.setDrawing(false);
    if (!move || !this.drawing || !this.drawn) return;
    event.preventDefault();
    const [dx, dy] = move;
    const [x0, y0, x1, y1] = this.drawn;
    const next = event.shiftKey ? [x0, y0, x1 + dx, y1 + dy] : [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
    const valid = next.every((v) => v >= 0 && v <= 7) && next[2] >= next[0] && next[3] >= next[1];
    if (valid) this.setDrawn(next, true);
  }

  update(state) {
    this.state = state;
    const { region, trace, size } = state;
    this.caption.textContent = this.drawing
      ? "Drag over the cells that matter (arrow keys move, Shift + arrows resize), then press Run."
      : region ? regionCaption(region) : "The region appears here when you press Run.";
    this.border.textContent = (trace && size && borderCaption(size, trace.visible)) || "";
    this.showConfidence(this.drawing ? null : region);
    if (state.image) this.picture.show(state.image, size);
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
    const grid = this.drawing ? this.drawn : region ? region.grid : null;
    if (trace) drawBorder(ctx, px, size, trace.visible);
    if (grid) dimOutside(ctx, size, regionBox(size, grid), 0.32);
    drawGrid(ctx, px, size);
    if (!grid) return;
    drawRegion(ctx, px, size, grid, this.drawing);
    if (!this.drawing && Number.isFinite(region.confidence)) drawTag(ctx, px, size, grid, `${region.source} · ${Math.round(100 * region.confidence)} %`);
    else drawTag(ctx, px, size, grid, this.drawing ? "drawn" : region.source);
  }
}
