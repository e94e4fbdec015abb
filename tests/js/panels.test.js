import assert from "node:assert/strict";
import { test } from "node:test";
import { foldedTokens, isRunning } from "../../ui/static/js/answers.js";
import { compressionCaption, ringText } from "../../ui/static/js/compression.js";
import { countY, layerAt, layerX, stepLine } from "../../ui/static/js/curve.js";
import { keptBy } from "../../ui/static/js/difference.js";
import { clamp, oneDecimal, PADDING, percent, ringName, UNPLACED } from "../../ui/static/js/format.js";
import { hatchLines } from "../../ui/static/js/layers.js";
import { takeOver } from "../../ui/static/js/page.js";
import { ringColour, ringHatch, withAlpha } from "../../ui/static/js/palette.js";
import { layerCounts } from "../../ui/static/js/pruning.js";
import { COLUMNS, rowTexts, sortedTokens } from "../../ui/static/js/table.js";
import { splitTerms } from "../../ui/static/js/terms.js";
import { parseTrace } from "../../ui/static/js/trace.js";
import { fourTokens } from "./traces.js";

const column = (name) => COLUMNS.findIndex((each) => each.name === name);

test("the table sorts by number, ties stay in the order of tokens", () => {
  const trace = parseTrace(fourTokens());
  assert.deepEqual(sortedTokens(trace, column("token"), true), [3, 2, 1, 0]);
  assert.deepEqual(sortedTokens(trace, column("pruned at layer"), false), [3, 1, 2, 0]);
  assert.deepEqual(sortedTokens(trace, column("pruned at layer"), true), [0, 1, 2, 3]);
  assert.deepEqual(sortedTokens(trace, column("last score"), true), [0, 1, 2, 3], "no score comes last");
  const unscored = parseTrace({ ...fourTokens(), steps: [] });
  assert.deepEqual(sortedTokens(unscored, column("last score"), true), [0, 1, 2, 3]);
});

test("a row shows what is known of a token", () => {
  const trace = parseTrace(fourTokens());
  assert.deepEqual(rowTexts(trace, 0), ["0", "2", "2", "0–8, 0–8", "yes", "region", "–", "0.900", "never"]);
  assert.deepEqual(rowTexts(trace, 2), ["2", "2", "6", "0–8, 8–16", "no", "ring 1 (near)", "1", "0.100", "2"]);
  assert.deepEqual(rowTexts(trace, 3).slice(6), ["pruned before the LLM", "–", "0"]);
  const boxless = parseTrace({ ...fourTokens(), boxes: [null, null, null, null] });
  assert.deepEqual(rowTexts(boxless, 0).slice(1, 6), ["–", "–", "–", "yes", "no position"]);
});

test("a row of padding is at no place, and without a region a token is in none", () => {
  const trace = parseTrace({ ...fourTokens(), padding: [false, false, true, false], region: null });
  assert.deepEqual(rowTexts(trace, 2).slice(1, 6), ["–", "–", "–", "–", "padding"]);
  assert.deepEqual(rowTexts(trace, 0).slice(4, 6), ["–", "all tokens"]);
  const flat = parseTrace({ ...fourTokens(), ring: [0, 0, 0, 0] });
  assert.equal(rowTexts(flat, 0)[5], "–");
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
  const caption = "2 of 4 visual tokens enter the LLM, 1 is pruned outright. Hover over or tap a cell for its group.";
  assert.equal(compressionCaption(trace), caption);
  const whole = parseTrace({ ...fourTokens(), group: [0, 1, 2, 3] });
  assert.equal(compressionCaption(whole), "Nothing is compressed before the LLM: all 4 visual tokens enter it.");
  assert.equal(ringText({ before: 9, after: 9 }), "9 retained");
  assert.equal(ringText({ before: 100, after: 7 }), "100 → 7, 14.3 to 1");
  assert.equal(ringText({ before: 147, after: 143 }), "147 → 143, 1.03 to 1");
  assert.equal(ringText({ before: 3, after: 0 }), "3, pooled with others");
});

test("numbers and names as text", () => {
  assert.deepEqual([clamp(-1, 0, 7), clamp(3, 0, 7), clamp(9, 0, 7)], [0, 3, 7]);
  assert.deepEqual([percent(1, 3), percent(1, 0)], ["33 %", "0 %"]);
  assert.equal(oneDecimal(12.34), 12.3);
  assert.deepEqual(
    [0, 1, 2, 3, PADDING, UNPLACED].map((ring) => ringName(ring, { region: {}, lastRing: 3 })),
    ["region", "ring 1 (near)", "ring 2", "ring 3 (far)", "padding", "no position"],
  );
  assert.equal(ringName(0, { region: null, lastRing: 3 }), "all tokens");
  assert.equal(ringName(0, { region: {}, lastRing: 0 }), "all tokens", "nothing was compressed in rings");
});

test("rings beyond the palette share its last colour", () => {
  const colours = { region: "#0072b2", rings: ["#009e73", "#e69f00"] };
  const found = [0, 1, 2, 9].map((ring) => ringColour(ring, colours));
  assert.deepEqual(found, ["#0072b2", "#009e73", "#e69f00", "#e69f00"]);
  assert.equal(withAlpha("#0072b2", 0.5), "rgba(0, 114, 178, 0.5)");
});

test("rings differ by their hatch too, and those beyond the list share its last", () => {
  const kinds = { hatches: ["lying", "none", "rising", "falling", "crossed"] };
  assert.deepEqual(
    [0, 1, 2, 3, 4, 9].map((ring) => ringHatch(ring, kinds)),
    ["lying", "none", "rising", "falling", "crossed", "crossed"],
  );
  const [rising, falling, crossed] = ["rising", "falling", "crossed"].map((kind) => hatchLines([40, 20], 10, kind));
  assert.equal(crossed.length, rising.length + falling.length);
  assert.ok(rising.every(([x0, y0, x1, y1]) => x1 > x0 && y1 < y0) && falling.every(([, y0, , y1]) => y1 > y0));
  assert.deepEqual(hatchLines([40, 20], 10, "lying"), [
    [0, 5, 40, 5],
    [0, 15, 40, 15],
  ]);
  assert.deepEqual(hatchLines([40, 20], 10, "none"), []);
});

test("a run goes on until its answers are compared; then it is only measured", () => {
  const stages = ["empty", "idle", "localize", "baseline", "crop", "compare", "measure", "done"];
  assert.deepEqual(stages.filter(isRunning), ["localize", "baseline", "crop", "compare"]);
});

test("the end token of an answer is folded, and so are those beyond the first eight", () => {
  const word = (text) => ({ text, folded: false });
  const end = { text: "(end)", folded: true };
  const long = [..."abcdefghij"].map(word);
  assert.deepEqual(foldedTokens([word("tractor"), end]), { shown: [word("tractor")], others: [end] });
  assert.equal(foldedTokens([...long, end]).shown.length, 8);
  assert.deepEqual(
    foldedTokens([...long, end]).others.map((token) => token.text),
    ["i", "j", "(end)"],
  );
});

test("the legend of a layer counts what is alive, pooled, padding, pruned here and pruned before", () => {
  const json = fourTokens();
  const count = (changes, layer) => layerCounts(parseTrace({ ...json, ...changes }), layer);
  assert.deepEqual(count({}, 1), { alive: 2, inside: 1, pooled: 1, members: 2, padding: 0, here: 0, before: 1 });
  assert.deepEqual(count({}, 2), { alive: 1, inside: 1, pooled: 0, members: 0, padding: 0, here: 1, before: 1 });
  assert.deepEqual(count({}, 3), { alive: 1, inside: 1, pooled: 0, members: 0, padding: 0, here: 0, before: 2 });
  assert.equal(count({ padding: [false, true, true, false] }, 0).padding, 1);
  assert.equal(count({ padding: [false, true, false, false] }, 0).padding, 0, "half of that group is on the image");
  assert.equal(count({ region: null }, 0).inside, 0);
});

test("between two layers, what was pruned after the first counts as pruned here", () => {
  const between = (layer, from) => layerCounts(parseTrace(fourTokens()), layer, from);
  assert.equal(between(3, 0).here, 1);
  assert.equal(between(3, 0).before, 1, "the one that was pruned before the LLM");
  assert.equal(between(3, 2).here, 0);
  assert.equal(between(3, 2).before, 2);
  assert.equal(between(1, 1).here, 0, "a layer and itself");
});

test("a token is kept by both methods, by one of them or by none", () => {
  const first = parseTrace(fourTokens()); // keeps 0
  const second = parseTrace({ ...fourTokens(), group: [0, 1, 2, 3], steps: [{ layer: 1, kept: [0, 2] }] });
  assert.deepEqual(keptBy(first, second), { both: [0], first: [], second: [2], none: [1, 3] });
  assert.deepEqual(keptBy(second, first), { both: [0], first: [2], second: [], none: [1, 3] });
  const pooled = parseTrace({ ...fourTokens(), steps: [] });
  assert.deepEqual(keptBy(pooled, first).first, [1, 2], "pooled tokens are kept");
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

test("terms are found in a text, the longer one first, whatever their case", () => {
  const terms = { KV: "keys and values", "KV cache": "of every token", KL: "how far" };
  assert.deepEqual(splitTerms("the kv cache; KL 0.01, KLM", terms), [
    "the ",
    ["kv cache", "of every token"],
    "; ",
    ["KL", "how far"],
    " 0.01, KLM",
  ]);
  assert.deepEqual(splitTerms("plain", terms), ["plain"]);
  assert.deepEqual(splitTerms("KL", {}), ["KL"]);
});
