import assert from "node:assert/strict";
import { test } from "node:test";
import { watchLogin } from "../../ui/static/js/session.js";

// Statuses that are told of an answer to a request, by the page at app.example.
async function told(url, status) {
  const calls = [];
  const answer = { url, status, ok: status < 400 };
  const scope = { fetch: async (...request) => ({ ...answer, request }) };
  watchLogin(scope, "app.example", () => calls.push(status));
  assert.deepEqual(await scope.fetch(url, { method: "POST" }), { ...answer, request: [url, { method: "POST" }] });
  return calls;
}

test("an answer that asks for a login is told", async () => {
  assert.deepEqual(await told("https://app.example/gradio_api/queue/join", 401), [401]);
});

test("other answers, and those of other hosts, are not", async () => {
  assert.deepEqual(await told("https://app.example/gradio_api/info", 200), []);
  assert.deepEqual(await told("https://app.example/gradio_api/queue/join", 429), []);
  assert.deepEqual(await told("https://hub.example/api", 401), []);
});
