// Both answers, what stands between them and the pictures (a hint, the progress or the verdict), notices, and the
// readouts. All words and numbers of a result come from the Python side.

const FEW = 8; // token chips shown at once
const LONG = 60; // characters from which an answer is set smaller
const STAGES = [["localize", "Find the region"], ["baseline", "Answer with every token"], ["crop", ""], ["measure", "Compare"]];
const HINTS = {
  empty: "Pick an example or give a picture and a question. You will see where the answer is looked for, what happens to every visual token, and what it saves or costs.",
  idle: "Ask a question about it, and press Run.",
};

function answerCard(kind, title) {
  const heading = h("h3", {}, title);
  const text = h("p", { class: "cx-answer", "aria-live": "polite" });
  const note = h("p", { class: "cx-small" });
  const tokens = h("div", { class: "cx-tokens" });
  const root = h("article", { class: `cx-card cx-${kind}` }, heading, text, tokens, note);
  return { root, heading, text, note, tokens };
}

// Each generated token with its probability under both runs.
function tokenChip(token) {
  const share = (p) => `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)} %`;
  return h("span", { class: "cx-token", title: token.title }, h("b", {}, token.text), h("span", {}, share(token.own)), h("span", { class: "cx-other" }, share(token.other)));
}

// A long answer shows its first tokens; the others unfold.
function tokenChips(tokens) {
  const chips = tokens.map(tokenChip);
  if (chips.length <= FEW) return chips;
  return [...chips.slice(0, FEW), h("details", {}, h("summary", {}, `${chips.length - FEW} more tokens`), chips.slice(FEW))];
}

// How far a run is.
class Progress {
  constructor() {
    this.items = STAGES.map(([key, words]) => h("li", { "data-stage": key }, words));
    this.root = h("ol", { class: "cx-stages", "aria-label": "Progress" }, this.items);
  }

  update({ stage, method }) {
    const at = STAGES.findIndex(([key]) => key === stage);
    this.root.hidden = at < 0;
    this.items[2].textContent = `Answer with ${method}`;
    this.items.forEach((item, k) => {
      item.className = k < at ? "cx-past" : k === at ? "cx-current" : "";
      k === at ? item.setAttribute("aria-current", "step") : item.removeAttribute("aria-current");
    });
  }
}

class Answers {
  constructor() {
    this.cards = { baseline: answerCard("baseline", "Every visual token"), crop: answerCard("crop", "") };
    this.hint = h("p", { class: "cx-hint" });
    this.progress = new Progress();
    this.verdict = h("div", { class: "cx-verdict", role: "status" });
    this.notices = h("ul", { class: "cx-notices" });
    const between = h("div", { class: "cx-between" }, this.hint, this.progress.root, this.verdict);
    this.root = h("section", { class: "cx-answers", "aria-label": "Answers" }, this.cards.baseline.root, this.cards.crop.root, between, this.notices);
  }

  // Nothing below jumps while answers come in: the room that a run had is kept for the next one.
  update(state) {
    const running = STAGES.some(([key]) => key === state.stage);
    this.root.style.minHeight = running ? `${this.root.offsetHeight}px` : "";
    this.hint.textContent = HINTS[state.stage] || "";
    this.hint.hidden = !this.hint.textContent;
    this.progress.update(state);
    this.fill(state);
  }

  fill({ stage, answers, result, method }) {
    this.cards.crop.heading.textContent = `With ${method}`;
    for (const kind of ["baseline", "crop"]) {
      const card = this.cards[kind];
      const words = answers ? answers[kind] : "";
      card.text.textContent = words || (stage === kind ? "…" : "—");
      card.root.classList.toggle("cx-active", stage === kind);
      card.root.classList.toggle("cx-empty", !words);
      card.root.classList.toggle("cx-long", words.length > LONG);
      card.note.textContent = result ? result.notes[kind] : "";
      card.tokens.replaceChildren(...(result ? tokenChips(result.tokens[kind]) : []));
    }
    this.verdict.hidden = !result;
    if (result) this.say(result.verdict);
    this.notices.replaceChildren(...(result ? result.notices.map((line) => h("li", {}, line)) : []));
  }

  say({ tone, title, lines }) {
    this.verdict.className = `cx-verdict cx-${tone}`;
    this.verdict.replaceChildren(h("strong", {}, title), ...lines.map((line) => h("span", {}, line)));
  }
}

function barRow(kind, readout, method) {
  const value = readout.bars[kind];
  const extra = kind === "crop" ? readout.bars.localizer : 0;
  return h("div", { class: `cx-row cx-${kind}` },
    h("span", { class: "cx-who" }, kind === "crop" ? method : "all"),
    h("span", { class: "cx-track" }, h("i", { style: `width:${100 * (value - extra)}%` }), extra ? h("i", { class: "cx-loc", style: `width:${100 * extra}%` }) : null),
    h("span", { class: "cx-num" }, readout[kind]));
}

function readoutCard(readout, method) {
  return h("article", { class: `cx-readout cx-${readout.tone}`, "data-key": readout.key },
    h("header", {}, h("h3", {}, readout.label), h("span", { class: "cx-change" }, readout.change)),
    barRow("baseline", readout), barRow("crop", readout, method),
    readout.localizer ? h("p", { class: "cx-part" }, h("i", { class: "cx-loc" }), readout.localizer) : null,
    h("p", { class: "cx-small" }, readout.explain));
}

class Readouts {
  constructor() {
    this.grid = h("div", { class: "cx-readouts" });
    this.foot = h("p", { class: "cx-small cx-foot" });
    this.root = h("section", { "aria-label": "What it costs", hidden: true }, h("h2", {}, "What it costs"), this.grid, this.foot);
  }

  update({ result, method }) {
    this.root.hidden = !result;
    if (!result) return;
    this.grid.replaceChildren(...result.readouts.map((readout) => readoutCard(readout, method)));
    this.foot.textContent = result.footer;
  }
}
