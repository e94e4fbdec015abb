import assert from "node:assert/strict";
import { test } from "node:test";
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
