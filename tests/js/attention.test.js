import assert from "node:assert/strict";
import { test } from "node:test";
import { caption, shares } from "../../ui/static/js/attention.js";
import { share } from "../../ui/static/js/format.js";
import { parseTrace } from "../../ui/static/js/trace.js";
import { fourTokens } from "./traces.js";

const layer = (levels) => ({ largest: [0.2, 0.1], on_image: [0.5, 0.25], levels });
const looked = (method, levels) => ({ method, words: ["dog", "</s>"], seconds: 0.25, layers: [layer(levels)] });
const rounded = (values) => values.map((value) => value.toFixed(3));

test("the baseline's attention is that of each visual token", () => {
  const found = shares(looked("none", [[1000, 500, 0, 250]]), 0, 0, parseTrace(fourTokens()));
  assert.deepEqual(rounded(found), ["0.200", "0.100", "0.000", "0.050"]);
});

test("a pooled token's attention is divided, a dropped one has none", () => {
  const found = shares(looked("crop", [[1000, 500]]), 0, 0, parseTrace(fourTokens()));
  assert.deepEqual(rounded(found), ["0.200", "0.050", "0.050", "0.000"]);
});

test("the caption names layer, answer token, shares and what it took", () => {
  const words =
    "Layer 0, writing “dog”: 50 % of the attention is on the image, at most 20 % on one visual token. Read in 0.25 s.";
  assert.equal(caption(looked("none", [[1000]]), 0, 0, 0.2), words);
  assert.match(caption(looked("crop", [[1000]]), 0, 0, 0.2), /Those pruned before this layer get none\./);
});

test("a share has two digits", () => {
  assert.deepEqual([0, 0.031234, 0.5, 1, 0.00012].map(share), ["0 %", "3.1 %", "50 %", "100 %", "0.012 %"]);
});
