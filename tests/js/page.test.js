import assert from "node:assert/strict";
import { test } from "node:test";
import { onlyOf, runPart } from "../../ui/static/js/address.js";
import { showInField } from "../../ui/static/js/page.js";

const payload = (data) => ({ image: "data:new", others: [], data: JSON.stringify(data) });

test("the image field shows a new image as the model sees it", () => {
  const field = { src: "file" };
  showInField(payload({ stage: "idle", question: "", fixed: false }), field);
  assert.equal(field.src, "data:new");
});

test("a run, or one from a file, is not about what is in the field", () => {
  const field = { src: "file" };
  for (const stage of ["localize", "baseline", "done"]) {
    showInField(payload({ stage, question: "where?", fixed: false }), field);
  }
  showInField(payload({ stage: "idle", question: "where?", fixed: false }), field);
  showInField(payload({ stage: "idle", question: "", fixed: true }), field);
  showInField(null, field);
  assert.equal(field.src, "file");
  showInField(payload({ stage: "idle", question: "", fixed: false }), null);
});

test("start over keeps theme and class mode of an address, and nothing else", () => {
  const query = "?example=01.jpg&budget=64&tab=learn&layer=3&class=1&__theme=dark";
  assert.equal(onlyOf(query, ["__theme", "view", "class"]), "__theme=dark&class=1");
  assert.equal(runPart("?class=1&tab=learn"), "");
});
