// Tokens by hand: visual tokens are removed and restored with pointer or keys, and the question is asked with those that are
// left, as they are, without compression or pruning.
import { h } from "./dom.js";
import { ImageCanvas } from "./image.js";
import { drawBorder, fillTokens } from "./layers.js";
import { palette, withAlpha } from "./palette.js";
import { hasBox, tokenAt } from "./trace.js";
import { ViewSwitch } from "./views.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELP =
  "Click or drag over the image to remove tokens, and over removed ones to restore them (arrow keys and Space do so too). The question is asked again with exactly those that are left.";

// The tokens that are alive in a layer, with all that are pooled into them.
export const aliveAt = (trace, layer) => new Set(trace.dropLayer.flatMap((at, i) => (at > layer ? [i] : [])));

// The token next to another one in a direction [columns, rows]: the nearest whose centre lies that way; itself at the border.
export function neighbour(boxes, from, [dx, dy]) {
  const centre = ([l, t, r, b]) => [(l + r) / 2, (t + b) / 2];
  const [x, y] = centre(boxes[from]);
  let [best, least] = [from, Infinity];
  boxes.forEach((box, i) => {
    if (!hasBox(box)) return;
    const [away, aside] = dx
      ? [(centre(box)[0] - x) * dx, centre(box)[1] - y]
      : [(centre(box)[1] - y) * dy, centre(box)[0] - x];
    const far = away + 4 * Math.abs(aside);
    if (away > 0 && far < least) [best, least] = [i, far];
  });
  return best;
}

const button = (onclick, text, kind = "") => h("button", { type: "button", class: `cx-button ${kind}`, onclick }, text);

export class TokenBrush {
  // onAsk: called with the tokens that are left.
  constructor(onAsk) {
    this.onAsk = onAsk;
    this.canvas = new ImageCanvas("The visual tokens that are left", (ctx, p) => this.paint(ctx, p));
    this.views = new ViewSwitch(() => this.canvas.draw());
    this.left = new Set();
    this.before = []; // earlier choices, for Undo
    this.at = -1; // token under the keys
    this.count = h("p", { class: "cx-caption", "aria-live": "polite" });
    this.tried = h("ol", { class: "cx-tried", "aria-label": "Asked with tokens by hand" });
    this.ask = button(() => this.run(), "Ask with these tokens", "cx-primary");
    this.undo = button(() => this.back(), "Undo");
    const tools = h(
      "div",
      { class: "cx-tools" },
      button(() => this.choose(this.all), "All"),
      button(() => this.choose(aliveAt(this.trace, this.trace.layers - 1)), "Those alive in the last layer"),
      button(() => this.choose(this.inverse), "Swap removed and left"),
      this.undo,
      this.ask,
    );
    const side = h(
      "div",
      { class: "cx-brushside" },
      h("p", { class: "cx-caption" }, HELP),
      tools,
      this.count,
      this.tried,
    );
    const body = h("div", { class: "cx-brush" }, h("div", {}, this.canvas.root, this.views.root), side);
    const summary = h("summary", {}, "Tokens by hand: what does the answer need?");
    const toggle = { class: "cx-byhand cx-card", hidden: true, ontoggle: () => this.canvas.draw() };
    this.root = h("details", toggle, summary, body);
    this.listen(this.canvas.element);
  }

  get all() {
    return new Set(this.trace.group.keys());
  }

  get inverse() {
    return new Set([...this.all].filter((i) => !this.left.has(i)));
  }

  listen(canvas) {
    canvas.tabIndex = 0;
    canvas.classList.add("cx-drawing");
    canvas.addEventListener("pointerdown", (event) => this.start(event));
    canvas.addEventListener("pointermove", (event) => this.stroke(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => {
        this.restores = null;
      });
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // A new run begins with all tokens. Only runs about one image, made here, can be asked.
  update({ trace, image, size, fixed, others, tried }) {
    this.root.hidden = !trace || fixed || others.length > 0;
    if (this.root.hidden) return;
    if (trace !== this.trace) {
      this.trace = trace;
      [this.left, this.before, this.at] = [this.all, [], -1];
      this.views.update(trace);
    }
    this.canvas.show(image, size);
    this.ask.disabled = false;
    this.tried.replaceChildren(...tried.map((each) => this.row(each)));
    this.tell();
  }

  row({ tokens, text, same, probability }) {
    const answer = h("b", {}, same ? "Same answer" : `“${text}”`);
    return h(
      "li",
      {},
      `${tokens} of ${this.trace.total} tokens: `,
      answer,
      `; the baseline's answer is ${probability} likely`,
    );
  }

  tell() {
    const removed = this.trace.total - this.left.size;
    this.count.textContent = `${this.left.size} of ${this.trace.total} tokens are left, ${removed} removed.`;
    this.undo.disabled = !this.before.length;
    this.ask.disabled = !this.left.size;
    this.canvas.draw();
  }

  choose(tokens) {
    this.before.push(this.left);
    this.left = tokens;
    this.tell();
  }

  back() {
    this.left = this.before.pop();
    this.tell();
  }

  run() {
    this.ask.disabled = true;
    this.count.textContent = "Asking …";
    this.onAsk([...this.left].sort((a, b) => a - b));
  }

  // A stroke removes tokens, or restores them where it begins on a removed one.
  start(event) {
    const token = tokenAt(this.views.shown, ...this.canvas.position(event));
    if (token < 0) return;
    event.preventDefault();
    this.canvas.element.setPointerCapture(event.pointerId);
    this.choose(new Set(this.left));
    this.restores = !this.left.has(token);
    this.set(token, this.restores);
  }

  stroke(event) {
    if (typeof this.restores !== "boolean") return;
    const token = tokenAt(this.views.shown, ...this.canvas.position(event));
    if (token >= 0) this.set(token, this.restores);
  }

  set(token, isLeft) {
    this.at = token;
    if (isLeft) this.left.add(token);
    else this.left.delete(token);
    this.tell();
  }

  key(event) {
    const { boxes, drawOrder } = this.views.shown;
    if (event.key in ARROWS) this.at = this.at < 0 ? drawOrder[0] : neighbour(boxes, this.at, ARROWS[event.key]);
    else if (event.key === " " && this.at >= 0) {
      this.choose(new Set(this.left));
      this.set(this.at, !this.left.has(this.at));
    } else return;
    event.preventDefault();
    this.canvas.draw();
  }

  paint(ctx, { px, size }) {
    const trace = this.views.shown;
    if (!trace) return;
    fillTokens(
      ctx,
      trace,
      trace.drawOrder.filter((i) => !this.left.has(i)),
      withAlpha(palette.veil, 0.9),
    );
    drawBorder(ctx, px, size, trace.visible);
    if (this.at < 0 || document.activeElement !== this.canvas.element) return;
    const [l, t, r, b] = trace.boxes[this.at];
    ctx.strokeStyle = palette.cut;
    ctx.lineWidth = 3 * px;
    ctx.strokeRect(l, t, r - l, b - t);
  }
}
