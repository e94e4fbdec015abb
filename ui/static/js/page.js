// Entry module of the app's page: mounts the views of ui/page/components.py, and connects the explorer to the page's fields.
import { Address } from "./address.js";
import { setClassMode, showClassMode, startOver } from "./class_mode.js";
import { Explorer } from "./explorer.js";
import { Gallery } from "./gallery.js";
import { fieldsToRegions, regionsToFields } from "./images.js";
import { openLinked } from "./linked_run.js";
import { joined, logOut, showLogout, watchServer } from "./session.js";

// Draws the component's value now and whenever it or the theme changes. Until it is drawn, an empty place is kept for it, so
// that nothing moves.
function keepDrawn(name, view, { props, watch }, also = () => {}) {
  view.root.classList.toggle("cx-awaited", Boolean(props.value));
  const update = () => {
    const drawn = view.update(props.value).catch((error) => console.error(`${name}: ${error.message}`));
    drawn.then(() => view.root.classList.remove("cx-awaited"));
    also(props.value);
  };
  watch("value", update);
  const theme = new MutationObserver(() => view.redraw());
  theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  update();
}

const mountPoint = ({ element }) => element.querySelector(".cx-mount");

// The image field draws the uploaded file, which a browser may turn or colour in another way than the model sees it, or
// not know at all. A new image in the explorer is that file as the model sees it.
export function showInField(payload, field = document.querySelector("#image img")) {
  if (!payload?.image || !field) return;
  const { stage, question, fixed } = JSON.parse(payload.data);
  if (stage === "idle" && !question && !fixed) field.src = payload.image;
}

// Calls `moved` once the layer on screen has changed and stands still.
export function watchLayer(root, moved, still = 400) {
  let timer;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(moved, still);
  };
  const changes = { subtree: true, attributes: true, attributeFilter: ["data-layer"] };
  new MutationObserver(wait).observe(root, changes);
}

// A figure of the layer on screen is made again while its options are in view.
function remakeFigure() {
  if (document.querySelector("#figure-layer")?.offsetParent) document.querySelector("#figure-layer-moved")?.click();
}

// Run, and Enter in the question, start what the open tab has: a comparison of methods, or a sweep of the budget.
export function runOpenTab(event) {
  const typed =
    event.type === "keypress" && event.key === "Enter" && !event.shiftKey && event.target.closest("#question");
  if (!typed && !(event.type === "click" && event.target.closest("#run"))) return;
  const own = [...document.querySelectorAll(".starts-open-tab")].find((button) => button.offsetParent);
  if (!own) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  own.click();
}

// In a frame of another page, with embed=1 in the address: the run alone; the page around is told the height that it takes.
export function embed(scope = window) {
  if (new URLSearchParams(scope.location.search).get("embed") !== "1") return;
  scope.document.body.classList.add("embedded");
  const tell = ({ height }) => scope.parent.postMessage({ cropExplorerHeight: Math.ceil(height) }, "*");
  new scope.ResizeObserver(([{ contentRect }]) => tell(contentRect)).observe(scope.document.body);
}

function mountExplorer(component) {
  const [onDraw, onAsk, onMeasure] = ["input", "submit", "retry"].map((event) => () => component.trigger(event));
  const onChoose = (tokens) => component.trigger("select", { tokens });
  const onLook = (run) => component.trigger("apply", { run });
  const own = window.__gradio_mode__ === "app"; // not <gradio-app> in a page of somebody else
  const address = new Address((layer) => {
    document.querySelector("#to-tab")?.click();
    explorer.pruning.open(layer);
  }, own);
  const layerFor = (stage) => address.layerFor(stage);
  const explorer = new Explorer(mountPoint(component), { onDraw, onAsk, onMeasure, onChoose, onLook, layerFor });
  window.cropExplorer = {
    pull: (fields) => regionsToFields(explorer.region.own, fields),
    push: (fields) => explorer.region.setOwn(fieldsToRegions(fields)),
    begin: () => explorer.begin(),
    stop: () => {
      explorer.stop();
      return joined();
    },
    followLesson: (cue) => explorer.followLesson(cue),
    setClassMode,
    startOver,
    logOut,
    showRun: (query) => address.showRun(query),
    showTab: (name, first) => address.showTab(name, first),
  };
  showClassMode();
  showLogout(window.gradio_config);
  for (const kind of ["click", "keypress"]) document.addEventListener(kind, runOpenTab, true);
  watchServer(window);
  watchLayer(mountPoint(component), () => {
    const { layer, trace } = explorer.pruning.view;
    if (trace) address.showLayer(layer, trace.layers - 1);
    remakeFigure();
  });
  keepDrawn("explorer", explorer, component, showInField);
  if (own) openLinked();
}

function mountGallery(component) {
  keepDrawn("gallery", new Gallery(mountPoint(component)), component);
}

// Takes over `scope.cropViews`, where components leave [name, component]: those that came before this module are mounted
// now, later ones at once.
export function takeOver(scope, mounts) {
  const waiting = Array.isArray(scope.cropViews) ? scope.cropViews : [];
  scope.cropViews = { push: ([name, component]) => mounts[name](component) };
  for (const view of waiting) scope.cropViews.push(view);
}

if (globalThis.document) embed();
takeOver(globalThis, { explorer: mountExplorer, gallery: mountGallery });
