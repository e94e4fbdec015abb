import assert from "node:assert/strict";
import { test } from "node:test";
import { inQuad, itemWords, mapAt } from "../../ui/static/js/explanation.js";
import { parseTrace } from "../../ui/static/js/trace.js";
import { fourTokens } from "./traces.js";

test("an item is its label, its score and why it was chosen", () => {
  assert.equal(itemWords({ label: "EXIT", score: 0.966, reason: "on red" }), "“EXIT” 97 %, on red");
  assert.equal(itemWords({ label: "dog", score: null, reason: "" }), "“dog”");
});

test("a point is inside a turned quadrilateral or outside", () => {
  const turned = [
    [5, 0],
    [10, 5],
    [5, 10],
    [0, 5],
  ];
  assert.ok(inQuad(turned, 5, 5));
  assert.ok(inQuad(turned, 2, 5));
  for (const [x, y] of [
    [1, 1],
    [9, 9],
    [-1, 5],
  ])
    assert.ok(!inQuad(turned, x, y));
});

test("a map has a value at every point of the image", () => {
  const values = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  assert.equal(mapAt(values, [300, 200], 0, 0), 1);
  assert.equal(mapAt(values, [300, 200], 299, 199), 6);
  assert.equal(mapAt(values, [300, 200], 300, 200), 6);
  assert.equal(mapAt(values, [300, 200], 150, 50), 2);
});

test("a trace of an earlier version has no explanation", () => {
  assert.equal(parseTrace(fourTokens()).explanation, null);
  const explanation = { localizer: "text", summary: "", items: [], maps: [] };
  assert.equal(parseTrace({ ...fourTokens(), explanation }).explanation, explanation);
});
