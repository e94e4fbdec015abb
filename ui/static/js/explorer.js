// The explorer: all views of one run. Knows nothing of the server.
import { Answers, isRunning } from "./answers.js";
import { AttentionView } from "./attention.js";
import { TokenBrush } from "./brush.js";
import { CompressionPanel } from "./compression.js";
import { decodeImage, h, icon, prefersReducedMotion } from "./dom.js";
import { ImageSwitch } from "./images.js";
import { PruningPanel } from "./pruning.js";
import { Readouts } from "./readouts.js";
import { RegionPanel } from "./region.js";
import { TokenTable } from "./table.js";
import { parseTrace } from "./trace.js";

const ENLARGE = "M1 1h5v2H3v3H1zM10 1h5v5h-2V3h-3zM1 10h2v3h3v2H1zM13 10h2v5h-5v-2h3z";
const SHRINK = "M4 1h2v5H1V4h3zM10 1h2v3h3v2h-5zM1 10h5v5H4v-3H1zM10 10h5v2h-3v3h-2z";
const isLarge = ({ root }) => root.classList.contains("cx-large");
const EMPTY = {
  stage: "empty",
  method: "CROP",
  heading: "With CROP",
  regions: [],
  sizes: [],
  traces: [],
  images: [],
  others: [],
  tried: [],
};

// A numbered panel with a button that enlarges it.
function makePanel(number, title, body) {
  const label = { "aria-label": `Enlarge: ${title}`, "aria-pressed": "false" };
  const grow = h("button", { type: "button", class: "cx-grow", ...label }, icon(ENLARGE));
  const heading = h("h3", {}, h("span", { class: "cx-step" }, number), title, grow);
  return { grow, root: h("article", { class: "cx-card cx-panel" }, heading, body) };
}

const scrollTo = (element) =>
  element.scrollIntoView({ behavior: prefersReducedMotion() ? "auto" : "smooth", block: "start" });

// Scrolls an element to the top if not all of it is in view, below what sticks there (its scroll margin).
function bringIntoView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  const margin = Number.parseFloat(getComputedStyle(element).scrollMarginTop) || 0;
  if (top < margin || bottom > window.innerHeight) scrollTo(element);
}

export class Explorer {
  // onDraw: called when the user changed a region; onAsk: when it shall be run; onMeasure: when the run on screen shall be
  // measured again. None of them in a recorded run. layerFor: called with the stage of a run that has a trace now, returns
  // the layer to open it at, if not the last one. onChoose: called with the visual tokens that the question shall be asked
  // with alone. onLook: with the run whose attention shall be read, "baseline" or "crop".
  constructor(root, { layerFor = () => undefined, ...events } = {}) {
    const nothing = () => {};
    const { onDraw = nothing, onAsk = nothing, onMeasure = nothing, onChoose = nothing, onLook = nothing } = events;
    const pin = (token) => this.pin(token);
    this.region = new RegionPanel(onDraw, onAsk);
    this.compression = new CompressionPanel(pin);
    this.pruning = new PruningPanel(pin, (on) => this.panels.classList.toggle("cx-wide", on));
    this.table = new TokenTable(pin);
    this.brush = new TokenBrush(onChoose);
    this.attention = new AttentionView(onLook);
    this.answers = new Answers();
    this.thumbs = new ImageSwitch(() => this.show());
    this.readouts = new Readouts(onMeasure);
    this.question = h("p", { class: "cx-question" });
    this.panels = this.makePanels();
    this.root = root;
    root.classList.add("cx");
    const below = [this.attention, this.brush, this.table, this.readouts];
    const parts = [this.answers, this.thumbs, { root: this.panels }, ...below];
    root.replaceChildren(this.question, ...parts.map((part) => part.root));
    this.layerFor = layerFor;
    this.loaded = new Map(); // decoded images by data URL
    this.updates = 0;
    this.stopped = false;
    this.state = EMPTY;
    this.show();
  }

  makePanels() {
    const panels = [
      makePanel("1", "Localize", this.region.root),
      makePanel("2", "Compress tokens", this.compression.root),
      makePanel("3", "Prune in the LLM", this.pruning.root),
    ];
    for (const panel of panels) panel.grow.addEventListener("click", () => this.enlarge(panels, panel));
    const [region, compression, pruning] = panels.map((panel) => panel.root);
    this.parts = { answers: this.answers.root, region, compression, pruning, costs: this.readouts.root };
    const onkeydown = ({ key }) => {
      const large = panels.find(isLarge);
      if (key === "Escape" && large) this.enlarge(panels, large);
    };
    const props = { class: "cx-panels", onkeydown, "aria-label": "What happens to the visual tokens" };
    return h("section", props, ...panels.map((panel) => panel.root));
  }

  // Lets a panel fill the window, or gives it its place back; Escape does so too.
  enlarge(panels, chosen) {
    const on = !isLarge(chosen);
    for (const panel of panels) {
      const large = on && panel === chosen;
      panel.root.classList.toggle("cx-large", large);
      panel.grow.replaceChildren(icon(large ? SHRINK : ENLARGE));
      panel.grow.setAttribute("aria-pressed", String(large));
    }
    chosen.grow.focus();
  }

  // payload: {image: data URL, others: [data URL], data: JSON text}; the latest one wins.
  async update(payload) {
    if (!payload?.image) return;
    this.updates += 1;
    const update = this.updates;
    const data = JSON.parse(payload.data);
    if (this.stopped && (isRunning(data.stage) || data.stage === "measure")) return;
    if (data.stage === "measure" && data.id !== this.state.id) return; // of a run that is no longer on screen
    const images = await this.load([payload.image, ...payload.others]);
    if (update !== this.updates) return;
    const answers = isRunning(data.stage) || (data.stage === "done" && data.id !== this.state.id);
    const begins = answers && !isRunning(this.state.stage); // at any stage: of views that come fast, the latest alone is drawn
    if (data.stage === "localize" || begins) this.reveal();
    const each = [data, ...data.others];
    const [sizes, regions] = [each.map(({ size }) => size), each.map(({ region }) => region)];
    const fresh = data.result && this.parsed?.id !== data.id;
    const opensAt = fresh ? this.layerFor(data.stage) : undefined;
    this.state = { ...data, images, sizes, regions, opensAt, traces: this.tracesOf(data) };
    this.thumbs.update(images);
    this.show();
    if (data.stage === "predict" && this.sought) bringIntoView(this.sought); // whichever comes first, this or the cue
  }

  // A run, or a measurement, begins.
  begin() {
    this.stopped = false;
  }

  // Ignores what is still under way, until another run begins.
  stop() {
    this.stopped = true;
  }

  // On a narrow screen the answer would appear below the visible part.
  reveal() {
    if (this.root.getBoundingClientRect().top > 0.7 * window.innerHeight) scrollTo(this.root);
  }

  // What a step of the lesson is about: a region to draw, or the one that was drawn; and the part to bring into view.
  followLesson({ draw = false, guess = null, part }) {
    this.region.predict(draw, guess, part ? "Reveal" : "Run");
    this.sought = this.parts[part];
    if (part) bringIntoView(this.sought);
  }

  // Traces are parsed once per result.
  tracesOf({ id, result }) {
    if (!result) return [];
    if (this.parsed?.id !== id) this.parsed = { id, traces: [result.trace, ...result.others].map(parseTrace) };
    return this.parsed.traces;
  }

  async load(sources) {
    const images = await Promise.all(sources.map((source) => this.loaded.get(source) || decodeImage(source)));
    this.loaded = new Map(sources.map((source, at) => [source, images[at]]));
    return images;
  }

  // Draws everything, with the chosen image.
  show() {
    const { at } = this.thumbs;
    const { images, sizes, regions, traces, result } = this.state;
    this.draw({
      ...this.state,
      at,
      found: (result?.attention ?? []).filter((each) => each.image === at),
      image: images[at],
      size: sizes[at],
      region: regions[at],
      trace: traces[at] || null,
    });
  }

  // Keeps the previous height during a run, so that nothing jumps.
  draw(state) {
    this.root.style.minHeight = isRunning(state.stage) ? `${this.root.offsetHeight}px` : "";
    this.root.dataset.stage = state.stage;
    this.question.textContent = state.question ? `“${state.question}”` : "";
    this.answers.update(state);
    if (state.trace !== this.shownTrace) this.pin(-1);
    this.shownTrace = state.trace;
    const panels = [this.region, this.compression, this.pruning];
    for (const part of [...panels, this.attention, this.brush, this.table, this.readouts]) part.update(state);
    this.root.dataset.drawn = state.result ? state.id : "";
  }

  // Canvases of the panels with tokens.
  get tokenCanvases() {
    return [this.compression.canvas, ...this.pruning.canvases];
  }

  // Marks a token in the views and in the table; -1 marks none.
  pin(token) {
    for (const canvas of this.tokenCanvases) canvas.pin(token);
    this.table.show(token);
  }

  redraw() {
    const others = [this.region, this.attention, this.brush].map((part) => part.canvas);
    for (const canvas of [...others, ...this.tokenCanvases]) canvas.draw();
  }
}
