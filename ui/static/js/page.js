// Entry module of the app's page: mounts the views of ui/page/components.py, and connects the explorer to the page's fields.
import { Explorer } from "./explorer.js";
import { Gallery } from "./gallery.js";
import { fieldsToRegions, regionsToFields } from "./images.js";

// Draws the component's value now and whenever it or the theme changes.
function keepDrawn(name, view, { props, watch }) {
  const update = () => view.update(props.value).catch((error) => console.error(`${name}: ${error.message}`));
  watch("value", update);
  const theme = new MutationObserver(() => view.redraw());
  theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  update();
}

const mountPoint = ({ element }) => element.querySelector(".cx-mount");

function mountExplorer(component) {
  const [drawn, ask] = ["input", "submit"].map((event) => () => component.trigger(event));
  const explorer = new Explorer(mountPoint(component), drawn, ask);
  window.cropExplorer = {
    pull: (fields) => regionsToFields(explorer.region.own, fields),
    push: (fields) => explorer.region.setOwn(fieldsToRegions(fields)),
    stop: () => explorer.stop(),
  };
  keepDrawn("explorer", explorer, component);
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
