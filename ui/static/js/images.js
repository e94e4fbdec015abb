// Which of several images the explorer shows, and the regions that are drawn in all of them, as form fields and back.
import { h } from "./dom.js";
import { isRegion } from "./grid.js";

// Drawn regions of the images after the first: "2: 0 1 3 4, 3: 2 2 5 5" counts from 1, the result from 0.
export function readRegions(text) {
  const regions = {};
  for (const part of String(text || "").split(",")) {
    const [number, ...cells] = (part.match(/\d+/g) || []).map(Number);
    if (isRegion(cells) && number > 1) regions[number - 1] = cells;
  }
  return regions;
}

export function writeRegions(regions) {
  const later = Object.keys(regions).filter((at) => at > 0);
  return later.map((at) => `${Number(at) + 1}: ${regions[at].join(" ")}`).join(", ");
}

// The page's fields [mode, four cells, text of the other images], overwritten by the regions that are drawn, by image.
export function regionsToFields(drawn, [mode, x0, y0, x1, y1, text]) {
  const first = drawn[0] ? ["drawn", ...drawn[0]] : [mode, x0, y0, x1, y1];
  return [...first, writeRegions({ ...readRegions(text), ...drawn })];
}

// The regions that the page's fields describe, by image.
export function fieldsToRegions([mode, x0, y0, x1, y1, text]) {
  const first = [x0, y0, x1, y1];
  return { ...(mode === "drawn" && isRegion(first) ? { 0: first } : {}), ...readRegions(text) };
}

// Thumbnails to choose an image by; hidden for a single one.
export class ImageSwitch {
  constructor(onChange) {
    this.onChange = onChange;
    this.at = 0; // the chosen image
    this.root = h("div", { class: "cx-thumbs", role: "group", "aria-label": "Images", hidden: true });
  }

  update(images) {
    if (this.at >= images.length) this.at = 0;
    this.root.hidden = images.length < 2;
    this.root.replaceChildren(...images.map((image, at) => this.button(image, at)));
  }

  button(image, at) {
    const pressed = String(at === this.at);
    const props = { type: "button", class: "cx-thumb", "aria-pressed": pressed, onclick: () => this.pick(at) };
    return h("button", props, h("img", { src: image.src, alt: "" }), `Image ${at + 1}`);
  }

  pick(at) {
    this.at = at;
    [...this.root.children].forEach((button, k) => {
      button.setAttribute("aria-pressed", String(k === at));
    });
    this.onChange(at);
  }
}
