// Methods side by side: for each a small view of how long every visual token stays.
import { MethodDifference } from "./difference.js";
import { decodeImage, h } from "./dom.js";
import { oneDecimal } from "./format.js";
import { ImageCanvas } from "./image.js";
import { drawBorder, drawHover, drawLifetimes, drawRegion } from "./layers.js";
import { tokenTip } from "./tooltip.js";
import { inView, parseTrace } from "./trace.js";

const VERDICTS = { same: "same answer", less_sure: "same answer, but much less sure", changed: "another answer" };

class GalleryCard {
  // row: what is a method's own; shared: what the traces of all methods have in common.
  constructor(row, shared) {
    this.trace = parseTrace({ ...shared, ...row.trace });
    this.shown = inView(this.trace, this.trace.views[this.trace.views.length - 1]);
    this.canvas = new ImageCanvas(`What ${row.name} keeps`, (ctx, p) => this.paint(ctx, p));
    this.canvas.tipAt = (x, y) => tokenTip(this.shown, x, y);
    const verdict = VERDICTS[row.verdict];
    const probability = `baseline answer ${row.answer_probability} likely`;
    this.root = h(
      "article",
      { class: `cx-card cx-method cx-${row.verdict}` },
      h("h3", {}, row.name),
      this.canvas.root,
      h("p", { class: "cx-answer" }, row.text || "—"),
      h("p", { class: "cx-small" }, `${verdict} · ${probability} · ${oneDecimal(row.mean)} tokens per layer`),
    );
  }

  paint(ctx, { px, size, hover }) {
    drawLifetimes(ctx, px, this.shown);
    drawBorder(ctx, px, size, this.trace.visible);
    if (this.trace.region) drawRegion(ctx, px, size, this.trace.region.grid);
    drawHover(ctx, px, this.shown, hover);
  }
}

export class Gallery {
  constructor(root) {
    this.root = root;
    this.cards = [];
    this.grid = h("div", { class: "cx-gallery" });
    this.difference = new MethodDifference();
    this.difference.root.hidden = true;
    root.classList.add("cx");
    root.replaceChildren(this.grid, this.difference.root);
  }

  // payload: {image: data URL, data: JSON text}.
  async update(payload) {
    if (!payload?.data) return;
    const data = JSON.parse(payload.data);
    const image = await decodeImage(payload.image);
    this.cards = data.rows.map((row) => new GalleryCard(row, data.shared));
    this.grid.replaceChildren(...this.cards.map((card) => card.root));
    for (const card of this.cards) card.canvas.show(image, data.shared.image_size);
    const rows = data.rows.map((row, at) => ({ ...row, trace: this.cards[at].trace }));
    this.difference.update(rows, image, data.shared.image_size);
    this.root.dataset.count = this.cards.length;
  }

  redraw() {
    for (const { canvas } of [...this.cards, this.difference]) canvas.draw();
  }
}
