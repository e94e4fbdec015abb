// The 8x8 grid over an image. A region of it is [left column, top row, right column, bottom row], all inclusive.
import { clamp } from "./format.js";

export const CELLS = 8;
const LAST = CELLS - 1;

// Which of a region's four edges move when it is dragged at an edge or corner.
export const EDGES = {
  nw: [1, 1, 0, 0],
  n: [0, 1, 0, 0],
  ne: [0, 1, 1, 0],
  e: [0, 0, 1, 0],
  se: [0, 0, 1, 1],
  s: [0, 0, 0, 1],
  sw: [1, 0, 0, 1],
  w: [1, 0, 0, 0],
};

const inGrid = (value) => Number.isInteger(value) && value >= 0 && value <= LAST;

export const isRegion = (cells) =>
  Array.isArray(cells) && cells.length === 4 && cells.every(inGrid) && cells[2] >= cells[0] && cells[3] >= cells[1];

export const sameRegion = (a, b) => Boolean(a && b) && a.every((value, k) => value === b[k]);

// Column or row of the grid at a coordinate of an image side, both in pixels.
export const cellAt = (value, side) => clamp(Math.floor((CELLS * value) / side), 0, LAST);

// The region with two cells at opposite corners.
export const spanned = ([a, b], [x, y]) => [Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)];

// A region moved by cells, stopped at the image's border.
export function moved([x0, y0, x1, y1], dx, dy) {
  const [a, b] = [clamp(dx, -x0, LAST - x1), clamp(dy, -y0, LAST - y1)];
  return [x0 + a, y0 + b, x1 + a, y1 + b];
}

// A region with the edges that `edge` names moved by cells; an edge stops at the opposite one.
export function resized([x0, y0, x1, y1], edge, dx, dy) {
  const [l, t, r, b] = EDGES[edge];
  return [
    clamp(x0 + l * dx, 0, x1),
    clamp(y0 + t * dy, 0, y1),
    clamp(x1 + r * dx, x0, LAST),
    clamp(y1 + b * dy, y0, LAST),
  ];
}

// Pixel box [left, top, right, bottom] of a region in an image of this size.
export function regionBox([width, height], [x0, y0, x1, y1]) {
  return [(x0 * width) / CELLS, (y0 * height) / CELLS, ((x1 + 1) * width) / CELLS, ((y1 + 1) * height) / CELLS];
}
