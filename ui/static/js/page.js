// Entry module of the app's page: mounts the views of ui/page/components.py, and connects the explorer to the page's fields.
import { Explorer } from "./explorer.js";
import { Gallery } from "./gallery.js";
import { fieldsToRegions, regionsToFields } from "./images.js";

// Draws the component's value now and whenever it or the theme changes.
function keepDrawn(name, view, { props, watch }, also = () => {}) {
  const update = () => {
    view.update(props.value).catch((error) => console.error(`${name}: ${error.message}`));
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
function layerMoved() {
  if (document.querySelector("#figure-layer")?.offsetParent) document.querySelector("#figure-layer-moved")?.click();
}

function mountExplorer(component) {
  const [drawn, ask, measure] = ["input", "submit", "retry"].map((event) => () => component.trigger(event));
  const explorer = new Explorer(mountPoint(component), drawn, ask, measure);
  window.cropExplorer = {
    pull: (fields) => regionsToFields(explorer.region.own, fields),
    push: (fields) => explorer.region.setOwn(fieldsToRegions(fields)),
    stop: () => explorer.stop(),
  };
  watchLayer(mountPoint(component), layerMoved);
  keepDrawn("explorer", explorer, component, showInField);
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

takeOver(globalThis, { explorer: mountExplorer, gallery: mountGallery });
