// Which of several pictures the explorer shows, and the regions that are drawn in all of them, as text and back.

// Drawn regions in the pictures after the first: "2: 0 1 3 4, 3: 2 2 5 5", by the picture's place from 0 on.
function readRegions(text) {
  const found = {};
  for (const part of String(text || "").split(",")) {
    const [number, ...cells] = part.match(/\d+/g) || [];
    if (isGrid(cells.map(Number)) && cells.length === 4 && number > 1) found[number - 1] = cells.map(Number);
  }
  return found;
}

function writeRegions(regions) {
  return Object.keys(regions).filter((at) => at > 0).map((at) => `${Number(at) + 1}: ${regions[at].join(" ")}`).join(", ");
}

// The page's fields [mode, four cells, text of the others], with what is drawn in the explorer in their place.
function pullRegions(drawn, [mode, x0, y0, x1, y1, text]) {
  const first = drawn[0] ? ["drawn", ...drawn[0]] : [mode, x0, y0, x1, y1];
  return [...first, writeRegions({ ...readRegions(text), ...drawn })];
}

// The inverse: what the page's fields draw, by picture.
function pushRegions([mode, x0, y0, x1, y1, text]) {
  const first = [x0, y0, x1, y1];
  return { ...(mode === "drawn" && isGrid(first) ? { 0: first } : {}), ...readRegions(text) };
}

class PictureSwitch {
  // changed: hears of the picture that is picked, by its place from 0 on.
  constructor(changed) {
    this.changed = changed;
    this.at = 0;
    this.root = h("div", { class: "cx-thumbs", role: "group", "aria-label": "Pictures", hidden: true });
  }

  update(images) {
    if (this.at >= images.length) this.at = 0;
    this.root.hidden = images.length < 2;
    this.root.replaceChildren(...images.map((image, at) => this.button(image, at)));
  }

  button(image, at) {
    const picture = h("img", { src: image.src, alt: "" });
    return h("button", { type: "button", class: "cx-thumb", "aria-pressed": String(at === this.at), onclick: () => this.pick(at) }, picture, `Picture ${at + 1}`);
  }

  pick(at) {
    this.at = at;
    [...this.root.children].forEach((button, k) => button.setAttribute("aria-pressed", String(k === at)));
    this.changed(at);
  }
}
