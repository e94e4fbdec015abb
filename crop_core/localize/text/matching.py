"""Which lines a question is about, and why: a colour, a label and its value, a kind of value, a place, or all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crop_core.localize.text.colours import Plate, likeness
from crop_core.localize.text.page import Page
from crop_core.localize.text.rules import EMPTY, HEADS, LABELS, Asked, holds
from crop_core.localize.text.words import alike, found, split_joined, words

MIN_READ = 0.5  # score of a line that counts as read
MIN_ONE = 0.8  # of a line of one letter or digit, which readers see in anything
MIN_LABEL = 0.5  # of a label's likeness to what is asked
MIN_COLOUR = 0.35  # of a plate's likeness to the colour that is asked
AS_GOOD = 0.95  # of the best likeness, from which another sign is meant as well as the best one
NAMED = 0.7  # of a label's likeness, from which the colour in it is no sign's
PRECISION = 0.5  # weight of the words of a line that nobody asked for
CELLS = 3  # beside the first, from which a row is one of a table
TITLE_LINES = 0.8  # of the largest line's height, that lines of the title have
_LABEL_WORDS = HEADS.union(word for _, labels in LABELS for label in labels for word in words(label))
_KNOWN = _LABEL_WORDS | EMPTY  # words into which joined ones are taken apart


@dataclass(frozen=True)
class Match:
    """One chosen line of a page. likeness: 0..1, of the line that decided. on_plate: the region holds its plate too."""

    line: int
    likeness: float
    reason: str
    on_plate: bool = False


def match(question: Asked, page: Page, plate: Callable[[int], Plate]) -> list[Match]:
    """The lines that the region shall hold; none where nothing fits. plate: of a line, looked up where needed."""
    if not page.lines:
        return []
    if question.colour is not None and not _is_named(question, page):
        return _by_colour(question, page, plate)
    for rule in (_by_label, _by_title, _by_value, _by_place, _everything, _by_name):
        chosen = rule(question, page)
        if chosen:
            return chosen
    return []


def _is_named(question: Asked, page: Page) -> bool:
    """Whether the colour belongs to a name that is written on the page, such as green tea."""
    named = question.colour in question.content
    return named and any(label_likeness(question, page, number) >= NAMED for number in range(len(page.lines)))


def _by_colour(question: Asked, page: Page, plate: Callable[[int], Plate]) -> list[Match]:
    """The lines on the plates that are most like the colour; of several that are as good, those with what is asked."""
    colour, every = question.colour or "", range(len(page.lines))
    likenesses = [likeness(plate(number), colour) for number in every]
    weighed = [value * (0.5 + 0.5 * line.score) for value, line in zip(likenesses, page.lines, strict=True)]
    best = max(weighed)
    signs = [number for number in every if weighed[number] >= AS_GOOD * best and likenesses[number] >= MIN_COLOUR]
    signs = [number for number in signs if holds(page.lines[number].text, question.values)] or signs
    chosen = {*signs, *(number for number in every if any(_is_on(page, number, plate(sign)) for sign in signs))}
    return [Match(number, likenesses[signs[0]], f"on {colour}", on_plate=True) for number in sorted(chosen)]


def _is_on(page: Page, number: int, plate: Plate) -> bool:
    """Whether the middle of a line lies on a plate."""
    if plate.box is None:
        return False
    left, top, right, bottom = plate.box
    x, y = page.lines[number].quad.mean(0)
    return bool(left <= x <= right and top <= y <= bottom)


def _by_label(question: Asked, page: Page) -> list[Match]:
    """The line most like the label or the words that are asked for, with the value in it, beside or below it."""
    scores = [label_likeness(question, page, number) for number in range(len(page.lines))]
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    best = [number for number in order if scores[number] >= max(MIN_LABEL, 0.97 * scores[order[0]])]
    if not best:
        return []
    if question.beyond:
        label, text = best[0], page.lines[best[0]].text
        near = page.next_row(label, 1 if question.beyond == "below" else -1)
        others = [Match(number, scores[label], f"{question.beyond} “{text}”") for number in near]
        return [Match(label, scores[label], f"like “{_told(question, page, label)}”"), *others]
    if ranked := _in_column(question, page, best[0]):
        return [Match(ranked[0], scores[best[0]], ranked[1])]
    if question.title and not question.labels and not _names_itself(question, page.lines[best[0]].text):
        return []
    ways = [_with_value(question, page, number) for number in best]
    chosen = next((way for way in ways if way[1]), ways[0])
    label, value = chosen
    reason = f"like “{_told(question, page, label)}”"
    return [
        Match(label, scores[label], reason),
        *(Match(number, scores[label], f"{where} “{page.lines[label].text}”") for number, where in value),
    ]


def _in_column(question: Asked, page: Page, head: int) -> tuple[int, str] | None:
    """The line whose rank under the head of a column is asked for, and why."""
    column, text = page.column(head), page.lines[head].text
    if not question.rank or len(column) < max(CELLS, question.rank) or any(map(str.isdigit, text)):
        return None
    return column[question.rank - (question.rank > 0)], f"row {question.rank} under “{text}”"


def _with_value(question: Asked, page: Page, label: int) -> tuple[int, list[tuple[int, str]]]:
    """A label and its value: () where the label's own line holds it, or nothing fits."""
    text = page.lines[label].text
    beside, below, above = page.right_of(label), page.below(label), page.above(label)
    if holds(text, ("price",)) and all(word in question.content for word in words(text)):  # what has this price?
        return label, [(number, "before") for number in page.left_of(label)[:1]]
    rest = _rest(text)
    if _names_itself(question, text) or (rest and holds(rest, question.values or (() if ":" in text else ("number",)))):
        return label, []
    if len(beside) >= CELLS and question.values in ((), ("number",), ("time",)):
        return label, [(number, "in the row of") for number in beside]
    near = [(number, where) for numbers, where in ((beside, "beside"), (below, "below")) for number in numbers[:2]]
    near = [(number, where) for number, where in near if not _is_label(page.lines[number].text)]
    fits = [each for each in near if holds(page.lines[each[0]].text, question.values)]
    if not fits and question.values:
        fits = [(number, "above") for number in above[:1] if holds(page.lines[number].text, question.values)]
    if question.values == ("money",):
        fits.sort(key=lambda each: not holds(page.lines[each[0]].text, ("price",)))  # counts come after prices
    return label, (fits or near)[:1]


def _names_itself(question: Asked, text: str) -> bool:
    """Whether a line is the name of what is asked for and says so, such as Corner Shop."""
    return question.title and any(word.isalpha() and not found(word, question.content) for word in words(text))


def _rest(text: str) -> str:
    """What follows a label in its own line."""
    return text.partition(":")[2].strip() if ":" in text else text


def _is_label(text: str) -> bool:
    own = words(text)
    return text.rstrip().endswith(":") or (bool(own) and all(word in _LABEL_WORDS for word in own))


def label_likeness(question: Asked, page: Page, number: int) -> float:
    """How far a line is the label that is asked for, or holds the words of the question, 0..1."""
    own = _line_words(question, page.lines[number].text)
    if not own or page.lines[number].score < MIN_READ:
        return 0.0
    named = _label_part(own)
    fits = [len(label) for label in question.labels if _begins(named, label)]
    by_label = 1 - PRECISION + PRECISION * max(fits) / len(named) if fits else 0.0
    return max(by_label, _by_words(question, page, own))


def _label_part(own: Sequence[str]) -> list[str]:
    """The words of a line that may be a label: those before its second number."""
    start = 1 if own[0][0].isdigit() else 0
    end = next((place for place, word in enumerate(own) if place > start and word[0].isdigit()), len(own))
    return list(own[start:end]) or list(own)


def _begins(named: Sequence[str], label: Sequence[str]) -> bool:
    """Whether a line begins with a label."""
    return len(named) >= len(label) and all(map(alike, label, named))


def _by_words(question: Asked, page: Page, own: Sequence[str]) -> float:
    """Likeness by the question's own words; those that stand on no line count half."""
    asked = question.content
    if not asked:
        return 0.0
    weights = [1.0 if _on_page(word, page, question) else 0.5 for word in asked]
    recall = sum(w for w, word in zip(weights, asked, strict=True) if found(word, own)) / sum(weights)
    precision = sum(any(alike(word, each) for word in asked) for each in own) / len(own)
    return recall * (1 - PRECISION + PRECISION * precision)


def _on_page(word: str, page: Page, question: Asked) -> bool:
    return any(found(word, _line_words(question, line.text)) for line in page.lines)


def _line_words(question: Asked, text: str) -> list[str]:
    """Words of a line, with those that a reader joined taken apart where they are the question's or a label's."""
    vocabulary = frozenset(question.content) | _KNOWN
    return [part for word in words(text) for part in (split_joined(word, vocabulary) if word.isalpha() else [word])]


def _told(question: Asked, page: Page, number: int) -> str:
    """The words of the question or its label that a line has."""
    own = _line_words(question, page.lines[number].text)
    asked = [*question.content, *(word for label in question.labels for word in label)]
    return " ".join(dict.fromkeys(word for word in asked if found(word, own)))


def _by_title(question: Asked, page: Page) -> list[Match]:
    """The largest lines of the page, where its title or a shop's name is asked for."""
    return _largest(page, 1) if question.title else []


def _by_name(question: Asked, page: Page) -> list[Match]:
    """The largest lines, where a name is asked for that stands behind no label."""
    return _largest(page, 3) if question.named and not question.values else []


def _largest(page: Page, letters: int) -> list[Match]:
    """The largest lines of at least so many letters, one below the other."""
    spelled = [sum(map(str.isalpha, line.text)) for line in page.lines]
    read = [number for number, line in enumerate(page.lines) if line.score >= MIN_READ and spelled[number] >= letters]
    if not read:
        return []
    largest = max(page.height(number) for number in read)
    chosen = [number for number in read if page.height(number) >= TITLE_LINES * largest]
    top = min(chosen, key=lambda number: page.boxes[number, 1])
    near = [number for number in chosen if page.boxes[number, 1] - page.boxes[top, 3] < largest]
    return [Match(number, 0.8, "the largest line") for number in near]


def _by_value(question: Asked, page: Page) -> list[Match]:
    """The lines that hold the kind of value that is asked for, where few do."""
    kinds = tuple(kind for kind in question.values if kind not in ("number",))
    chosen = [number for number, line in enumerate(page.lines) if line.score >= MIN_READ and holds(line.text, kinds)]
    if not kinds or not chosen or len(chosen) > 3:
        return []
    return [Match(number, 0.7 / len(chosen) ** 0.5, f"holds a {kinds[0]}") for number in chosen]


def _by_place(question: Asked, page: Page) -> list[Match]:
    """The first or the last line."""
    if not question.place:
        return []
    order = [number for number in page.reading_order if page.lines[number].score >= MIN_READ]
    ends = order[:1] if question.place == "top" else order[-1:]
    return [Match(number, 0.7, f"at the {question.place}") for number in ends]


def _everything(question: Asked, page: Page) -> list[Match]:
    """All lines that could be read."""
    if not question.everything or question.values:
        return []
    least = [MIN_READ if len(line.text) > 1 else MIN_ONE for line in page.lines]
    return [Match(number, 0.7, "read", True) for number, line in enumerate(page.lines) if line.score >= least[number]]
