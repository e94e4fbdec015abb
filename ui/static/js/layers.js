// Layers painted over the image: grid, region, hatched border, pooled groups, pruned tokens.
// Every function takes the canvas context in image pixels and `px`, one screen pixel in that unit.
import { clamp } from "./format.js";
import { CELLS, regionBox } from "./grid.js";
import { palette, ringColour, ringHatch, withAlpha } from "./palette.js";
import { hasBox, largest, outline } from "./trace.js";

function strokeCased(ctx, px, colour, width, path) {
  ctx.lineJoin = "round";
  for (const [paint, line] of [
    ["rgba(255, 255, 255, .85)", width + 2],
    [colour, width],
  ]) {
    ctx.strokeStyle = paint;
    ctx.lineWidth = line * px;
    path();
    ctx.stroke();
  }
}

function rectPath(ctx, [l, t, r, b]) {
  ctx.beginPath();
  ctx.rect(l, t, r - l, b - t);
}

function frameClip(ctx, [width, height], [l, t, r, b]) {
  ctx.beginPath();
  ctx.rect(0, 0, width, height);
  ctx.rect(l, t, r - l, b - t);
  ctx.clip("evenodd");
}

// Dims everything outside a box.
export function dimOutside(ctx, size, box, alpha) {
  ctx.save();
  frameClip(ctx, size, box);
  ctx.fillStyle = `rgba(15, 23, 42, ${alpha})`;
  ctx.fillRect(0, 0, size[0], size[1]);
  ctx.restore();
}

// Parallel lines over an image, `gap` apart. kind: as in ui/views/palette.py.
export function hatchLines([width, height], gap, kind) {
  const lines = [];
  if (kind === "lying") for (let y = gap / 2; y < height; y += gap) lines.push([0, y, width, y]);
  for (let x = -height; x < width; x += gap) {
    if (kind === "rising" || kind === "crossed") lines.push([x, height, x + height, 0]);
    if (kind === "falling" || kind === "crossed") lines.push([x, 0, x + height, height]);
  }
  return lines;
}

function hatch(ctx, px, size, box) {
  ctx.save();
  frameClip(ctx, size, box);
  ctx.fillStyle = "rgba(248, 250, 252, .72)";
  ctx.fillRect(0, 0, size[0], size[1]);
  strokeLines(ctx, px, "rgba(30, 41, 59, .55)", 1, hatchLines(size, 7 * px, "rising"));
  ctx.restore();
}

export const borderHidden = (size, v) => v[0] > 0.5 || v[1] > 0.5 || v[2] < size[0] - 0.5 || v[3] < size[1] - 0.5;

export function drawBorder(ctx, px, size, visible) {
  if (visible && borderHidden(size, visible)) hatch(ctx, px, size, visible);
}

export function drawGrid(ctx, px, [width, height]) {
  for (const [paint, line] of [
    ["rgba(15, 23, 42, .35)", 2],
    ["rgba(255, 255, 255, .7)", 1],
  ]) {
    ctx.strokeStyle = paint;
    ctx.lineWidth = line * px;
    ctx.beginPath();
    for (let k = 1; k < CELLS; k++) {
      ctx.moveTo((k * width) / CELLS, 0);
      ctx.lineTo((k * width) / CELLS, height);
      ctx.moveTo(0, (k * height) / CELLS);
      ctx.lineTo(width, (k * height) / CELLS);
    }
    ctx.stroke();
  }
}

export function drawRegion(ctx, px, size, grid, dashed) {
  const [l, t, r, b] = regionBox(size, grid);
  const inset = 1.5 * px;
  ctx.setLineDash(dashed ? [6 * px, 4 * px] : []);
  strokeCased(ctx, px, palette.region, 3, () => rectPath(ctx, [l + inset, t + inset, r - inset, b - inset]));
  ctx.setLineDash([]);
}

function quadPath(ctx, [first, ...others]) {
  ctx.beginPath();
  ctx.moveTo(...first);
  for (const corner of others) ctx.lineTo(...corner);
  ctx.closePath();
}

// Lines of text or boxes: chosen ones filled and thick, the others thin and dashed.
export function drawQuads(ctx, px, items) {
  for (const { corners, chosen } of [...items].sort((a, b) => a.chosen - b.chosen)) {
    const path = () => quadPath(ctx, corners);
    if (chosen) {
      ctx.fillStyle = withAlpha(palette.region, 0.22);
      path();
      ctx.fill();
    }
    ctx.setLineDash(chosen ? [] : [4 * px, 3 * px]);
    strokeCased(ctx, px, chosen ? palette.region : "#475569", chosen ? 2 : 1, path);
  }
  ctx.setLineDash([]);
}

// A map over the image: the larger a value, the denser the colour.
export function drawMap(ctx, [width, height], values) {
  const most = Math.max(...values.flat(), 1e-12);
  values.forEach((row, y) => {
    row.forEach((value, x) => {
      ctx.fillStyle = withAlpha(palette.region, 0.8 * (value / most));
      const [across, down] = [width / row.length, height / values.length];
      ctx.fillRect(x * across, y * down, across, down);
    });
  });
}

// A label above the region; below it at the top of the image or with `below`, so that it hides nothing inside.
export function drawTag(ctx, px, size, grid, text, below = false) {
  const [l, t, , b] = regionBox(size, grid);
  ctx.font = `600 ${11 * px}px system-ui, sans-serif`;
  const [width, height] = [ctx.measureText(text).width + 12 * px, 18 * px];
  const [x, y] = [
    clamp(l, 0, Math.max(0, size[0] - width)),
    !below && t >= height ? t - height : Math.min(b, size[1] - height),
  ];
  ctx.fillStyle = palette.region;
  ctx.fillRect(x, y, width, height);
  ctx.fillStyle = "#fff";
  ctx.textBaseline = "middle";
  ctx.fillText(text, x + 6 * px, y + height / 2);
}

function linesPath(ctx, lines) {
  ctx.beginPath();
  for (const [x0, y0, x1, y1] of lines) {
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
  }
}

function strokeLines(ctx, px, colour, width, lines) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width * px;
  linesPath(ctx, lines);
  ctx.stroke();
}

function tokensPath(ctx, trace, tokens) {
  ctx.beginPath();
  for (const i of tokens.filter((each) => hasBox(trace.boxes[each]))) {
    const [l, t, r, b] = trace.boxes[i];
    ctx.rect(l, t, r - l, b - t);
  }
}

export function fillTokens(ctx, trace, tokens, paint) {
  ctx.fillStyle = paint;
  tokensPath(ctx, trace, tokens);
  ctx.fill();
}

// Hatches tokens, whose colour may not be seen.
function hatchTokens(ctx, px, trace, tokens, colour, kind) {
  ctx.save();
  tokensPath(ctx, trace, tokens);
  ctx.clip();
  strokeLines(ctx, px, colour, 1, hatchLines(trace.size, 7 * px, kind));
  ctx.restore();
}

// Tints tokens, and hatches them.
export function drawHatched(ctx, px, trace, tokens, colour, kind) {
  greyTokens(ctx, trace, tokens);
  fillTokens(ctx, trace, tokens, withAlpha(colour, 0.4));
  hatchTokens(ctx, px, trace, tokens, colour, kind);
}

// Takes the colour out of what is not retained, so that a tint reads the same on every image.
function greyTokens(ctx, trace, tokens) {
  ctx.save();
  ctx.globalCompositeOperation = "saturation";
  fillTokens(ctx, trace, tokens, "#808080");
  ctx.restore();
}

const prunedBefore = (trace) => trace.group.map((_, i) => i).filter((i) => trace.group[i] < 0);

// PLC: retained tokens stay clear with a fine outline, every pooled group is one tinted cell, hatched as its ring is.
export function drawGroups(ctx, px, trace) {
  const pooledIn = new Map(); // tokens by ring
  trace.members.forEach((list, j) => {
    if (!list.length) return;
    const ring = trace.inputRing[j];
    if (ring < 0) return; // beside the image
    const [colour, pooled] = [ringColour(ring), list.length > 1];
    if (pooled) {
      greyTokens(ctx, trace, list);
      fillTokens(ctx, trace, list, withAlpha(colour, 0.38));
      pooledIn.set(ring, [...(pooledIn.get(ring) ?? []), ...list]);
    }
    strokeLines(ctx, px, withAlpha(colour, pooled ? 0.95 : 0.6), pooled ? 1.5 : 0.75, trace.outlines[j]);
  });
  for (const [ring, tokens] of pooledIn) hatchTokens(ctx, px, trace, tokens, ringColour(ring), ringHatch(ring));
  fillTokens(ctx, trace, prunedBefore(trace), withAlpha(palette.veil, 0.85));
}

// ILP at one layer: pruned tokens are veiled, those that are pruned after layer `from` are marked.
export function drawLayer(ctx, px, trace, layer, from = layer - 1) {
  trace.members.forEach((list, j) => {
    const at = trace.inputDropLayer[j];
    if (at <= layer) {
      greyTokens(ctx, trace, list);
      fillTokens(ctx, trace, list, at > from ? withAlpha(palette.cut, 0.5) : withAlpha(palette.veil, 0.88));
      return;
    }
    const inside = trace.region && trace.inRegion[list[0]];
    const colour = inside ? withAlpha(palette.region, 0.6) : "rgba(15, 23, 42, .45)";
    strokeLines(ctx, px, colour, 0.75, trace.outlines[j]);
  });
  fillTokens(ctx, trace, prunedBefore(trace), withAlpha(palette.veil, 0.88));
}

// All layers in one: pruned early is veiled, alive to the end is clear; pooled groups have an outline.
export function drawLifetimes(ctx, px, trace) {
  for (const i of trace.drawOrder) {
    const share = trace.dropLayer[i] / trace.layers;
    if (share < 1) fillTokens(ctx, trace, [i], withAlpha(palette.veil, 0.92 * (1 - share)));
  }
  trace.members.forEach((list, j) => {
    if (list.length < 2 || trace.inputRing[j] < 0) return;
    const colour = ringColour(trace.inputRing[j]);
    fillTokens(ctx, trace, list, withAlpha(colour, 0.25));
    strokeLines(ctx, px, withAlpha(colour, 0.9), 1, trace.outlines[j]);
  });
}

// A value on each visual token: the larger, the denser the colour, over the image without its own.
export function drawHeat(ctx, trace, values) {
  const most = Math.max(largest(values), 1e-12);
  greyTokens(ctx, trace, trace.drawOrder);
  for (const i of trace.drawOrder) fillTokens(ctx, trace, [i], withAlpha(palette.cut, (0.85 * values[i]) / most));
}

// The group of the token under the pointer.
export function drawHover(ctx, px, trace, token) {
  if (token < 0) return;
  const input = trace.group[token];
  const lines = input < 0 ? outline(trace.boxes, [token]) : trace.outlines[input];
  strokeCased(ctx, px, "#111827", 2, () => linesPath(ctx, lines));
}

// The one token that was clicked, by itself.
export function drawPinned(ctx, px, trace, token) {
  if (token < 0 || !hasBox(trace.boxes[token])) return;
  strokeCased(ctx, px, palette.cut, 3, () => rectPath(ctx, trace.boxes[token]));
}
