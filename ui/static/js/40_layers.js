// What is painted over the picture: grid, region, hatched border, pooled groups, dropped tokens.
// Every function takes the canvas context in picture pixels and `px`, one screen pixel in that unit.

function strokeCased(ctx, px, colour, width, path) {
  ctx.lineJoin = "round";
  for (const [paint, line] of [["rgba(255, 255, 255, .85)", width + 2], [colour, width]]) {
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
function dimOutside(ctx, size, box, alpha) {
  ctx.save();
  frameClip(ctx, size, box);
  ctx.fillStyle = `rgba(15, 23, 42, ${alpha})`;
  ctx.fillRect(0, 0, size[0], size[1]);
  ctx.restore();
}

function hatch(ctx, px, size, box) {
  ctx.save();
  frameClip(ctx, size, box);
  ctx.fillStyle = "rgba(248, 250, 252, .72)";
  ctx.fillRect(0, 0, size[0], size[1]);
  ctx.strokeStyle = "rgba(30, 41, 59, .55)";
  ctx.lineWidth = px;
  ctx.beginPath();
  for (let x = -size[1]; x < size[0]; x += 7 * px) ctx.moveTo(x, size[1]), ctx.lineTo(x + size[1], 0);
  ctx.stroke();
  ctx.restore();
}

const borderHidden = (size, v) => v[0] > 0.5 || v[1] > 0.5 || v[2] < size[0] - 0.5 || v[3] < size[1] - 0.5;

function drawBorder(ctx, px, size, visible) {
  if (visible && borderHidden(size, visible)) hatch(ctx, px, size, visible);
}

function drawGrid(ctx, px, [width, height]) {
  for (const [paint, line] of [["rgba(15, 23, 42, .35)", 2], ["rgba(255, 255, 255, .7)", 1]]) {
    ctx.strokeStyle = paint;
    ctx.lineWidth = line * px;
    ctx.beginPath();
    for (let k = 1; k < 8; k++) {
      ctx.moveTo((k * width) / 8, 0), ctx.lineTo((k * width) / 8, height);
      ctx.moveTo(0, (k * height) / 8), ctx.lineTo(width, (k * height) / 8);
    }
    ctx.stroke();
  }
}

function regionBox([width, height], [x0, y0, x1, y1]) {
  return [(x0 * width) / 8, (y0 * height) / 8, ((x1 + 1) * width) / 8, ((y1 + 1) * height) / 8];
}

function drawRegion(ctx, px, size, grid, dashed) {
  const [l, t, r, b] = regionBox(size, grid);
  const inset = 1.5 * px;
  ctx.setLineDash(dashed ? [6 * px, 4 * px] : []);
  strokeCased(ctx, px, PALETTE.region, 3, () => rectPath(ctx, [l + inset, t + inset, r - inset, b - inset]));
  ctx.setLineDash([]);
}

function drawTag(ctx, px, size, grid, text) {
  const [l, t] = regionBox(size, grid);
  ctx.font = `600 ${11 * px}px system-ui, sans-serif`;
  const [width, height] = [ctx.measureText(text).width + 12 * px, 18 * px];
  const [x, y] = [clamp(l, 0, Math.max(0, size[0] - width)), t >= height ? t - height : t];
  ctx.fillStyle = PALETTE.region;
  ctx.fillRect(x, y, width, height);
  ctx.fillStyle = "#fff";
  ctx.textBaseline = "middle";
  ctx.fillText(text, x + 6 * px, y + height / 2);
}

function segments(ctx, lines) {
  ctx.beginPath();
  for (const [x0, y0, x1, y1] of lines) ctx.moveTo(x0, y0), ctx.lineTo(x1, y1);
}

function fillTokens(ctx, trace, tokens, paint) {
  ctx.fillStyle = paint;
  for (const i of tokens) {
    if (!hasPlace(trace.boxes[i])) continue;
    const [l, t, r, b] = trace.boxes[i];
    ctx.fillRect(l, t, r - l, b - t);
  }
}

// Takes the colour out of what is not retained, so that a tint reads the same on every picture.
function greyTokens(ctx, trace, tokens) {
  ctx.save();
  ctx.globalCompositeOperation = "saturation";
  fillTokens(ctx, trace, tokens, "#808080");
  ctx.restore();
}

// PLC: retained tokens stay clear with a fine outline, every pooled group is one tinted cell.
function drawGroups(ctx, px, trace) {
  trace.members.forEach((list, j) => {
    if (!list.length) return;
    const colour = ringColour(trace.ring[list[0]]);
    if (list.length > 1) {
      greyTokens(ctx, trace, list);
      fillTokens(ctx, trace, list, withAlpha(colour, 0.38));
    }
    ctx.strokeStyle = withAlpha(colour, list.length > 1 ? 0.95 : 0.6);
    ctx.lineWidth = (list.length > 1 ? 1.5 : 0.75) * px;
    segments(ctx, trace.outlines[j]);
    ctx.stroke();
  });
  const gone = trace.group.map((j, i) => (j < 0 ? i : -1)).filter((i) => i >= 0);
  fillTokens(ctx, trace, gone, withAlpha(PALETTE.veil, 0.85));
}

// ILP at one layer: gone tokens are veiled, those that go here are marked. Returns how many stand.
function drawLayer(ctx, px, trace, layer) {
  let alive = 0;
  trace.members.forEach((list, j) => {
    const at = trace.died[j];
    if (at > layer) alive += 1;
    const paint = at === layer ? withAlpha(PALETTE.cut, 0.5) : withAlpha(PALETTE.veil, 0.88);
    if (at <= layer) {
      greyTokens(ctx, trace, list);
      return fillTokens(ctx, trace, list, paint);
    }
    ctx.strokeStyle = trace.inRegion[list[0]] ? withAlpha(PALETTE.region, 0.6) : "rgba(15, 23, 42, .45)";
    ctx.lineWidth = 0.75 * px;
    segments(ctx, trace.outlines[j]);
    ctx.stroke();
  });
  fillTokens(ctx, trace, trace.order.filter((i) => trace.group[i] < 0), withAlpha(PALETTE.veil, 0.88));
  return alive;
}

function drawHover(ctx, px, trace, token) {
  if (token < 0) return;
  const input = trace.group[token];
  const lines = input < 0 ? outline(trace.boxes, [token]) : trace.outlines[input];
  strokeCased(ctx, px, "#111827", 2, () => segments(ctx, lines));
}

// The one token that was clicked, by itself.
function drawPinned(ctx, px, trace, token) {
  if (token < 0 || !hasPlace(trace.boxes[token])) return;
  strokeCased(ctx, px, PALETTE.cut, 3, () => rectPath(ctx, trace.boxes[token]));
}
