// Both answers, below them a hint, the progress or the verdict, and notices. All texts and numbers of a result come from
// the Python side.
import { h } from "./dom.js";
import { explained } from "./terms.js";

const SHOWN_TOKENS = 8; // tokens of an answer before the others are folded
const LONG = 60; // characters from which an answer is set smaller
const STAGES = [
  ["localize", "Localize"],
  ["baseline", "Answer in the baseline"],
  ["crop", ""],
  ["compare", "Compare"],
];
const HINTS = {
  empty:
    "Choose an example, or give an image and a question. You will see which region is selected, what happens to every visual token, and what that saves or costs.",
  predict: "A step of the lesson: predict first, then press Reveal.",
  idle: "Ask a question about it, and press Run.",
};

const stageIndex = (stage) => STAGES.findIndex(([key]) => key === stage);

// Whether answers are under way in this stage; a run that is only measured has all of them.
export const isRunning = (stage) => stageIndex(stage) >= 0;

function answerCard(kind, title) {
  const heading = h("h3", {}, title);
  const text = h("p", { class: "cx-answer", "aria-live": "polite" });
  const note = h("p", { class: "cx-small" });
  const tokens = h("div", { class: "cx-tokens" });
  const root = h("article", { class: `cx-card cx-${kind}` }, heading, text, tokens, note);
  return { root, heading, text, note, tokens };
}

// A generated token with its probability in its own run, and in the other one where that is another.
function tokenChip({ text, title, own, other }) {
  const shares = [h("span", {}, own), other ? h("span", { class: "cx-other" }, other) : null];
  return h("span", { class: "cx-token", title }, h("b", {}, text), ...shares);
}

// Which tokens are shown at once, and which unfold: those beyond the first few, and the end token.
export function foldedTokens(tokens) {
  const words = tokens.filter((token) => !token.folded);
  const shown = words.slice(0, SHOWN_TOKENS);
  return { shown, others: tokens.filter((token) => !shown.includes(token)) };
}

function tokenChips(tokens) {
  const { shown, others } = foldedTokens(tokens);
  if (!others.length) return shown.map(tokenChip);
  const label = `${others.length} more ${others.length === 1 ? "token" : "tokens"}`;
  return [...shown.map(tokenChip), h("details", {}, h("summary", {}, label), others.map(tokenChip))];
}

// Progress of a run.
class Progress {
  constructor() {
    this.items = STAGES.map(([key, text]) => h("li", { "data-stage": key }, text));
    this.root = h("ol", { class: "cx-stages", "aria-label": "Progress" }, this.items);
  }

  update({ stage, method }) {
    const at = stageIndex(stage);
    this.root.hidden = at < 0;
    this.items[2].textContent = `Answer with ${method}`;
    this.items.forEach((item, k) => {
      item.className = k < at ? "cx-past" : k === at ? "cx-current" : "";
      if (k === at) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  }
}

export class Answers {
  constructor() {
    this.cards = { baseline: answerCard("baseline", "Baseline"), crop: answerCard("crop", "") };
    this.hint = h("p", { class: "cx-hint" });
    this.progress = new Progress();
    this.verdict = h("div", { class: "cx-verdict", role: "status" });
    this.notices = h("ul", { class: "cx-notices" });
    const between = h("div", { class: "cx-between" }, this.hint, this.progress.root, this.verdict);
    const { baseline, crop } = this.cards;
    const props = { class: "cx-answers", "aria-label": "Answers" };
    this.root = h("section", props, baseline.root, crop.root, between, this.notices);
  }

  // Keeps the previous height during a run, so that nothing below jumps.
  update(state) {
    this.root.style.minHeight = isRunning(state.stage) ? `${this.root.offsetHeight}px` : "";
    this.hint.textContent = state.hint || HINTS[state.stage] || "";
    this.hint.hidden = !this.hint.textContent;
    this.progress.update(state);
    this.cards.crop.heading.textContent = state.heading;
    for (const kind of ["baseline", "crop"]) this.showAnswer(kind, state);
    this.showVerdict(state.result);
  }

  showAnswer(kind, { stage, answers, result }) {
    const card = this.cards[kind];
    const text = answers ? answers[kind] : "";
    card.text.textContent = text || (stage === kind ? "…" : "—");
    card.root.classList.toggle("cx-active", stage === kind);
    card.root.classList.toggle("cx-empty", !text);
    card.root.classList.toggle("cx-long", text.length > LONG);
    card.note.textContent = result ? result.notes[kind] : "";
    card.tokens.replaceChildren(...(result ? tokenChips(result.tokens[kind]) : []));
  }

  showVerdict(result) {
    this.verdict.hidden = !result;
    this.notices.replaceChildren(...(result ? result.notices.map((line) => h("li", {}, line)) : []));
    if (!result) return;
    const { tone, title, lines } = result.verdict;
    this.verdict.className = `cx-verdict cx-${tone}`;
    this.verdict.replaceChildren(h("strong", {}, title), ...lines.map((line) => h("span", {}, explained(line))));
  }
}
