// Many methods side by side: one small picture each, of how long every visual token stays.

// Gone early is veiled, alive to the end is clear; pooled groups have an outline.
function drawLifetimes(ctx, px, trace) {
  trace.order.forEach((i) => {
    const share = trace.diedAt[i] / trace.layers;
    if (share < 1) fillTokens(ctx, trace, [i], withAlpha(PALETTE.veil, 0.92 * (1 - share)));
  });
  trace.members.forEach((list, j) => {
    if (list.length < 2) return;
    fillTokens(ctx, trace, list, withAlpha(ringColour(trace.ring[list[0]]), 0.25));
    ctx.strokeStyle = withAlpha(ringColour(trace.ring[list[0]]), 0.9);
    ctx.lineWidth = px;
    segments(ctx, trace.outlines[j]);
    ctx.stroke();
  });
}

class GalleryCard {
  constructor(row, shared) {
    this.trace = parseTrace({ ...shared, ...row.trace });
    const finest = this.trace.views[this.trace.views.length - 1];
    this.shown = inView(this.trace, finest);
    this.picture = new Picture(`What ${row.name} keeps`, (ctx, p) => this.paint(ctx, p));
    this.picture.lines = (x, y) => tokenTip(this.shown, x, y);
    const verdict = row.same ? "same answer" : "another answer";
    this.root = h("article", { class: `cx-card cx-method ${row.same ? "cx-kept" : "cx-lost"}` },
      h("h3", {}, row.name), this.picture.root, h("p", { class: "cx-answer" }, row.text || "—"),
      h("p", { class: "cx-small" }, `${verdict} · gives the full answer ${(100 * row.chance).toFixed(1)} % · ${Math.round(10 * row.mean) / 10} tokens a layer`));
  }

  paint(ctx, { px, size, hover }) {
    drawLifetimes(ctx, px, this.shown);
    drawBorder(ctx, px, size, this.trace.visible);
    if (this.trace.region.source !== "whole") drawRegion(ctx, px, size, this.trace.region.grid);
    drawHover(ctx, px, this.shown, hover);
  }
}

class Gallery {
  constructor(root) {
    this.root = root;
    this.cards = [];
    root.classList.add("cx", "cx-gallery");
  }

  // payload: {image: data URL, data: JSON text}.
  async update(payload) {
    if (!payload || !payload.data) return;
    const data = JSON.parse(payload.data);
    const image = new Image();
    image.src = payload.image;
    await image.decode();
    this.cards = data.rows.map((row) => new GalleryCard(row, data.shared));
    this.root.replaceChildren(...this.cards.map((card) => card.root));
    this.cards.forEach((card) => card.picture.show(image, data.shared.image_size));
    this.root.dataset.count = this.cards.length;
  }

  redraw() {
    this.cards.forEach((card) => card.picture.draw());
  }
}
