import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fetchRun, fileName, MAX_BYTES, readLimited, runUrl } from "../../ui/static/js/linked_run.js";

const PAGE = "http://127.0.0.1:7860/crop/?tab=methods";
const said = (work) => assert.rejects(work, (error) => /^The linked run .*\.$/.test(error.message));

test("an address of a run is http or https, whole or from this page", () => {
  assert.equal(runUrl("?tab=methods", PAGE), null);
  assert.equal(runUrl("?run=", PAGE), null);
  assert.equal(runUrl("?run=https://a.example/r.json", PAGE).href, "https://a.example/r.json");
  assert.equal(runUrl("?run=/runs/r.json", PAGE).href, "http://127.0.0.1:7860/runs/r.json");
  for (const bad of [
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://u:p@a.example/",
    "http://",
  ]) {
    assert.throws(() => runUrl(`?run=${encodeURIComponent(bad)}`, PAGE), /The link names no address/);
  }
});

test("a file's name is in plain letters, and is that of a run or a zip", () => {
  const name = (path) => fileName(new URL(path, "https://a.example"));
  assert.deepEqual(["/x/cat.json", "/all.ZIP", "/", "/run", "/<b>.json", `/${"a".repeat(99)}.json`].map(name), [
    "cat.json",
    "all.ZIP",
    "run.json",
    "run.json",
    "3Cb3E.json",
    `${"a".repeat(55)}.json`,
  ]);
});

test("no more than the limit is read, whatever the server says", async () => {
  const parts = await readLimited(new Response("12345"), 5);
  assert.equal(
    parts.reduce((sum, part) => sum + part.length, 0),
    5,
  );
  await said(readLimited(new Response("123456"), 5));
});

test("the limit is that of opened files", () => {
  const python = readFileSync(new URL("../../ui/export/load_runs.py", import.meta.url), "utf8");
  assert.equal(Number(python.match(/^MAX_BYTES = ([\d_]+)/m)[1].replaceAll("_", "")), MAX_BYTES);
});

test("a run is fetched without cookies; what fails is one sentence that says why", async () => {
  const url = new URL("https://a.example/cat.json");
  const asked = [];
  const answers = (response) => async (where, options) => {
    asked.push([where.href, options.credentials]);
    if (!response) throw new TypeError("Failed to fetch");
    return response;
  };
  const file = await fetchRun(url, { fetch: answers(new Response("{}")), isRefused: () => false });
  assert.deepEqual([file.name, await file.text(), asked[0]], ["cat.json", "{}", [url.href, "omit"]]);
  const failing = { fetch: answers(null), isRefused: () => true };
  await assert.rejects(
    fetchRun(url, failing),
    /https:\/\/a\.example; its operator can allow it with CROP_RUN_ORIGINS\.$/,
  );
  await assert.rejects(
    fetchRun(url, { ...failing, isRefused: () => false }),
    /does not let other sites read it \(CORS\)\.$/,
  );
  const missing = { fetch: answers(new Response("", { status: 404 })), isRefused: () => false };
  await assert.rejects(fetchRun(url, missing), /a\.example answers 404\.$/);
});
