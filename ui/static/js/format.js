// Numbers and names as text.

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "0 %");

// A probability from 0 to 1; small ones with a decimal.
export const probability = (p) => `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)} %`;

// A number with at most one decimal.
export const oneDecimal = (value) => Math.round(10 * value) / 10;

// Name of a PLC ring: 0 is the region, `last` the outermost ring.
export function ringName(ring, last) {
  if (ring === 0) return "region";
  return `ring ${ring}${ring === 1 ? " (near)" : ring === last ? " (far)" : ""}`;
}
