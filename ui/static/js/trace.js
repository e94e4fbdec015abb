// What happened to every visual token, read from TokenTrace.to_json() of the Python side.
import { PADDING, UNPLACED } from "./format.js";

// Layer before which each LLM input token was pruned; `layers` when it survives.
function dropLayers(count, layers, steps) {
  const pruned = new Array(count).fill(layers);
  for (const step of steps) {
    const kept = new Set(step.kept);
    for (let j = 0; j < count; j++) if (pruned[j] === layers && !kept.has(j)) pruned[j] = step.layer;
  }
  return pruned;
}

// The visual tokens that each LLM input token was made of.
function groupMembers(group, count) {
  const members = Array.from({ length: count }, () => []);
  group.forEach((j, i) => {
    if (j >= 0) members[j].push(i);
  });
  return members;
}

// Whether a token has a box in the image.
export const hasBox = (box) => Array.isArray(box) && box.every((value) => Number.isFinite(value));

// Edges [x0, y0, x1, y1] of some tokens' boxes that no two of them share: their outline.
export function outline(boxes, members) {
  const edges = new Map();
  const toggle = (...edge) => {
    const key = edge.map((value) => Math.round(value * 8)).join();
    if (edges.has(key)) edges.delete(key);
    else edges.set(key, edge);
  };
  for (const i of members) {
    if (!hasBox(boxes[i])) continue;
    const [l, t, r, b] = boxes[i];
    toggle(l, t, r, t);
    toggle(l, b, r, b);
    toggle(l, t, l, b);
    toggle(r, t, r, b);
  }
  return [...edges.values()];
}

// Ring of each token; those that show no part of the image are in a class of their own, whatever ring they were pooled in.
function ringsOf({ ring, boxes, padding }) {
  const beside = (i) => (hasBox(boxes[i]) ? PADDING : UNPLACED);
  return ring.map((each, i) => (padding?.[i] || !hasBox(boxes[i]) ? beside(i) : each));
}

// Ring of an LLM input token: the nearest of its members that show part of the image, if any does.
function groupRing(members, ring) {
  const rings = members.map((i) => ring[i]);
  const shown = rings.filter((each) => each >= 0);
  return Math[shown.length ? "min" : "max"](...(shown.length ? shown : rings));
}

export const largest = (values) => values.reduce((most, value) => Math.max(most, value), 0);

// The trace with what the panels look up. Lists are indexed by visual token, unless said otherwise.
export function parseTrace(json) {
  const { boxes, group, layers, steps } = json;
  const inputs = largest(group.map((j) => j + 1));
  const inputDropLayer = dropLayers(inputs, layers, steps);
  const members = groupMembers(group, inputs);
  const alive = Array.from({ length: layers }, (_, layer) => inputDropLayer.filter((at) => at > layer).length);
  const area = (i) => (boxes[i][2] - boxes[i][0]) * (boxes[i][3] - boxes[i][1]);
  const withBox = boxes.map((_, i) => i).filter((i) => hasBox(boxes[i]));
  const drawOrder = withBox.sort((a, b) => area(b) - area(a));
  const view = json.view || group.map(() => 0);
  const ring = ringsOf(json);
  return {
    total: group.length,
    inputs, // count of LLM input tokens
    boxes, // [left, top, right, bottom] in image pixels
    group, // LLM input token that it became, -1 when it was pruned before the LLM
    members, // by LLM input token
    inputDropLayer, // by LLM input token
    dropLayer: group.map((j) => (j < 0 ? 0 : inputDropLayer[j])),
    alive, // by layer: count of LLM input tokens
    meanAlive: alive.reduce((sum, count) => sum + count, 0) / alive.length,
    drawOrder, // tokens with a box, largest first
    outlines: members.map((list) => outline(boxes, list)), // by LLM input token
    ring, // 0 the region, or PADDING or UNPLACED
    inputRing: members.map((list) => groupRing(list, ring)), // by LLM input token
    lastRing: largest(ring),
    inRegion: json.in_region,
    region: json.region, // null where the method reads none
    layers,
    steps,
    cuts: [...new Set(steps.map((step) => step.layer))],
    size: json.image_size,
    visible: json.visible, // box that the model sees
    view,
    views: [...new Set(view)].filter((v) => v >= 0).sort((a, b) => a - b),
    explanation: json.explanation || null, // how the region came about
    byView: new Map(), // cache of `inView`
  };
}

// The same trace with only the tokens of one view in the image, for models that see it more than once (an overview and
// tiles); counts stay those of all tokens.
export function inView(trace, view) {
  if (!trace || trace.views.length < 2) return trace;
  if (!trace.byView.has(view)) {
    const boxes = trace.boxes.map((box, i) => (trace.view[i] === view ? box : null));
    const drawOrder = trace.drawOrder.filter((i) => hasBox(boxes[i]));
    const outlines = trace.members.map((list) => outline(boxes, list));
    trace.byView.set(view, { ...trace, boxes, drawOrder, outlines });
  }
  return trace.byView.get(view);
}

// Smallest token under a point in image pixels, or -1.
export function tokenAt(trace, x, y) {
  for (let k = trace.drawOrder.length - 1; k >= 0; k--) {
    const [l, t, r, b] = trace.boxes[trace.drawOrder[k]];
    if (x >= l && x < r && y >= t && y < b) return trace.drawOrder[k];
  }
  return -1;
}

// Per ring, those beside the image last: how many visual tokens it had, and how many LLM input tokens they became.
export function ringRows({ ring, group, inputRing }) {
  const count = (rings, wanted) => rings.filter((each) => each === wanted).length;
  const entered = ring.filter((_, i) => group[i] >= 0);
  const rows = [...new Set(entered)].map((each) => ({
    ring: each,
    before: count(entered, each),
    after: count(inputRing, each),
  }));
  return rows.sort((a, b) => (a.ring < 0) - (b.ring < 0) || Math.abs(a.ring) - Math.abs(b.ring));
}

// At a cut, how many of the tokens that had a score had a lower one than this LLM input token, and how many there were;
// null where it had none.
export function scoreRank({ scores }, input) {
  const own = scores?.[input];
  if (!Number.isFinite(own)) return null;
  const all = scores.filter(Number.isFinite);
  return { lower: all.filter((each) => each < own).length, of: all.length };
}
