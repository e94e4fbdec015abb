// Small helpers: elements (text only, never markup from data), numbers, colours.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "0 %");
const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

function withAlpha(hex, alpha) {
  const value = parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
}

// Colour of a ring: 0 is the region; rings beyond the palette repeat its last colour.
function ringColour(ring) {
  if (ring === 0) return PALETTE.region;
  return PALETTE.rings[Math.min(ring, PALETTE.rings.length) - 1];
}

const ringName = (ring, last) => (ring === 0 ? "region" : `ring ${ring}${ring === 1 ? " (near)" : ring === last ? " (far)" : ""}`);

function icon(path) {
  return s("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" }, s("path", { d: path, fill: "currentColor" }));
}
