import assert from "node:assert/strict";
import { test } from "node:test";
import { PADDING, UNPLACED } from "../../ui/static/js/format.js";
import { tokenLines, tokenTip } from "../../ui/static/js/tooltip.js";
import { inView, outline, parseTrace, ringRows, scoreRank, tokenAt } from "../../ui/static/js/trace.js";
import { fourTokens } from "./traces.js";

test("a trace says from which layer on each token is gone, and how many are alive in each layer", () => {
  const trace = parseTrace(fourTokens());
  assert.equal(trace.total, 4);
  assert.equal(trace.inputs, 2);
  assert.deepEqual(trace.members, [[0], [1, 2]]);
  assert.deepEqual(trace.inputDropLayer, [4, 2]);
  assert.deepEqual(trace.dropLayer, [4, 2, 2, 0]);
  assert.deepEqual(trace.alive, [2, 2, 1, 1]);
  assert.equal(trace.meanAlive, 1.5);
  assert.deepEqual(trace.cuts, [2]);
  assert.equal(trace.lastRing, 1);
});

test("a token that a later step lists again stays dropped", () => {
  const steps = [
    { layer: 1, kept: [0] },
    { layer: 3, kept: [0, 1] },
  ];
  assert.deepEqual(parseTrace({ ...fourTokens(), steps }).inputDropLayer, [4, 1]);
});

test("the outline of a group leaves out the edges that its tokens share", () => {
  const { boxes } = fourTokens();
  assert.equal(outline(boxes, [0]).length, 4);
  const edges = outline(boxes, [0, 1]); // side by side
  assert.equal(edges.length, 6);
  assert.ok(!edges.some((edge) => edge.join() === "8,0,8,8"));
  assert.deepEqual(outline([null], [0]), []);
});

test("the smallest token under a point is found", () => {
  const json = fourTokens();
  json.boxes[3] = [0, 0, 16, 16]; // below all others
  const trace = parseTrace(json);
  assert.equal(trace.drawOrder[0], 3);
  assert.equal(tokenAt(trace, 1, 1), 0);
  assert.equal(tokenAt(trace, 12, 12), 3);
  assert.equal(tokenAt(trace, 99, 1), -1);
});

test("tokens without a box are neither drawn nor found", () => {
  const json = fourTokens();
  json.boxes[0] = null;
  const trace = parseTrace(json);
  assert.deepEqual(trace.drawOrder, [1, 2, 3]);
  assert.equal(tokenAt(trace, 1, 1), -1);
});

test("a view shows its own tokens, and counts stay those of all", () => {
  const trace = parseTrace({ ...fourTokens(), view: [0, 0, 10, 2] });
  assert.deepEqual(trace.views, [0, 2, 10]);
  const shown = inView(trace, 0);
  assert.deepEqual(shown.drawOrder, [0, 1]);
  assert.equal(shown.boxes[2], null);
  assert.deepEqual(shown.alive, trace.alive);
  assert.equal(inView(trace, 0), shown, "made once");
  const single = parseTrace(fourTokens());
  assert.equal(inView(single, 0), single);
  assert.equal(inView(null, 0), null);
});

test("rings count the tokens before and after compression", () => {
  assert.deepEqual(ringRows(parseTrace(fourTokens())), [
    { ring: 0, before: 1, after: 1 },
    { ring: 1, before: 2, after: 1 },
  ]);
});

test("padding is in no ring, and a pooled group is what its members on the image are", () => {
  const json = { ...fourTokens(), group: [0, 1, 1, 2], padding: [false, false, true, true], ring: [0, 1, 1, 1] };
  json.steps = [];
  const trace = parseTrace(json);
  assert.deepEqual(trace.ring, [0, 1, PADDING, PADDING]);
  assert.deepEqual(trace.inputRing, [0, 1, PADDING]);
  assert.deepEqual(ringRows(trace), [
    { ring: 0, before: 1, after: 1 },
    { ring: 1, before: 1, after: 1 },
    { ring: PADDING, before: 2, after: 1 },
  ]);
  const swallowed = parseTrace({ ...json, group: [0, 1, 1, 1] });
  assert.deepEqual(ringRows(swallowed)[2], { ring: PADDING, before: 2, after: 0 });
  const unplaced = parseTrace({ ...json, boxes: [...json.boxes.slice(0, 3), null] });
  assert.deepEqual(unplaced.ring, [0, 1, PADDING, UNPLACED]);
  assert.equal(parseTrace({ ...json, ring: [0, 1, 1, 3] }).lastRing, 1, "no picture is as far as the padding");
});

test("a score is told by its rank among those at the same cut", () => {
  const step = { layer: 2, scores: [0.2, 0.1, 0.4, null, 0.3] };
  assert.deepEqual(scoreRank(step, 0), { lower: 1, of: 4 });
  assert.deepEqual(scoreRank(step, 2), { lower: 3, of: 4 });
  assert.equal(scoreRank(step, 3), null);
  assert.equal(scoreRank({ layer: 2 }, 0), null);
});

test("a tooltip tells place, fate and attention of a token in three lines", () => {
  const trace = parseTrace(fourTokens());
  assert.deepEqual(tokenLines(trace, 0), [
    "Visual token 0 · column 2, row 2 · in the region",
    "kept as it is · alive in every layer",
    "attended to more than 50 % of 2 tokens at layer 2",
  ]);
  assert.deepEqual(tokenLines(trace, 1).slice(1), [
    "one of 2 pooled, ring 1 (near) · pruned at layer 2",
    "attended to more than 0 % of 2 tokens at layer 2",
  ]);
  assert.deepEqual(tokenLines(trace, 3).slice(1), ["pruned before the LLM"]);
  const padded = parseTrace({ ...fourTokens(), padding: [false, false, true, false], region: null });
  assert.equal(tokenLines(padded, 0)[0], "Visual token 0 · column 2, row 2");
  assert.equal(tokenLines(padded, 1)[1], "one of 2 pooled, 1 of them padding, ring 1 (near) · pruned at layer 2");
  assert.equal(tokenLines(padded, 2)[0], "Visual token 2 · padding");
});

test("a tooltip beside the tokens tells what the model cannot see", () => {
  const trace = parseTrace({ ...fourTokens(), visible: [0, 0, 16, 8], boxes: [[0, 0, 8, 8], null, null, null] });
  assert.deepEqual(tokenTip(trace, 1, 1).token, 0);
  assert.deepEqual(tokenTip(trace, 12, 4), { token: -1, lines: [] });
  assert.deepEqual(tokenTip(trace, 12, 12), { token: -1, lines: ["Not seen by the model"] });
  assert.deepEqual(tokenTip(null, 1, 1), { token: -1, lines: [] });
});
