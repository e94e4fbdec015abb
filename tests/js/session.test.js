import assert from "node:assert/strict";
import { test } from "node:test";
import { joined, logOut, showLogout, watchServer } from "../../ui/static/js/session.js";

// Statuses that are told of an answer to a request, by the page at app.example.
async function told(url, status) {
  const calls = [];
  const answer = { url, status, ok: status < 400 };
  const scope = { fetch: async (...request) => ({ ...answer, request }) };
  watchServer(scope, "app.example", () => calls.push(status));
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

test("the button that logs out is shown to those who are logged in", () => {
  const shown = (config) => {
    const classes = {};
    showLogout(config, { classList: { toggle: (name, on) => (classes[name] = on) } });
    return classes["logged-in"];
  };
  assert.deepEqual([undefined, { username: null }, { username: "ann" }].map(shown), [false, false, true]);
});

test("logging out ends this session alone, wherever the app is mounted", () => {
  const places = ["/", "/app", "/app/"].map((pathname) => {
    let left;
    logOut({ pathname, assign: (address) => (left = address) });
    return left;
  });
  const end = "logout?all_session=false";
  assert.deepEqual(places, [`/${end}`, `/app/${end}`, `/app/${end}`]);
});

test("what cannot be cancelled before the server has taken it is waited for", async () => {
  const done = [];
  let answer;
  const scope = { fetch: () => new Promise((resolve) => (answer = resolve)) };
  watchServer(scope, "app.example", () => {});
  const url = "https://app.example/gradio_api/queue/join";
  const asked = scope.fetch(url);
  const waiting = joined().then(() => done.push("joined"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(done, []);
  answer({ url, status: 401, clone: () => ({ text: async () => "" }) });
  await Promise.all([asked, waiting]);
  assert.deepEqual(done, ["joined"]);
});
