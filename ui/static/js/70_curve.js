// Visual tokens alive per layer, as a step line whose marker follows the slider.

class AliveCurve {
  constructor(choose) {
    this.choose = choose;
    this.box = { left: 34, top: 10, width: 300, height: 84 };
    this.svg = s("svg", { viewBox: "0 0 344 116", class: "cx-curve", role: "img" });
    this.svg.addEventListener("pointerdown", (event) => this.pick(event));
    this.svg.addEventListener("pointermove", (event) => event.buttons && this.pick(event));
    this.root = h("div", { class: "cx-curvebox", hidden: true }, this.svg);
  }

  x(layer) {
    return this.box.left + (this.box.width * (layer + 0.5)) / this.trace.layers;
  }

  y(count) {
    return this.box.top + this.box.height * (1 - count / this.trace.total);
  }

  show(trace, mean) {
    this.trace = trace;
    const { left, top, width, height } = this.box;
    const half = width / trace.layers / 2;
    const line = trace.alive.map((n, l) => `${l ? "L" : "M"}${this.x(l) - half} ${this.y(n)}L${this.x(l) + half} ${this.y(n)}`).join("");
    const area = `${line}L${left + width} ${top + height}L${left} ${top + height}Z`;
    this.marker = s("circle", { r: 4.5, class: "cx-marker" });
    this.rule = s("line", { y1: top, y2: top + height, class: "cx-rule" });
    this.svg.setAttribute("aria-label", `Visual tokens alive per layer: ${trace.alive.join(", ")}`);
    this.svg.replaceChildren(
      s("line", { x1: left, x2: left + width, y1: this.y(trace.total), y2: this.y(trace.total), class: "cx-full" }),
      s("path", { d: area, class: "cx-area" }), s("path", { d: line, class: "cx-line" }),
      this.meanLine(mean), this.rule, this.marker,
      s("line", { x1: left, x2: left + width, y1: top + height, y2: top + height, class: "cx-axis" }),
      this.text(left - 5, this.y(trace.total) + 4, String(trace.total), "end"), this.text(left - 5, top + height + 3, "0", "end"),
      this.text(left, top + height + 16, "layer 0", "start"), this.text(left + width, top + height + 16, `layer ${trace.layers - 1}`, "end"),
    );
  }

  meanLine(mean) {
    if (!Number.isFinite(mean)) return s("g");
    const { left, width } = this.box;
    const y = this.y(mean);
    return s("g", {}, s("line", { x1: left, x2: left + width, y1: y, y2: y, class: "cx-mean" }), this.text(left + width, y - 4, `mean ${Math.round(10 * mean) / 10}`, "end"));
  }

  text(x, y, words, anchor) {
    return s("text", { x, y, "text-anchor": anchor }, words);
  }

  mark(layer) {
    this.marker.setAttribute("cx", this.x(layer));
    this.marker.setAttribute("cy", this.y(this.trace.alive[layer]));
    this.rule.setAttribute("x1", this.x(layer));
    this.rule.setAttribute("x2", this.x(layer));
  }

  pick(event) {
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 344;
    this.choose(Math.floor(((x - this.box.left) / this.box.width) * this.trace.layers));
  }
}
