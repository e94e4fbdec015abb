// Visual tokens alive per layer, as a step line whose marker follows the layer slider.
import { h, s } from "./dom.js";
import { oneDecimal } from "./format.js";

const BOX = { left: 34, top: 10, width: 300, height: 84 }; // of the plot, in units of the view box
const VIEW = { width: 344, height: 116 };

// Middle of a layer's step.
export const layerX = ({ layers }, layer) => BOX.left + (BOX.width * (layer + 0.5)) / layers;

export const countY = ({ total }, count) => BOX.top + BOX.height * (1 - count / total);

// The layer at a position along the axis; before the first and after the last there are more, which do not exist.
export const layerAt = ({ layers }, x) => Math.floor(((x - BOX.left) / BOX.width) * layers);

// SVG path of the step line.
export function stepLine(trace) {
  const half = BOX.width / trace.layers / 2;
  const step = (count, layer) => {
    const [x, y] = [layerX(trace, layer), countY(trace, count)];
    return `${layer ? "L" : "M"}${x - half} ${y}L${x + half} ${y}`;
  };
  return trace.alive.map(step).join("");
}

const label = (x, y, text, anchor) => s("text", { x, y, "text-anchor": anchor }, text);
const across = (y, style) => s("line", { x1: BOX.left, x2: BOX.left + BOX.width, y1: y, y2: y, class: style });

export class AliveCurve {
  // onChoose: called with the layer that is clicked or dragged to.
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.svg = s("svg", { viewBox: `0 0 ${VIEW.width} ${VIEW.height}`, class: "cx-curve", role: "img" });
    this.svg.addEventListener("pointerdown", (event) => this.choose(event));
    this.svg.addEventListener("pointermove", (event) => event.buttons && this.choose(event));
    this.root = h("div", { class: "cx-curvebox", hidden: true }, this.svg);
  }

  show(trace) {
    this.trace = trace;
    const line = stepLine(trace);
    const { left, top } = BOX;
    const [right, bottom] = [left + BOX.width, top + BOX.height];
    const full = countY(trace, trace.total);
    this.marker = s("circle", { r: 4.5, class: "cx-marker" });
    this.rule = s("line", { y1: top, y2: bottom, class: "cx-rule" });
    this.svg.setAttribute("aria-label", `Visual tokens alive per layer: ${trace.alive.join(", ")}`);
    this.svg.replaceChildren(
      across(full, "cx-full"),
      s("path", { d: `${line}L${right} ${bottom}L${left} ${bottom}Z`, class: "cx-area" }),
      s("path", { d: line, class: "cx-line" }),
      this.meanLine(trace),
      this.rule,
      this.marker,
      across(bottom, "cx-axis"),
      label(left - 5, full + 4, String(trace.total), "end"),
      label(left - 5, bottom + 3, "0", "end"),
      label(left, bottom + 16, "layer 0", "start"),
      label(right, bottom + 16, `layer ${trace.layers - 1}`, "end"),
    );
  }

  meanLine(trace) {
    const mean = trace.meanAlive;
    if (!Number.isFinite(mean)) return s("g");
    const y = countY(trace, mean);
    return s("g", {}, across(y, "cx-mean"), label(BOX.left + BOX.width, y - 4, `mean ${oneDecimal(mean)}`, "end"));
  }

  mark(layer) {
    const x = layerX(this.trace, layer);
    this.marker.setAttribute("cx", x);
    this.marker.setAttribute("cy", countY(this.trace, this.trace.alive[layer]));
    this.rule.setAttribute("x1", x);
    this.rule.setAttribute("x2", x);
  }

  choose(event) {
    const box = this.svg.getBoundingClientRect();
    this.onChoose(layerAt(this.trace, ((event.clientX - box.left) / box.width) * VIEW.width));
  }
}
