"""Phrases of a question: what a detector has to look for, by rules over English function words.

A question is cut into noun phrases. Words that ask (wh-words, auxiliaries, pronouns) and words for what has no box of
its own (colours asked for, kinds, names, times) are left out; prepositions and participles between two nouns stay,
since detectors read "man in red shirt" better than its parts. Knows nothing of images and models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

Side = Literal["left", "right", "above", "below", "around"]


@dataclass(frozen=True)
class QuestionPhrases:
    """phrases: lower case, in the question's order, each once; empty: only the whole image answers the question. side:
    where the answer lies, seen from what the phrases name ("what is left of the dog?"); None: in it.
    """

    phrases: tuple[str, ...]
    side: Side | None = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ASKING = _words(
    """
    what which who whom whose where when why how many much often is are was were be been being am do does did
    done has have had having can could will would should shall may might must there here this that these those
    it its they them their theirs he she his her hers him you your yours i my me we us our one ones any some no
    not none both either neither each every all other another else same different only just also too very really
    actually currently a an the and or but nor than as if so please tell answer yes ok anything something
    someone anyone anybody somebody nobody nothing thing things stuff item items object objects let's lets isn't
    aren't wasn't weren't doesn't don't didn't hasn't haven't can't couldn't won't wouldn't shouldn't let
    exactly about approximately roughly more less fewer most least first second third last next
    """
)
_JOINING = _words(
    """
    of in on with at under near behind beside inside from over beneath against along across between without
    """
)
_BREAKING = _words(
    """
    to by for into onto out up down off through around above below like during before after within toward
    towards upon per via while because when's what's who's where's how's that's there's it's
    """
)
# Said of the whole image, or of nothing that has a box.
_SCENE = _words(
    """
    picture pictures photo photos photograph image images scene screenshot view shot background foreground
    weather season sky's day daytime night nighttime morning afternoon evening noon sunset indoors outdoors
    indoor outdoor inside outside summer winter spring autumn fall sunny cloudy rainy raining snowing snowy
    windy stormy overcast foggy clear hot warm cold cool event occasion holiday place location city country
    state town setting environment atmosphere mood sport game activity room area happening going taking taken
    took shown seen visible depicted pictured present appear appears black-and-white colored coloured
    color-photo daylight dark bright dusk dawn urban rural era decade style theme purpose relationship story
    caption title-of-image anywhere somewhere else's world genre
    """
)
_ATTRIBUTE = _words(
    """
    color colors colour colours kind kinds type types sort sorts brand brands make model name names number
    numbers word words text letter letters letter's title price cost prices time times date year month hour
    shape shapes material pattern size amount total sum quantity position side sides part half direction way
    gender age flavor flavour breed species height width length weight temperature language currency percent
    percentage value message slogan writing written printed print digit digits initials code address website url
    phone-number author company team manufacturer style category condition state job occupation profession
    emotion expression feeling nationality ethnicity race end
    """
)
_POSITION = _words(
    """
    left right top bottom middle center centre front back rear side sides corner upper lower left-hand
    right-hand leftmost rightmost far close closest closer nearest nearer further farthest end edge lower-left
    upper-left lower-right upper-right opposite
    """
)
_VERBS = _words(
    """
    say says said read reads show shows hold holds wear wears worn sit sits stand stands lie lies lay look looks
    see sees use uses used ride rides eat eats drink drinks play plays go goes come comes made make makes have
    contain contains belong belongs work works run runs walk walks fly flies drive drives face faces hang hangs
    touch touches carry carries lead leads point points open opened closed close get gets give gives take takes
    want wants need needs think know match matches keep keeps seem seems hit hits throw throws catch catches
    pull pulls push pushes cover covers covered fill filled park parked surround surrounds surrounded call
    called cost costs feel feels smile smiles jump jumps cross crosses help helps turn turns turned lit on's
    start starts stop stops begin begins live lives visit count locate located describe find identify explain
    list mentioned listed stated advertised displayed labeled labelled attached decorated painted cut sliced
    cooked eaten sold served add happen happens compare play's do's sleeping-or-awake watch watches wait waits
    rest rests reach reaches serve serves sell sells cast casts reflect reflects support supports spell spells
    win wins won due wrote written drew built took gave given bought sent paid painted signed issued created
    published own owns owned found placed provided included drawn known held kept hung driven ridden thrown caught
    """
)
_PREDICATES = _words(
    """
    big bigger small smaller large larger tall taller short shorter high higher low lower long longer old older
    young younger new newer heavy heavier light lighter thick thin wide wider narrow full empty clean dirty wet
    dry open closed on off ripe fresh happy sad angry tired real fake male female alone together awake asleep
    healthy safe dangerous busy crowded broken round square rectangular wooden plastic metal striped plain plaid
    moving still able similar identical equal possible likely true visible common ready facing tan blond made
    fast faster slow slower strong stronger weak weaker cheap cheaper expensive great greater deep deeper wider
    narrower darker lighter brighter warmer colder cleaner fuller thicker thinner sharper softer louder steeper
    """
)
_COLOURS = _words(
    """
    black white red green blue yellow brown orange pink purple gray grey gold silver beige black-and-white
    """
)
_TRANSITIVE = _words(
    """
    wearing holding carrying eating drinking using pulling pushing reading throwing
    """
)
_DETERMINERS = _words(
    """
    a an the this that these those his her their its my your our
    """
)
_COMPOUNDS = {"black and white": "black-and-white", "phone number": "number"}
_NOT_PARTICIPLES = _words(
    """
    building ceiling painting ring string wing king railing clothing earring swing icing awning landing spring
    sling thing wedding drawing frosting stuffing lighting crossing parking sibling bedding topping dumpling
    evening morning dressing ping-pong pudding lightning herring duckling shopping bowling living dining
    swimming skiing wrapping siding molding viking stocking
    """
)
_NOT_SUPERLATIVES = _words(
    """
    forest chest nest guest west test vest rest harvest priest crest pest conquest
    """
)
_LETTER = "[a-z0-9\u00df-\u024f]"  # of languages that a detector may know the words of
_PLURALS = _words("people men women children sheep fish deer mice geese teeth feet cattle police")
_EACH = (
    r"\b(?:how many|count|number of (?!the\b)|all|both|each|every|any|other|another|same|different|two|three|four|than|"
    r"several|more|most|less|least|only|just|compared?|first|second|third|fourth|fifth|last|next|left|right|top|bottom|"
    r"upper|lower|middle|center|centre|\w+most|\w{3,}est|(?:bigg|small|larg|tall|short|high|low|long|old|young|new|heavi|"
    r"light|thick|thinn|wid|clos|near|fast|slow|dark|bright|warm|cold|strong|cheap|great|furth|farth)er)\b"
)
_UNNAMED = r"^(?:what|who|(?:what|which) (?:thing|object|animal|item|one))(?:'s| is| are| stands?| sits?| lies)"
_SIDES: dict[Side, str] = {
    "left": r"(?:(?:on|to|at) the )?left(?: side)? of",
    "right": r"(?:(?:on|to|at) the )?right(?: side)? of",
    "above": r"on top of|above|over",
    "below": r"under(?:neath)?|below|beneath",
    "around": r"next to|beside|near|in front of|behind|between|around|close to|across from",
}


def question_phrases(question: str) -> QuestionPhrases:
    """The noun phrases of an English question, and the side of them on which an unnamed answer lies."""
    text = re.sub(r"[’`]", "'", question.lower()).strip()
    for words, word in _COMPOUNDS.items():
        text = text.replace(words, word)
    found = [" ".join(words) for words in _phrases(re.findall(rf"{_LETTER}+(?:['-]{_LETTER}+)*|[,;.?!]", text))]
    return QuestionPhrases(tuple(dict.fromkeys(found)), _side(text) if found else None)


def names_several(phrase: str, question: str) -> bool:
    """Whether all things of a phrase are asked about: by a plural, or a question that counts, compares or orders."""
    words = phrase.split()
    heads = (word for word, after in pairwise(words) if after in _JOINING or _is_participle(after))
    noun = next(heads, words[-1])
    plural = noun in _PLURALS or (len(noun) > 3 and noun.endswith("s") and not noun.endswith(("ss", "us", "is")))
    return plural or bool(re.search(_EACH, question.lower()))


def _side(text: str) -> Side | None:
    """Of a question about something that it does not name."""
    words = r"(?:\s+(?:there|\w+ing|located|placed|seen))*\s+(?:directly |just |right )?"
    return next((side for side, there in _SIDES.items() if re.search(f"{_UNNAMED}{words}(?:{there})\\b", text)), None)


def _phrases(words: Sequence[str]) -> Iterator[list[str]]:
    """Chunks of nouns with what joins them; what has no box of its own is left out."""
    for content, run in groupby(_classed(words), key=lambda each: each[1] != "break"):
        if content and (phrase := _joined(list(run))):
            yield phrase


def _classed(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Every word with its class: noun, join, break, or skip."""
    for before, word, after in zip(["?", *words], words, [*words[1:], "?"], strict=False):
        yield word, _class(before, word, after)


def _class(before: str, word: str, after: str) -> str:
    named = before in _DETERMINERS or before == "of"  # then a noun, or what stands before one
    if word in _JOINING:
        return "join"
    if word in _DETERMINERS:
        return "break" if word == "that" and after in _DETERMINERS else "skip"
    if not word[0].isalnum() or word in _ASKING or word in _BREAKING or (word in _VERBS and not named):
        return "break"
    if _is_participle(word):
        return "break" if word in _TRANSITIVE and (after in _JOINING or not after[0].isalnum()) else "join"
    if word in _POSITION or _is_superlative(word):
        return "skip"
    is_predicate = word in _PREDICATES or word in _COLOURS or (len(word) > 4 and word.endswith("ed"))
    return "break" if is_predicate and not named and not _starts_noun(after) else "noun"


def _is_participle(word: str) -> bool:
    return len(word) > 4 and word.endswith("ing") and word not in _NOT_PARTICIPLES


def _is_superlative(word: str) -> bool:
    return len(word) > 4 and word.endswith("est") and word not in _NOT_SUPERLATIVES


def _starts_noun(word: str) -> bool:
    """Whether a word after an adjective belongs to the same phrase."""
    return word[0].isalnum() and not any(word in each for each in (_ASKING, _BREAKING, _JOINING, _VERBS))


def _joined(run: Sequence[tuple[str, str]]) -> list[str]:
    """Nouns with their joins between them; parts without a box, and joins at an end, go."""
    phrase: list[str] = []
    for kind, part in groupby(run, key=lambda each: each[1]):
        words = [word for word, _ in part]
        if kind == "noun":
            phrase += _with_box(words)
        elif kind == "join" and phrase and phrase[-1] not in _JOINING:
            phrase += [words[0]] if words[0] in _JOINING or not _is_participle(phrase[-1]) else []
            phrase += words[1:2]
    while phrase and (phrase[-1] in _JOINING or _is_participle(phrase[-1])):
        phrase.pop()
    return [*phrase[:-1], phrase[-1].removesuffix("'s")] if phrase else []


def _narrows(after: str) -> bool:
    """Whether a word for the whole scene before this one tells which thing is meant: "hot dog", "game controller"."""
    return bool(after) and not any(after in each for each in (_ATTRIBUTE, _SCENE, _PREDICATES, _COLOURS))


def _with_box(nouns: Sequence[str]) -> list[str]:
    """Nouns of one phrase, less those for attributes and for the whole scene; adjectives alone are no phrase."""
    pairs = zip(nouns, [*nouns[1:], ""], strict=True)
    kept = [word for word, after in pairs if word not in _ATTRIBUTE and (word not in _SCENE or _narrows(after))]
    return [] if all(word in _PREDICATES or word in _COLOURS for word in kept) else kept
