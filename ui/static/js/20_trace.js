// What happened to every visual token, read from TokenTrace.to_json() of the Python side.

// Layer from which each LLM-input token is gone; `layers` when it survives.
function inputDeaths(count, layers, steps) {
  const died = new Array(count).fill(layers);
  for (const step of steps) {
    const kept = new Set(step.kept);
    for (let j = 0; j < count; j++) if (died[j] === layers && !kept.has(j)) died[j] = step.layer;
  }
  return died;
}

function groupMembers(group, count) {
  const members = Array.from({ length: count }, () => []);
  group.forEach((j, i) => j >= 0 && members[j].push(i));
  return members;
}

const hasPlace = (box) => Array.isArray(box) && box.every((value) => Number.isFinite(value));

// Edges of a group's tokens that no other token of the same group shares: its outline.
function outline(boxes, members) {
  const edges = new Map();
  const put = (...ends) => {
    const key = ends.map((value) => Math.round(value * 8)).join();
    if (edges.has(key)) edges.delete(key);
    else edges.set(key, ends);
  };
  for (const i of members) {
    if (!hasPlace(boxes[i])) continue;
    const [l, t, r, b] = boxes[i];
    put(l, t, r, t), put(l, b, r, b), put(l, t, l, b), put(r, t, r, b);
  }
  return [...edges.values()];
}

function parseTrace(json) {
  const total = json.group.length;
  const inputs = json.group.reduce((most, j) => Math.max(most, j + 1), 0);
  const died = inputDeaths(inputs, json.layers, json.steps);
  const members = groupMembers(json.group, inputs);
  const diedAt = json.group.map((j) => (j < 0 ? 0 : died[j]));
  const alive = Array.from({ length: json.layers }, (_, layer) => died.filter((at) => at > layer).length);
  const area = (i) => (json.boxes[i][2] - json.boxes[i][0]) * (json.boxes[i][3] - json.boxes[i][1]);
  const order = json.boxes.map((_, i) => i).filter((i) => hasPlace(json.boxes[i])).sort((a, b) => area(b) - area(a));
  const view = json.view || json.group.map(() => 0);
  return {
    view, views: [...new Set(view)].filter((v) => v >= 0).sort(), seen: new Map(),
    total, inputs, died, members, diedAt, alive, order,
    mean: alive.reduce((sum, count) => sum + count, 0) / alive.length,
    boxes: json.boxes, group: json.group, ring: json.ring, inRegion: json.in_region, layers: json.layers, steps: json.steps,
    size: json.image_size, visible: json.visible, region: json.region,
    outlines: members.map((list) => outline(json.boxes, list)),
    lastRing: json.ring.reduce((most, ring) => Math.max(most, ring), 0),
    cuts: [...new Set(json.steps.map((step) => step.layer))],
  };
}

// The same trace with the tokens of one view alone in the picture, where a model sees the image more than once; what is
// counted stays that of all of them.
function inView(trace, view) {
  if (!trace || trace.views.length < 2) return trace;
  if (!trace.seen.has(view)) {
    const boxes = trace.boxes.map((box, i) => (trace.view[i] === view ? box : null));
    const order = trace.order.filter((i) => hasPlace(boxes[i]));
    trace.seen.set(view, { ...trace, boxes, order, outlines: trace.members.map((list) => outline(boxes, list)) });
  }
  return trace.seen.get(view);
}

// Smallest token under a point in picture pixels, or -1.
function tokenAt(trace, x, y) {
  for (let k = trace.order.length - 1; k >= 0; k--) {
    const [l, t, r, b] = trace.boxes[trace.order[k]];
    if (x >= l && x < r && y >= t && y < b) return trace.order[k];
  }
  return -1;
}

// Per ring: original tokens, and the tokens they became.
function ringRows(trace) {
  const rows = new Map();
  trace.members.forEach((list) => {
    if (!list.length) return;
    const ring = trace.ring[list[0]];
    const row = rows.get(ring) || { ring, before: 0, after: 0 };
    row.before += list.length;
    row.after += 1;
    rows.set(ring, row);
  });
  return [...rows.values()].sort((a, b) => a.ring - b.ring);
}

function scoreLines(trace, token) {
  const input = trace.group[token];
  if (input < 0) return [];
  return trace.steps
    .filter((step) => step.scores && Number.isFinite(step.scores[input]))
    .map((step) => `attention score ${step.scores[input].toPrecision(3)} at layer ${step.layer}`);
}

function placeLine(trace, token) {
  const [l, t, r, b] = trace.boxes[token];
  const cell = (value, side) => clamp(Math.floor((8 * value) / side), 0, 7);
  return `x ${Math.round(l)}–${Math.round(r)}, y ${Math.round(t)}–${Math.round(b)} px · grid column ${cell((l + r) / 2, trace.size[0])}, row ${cell((t + b) / 2, trace.size[1])}`;
}

// Every line a tooltip says of one token: position, group, ring, score, fate.
function tokenLines(trace, token) {
  const input = trace.group[token];
  const mates = input < 0 ? 0 : trace.members[input].length;
  const where = trace.inRegion[token] ? "inside the region" : "outside the region";
  const fate = trace.diedAt[token];
  const lines = [`Visual token ${token}, ${where}`, placeLine(trace, token)];
  if (input < 0) lines.push("dropped before the LLM");
  else if (mates > 1) lines.push(`pooled: ${mates} tokens became input token ${input} · ${ringName(trace.ring[token], trace.lastRing)}`);
  else lines.push(`retained as input token ${input}${trace.lastRing ? ` · ${ringName(trace.ring[token], trace.lastRing)}` : ""}`);
  lines.push(...scoreLines(trace, token));
  if (input >= 0) lines.push(fate >= trace.layers ? "alive in every layer" : `gone from layer ${fate} on`);
  return lines;
}
