// The explorer's colours: CSS variables of the page, from ui/views/palette.py.

const cache = new Map();

// Value of --cx-NAME, cached, since canvases need it for every token.
function variable(name) {
  if (!cache.get(name)) {
    cache.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--cx-${name}`).trim());
  }
  return cache.get(name);
}

export const palette = {
  get region() {
    return variable("region");
  },
  get cut() {
    return variable("cut");
  },
  get veil() {
    return variable("veil");
  },
  get rings() {
    return variable("rings").split(" ");
  },
  get hatches() {
    return variable("hatches").split(" ");
  },
};

// Colour of a PLC ring: 0 is the region; rings beyond the palette share its last colour.
export function ringColour(ring, { region, rings } = palette) {
  return ring === 0 ? region : rings[Math.min(ring, rings.length) - 1];
}

// Hatch of a PLC ring, so that rings differ without colour too; rings beyond the list share its last one.
export function ringHatch(ring, { hatches } = palette) {
  return hatches[Math.min(ring, hatches.length - 1)];
}

// "#rrggbb" with an opacity from 0 to 1.
export function withAlpha(hex, alpha) {
  const value = Number.parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
}
