// One picture on a canvas: sharp on any screen, redrawn on resize, with hover in picture pixels.

class Picture {
  constructor(label, draw) {
    this.canvas = h("canvas", { class: "cx-canvas", role: "img", "aria-label": label });
    this.tip = h("div", { class: "cx-tip", hidden: true });
    this.root = h("div", { class: "cx-stage" }, this.canvas, this.tip);
    this.drawing = draw;
    this.image = null;
    this.size = [1, 1];
    this.hover = -1;
    this.pinned = -1; // a token that stays marked
    this.lines = null;
    this.pick = null; // hears of the token that is clicked
    new ResizeObserver(() => this.draw()).observe(this.root);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.point(event)); // a tap, where nothing hovers
    this.canvas.addEventListener("click", (event) => this.pick && this.lines && this.pick(this.lines(...this.toPicture(event)).token));
    this.canvas.addEventListener("pointerleave", () => this.leave());
  }

  show(image, size) {
    this.image = image;
    this.size = size;
    this.root.style.aspectRatio = `${size[0]} / ${size[1]}`;
    this.draw();
  }

  // Screen pixels per picture pixel.
  get scale() {
    return this.canvas.clientWidth / this.size[0];
  }

  draw() {
    const dpr = window.devicePixelRatio || 1;
    const [width, height] = [this.root.clientWidth, this.root.clientHeight];
    if (!width || !height || !this.image) return;
    this.canvas.width = Math.round(width * dpr);
    this.canvas.height = Math.round(height * dpr);
    const ctx = this.canvas.getContext("2d");
    const unit = this.canvas.width / this.size[0];
    ctx.setTransform(unit, 0, 0, this.canvas.height / this.size[1], 0, 0);
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(this.image, 0, 0, this.size[0], this.size[1]);
    this.px = dpr / unit; // one screen pixel, in picture pixels
    this.drawing(ctx, this);
  }

  pin(token) {
    this.pinned = token;
    this.draw();
  }

  toPicture(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.size[0], ((event.clientY - box.top) / box.height) * this.size[1]];
  }

  point(event) {
    if (!this.lines) return;
    const [x, y] = this.toPicture(event);
    const found = this.lines(x, y);
    if (found.token !== this.hover) {
      this.hover = found.token;
      this.draw();
    }
    this.tell(found.text, x, y);
  }

  tell(text, x, y) {
    this.tip.hidden = !text.length;
    this.tip.replaceChildren(...text.map((line, k) => h(k ? "span" : "strong", {}, line)));
    const right = x > this.size[0] / 2;
    const low = y > this.size[1] / 2;
    this.tip.style.left = right ? "auto" : `${(100 * x) / this.size[0]}%`;
    this.tip.style.right = right ? `${100 - (100 * x) / this.size[0]}%` : "auto";
    this.tip.style.top = low ? "auto" : `${(100 * y) / this.size[1]}%`;
    this.tip.style.bottom = low ? `${100 - (100 * y) / this.size[1]}%` : "auto";
  }

  leave() {
    this.tip.hidden = true;
    if (this.hover === -1) return;
    this.hover = -1;
    this.draw();
  }
}
