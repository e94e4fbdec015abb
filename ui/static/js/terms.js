// Terms of the glossary, explained where they stand: the meaning shows when a term is pointed at.
import { h } from "./dom.js";

const given = () => JSON.parse(globalThis.document?.querySelector("#crop-terms")?.textContent || "{}");
let known;

// A text in parts: strings, and a pair [term as it is written, its meaning] for each of the terms {name: meaning} in it.
export function splitTerms(text, terms) {
  const names = Object.keys(terms).sort((a, b) => b.length - a.length);
  if (!names.length) return [text];
  const meanings = new Map(names.map((name) => [name.toLowerCase(), terms[name]]));
  const parts = text.split(new RegExp(`\\b(${names.join("|")})\\b`, "i"));
  return parts.map((part, k) => (k % 2 ? [part, meanings.get(part.toLowerCase())] : part)).filter(Boolean);
}

// The text as nodes, with the terms that the page's head gives.
export function explained(text) {
  known ??= given();
  const node = (part) => (Array.isArray(part) ? h("abbr", { class: "cx-term", title: part[1] }, part[0]) : part);
  return splitTerms(text, known).map(node);
}
