// Tooltip of a visual token in three lines: where it is, what became of it, how much attention it got. The table has more.
import { ringName } from "./format.js";
import { cellAt } from "./grid.js";
import { hasBox, scoreRank, tokenAt } from "./trace.js";

function placeLine({ boxes, size, ring, region, inRegion, lastRing }, token) {
  const name = `Visual token ${token}`;
  if (ring[token] < 0) return `${name} · ${ringName(ring[token], { lastRing })}`;
  const [l, t, r, b] = hasBox(boxes[token]) ? boxes[token] : [0, 0, 0, 0];
  const place = `${name} · column ${cellAt((l + r) / 2, size[0])}, row ${cellAt((t + b) / 2, size[1])}`;
  return region ? `${place} · ${inRegion[token] ? "in" : "outside"} the region` : place;
}

function compressionWords(trace, token) {
  const input = trace.group[token];
  if (input < 0) return "pruned before the LLM";
  const members = trace.members[input];
  if (members.length === 1) return "kept as it is";
  const beside = members.filter((i) => trace.ring[i] < 0).length;
  const padding = beside ? `, ${beside} of them padding` : "";
  return `one of ${members.length} pooled${padding}, ${ringName(trace.inputRing[input], trace)}`;
}

function fateLine(trace, token) {
  const words = compressionWords(trace, token);
  if (trace.group[token] < 0) return words;
  const layer = trace.dropLayer[token];
  return `${words} · ${layer >= trace.layers ? "alive in every layer" : `pruned at layer ${layer}`}`;
}

// The rank at the last cut that scored the token; a score by itself says little.
function attentionLine({ group, steps }, token) {
  const ranks = steps.map((step) => ({
    layer: step.layer,
    rank: group[token] < 0 ? null : scoreRank(step, group[token]),
  }));
  const last = ranks.filter(({ rank }) => rank).pop();
  if (!last) return [];
  const { lower, of } = last.rank;
  return [`attended to more than ${Math.floor((100 * lower) / of)} % of ${of} tokens at layer ${last.layer}`];
}

export const tokenLines = (trace, token) => [
  placeLine(trace, token),
  fateLine(trace, token),
  ...attentionLine(trace, token),
];

// The token under a point in image pixels (-1 for none) and the lines of its tooltip.
export function tokenTip(trace, x, y) {
  if (!trace) return { token: -1, lines: [] };
  const token = tokenAt(trace, x, y);
  if (token >= 0) return { token, lines: tokenLines(trace, token) };
  const v = trace.visible;
  const outside = v && (x < v[0] || y < v[1] || x > v[2] || y > v[3]);
  return { token, lines: outside ? ["Not seen by the model"] : [] };
}
