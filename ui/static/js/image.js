// One image on a canvas: sharp on any screen, redrawn on resize, with hover and clicks in image pixels.
import { h } from "./dom.js";

export class ImageCanvas {
  // draw(context, canvas): paints over the image, in image pixels; `canvas.px` is one screen pixel in that unit.
  constructor(label, draw) {
    this.element = h("canvas", { class: "cx-canvas", role: "img", "aria-label": label });
    this.tip = h("div", { class: "cx-tip", hidden: true });
    this.root = h("div", { class: "cx-stage" }, this.element, this.tip);
    this.overlay = draw;
    this.image = null;
    this.size = [1, 1];
    this.hover = -1;
    this.pinned = -1; // a token that stays marked
    this.tipAt = null; // (x, y) -> {token, lines}
    this.onPick = null; // called with the token that is clicked
    new ResizeObserver(() => this.draw()).observe(this.root);
    this.element.addEventListener("pointermove", (event) => this.point(event));
    this.element.addEventListener("pointerdown", (event) => this.point(event)); // a tap, where nothing hovers
    this.element.addEventListener("click", (event) => this.pick(event));
    this.element.addEventListener("pointerleave", () => this.leave());
  }

  show(image, size) {
    this.image = image;
    this.size = size;
    this.root.style.aspectRatio = `${size[0]} / ${size[1]}`;
    this.root.style.setProperty("--cx-shape", size[0] / size[1]);
    this.draw();
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.root.clientWidth, this.root.clientHeight];
    if (!width || !height || !this.image) return;
    this.element.width = Math.round(width * ratio);
    this.element.height = Math.round(height * ratio);
    const ctx = this.element.getContext("2d");
    const unit = this.element.width / this.size[0];
    ctx.setTransform(unit, 0, 0, this.element.height / this.size[1], 0, 0);
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(this.image, 0, 0, this.size[0], this.size[1]);
    this.px = ratio / unit;
    this.overlay(ctx, this);
  }

  pin(token) {
    this.pinned = token;
    this.draw();
  }

  // Position of a pointer event in image pixels.
  position(event) {
    const box = this.element.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.size[0],
      ((event.clientY - box.top) / box.height) * this.size[1],
    ];
  }

  pick(event) {
    if (this.onPick && this.tipAt) this.onPick(this.tipAt(...this.position(event)).token);
  }

  point(event) {
    if (!this.tipAt) return;
    const [x, y] = this.position(event);
    const { token, lines } = this.tipAt(x, y);
    if (token !== this.hover) {
      this.hover = token;
      this.draw();
    }
    this.showTip(lines);
  }

  // The tooltip stands below the image, or above it where the screen ends, so that it covers nothing of it.
  showTip(lines) {
    this.tip.hidden = !lines.length;
    this.tip.replaceChildren(...lines.map((line, k) => h(k ? "span" : "strong", {}, line)));
    const ends = this.root.getBoundingClientRect().bottom + this.tip.offsetHeight + 8;
    this.tip.classList.toggle("cx-above", ends > window.innerHeight);
  }

  leave() {
    this.tip.hidden = true;
    if (this.hover === -1) return;
    this.hover = -1;
    this.draw();
  }
}
