// The page's address: tab and layer, and the run on screen where it can be linked (ui/page/request.py). Back, Forward and
// reload bring them back.
const BESIDE = ["tab", "layer", "embed", "class", "__theme", "view"]; // of a query; the rest is the run's

const entries = (params, which) => [...params].filter(([name]) => which(name)).sort();

// The part of a query that is about a run, comparable.
export const runPart = (query) =>
  new URLSearchParams(entries(new URLSearchParams(query), (name) => !BESIDE.includes(name))).toString();

// The query with another run, and what is beside it; a layer is of the run that was on screen.
export function withRun(query, run) {
  const beside = entries(new URLSearchParams(query), (name) => BESIDE.includes(name) && name !== "layer");
  return new URLSearchParams([...new URLSearchParams(run), ...beside]).toString();
}

// The query with a value, or without it for null.
export function withValue(query, name, value) {
  const params = new URLSearchParams(query);
  if (value === null) params.delete(name);
  else params.set(name, value);
  return params.toString();
}

// The part of a query that has these names.
export const onlyOf = (query, names) =>
  new URLSearchParams(entries(new URLSearchParams(query), (name) => names.includes(name))).toString();

// A whole number in a query, undefined for none.
export function numberIn(query, name) {
  const text = new URLSearchParams(query).get(name) ?? "";
  return /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}

export class Address {
  // onMove: called with the layer (undefined: the last one) after Back or Forward to another tab or layer of the run on
  // screen; another run is loaded.
  // own: whether the address is this app's; inside a page of somebody else it is left alone.
  constructor(onMove, own = true) {
    this.own = own;
    this.awaited = numberIn(location.search, "layer");
    this.linked = Boolean(runPart(location.search));
    this.run = runPart(location.search);
    window.addEventListener("popstate", () => {
      if (runPart(location.search) !== this.run) location.reload();
      else onMove(numberIn(location.search, "layer"));
    });
  }

  write(query, push) {
    if (!this.own || query === location.search.replace(/^\?/, "")) return;
    const url = `${location.pathname}${query ? `?${query}` : ""}`;
    if (push) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
  }

  // run: the query of the run on screen, "" where it cannot be linked. The one that the address named needs no new entry.
  showRun(run) {
    const known = this.linked || runPart(run) === this.run;
    this.linked = false;
    this.run = runPart(run);
    if (!known || runPart(location.search) !== this.run) this.write(withRun(location.search, run), !known);
  }

  showTab(name, first) {
    this.write(withValue(location.search, "tab", name === first ? null : name), true);
  }

  showLayer(layer, last) {
    this.write(withValue(location.search, "layer", layer === last ? null : layer), false);
  }

  // The layer at which a new trace opens, if the address names one: that of the run that it links, or the opening one.
  layerFor(stage) {
    const layer = this.awaited;
    if (stage !== "recorded" || !this.linked) this.awaited = undefined;
    return layer;
  }
}
