// Numbers and names as text.

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "0 %");

// A share from 0 to 1 as a percentage of two digits.
export const share = (value) => `${Number((100 * value).toPrecision(2))} %`;

// A number with at most one decimal.
export const oneDecimal = (value) => Math.round(10 * value) / 10;

// Rings of tokens that show no part of the image: beside it, and without a position (such as newline tokens).
export const PADDING = -1;
export const UNPLACED = -2;
const BESIDE = { [PADDING]: "padding", [UNPLACED]: "no position" };

// Name of a token's ring: 0 is the region, or all tokens where there are no rings around it; the outermost one is far.
export function ringName(ring, { region, lastRing: last }) {
  if (ring < 0) return BESIDE[ring];
  if (ring === 0) return region && last ? "region" : "all tokens";
  return `ring ${ring}${ring === 1 ? " (near)" : ring === last ? " (far)" : ""}`;
}
