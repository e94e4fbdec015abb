import assert from "node:assert/strict";
import { test } from "node:test";
import { isRunning } from "../../ui/static/js/answers.js";
import { compressionCaption, ringText } from "../../ui/static/js/compression.js";
import { countY, layerAt, layerX, stepLine } from "../../ui/static/js/curve.js";
import { clamp, oneDecimal, percent, probability, ringName } from "../../ui/static/js/format.js";
import { takeOver } from "../../ui/static/js/page.js";
import { ringColour, withAlpha } from "../../ui/static/js/palette.js";
import { COLUMNS, rowTexts, sortedTokens } from "../../ui/static/js/table.js";
import { parseTrace } from "../../ui/static/js/trace.js";
import { fourTokens } from "./traces.js";

const column = (name) => COLUMNS.findIndex((each) => each.name === name);

test("the table sorts by number, ties stay in the order of tokens", () => {
  const trace = parseTrace(fourTokens());
  assert.deepEqual(sortedTokens(trace, column("token"), true), [3, 2, 1, 0]);
  assert.deepEqual(sortedTokens(trace, column("dropped at layer"), false), [3, 1, 2, 0]);
  assert.deepEqual(sortedTokens(trace, column("dropped at layer"), true), [0, 1, 2, 3]);
  assert.deepEqual(sortedTokens(trace, column("last score"), true), [0, 1, 2, 3], "no score comes last");
  const unscored = parseTrace({ ...fourTokens(), steps: [] });
  assert.deepEqual(sortedTokens(unscored, column("last score"), true), [0, 1, 2, 3]);
});

test("a row shows what is known of a token", () => {
  const trace = parseTrace(fourTokens());
  assert.deepEqual(rowTexts(trace, 0), ["0", "2", "2", "yes", "region", "–", "0.900", "never"]);
  assert.deepEqual(rowTexts(trace, 2), ["2", "2", "6", "no", "ring 1 (near)", "1", "0.100", "2"]);
  assert.deepEqual(rowTexts(trace, 3).slice(5), ["dropped before the LLM", "–", "0"]);
  const boxless = parseTrace({ ...fourTokens(), boxes: [null, null, null, null] });
  assert.deepEqual(rowTexts(boxless, 0).slice(1, 3), ["–", "–"]);
});

test("a point on the curve names the layer that is drawn there", () => {
  const trace = parseTrace(fourTokens());
  for (let layer = 0; layer < trace.layers; layer++) assert.equal(layerAt(trace, layerX(trace, layer)), layer);
  assert.ok(layerAt(trace, 0) < 0);
  assert.ok(layerAt(trace, 344) >= trace.layers);
  assert.ok(countY(trace, 4) < countY(trace, 0), "more is higher");
});

test("the step line has one level stretch per layer, joined at their ends", () => {
  const points = stepLine(parseTrace(fourTokens()))
    .split(/[ML]/)
    .slice(1)
    .map((point) => point.split(" ").map(Number));
  assert.equal(points.length, 8);
  for (let k = 0; k < 8; k += 2) assert.equal(points[k][1], points[k + 1][1]);
  for (let k = 1; k < 7; k += 2) assert.ok(Math.abs(points[k][0] - points[k + 1][0]) < 1e-9);
});

test("captions of the compression", () => {
  const trace = parseTrace(fourTokens());
  const caption = "4 visual tokens become 2 (50 %), 1 are dropped outright. Hover a cell for its group.";
  assert.equal(compressionCaption(trace), caption);
  const whole = parseTrace({ ...fourTokens(), group: [0, 1, 2, 3] });
  assert.equal(compressionCaption(whole), "Nothing is compressed before the LLM: all 4 visual tokens enter it.");
  assert.equal(ringText({ before: 9, after: 9 }), "9 retained");
  assert.equal(ringText({ before: 100, after: 7 }), "100 → 7, about 14 to 1");
});

test("numbers and names as text", () => {
  assert.deepEqual([clamp(-1, 0, 7), clamp(3, 0, 7), clamp(9, 0, 7)], [0, 3, 7]);
  assert.deepEqual([percent(1, 3), percent(1, 0)], ["33 %", "0 %"]);
  assert.deepEqual([0, 0.0123, 0.0994, 0.5, 1].map(probability), ["0.0 %", "1.2 %", "9.9 %", "50 %", "100 %"]);
  assert.equal(oneDecimal(12.34), 12.3);
  assert.deepEqual(
    [0, 1, 2, 3].map((ring) => ringName(ring, 3)),
    ["region", "ring 1 (near)", "ring 2", "ring 3 (far)"],
  );
});

test("rings beyond the palette share its last colour", () => {
  const colours = { region: "#0072b2", rings: ["#009e73", "#e69f00"] };
  const found = [0, 1, 2, 9].map((ring) => ringColour(ring, colours));
  assert.deepEqual(found, ["#0072b2", "#009e73", "#e69f00", "#e69f00"]);
  assert.equal(withAlpha("#0072b2", 0.5), "rgba(0, 114, 178, 0.5)");
});

test("a run goes on until it is done", () => {
  assert.deepEqual(["empty", "idle", "localize", "baseline", "crop", "measure", "done"].filter(isRunning), [
    "localize",
    "baseline",
    "crop",
    "measure",
  ]);
});

test("components are mounted once, whether they come before the module or after it", () => {
  const mounted = [];
  const mounts = {
    explorer: (each) => mounted.push(`explorer ${each}`),
    gallery: (each) => mounted.push(`gallery ${each}`),
  };
  const scope = { cropViews: [["explorer", 1]] };
  takeOver(scope, mounts);
  scope.cropViews.push(["gallery", 2]);
  takeOver(scope, mounts); // loaded a second time
  scope.cropViews.push(["gallery", 3]);
  takeOver({}, mounts);
  assert.deepEqual(mounted, ["explorer 1", "gallery 2", "gallery 3"]);
});
