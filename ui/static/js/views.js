// Which view of the image a panel shows, for models that see an overview and tiles; hidden for those with one view.
import { h } from "./dom.js";
import { inView } from "./trace.js";

export class ViewSwitch {
  constructor(onChange) {
    this.onChange = onChange;
    this.root = h("div", { class: "cx-views", role: "group", "aria-label": "View of the image" });
  }

  // Starts at the last view of a trace, which is the finest.
  update(trace) {
    if (trace && trace !== this.trace) this.view = trace.views[trace.views.length - 1];
    this.trace = trace;
    this.root.hidden = !trace || trace.views.length < 2;
    if (!this.root.hidden) this.root.replaceChildren(...trace.views.map((view) => this.button(view)));
  }

  button(view) {
    const count = this.trace.view.filter((each) => each === view).length;
    const pressed = String(view === this.view);
    const pick = () => {
      this.view = view;
      this.update(this.trace);
      this.onChange();
    };
    const props = { type: "button", class: "cx-button", "aria-pressed": pressed, onclick: pick };
    return h("button", props, `${view ? "Tiles" : "Overview"}, ${count} tokens`);
  }

  // The trace in the chosen view.
  get shown() {
    return inView(this.trace, this.view);
  }
}
