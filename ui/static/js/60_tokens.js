// Panels 2 and 3: what PLC made of the tokens, and which of them ILP leaves standing at each layer.

// Which view of the image a panel shows, where the model has an overview and tiles; hidden where it has one.
class ViewSwitch {
  constructor(changed) {
    this.changed = changed;
    this.root = h("div", { class: "cx-views", role: "group", "aria-label": "View of the image" });
  }

  // The last view is the finest.
  update(trace) {
    if (trace && trace !== this.trace) this.view = trace.views[trace.views.length - 1];
    this.trace = trace;
    this.root.hidden = !trace || trace.views.length < 2;
    if (!this.root.hidden) this.root.replaceChildren(...trace.views.map((view) => this.button(view)));
  }

  button(view) {
    const count = this.trace.view.filter((v) => v === view).length;
    const pick = () => ((this.view = view), this.update(this.trace), this.changed());
    const pressed = String(view === this.view);
    return h("button", { type: "button", class: "cx-button", "aria-pressed": pressed, onclick: pick }, `${view ? "Tiles" : "Overview"}, ${count} tokens`);
  }

  get shown() {
    return inView(this.trace, this.view);
  }
}

class CompressionPanel {
  constructor() {
    this.state = {};
    this.picture = new Picture("The visual tokens after compression", (ctx, p) => this.paint(ctx, p));
    this.views = new ViewSwitch(() => this.picture.draw());
    this.picture.lines = (x, y) => tokenTip(this.views.shown, x, y);
    this.caption = h("p", { class: "cx-caption" });
    this.legend = h("ul", { class: "cx-legend" });
    this.root = h("div", {}, this.picture.root, this.views.root, this.caption, this.legend);
  }

  update(state) {
    this.state = state;
    const { trace } = state;
    this.views.update(trace);
    this.caption.textContent = trace ? compressionCaption(trace) : "Tokens outside the region are averaged in rings of growing windows.";
    this.legend.replaceChildren(...(trace && trace.members.some((list) => list.length > 1) ? ringRows(trace).map((row) => ringItem(row, trace)) : []));
    if (state.image) this.picture.show(state.image, state.size);
  }

  paint(ctx, { px, size, hover }) {
    const trace = this.views.shown;
    if (!trace) return drawGrid(ctx, px, size);
    drawGroups(ctx, px, trace);
    drawBorder(ctx, px, size, trace.visible);
    drawRegion(ctx, px, size, trace.region.grid);
    drawHover(ctx, px, trace, hover);
  }
}

function tokenTip(trace, x, y) {
  if (!trace) return { token: -1, text: [] };
  const token = tokenAt(trace, x, y);
  const v = trace.visible;
  if (token >= 0) return { token, text: tokenLines(trace, token) };
  const outside = v && (x < v[0] || y < v[1] || x > v[2] || y > v[3]);
  return { token, text: outside ? ["Invisible to the model"] : [] };
}

function compressionCaption(trace) {
  if (trace.inputs === trace.total) return `Nothing is compressed before the LLM: all ${trace.total} visual tokens enter it.`;
  const dropped = trace.group.filter((j) => j < 0).length;
  const tail = dropped ? `, ${dropped} are dropped outright` : "";
  return `${trace.total} visual tokens become ${trace.inputs} (${percent(trace.inputs, trace.total)})${tail}. Hover a cell for its group.`;
}

function ringItem(row, trace) {
  const name = ringName(row.ring, trace.lastRing);
  const text = row.before === row.after ? `${row.before} kept as they are` : `${row.before} → ${row.after}, about ${(row.before / row.after).toPrecision(2)} to 1`;
  return h("li", {}, h("i", { style: `background:${ringColour(row.ring)}` }), h("b", {}, name), h("span", {}, text));
}

class PruningPanel {
  constructor() {
    this.state = {};
    this.layer = 0;
    this.picture = new Picture("The visual tokens alive at the chosen layer", (ctx, p) => this.paint(ctx, p));
    this.views = new ViewSwitch(() => this.picture.draw());
    this.picture.lines = (x, y) => tokenTip(this.views.shown, x, y);
    this.curve = new AliveCurve((layer) => this.go(layer));
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, class: "cx-slider", "aria-label": "LLM layer", oninput: () => this.go(Number(this.slider.value)) });
    this.play = h("button", { type: "button", class: "cx-button cx-play", "aria-label": "Play the layers", onclick: () => this.toggle() });
    this.now = h("p", { class: "cx-caption cx-now" });
    this.controls = h("div", { class: "cx-controls" }, this.play, this.slider);
    this.root = h("div", { class: "cx-pruning" }, this.picture.root, this.views.root, this.controls, this.now, this.curve.root);
    this.setPlaying(false);
  }

  update(state) {
    const fresh = state.trace !== this.state.trace;
    this.state = state;
    const { trace } = state;
    this.views.update(trace);
    this.controls.hidden = this.curve.root.hidden = !trace;
    if (trace && fresh) {
      this.setPlaying(false);
      this.slider.max = trace.layers - 1;
      this.curve.show(trace, state.mean);
      this.layer = trace.cuts.length ? Math.min(trace.cuts[trace.cuts.length - 1], trace.layers - 1) : 0;
    }
    if (state.image) this.picture.show(state.image, state.size);
    if (trace) this.go(this.layer);
    else this.now.textContent = "Layer by layer, the tokens that the text attends to least are dropped, outside the region first.";
  }

  go(layer) {
    const { trace } = this.state;
    if (!trace) return;
    this.layer = clamp(layer, 0, trace.layers - 1);
    this.slider.value = this.layer;
    const left = trace.alive[this.layer];
    const here = trace.died.filter((at) => at === this.layer).length;
    this.slider.setAttribute("aria-valuetext", `layer ${this.layer}, ${left} visual tokens alive`);
    this.now.replaceChildren(h("b", {}, `Layer ${this.layer}`), ` of 0–${trace.layers - 1}: `, h("b", {}, `${left}`), ` of ${trace.total} alive (${percent(left, trace.total)})`, here ? h("span", { class: "cx-cut" }, `${here} dropped here`) : "");
    this.curve.mark(this.layer);
    this.picture.draw();
  }

  paint(ctx, { px, size, hover }) {
    const trace = this.views.shown;
    if (!trace) return drawGrid(ctx, px, size);
    const alive = drawLayer(ctx, px, trace, this.layer);
    this.root.dataset.layer = this.layer;
    this.root.dataset.alive = alive;
    drawBorder(ctx, px, size, trace.visible);
    drawRegion(ctx, px, size, trace.region.grid);
    drawHover(ctx, px, trace, hover);
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
    this.go(0);
    this.step();
  }

  step() {
    const { layers } = this.state.trace;
    this.timer = setTimeout(() => {
      if (!this.playing) return;
      this.go(this.layer + 1);
      if (this.layer < layers - 1) this.step();
      else this.setPlaying(false);
    }, clamp(6000 / layers, 180, 500));
  }
}
