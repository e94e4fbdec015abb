// Both answers, the verdict, notices, and the readouts. All words and numbers come from the Python side.

const FEW = 8; // token chips shown at once
const LONG = 60; // characters from which an answer is set smaller

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

class Answers {
  constructor() {
    this.cards = { baseline: answerCard("baseline", "Every visual token"), crop: answerCard("crop", "") };
    this.verdict = h("div", { class: "cx-verdict", role: "status" });
    this.notices = h("ul", { class: "cx-notices" });
    this.root = h("section", { class: "cx-answers", "aria-label": "Answers" }, this.cards.baseline.root, this.cards.crop.root, this.verdict, this.notices);
  }

  update({ stage, answers, result, method }) {
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
    h("header", {}, h("h4", {}, readout.label), h("span", { class: "cx-change" }, readout.change)),
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
