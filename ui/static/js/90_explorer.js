// The explorer: one payload in, every picture out. Nothing here talks to the server.

function panel(number, title, body) {
  const grow = h("button", { type: "button", class: "cx-grow", "aria-label": `Enlarge: ${title}`, "aria-pressed": "false" }, icon("M1 1h5v2H3v3H1zM10 1h5v5h-2V3h-3zM1 10h2v3h3v2H1zM13 10h2v5h-5v-2h3z"));
  return { grow, root: h("article", { class: "cx-card cx-panel" }, h("h3", {}, h("span", { class: "cx-step" }, number), title, grow), body) };
}

async function decoded(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

class Explorer {
  // onDraw: hears of every region that the user makes; onAsk: of the wish to have it answered.
  constructor(root, onDraw, onAsk) {
    this.region = new RegionPanel(onDraw || (() => {}), onAsk || (() => {}));
    const pin = (token) => this.pin(token);
    this.compression = new CompressionPanel(pin);
    this.pruning = new PruningPanel(pin, (on) => this.panels.classList.toggle("cx-wide", on));
    this.table = new TokenTable(pin);
    this.answers = new Answers();
    this.thumbs = new PictureSwitch(() => this.show());
    this.readouts = new Readouts();
    this.question = h("p", { class: "cx-question" });
    this.panels = h("section", { class: "cx-panels", "aria-label": "What happens to the visual tokens" });
    const parts = [panel("1", "Localize", this.region.root), panel("2", "Compress before the LLM", this.compression.root), panel("3", "Prune inside the LLM", this.pruning.root)];
    this.panels.append(...parts.map((part) => part.root));
    parts.forEach((part) => part.grow.addEventListener("click", () => this.enlarge(parts, part)));
    this.root = root;
    root.classList.add("cx");
    root.replaceChildren(this.question, this.answers.root, this.thumbs.root, this.panels, this.table.root, this.readouts.root);
    this.state = { stage: "empty", method: "CROP", regions: [], sizes: [], traces: [], images: [] };
    this.show();
  }

  enlarge(parts, chosen) {
    const on = !chosen.root.classList.contains("cx-large");
    parts.forEach((part) => {
      part.root.classList.toggle("cx-large", on && part === chosen);
      part.grow.setAttribute("aria-pressed", String(on && part === chosen));
    });
    this.panels.classList.toggle("cx-focus", on);
  }

  // payload: {image: data URL, others: [data URL], data: JSON text}; traces are parsed once per result.
  async update(payload) {
    if (!payload || !payload.image) return;
    const turn = (this.turn = (this.turn || 0) + 1);
    const data = JSON.parse(payload.data);
    if (data.id === this.stopped && data.stage !== "done") return;
    const images = await this.load([payload.image, ...payload.others]);
    if (turn !== this.turn) return;
    if (data.stage === "localize") this.reveal();
    const pictures = [data, ...data.others];
    this.state = { ...data, images, sizes: pictures.map((one) => one.size), regions: pictures.map((one) => one.region), traces: this.tracesOf(data) };
    this.thumbs.update(images);
    this.show();
  }

  // What still comes of the run on screen is too late.
  stop() {
    this.stopped = this.state.id;
  }

  // On a narrow screen the answer would appear below what is seen.
  reveal() {
    if (this.root.getBoundingClientRect().top > 0.7 * window.innerHeight) this.root.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
  }

  tracesOf({ id, result }) {
    if (!result) return [];
    if (!this.parsed || this.parsed.id !== id) this.parsed = { id, traces: [result.trace, ...result.others].map(parseTrace) };
    return this.parsed.traces;
  }

  async load(sources) {
    const known = this.loaded || new Map();
    const images = await Promise.all(sources.map((source) => known.get(source) || decoded(source)));
    this.loaded = new Map(sources.map((source, at) => [source, images[at]]));
    return images;
  }

  // Everything, with the picture that is picked.
  show() {
    const { at } = this.thumbs;
    const { images, sizes, regions, traces } = this.state;
    this.draw({ ...this.state, at, image: images[at], size: sizes[at], region: regions[at], trace: traces[at] || null });
  }

  draw(state) {
    const running = STAGES.some(([key]) => key === state.stage);
    this.root.style.minHeight = running ? `${this.root.offsetHeight}px` : ""; // nothing jumps while answers come in
    this.root.dataset.stage = state.stage;
    this.question.textContent = state.question ? `“${state.question}”` : "";
    this.question.hidden = !state.question;
    this.answers.update(state);
    if (state.trace !== this.shown) this.pin(-1);
    this.shown = state.trace;
    [this.region, this.compression, this.pruning, this.table].forEach((part) => part.update(state));
    this.readouts.update(state);
    this.root.dataset.drawn = state.result ? state.id : "";
  }

  get pictures() {
    return [this.region.picture, this.compression.picture, ...this.pruning.pictures];
  }

  // One token marked in the pictures and in the table; -1 for none.
  pin(token) {
    this.pictures.slice(1).forEach((picture) => picture.pin(token));
    this.table.show(token);
  }

  redraw() {
    this.pictures.forEach((picture) => picture.draw());
  }
}
