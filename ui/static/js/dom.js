// DOM elements (children are nodes or text, never markup), icons, and the preference for reduced motion.
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

// An HTML element; `on...` properties are listeners, the others attributes.
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

// An SVG element.
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

export function icon(path) {
  return s(
    "svg",
    { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
    s("path", { d: path, fill: "currentColor" }),
  );
}

export const prefersReducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

// The decoded image of a data URL.
export async function decodeImage(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}
