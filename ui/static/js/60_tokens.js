// Panel 2: what PLC made of the tokens. What is told of a token under the pointer, here and in panel 3.

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
  // pin: hears of the token that is clicked.
  constructor(pin) {
    this.state = {};
    this.ring = null; // the ring that alone is shown
    this.picture = new Picture("The visual tokens after compression", (ctx, p) => this.paint(ctx, p));
    this.views = new ViewSwitch(() => this.picture.draw());
    this.picture.lines = (x, y) => tokenTip(this.views.shown, x, y);
    this.picture.pick = pin;
    this.caption = h("p", { class: "cx-caption" });
    this.legend = h("ul", { class: "cx-legend" });
    this.root = h("div", {}, this.picture.root, this.views.root, this.caption, this.legend);
  }

  update(state) {
    if (state.trace !== this.state.trace) this.ring = null;
    this.state = state;
    const { trace } = state;
    this.views.update(trace);
    this.caption.textContent = trace ? compressionCaption(trace) : "Tokens outside the region are averaged in rings of growing windows.";
    this.legend.replaceChildren(...(trace && trace.members.some((list) => list.length > 1) ? ringRows(trace).map((row) => this.item(row)) : []));
    if (state.image) this.picture.show(state.image, state.size);
  }

  // A ring's line in the legend; pressed, it alone is shown.
  item(row) {
    const { trace } = this.state;
    const text = row.before === row.after ? `${row.before} kept as they are` : `${row.before} → ${row.after}, about ${Number((row.before / row.after).toPrecision(2))} to 1`;
    const pick = () => ((this.ring = this.ring === row.ring ? null : row.ring), this.update(this.state));
    const button = h("button", { type: "button", class: "cx-key", "aria-pressed": String(this.ring === row.ring), onclick: pick }, h("i", { style: `background:${ringColour(row.ring)}` }), h("b", {}, ringName(row.ring, trace.lastRing)), h("span", {}, text));
    return h("li", {}, button);
  }

  paint(ctx, { px, size, hover, pinned }) {
    const trace = this.views.shown;
    if (!trace) return drawGrid(ctx, px, size);
    drawGroups(ctx, px, trace);
    if (this.ring !== null) fillTokens(ctx, trace, trace.order.filter((i) => trace.ring[i] !== this.ring), withAlpha(PALETTE.veil, 0.9));
    drawBorder(ctx, px, size, trace.visible);
    drawRegion(ctx, px, size, trace.region.grid);
    drawHover(ctx, px, trace, hover);
    drawPinned(ctx, px, trace, pinned);
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
