import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Address, numberIn, runPart, withRun, withValue } from "../../ui/static/js/address.js";

let written;
let listener;

// A browser's address and history, and the page's address over them.
function opened(query, onMove = () => {}) {
  const go = (kind) => (_, __, url) => {
    written.push([kind, url]);
    globalThis.location.search = url.includes("?") ? url.slice(url.indexOf("?")) : "";
  };
  globalThis.location = { search: query, pathname: "/app/", reload: () => written.push(["reload"]) };
  globalThis.history = { pushState: go("push"), replaceState: go("replace") };
  globalThis.window = { addEventListener: (_, listen) => (listener = listen) };
  return new Address(onMove);
}

beforeEach(() => {
  written = [];
});

test("a query has a part about the run, and what is beside it", () => {
  assert.equal(runPart("?tab=budget&question=b&example=1.jpg&layer=3&__theme=dark"), "example=1.jpg&question=b");
  assert.equal(withRun("?tab=budget&layer=3&example=1.jpg", "example=2.jpg"), "example=2.jpg&tab=budget");
  assert.equal(withValue("?a=1&layer=3", "layer", null), "a=1");
  assert.deepEqual(
    ["4", "13", "x", "-1", "1e3", ""].map((text) => numberIn(`?layer=${text}`, "layer")),
    [4, 13, undefined, undefined, undefined, undefined],
  );
});

test("a run gets an entry of its own, the same run again and a layer do not", () => {
  const address = opened("?__theme=dark");
  address.showRun("example=1.jpg&budget=64");
  address.showLayer(3, 13);
  address.showRun("example=1.jpg&budget=64");
  address.showRun("");
  assert.deepEqual(written, [
    ["push", "/app/?example=1.jpg&budget=64&__theme=dark"],
    ["replace", "/app/?example=1.jpg&budget=64&__theme=dark&layer=3"],
    ["push", "/app/?__theme=dark"],
  ]);
});

test("the run that the address names needs no new entry, and opens at its layer, not before", () => {
  const address = opened("?example=1.jpg&layer=4&tab=methods");
  assert.equal(address.layerFor("recorded"), 4);
  assert.equal(address.layerFor("done"), 4);
  assert.equal(address.layerFor("done"), undefined);
  address.showRun("example=1.jpg&budget=192");
  assert.deepEqual(written, [["replace", "/app/?example=1.jpg&budget=192&tab=methods"]]);
});

test("a layer without a run is that of the opening one", () => {
  const address = opened("?layer=4");
  assert.equal(address.layerFor("recorded"), 4);
  assert.equal(address.layerFor("done"), undefined);
});

test("tabs are entries, but for the first, which needs no name; the last layer needs none either", () => {
  const address = opened("");
  address.showTab("budget", "explore");
  address.showTab("budget", "explore");
  address.showLayer(13, 13);
  address.showTab("explore", "explore");
  assert.deepEqual(written, [
    ["push", "/app/?tab=budget"],
    ["push", "/app/"],
  ]);
});

test("Back to another tab or layer moves there, Back to another run loads it", () => {
  const moves = [];
  const address = opened("", (layer) => moves.push(layer));
  address.showRun("example=1.jpg");
  globalThis.location.search = "?example=1.jpg&tab=budget&layer=2";
  listener();
  assert.deepEqual(moves, [2]);
  globalThis.location.search = "?tab=budget";
  listener();
  assert.deepEqual(written.at(-1), ["reload"]);
});
