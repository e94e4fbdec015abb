// Panel 3: which tokens ILP leaves standing at each layer, and any two layers beside each other.

// The picture of one layer, with its slider.
class LayerView {
  constructor(label, pin, moved) {
    this.moved = moved;
    this.layer = 0;
    this.picture = new Picture("The visual tokens alive at the chosen layer", (ctx, p) => this.paint(ctx, p));
    this.views = new ViewSwitch(() => this.picture.draw());
    this.picture.lines = (x, y) => tokenTip(this.views.shown, x, y);
    this.picture.pick = pin;
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, class: "cx-slider", "aria-label": label, oninput: () => this.go(Number(this.slider.value)) });
    this.now = h("p", { class: "cx-caption cx-now" });
    this.controls = h("div", { class: "cx-controls" }, this.slider);
    this.root = h("div", { class: "cx-layer" }, this.picture.root, this.views.root, this.controls, this.now);
  }

  update({ trace, image, size }, layer) {
    this.trace = trace;
    this.views.update(trace);
    this.controls.hidden = !trace;
    if (trace) this.slider.max = trace.layers - 1;
    if (image) this.picture.show(image, size);
    if (trace) this.go(layer);
    else this.now.textContent = "Layer by layer, the tokens that the text attends to least are dropped, outside the region first.";
  }

  go(layer) {
    const { trace } = this;
    if (!trace) return;
    this.layer = clamp(layer, 0, trace.layers - 1);
    this.slider.value = this.layer;
    const left = trace.alive[this.layer];
    const here = trace.died.filter((at) => at === this.layer).length;
    this.slider.setAttribute("aria-valuetext", `layer ${this.layer}, ${left} visual tokens alive`);
    this.now.replaceChildren(h("b", {}, `Layer ${this.layer}`), ` of 0–${trace.layers - 1}: `, h("b", {}, `${left}`), ` of ${trace.total} alive (${percent(left, trace.total)})`, here ? h("span", { class: "cx-cut" }, `${here} dropped here`) : "");
    this.picture.draw();
    this.moved(this.layer);
  }

  paint(ctx, { px, size, hover, pinned }) {
    const trace = this.views.shown;
    if (!trace) return drawGrid(ctx, px, size);
    this.alive = drawLayer(ctx, px, trace, this.layer);
    drawBorder(ctx, px, size, trace.visible);
    drawRegion(ctx, px, size, trace.region.grid);
    drawHover(ctx, px, trace, hover);
    drawPinned(ctx, px, trace, pinned);
  }
}

class PruningPanel {
  // pin: hears of the token that is clicked. widen: of the wish for room for two pictures.
  constructor(pin, widen) {
    this.state = {};
    this.widen = widen;
    this.view = new LayerView("LLM layer", pin, () => this.mark());
    this.other = new LayerView("Second LLM layer", pin, () => {});
    this.curve = new AliveCurve((layer) => this.view.go(layer));
    this.play = h("button", { type: "button", class: "cx-button cx-play", "aria-label": "Play the layers", onclick: () => this.toggle() });
    this.beside = h("button", { type: "button", class: "cx-button", "aria-pressed": "false", hidden: true, onclick: () => this.compare(this.other.root.hidden) }, "Compare two layers");
    this.view.controls.prepend(this.play);
    this.other.root.hidden = true;
    this.layers = h("div", { class: "cx-layers" }, this.view.root, this.other.root);
    this.root = h("div", { class: "cx-pruning" }, this.layers, this.curve.root, h("div", { class: "cx-tools" }, this.beside));
    this.setPlaying(false);
  }

  get pictures() {
    return [this.view.picture, this.other.picture];
  }

  update(state) {
    const fresh = state.trace !== this.state.trace;
    this.state = state;
    const { trace } = state;
    this.beside.hidden = this.curve.root.hidden = !trace;
    if (!trace) this.compare(false);
    if (!trace || !fresh) return [this.view, this.other].forEach((view) => view.update(state, view.layer));
    this.setPlaying(false);
    this.curve.show(trace, trace.mean);
    this.view.update(state, trace.cuts.length ? Math.min(trace.cuts[trace.cuts.length - 1], trace.layers - 1) : 0);
    this.other.update(state, 0);
  }

  compare(on) {
    this.other.root.hidden = !on;
    this.layers.classList.toggle("cx-two", on);
    this.beside.setAttribute("aria-pressed", String(on));
    this.widen(on);
  }

  // What the chosen layer is, on the curve and for whoever reads the page.
  mark() {
    this.curve.mark(this.view.layer);
    this.root.dataset.layer = this.view.layer;
    this.root.dataset.alive = this.view.trace.alive[this.view.layer];
  }

  setPlaying(on) {
    clearTimeout(this.timer);
    this.playing = on;
    this.play.replaceChildren(icon(on ? "M4 2h3v12H4zM9 2h3v12H9z" : "M4 2l10 6-10 6z"));
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
    this.timer = setTimeout(() => {
      if (!this.playing) return;
      this.view.go(this.view.layer + 1);
      if (this.view.layer < layers - 1) this.step();
      else this.setPlaying(false);
    }, clamp(6000 / layers, 180, 500));
  }
}
