// What a run costs: a card for each cost, with a bar for either run. Texts and lengths come from the Python side.
import { h } from "./dom.js";
import { explained } from "./terms.js";

const share = (value) => `${100 * value}%`;
const bar = (length, props = {}) => h("i", { ...props, style: `width:${share(length)}` });

// The range of a time over its bar.
function whisker([low, high]) {
  return h("i", { class: "cx-whisker", style: `left:${share(low)};width:${share(high - low)}` });
}

function barRow(kind, readout, name) {
  const localizer = kind === "crop" ? readout.bars.localizer : 0;
  const track = h("span", { class: "cx-track" }, bar(readout.bars[kind] - localizer));
  if (localizer) track.append(bar(localizer, { class: "cx-loc" }));
  const range = readout.whiskers[kind];
  const line = h("span", { class: "cx-line-of" }, track, range ? whisker(range) : null);
  const [who, number] = [h("span", { class: "cx-who" }, name), h("span", { class: "cx-num" }, readout[kind])];
  const title = readout.ranges[kind] ? `range ${readout.ranges[kind]}` : null;
  return h("div", { class: `cx-row cx-${kind}`, title }, who, number, line);
}

function rangeLine({ ranges }, method) {
  if (!ranges.baseline || !ranges.crop) return null;
  return h("p", { class: "cx-small" }, `Ranges: ${ranges.baseline} in the baseline, ${ranges.crop} with ${method}.`);
}

function card(readout, method) {
  const change = h("span", { class: "cx-change" }, readout.change);
  return h(
    "article",
    { class: `cx-readout cx-${readout.tone}`, "data-key": readout.key },
    h("header", {}, h("h3", {}, explained(readout.label)), change),
    barRow("baseline", readout, "baseline"),
    barRow("crop", readout, method),
    readout.localizer ? h("p", { class: "cx-part" }, h("i", { class: "cx-loc" }), readout.localizer) : null,
    rangeLine(readout, method),
    h("p", { class: "cx-small" }, explained(readout.explain)),
  );
}

const AGAIN = "Both runs are timed again, in turn; the new times replace these.";
const EXACT = "Counted: the same in every run.";

export class Readouts {
  // onMeasure: called when the runs on screen shall be measured again.
  constructor(onMeasure) {
    this.exact = h("div", { class: "cx-readouts" });
    this.measured = h("div", { class: "cx-readouts" });
    this.times = h("p", { class: "cx-small", role: "status" });
    const again = { type: "button", class: "cx-button", title: AGAIN, onclick: onMeasure };
    this.again = h("button", again, "Measure again");
    this.foot = h("p", { class: "cx-small cx-foot" });
    const parts = [
      h("h2", {}, "What it costs"),
      h("div", { class: "cx-costs" }, h("h3", {}, "Exact"), h("p", { class: "cx-small" }, EXACT)),
      this.exact,
      h("div", { class: "cx-costs" }, h("h3", {}, "Measured here"), this.times, this.again),
      this.measured,
    ];
    const props = { "aria-label": "What it costs", class: "cx-bill", hidden: true };
    this.root = h("section", props, ...parts, this.foot);
  }

  update({ result, method, measuring, fixed }) {
    this.root.hidden = !result;
    if (!result) return;
    for (const [grid, measured] of [
      [this.exact, false],
      [this.measured, true],
    ]) {
      const shown = result.readouts.filter((readout) => readout.measured === measured);
      grid.replaceChildren(...shown.map((readout) => card(readout, method)));
    }
    this.times.textContent = measuring || result.times;
    this.again.hidden = Boolean(fixed);
    this.again.disabled = Boolean(measuring);
    this.foot.textContent = result.footer;
  }
}
