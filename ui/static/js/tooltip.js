// Tooltip of a visual token: position, group, ring, scores, and the layer that drops it.
import { ringName } from "./format.js";
import { cellAt } from "./grid.js";
import { tokenAt } from "./trace.js";

function scoreLines(trace, token) {
  const input = trace.group[token];
  if (input < 0) return [];
  return trace.steps
    .filter((step) => step.scores && Number.isFinite(step.scores[input]))
    .map((step) => `attention score ${step.scores[input].toPrecision(3)} at layer ${step.layer}`);
}

function positionLine({ boxes, size }, token) {
  const [l, t, r, b] = boxes[token];
  const range = (from, to) => `${Math.round(from)}–${Math.round(to)}`;
  const [column, row] = [cellAt((l + r) / 2, size[0]), cellAt((t + b) / 2, size[1])];
  return `x ${range(l, r)}, y ${range(t, b)} px · grid column ${column}, row ${row}`;
}

function compressionLine(trace, token) {
  const input = trace.group[token];
  if (input < 0) return "dropped before the LLM";
  const name = ringName(trace.ring[token], trace.lastRing);
  const pooled = trace.members[input].length;
  if (pooled > 1) return `pooled: ${pooled} tokens became input token ${input} · ${name}`;
  return `retained as input token ${input}${trace.lastRing ? ` · ${name}` : ""}`;
}

export function tokenLines(trace, token) {
  const where = trace.inRegion[token] ? "inside the region" : "outside the region";
  const layer = trace.dropLayer[token];
  const lines = [`Visual token ${token}, ${where}`, positionLine(trace, token), compressionLine(trace, token)];
  lines.push(...scoreLines(trace, token));
  if (trace.group[token] >= 0) {
    lines.push(layer >= trace.layers ? "alive in every layer" : `dropped at layer ${layer}`);
  }
  return lines;
}

// The token under a point in image pixels (-1 for none) and the lines of its tooltip.
export function tokenTip(trace, x, y) {
  if (!trace) return { token: -1, lines: [] };
  const token = tokenAt(trace, x, y);
  if (token >= 0) return { token, lines: tokenLines(trace, token) };
  const v = trace.visible;
  const outside = v && (x < v[0] || y < v[1] || x > v[2] || y > v[3]);
  return { token, lines: outside ? ["Not seen by the model"] : [] };
}
