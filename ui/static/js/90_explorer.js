// The explorer: one payload in, every picture out. Nothing here talks to the server.

const STAGES = [["localize", "Find the region"], ["baseline", "Answer with every token"], ["crop", ""], ["measure", "Compare"]];
const EMPTY = "Pick an example or give a picture and a question. You will see where the answer is looked for, what happens to every visual token, and what it saves or costs.";

function panel(number, title, body) {
  const grow = h("button", { type: "button", class: "cx-grow", "aria-label": `Enlarge: ${title}`, "aria-pressed": "false" }, icon("M1 1h5v2H3v3H1zM10 1h5v5h-2V3h-3zM1 10h2v3h3v2H1zM13 10h2v5h-5v-2h3z"));
  return { grow, root: h("article", { class: "cx-card cx-panel" }, h("h3", {}, h("span", { class: "cx-step" }, number), title, grow), body) };
}

class Explorer {
  constructor(root, onDraw) {
    this.region = new RegionPanel(onDraw || (() => {}));
    this.compression = new CompressionPanel();
    this.pruning = new PruningPanel();
    this.answers = new Answers();
    this.readouts = new Readouts();
    this.stages = h("ol", { class: "cx-stages", "aria-label": "Progress" }, STAGES.map(([key, words]) => h("li", { "data-stage": key }, words)));
    this.empty = h("p", { class: "cx-empty-note" }, EMPTY);
    this.question = h("p", { class: "cx-question" });
    const parts = [panel("1", "Localize", this.region.root), panel("2", "Compress before the LLM", this.compression.root), panel("3", "Prune inside the LLM", this.pruning.root)];
    this.panels = h("section", { class: "cx-panels", "aria-label": "What happens to the visual tokens" }, parts.map((part) => part.root));
    parts.forEach((part) => part.grow.addEventListener("click", () => this.enlarge(parts, part)));
    this.root = root;
    root.classList.add("cx");
    root.replaceChildren(this.empty, this.question, this.stages, this.answers.root, this.panels, this.readouts.root);
    this.show({ stage: "empty", method: "CROP" });
  }

  enlarge(parts, chosen) {
    const on = !chosen.root.classList.contains("cx-large");
    parts.forEach((part) => {
      part.root.classList.toggle("cx-large", on && part === chosen);
      part.grow.setAttribute("aria-pressed", String(on && part === chosen));
    });
    this.panels.classList.toggle("cx-focus", on);
  }

  // payload: {image: data URL, data: JSON text}; the trace is parsed once per result.
  async update(payload) {
    if (!payload || !payload.image) return;
    const turn = (this.turn = (this.turn || 0) + 1);
    const data = JSON.parse(payload.data);
    const image = await this.load(payload.image);
    if (turn !== this.turn) return;
    const trace = data.result ? this.traceOf(data) : null;
    if (data.stage === "localize") this.reveal();
    this.show({ ...data, image, trace, mean: data.result ? data.result.mean : null });
  }

  // On a narrow screen the answer would appear below what is seen.
  reveal() {
    if (this.root.getBoundingClientRect().top > 0.7 * window.innerHeight) this.root.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
  }

  traceOf(data) {
    if (!this.parsed || this.parsed.id !== data.id) this.parsed = { id: data.id, trace: parseTrace(data.result.trace) };
    return this.parsed.trace;
  }

  async load(source) {
    if (this.loaded && this.loaded.source === source) return this.loaded.image;
    const image = new Image();
    image.src = source;
    await image.decode();
    this.loaded = { source, image };
    return image;
  }

  show(state) {
    const running = STAGES.some(([key]) => key === state.stage);
    this.root.style.minHeight = running ? `${this.root.offsetHeight}px` : ""; // nothing jumps while answers come in
    this.root.dataset.stage = state.stage;
    this.empty.hidden = Boolean(state.image);
    this.question.textContent = state.question ? `“${state.question}”` : "";
    this.question.hidden = !state.question;
    this.stages.hidden = !running;
    const at = STAGES.findIndex(([key]) => key === state.stage);
    this.stages.querySelector("[data-stage=crop]").textContent = `Answer with ${state.method}`;
    [...this.stages.children].forEach((item, k) => {
      item.className = k < at ? "cx-past" : k === at ? "cx-current" : "";
      k === at ? item.setAttribute("aria-current", "step") : item.removeAttribute("aria-current");
    });
    this.answers.update(state);
    [this.region, this.compression, this.pruning].forEach((part) => part.update(state));
    this.readouts.update(state);
    this.root.dataset.drawn = state.result ? state.id : "";
  }

  redraw() {
    [this.region, this.compression, this.pruning].forEach((part) => part.picture.draw());
  }
}
