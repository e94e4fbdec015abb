import assert from "node:assert/strict";
import { test } from "node:test";
import { cellAt, EDGES, isRegion, moved, regionBox, resized, sameRegion, spanned } from "../../ui/static/js/grid.js";
import { fieldsToRegions, readRegions, regionsToFields, writeRegions } from "../../ui/static/js/images.js";
import { borderCaption, regionCaption } from "../../ui/static/js/region.js";

test("a region is four ordered cells of the grid", () => {
  assert.ok(isRegion([0, 0, 7, 7]));
  assert.ok(isRegion([3, 4, 3, 4]));
  for (const wrong of [null, "0 0 1 1", [], [0, 0, 1], [0, 0, 8, 1], [-1, 0, 1, 1], [2, 0, 1, 1], [0, 0.5, 1, 1]]) {
    assert.ok(!isRegion(wrong), JSON.stringify(wrong));
  }
});

test("two regions are the same when their cells are", () => {
  assert.ok(sameRegion([0, 1, 2, 3], [0, 1, 2, 3]));
  assert.ok(!sameRegion([0, 1, 2, 3], [0, 1, 2, 4]));
  assert.ok(!sameRegion(null, [0, 1, 2, 3]));
  assert.ok(!sameRegion([0, 1, 2, 3], undefined));
});

test("a moved region keeps its size and stays in the image", () => {
  assert.deepEqual(moved([1, 1, 3, 3], 2, -1), [3, 0, 5, 2]);
  assert.deepEqual(moved([1, 1, 3, 3], 99, -99), [5, 0, 7, 2]);
});

test("an edge stops at the opposite one and at the image's border", () => {
  assert.deepEqual(resized([2, 2, 5, 5], "se", 9, 1), [2, 2, 7, 6]);
  assert.deepEqual(resized([2, 2, 5, 5], "nw", 9, -9), [5, 0, 5, 5]);
  assert.deepEqual(resized([2, 2, 5, 5], "e", -9, 3), [2, 2, 2, 5]);
  for (const edge of Object.keys(EDGES)) {
    for (let by = -9; by <= 9; by++) assert.ok(isRegion(resized([2, 2, 5, 5], edge, by, -by)), `${edge} ${by}`);
  }
});

test("pixels become cells, and cells a box in pixels", () => {
  assert.deepEqual(
    [0, 99, 100, 799, 800, -5].map((x) => cellAt(x, 800)),
    [0, 0, 1, 7, 7, 0],
  );
  assert.deepEqual(regionBox([800, 80], [1, 2, 1, 7]), [100, 20, 200, 80]);
  assert.deepEqual(spanned([5, 1], [2, 3]), [2, 1, 5, 3]);
});

test("captions name source, place and hidden border", () => {
  const region = { grid: [0, 1, 1, 3], source: "drawn" };
  assert.equal(regionCaption(region), "Drawn by hand: columns 0–1, rows 1–3, 6 of 64 cells.");
  assert.match(regionCaption({ ...region, source: "other" }), /^other: /);
  assert.equal(borderCaption([100, 100], [0, 0, 100, 100]), null);
  assert.equal(borderCaption([100, 100], null), null);
  assert.match(borderCaption([100, 100], [25, 0, 75, 100]), /\(50 % of the image\)/);
});

test("regions of later images come back from their text", () => {
  const regions = { 1: [0, 1, 3, 4], 2: [2, 2, 5, 5] };
  assert.equal(writeRegions(regions), "2: 0 1 3 4, 3: 2 2 5 5");
  assert.deepEqual(readRegions(writeRegions(regions)), regions);
  assert.deepEqual(readRegions("1: 0 0 1 1, 2: 9 9 9 9, x, 3: 1 2 3, 4: 0 0 1 1"), { 3: [0, 0, 1, 1] });
  assert.deepEqual(readRegions(null), {});
});

test("drawn regions replace what the page's fields say, and nothing else", () => {
  const fields = ["predicted", 0, 0, 7, 7, "2: 0 0 1 1"];
  assert.deepEqual(regionsToFields({}, fields), fields);
  assert.deepEqual(regionsToFields({ 0: [1, 2, 3, 4], 2: [5, 5, 6, 6] }, fields), [
    "drawn",
    1,
    2,
    3,
    4,
    "2: 0 0 1 1, 3: 5 5 6 6",
  ]);
});

test("the page's fields draw the first region only where it was drawn", () => {
  assert.deepEqual(fieldsToRegions(["drawn", 1, 2, 3, 4, ""]), { 0: [1, 2, 3, 4] });
  assert.deepEqual(fieldsToRegions(["predicted", 1, 2, 3, 4, "2: 0 0 1 1"]), { 1: [0, 0, 1, 1] });
  assert.deepEqual(fieldsToRegions(["drawn", 1, null, 3, 4, ""]), {});
});
