// What a run costs: a card for each cost, with a bar for either run. Texts and lengths come from the Python side.
import { h } from "./dom.js";

const bar = (share, props = {}) => h("i", { ...props, style: `width:${100 * share}%` });

function barRow(kind, readout, name) {
  const localizer = kind === "crop" ? readout.bars.localizer : 0;
  const track = h("span", { class: "cx-track" }, bar(readout.bars[kind] - localizer));
  if (localizer) track.append(bar(localizer, { class: "cx-loc" }));
  const [who, number] = [h("span", { class: "cx-who" }, name), h("span", { class: "cx-num" }, readout[kind])];
  return h("div", { class: `cx-row cx-${kind}` }, who, track, number);
}

function card(readout, method) {
  const change = h("span", { class: "cx-change" }, readout.change);
  return h(
    "article",
    { class: `cx-readout cx-${readout.tone}`, "data-key": readout.key },
    h("header", {}, h("h3", {}, readout.label), change),
    barRow("baseline", readout, "baseline"),
    barRow("crop", readout, method),
    readout.localizer ? h("p", { class: "cx-part" }, h("i", { class: "cx-loc" }), readout.localizer) : null,
    h("p", { class: "cx-small" }, readout.explain),
  );
}

export class Readouts {
  constructor() {
    this.grid = h("div", { class: "cx-readouts" });
    this.foot = h("p", { class: "cx-small cx-foot" });
    const props = { "aria-label": "What it costs", hidden: true };
    this.root = h("section", props, h("h2", {}, "What it costs"), this.grid, this.foot);
  }

  update({ result, method }) {
    this.root.hidden = !result;
    if (!result) return;
    this.grid.replaceChildren(...result.readouts.map((readout) => card(readout, method)));
    this.foot.textContent = result.footer;
  }
}
