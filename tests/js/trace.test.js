import assert from "node:assert/strict";
import { test } from "node:test";
import { tokenLines, tokenTip } from "../../ui/static/js/tooltip.js";
import { inView, outline, parseTrace, ringRows, tokenAt } from "../../ui/static/js/trace.js";
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

test("a tooltip tells place, group, score and end of a token", () => {
  const trace = parseTrace(fourTokens());
  assert.deepEqual(tokenLines(trace, 0), [
    "Visual token 0, inside the region",
    "x 0–8, y 0–8 px · grid column 2, row 2",
    "retained as input token 0 · region",
    "attention score 0.900 at layer 2",
    "alive in every layer",
  ]);
  assert.deepEqual(tokenLines(trace, 1).slice(2), [
    "pooled: 2 tokens became input token 1 · ring 1 (near)",
    "attention score 0.100 at layer 2",
    "dropped at layer 2",
  ]);
  assert.deepEqual(tokenLines(trace, 3).slice(2), ["dropped before the LLM"]);
});

test("a tooltip beside the tokens tells what the model cannot see", () => {
  const trace = parseTrace({ ...fourTokens(), visible: [0, 0, 16, 8], boxes: [[0, 0, 8, 8], null, null, null] });
  assert.deepEqual(tokenTip(trace, 1, 1).token, 0);
  assert.deepEqual(tokenTip(trace, 12, 4), { token: -1, lines: [] });
  assert.deepEqual(tokenTip(trace, 12, 12), { token: -1, lines: ["Not seen by the model"] });
  assert.deepEqual(tokenTip(null, 1, 1), { token: -1, lines: [] });
});
