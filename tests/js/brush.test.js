import assert from "node:assert/strict";
import { test } from "node:test";
import { aliveAt, neighbour } from "../../ui/static/js/brush.js";
import { parseTrace } from "../../ui/static/js/trace.js";
import { fourTokens } from "./traces.js";

test("the tokens that are alive in a layer are those of every input that is", () => {
  const trace = parseTrace(fourTokens());
  assert.deepEqual([...aliveAt(trace, 3)], [0]);
  assert.deepEqual([...aliveAt(trace, 1)], [0, 1, 2]);
});

test("arrow keys go to the token that lies that way, and stay at the border", () => {
  const boxes = [0, 1, 2, 3].flatMap((y) => [0, 1, 2].map((x) => [x * 10, y * 10, x * 10 + 10, y * 10 + 10]));
  boxes.push([Number.NaN, Number.NaN, Number.NaN, Number.NaN]); // a class token
  assert.equal(neighbour(boxes, 4, [1, 0]), 5);
  assert.equal(neighbour(boxes, 4, [-1, 0]), 3);
  assert.equal(neighbour(boxes, 4, [0, 1]), 7);
  assert.equal(neighbour(boxes, 4, [0, -1]), 1);
  assert.equal(neighbour(boxes, 5, [1, 0]), 5);
});
