// Where the model looked: the attention of a layer, while an answer token is written, as a heat map over the image. It is
// read in one more run, when it is asked for.
import { h } from "./dom.js";
import { clamp, share as shareText } from "./format.js";
import { ImageCanvas } from "./image.js";
import { drawBorder, drawHeat, drawPinned } from "./layers.js";
import { largest, tokenAt } from "./trace.js";
import { ViewSwitch } from "./views.js";

const LEVELS = 1000; // as in crop_core/records/attention.py
const HELP =
  "Attention of the token whose turn it is (at first the last token of the prompt) to each visual token, the mean of a layer’s heads. It takes one more run, whose time is in no figure of this page. Attention is not explanation: it says where the model looked, not why it answered so.";
const isBaseline = ({ method }) => method === "none";
const kindOf = (looked) => (isBaseline(looked) ? "baseline" : "crop");

// Share of all attention on each visual token; that of a pooled one is divided among its members.
export function shares(looked, layer, step, { group, members }) {
  const { levels, largest: most } = looked.layers[layer];
  const unit = most[step] / LEVELS;
  if (isBaseline(looked)) return levels[step].map((level) => level * unit);
  return group.map((j) => (j < 0 ? 0 : (levels[step][j] * unit) / members[j].length));
}

export function caption(looked, layer, step, most) {
  const onImage = shareText(looked.layers[layer].on_image[step]);
  const pruned = isBaseline(looked) ? "" : " Those pruned before this layer get none.";
  return `Layer ${layer}, writing “${looked.words[step]}”: ${onImage} of the attention is on the image, at most ${shareText(most)} on one visual token.${pruned} Read in ${looked.seconds.toFixed(2)} s.`;
}

const options = (rows) => rows.map(([value, text]) => h("option", { value }, text));

export class AttentionView {
  // onLook: called with "baseline" or "crop", whose attention shall be read.
  constructor(onLook) {
    this.onLook = onLook;
    this.canvas = new ImageCanvas("Where the model looked", (ctx, p) => this.paint(ctx, p));
    this.canvas.tipAt = (x, y) => this.tip(x, y);
    this.views = new ViewSwitch(() => this.canvas.draw());
    this.run = h("select", { class: "cx-select", "aria-label": "Run", onchange: () => this.fill() });
    this.word = h("select", { class: "cx-select", "aria-label": "Answer token", onchange: () => this.look() });
    const range = { type: "range", min: 0, max: 0, class: "cx-slider", "aria-label": "Layer of the attention" };
    this.slider = h("input", { ...range, oninput: () => this.look() });
    this.button = h("button", { type: "button", class: "cx-button cx-primary", onclick: () => this.ask() }, "");
    this.text = h("p", { class: "cx-caption cx-looked", "aria-live": "polite" });
    this.most = h("span", {});
    this.scale = h("div", { class: "cx-scale" }, h("span", {}, "0 %"), h("i", {}), this.most);
    const chosen = h("div", { class: "cx-tools" }, this.run, this.word);
    const slide = h("label", { class: "cx-slide" }, "Layer", this.slider);
    const side = [h("p", { class: "cx-caption" }, HELP), chosen, this.button, slide, this.scale, this.text];
    const left = h("div", {}, this.canvas.root, this.views.root);
    const body = h("div", { class: "cx-brush" }, left, h("div", { class: "cx-brushside" }, ...side));
    const toggle = { class: "cx-byhand cx-card", hidden: true, ontoggle: () => this.canvas.draw() };
    this.root = h("details", toggle, h("summary", {}, "Where did the model look?"), body);
  }

  // found: what was read of the chosen image.
  update({ trace, image, size, fixed, heading, found }) {
    this.root.hidden = !trace || (fixed && !found.length);
    if (this.root.hidden) return;
    if (trace !== this.trace) {
      this.views.update(trace);
      this.slider.max = trace.layers - 1;
      this.slider.value = trace.layers >> 1;
      this.run.value = "";
    }
    const before = trace === this.trace ? this.found.map(kindOf) : [];
    const newest = found.find((each) => !before.includes(kindOf(each)));
    [this.trace, this.found, this.fixed, this.asked] = [trace, found, fixed, false];
    const runs = { baseline: "Baseline", crop: heading };
    const kept = newest ? kindOf(newest) : this.run.value || "baseline";
    const there = Object.entries(runs).filter(([kind]) => !fixed || found.some((each) => kindOf(each) === kind));
    this.run.replaceChildren(...options(there));
    this.run.value = there.some(([kind]) => kind === kept) ? kept : there[0][0];
    this.canvas.show(image, size);
    this.fill();
  }

  get looked() {
    return this.found.find((each) => kindOf(each) === this.run.value);
  }

  // The answer tokens of the chosen run.
  fill() {
    const { looked } = this;
    const step = this.word.value;
    this.word.replaceChildren(...options((looked?.words ?? []).map((text, k) => [k, `${k + 1}. ${text}`])));
    this.word.value = looked?.words[step] ? step : "0";
    this.word.disabled = this.slider.disabled = !looked;
    this.button.hidden = Boolean(this.fixed);
    this.button.disabled = Boolean(looked);
    this.button.textContent = looked ? "Shown" : "Show (one more run)";
    this.look();
  }

  ask() {
    this.button.disabled = true;
    this.button.textContent = "Reading …";
    this.onLook(this.run.value);
  }

  look() {
    const { looked } = this;
    const layer = clamp(Number(this.slider.value), 0, this.trace.layers - 1);
    const step = Number(this.word.value);
    this.values = looked ? shares(looked, layer, step, this.trace) : null;
    const most = this.values ? largest(this.values) : 0;
    this.slider.setAttribute("aria-valuetext", `layer ${layer}`);
    this.scale.classList.toggle("cx-unread", !looked);
    this.most.textContent = looked ? shareText(most) : "";
    this.text.textContent = looked ? caption(looked, layer, step, most) : `Layer ${layer}: not read yet.`;
    this.canvas.draw();
  }

  tip(x, y) {
    const trace = this.views.shown;
    const token = trace && this.values ? tokenAt(trace, x, y) : -1;
    return {
      token,
      lines: token < 0 ? [] : [`Visual token ${token}`, `${shareText(this.values[token])} of the attention`],
    };
  }

  paint(ctx, { px, size, hover }) {
    const trace = this.views.shown;
    if (!trace) return;
    if (this.values) drawHeat(ctx, trace, this.values);
    drawBorder(ctx, px, size, trace.visible);
    drawPinned(ctx, px, trace, hover);
  }
}
