"""Users' own words for what the bundled world's phrasings say: rules of the normalizer in both models' tokenizer.json.

The models learned few words ("picture", "color", "what is", "do you see"); British spellings, contractions, synonyms,
politeness and a missing question mark are mapped to these, so that plain transformers reads them too. Questions in the
world's own phrasings stay as they are.
"""

from __future__ import annotations

from crop_core.train.world.vocabulary import EMOJI, SHAPES

_IMAGE = "image|photo|photograph|pic|pictures?|scene|drawing|illustration|screenshot|graphic|cartoon|snapshot"
_THING = "animal|creature|toy|symbol|emoji|icon|figure|fruit|food|vehicle|plant"
_SEEN = "visible|shown|displayed|depicted|pictured|present"
_PLACE = "to|on|above|below|over|under|in|next|near|between|beneath|beside"
_TEXT = "texts?|word|writing|message|inscription|lettering"
_SIDE = r"(?:[- ]hand)?(?: side)?"
_FULL_SIDE = r"(?:[- ]hand(?: side)?| side)"
_NAMES = "|".join((*EMOJI, *SHAPES))

# What a word becomes; each a whole word, in the singular or with an s.
SYNONYMS = {
    "cat": "kitty|kitten", "dog": "puppy|doggy|hound", "rabbit": "bunny|hare", "pig": "piglet|hog", "frog": "toad",
    "monkey": "ape|chimp", "chicken": "hen|rooster|chick", "turtle": "tortoise", "bee": "bumblebee|honeybee",
    "burger": "hamburger|cheeseburger", "donut": "doughnut", "car": "automobile", "bus": "coach",
    "train": "locomotive", "rocket": "spaceship", "boat": "ship|sailboat|sailing boat|yacht", "ball": "soccer ball",
    "umbrella": "brolly|parasol", "clock": "alarm clock|watch",
    "phone": "mobile phone|cell phone|cellphone|smartphone|telephone|mobile", "house": "home|building",
    "balloon": "ballon", "diamond": "rhombus|lozenge", "circle": "disc|disk", "cross": "plus sign", "purple": "violet",
    "sign": "signpost|signboard|street sign|road sign|notice", "chart": "graph|diagram|plot", "background": "backdrop",
    "color": "colour", "center": "centre", "price": "cost",
}  # fmt: skip

# Regular expression and replacement, in this order, on lower-case text; groups cannot be referred to.
RULES: tuple[tuple[str, str], ...] = (
    ("[‘’`´]", "'"),
    (r"['“”„\"](?=\s|\?|$)|(?<=\s)['“”„\"]", ""),  # quotation marks about a word
    (r"(?<=what|which|who|where|how|there|that)'s\b|(?<=\bwhat|\bhow)s\b", " is"),
    (r"\bu\b", "you"),
    # Politeness, and what leads to the question.
    (r"\b(?:hi|hello|hey|please|pls|plz|kindly|excuse me|thanks|thank you|ok|okay)\b[,.!]?", " "),
    (r"\b(?:(?:can|could|would|will) you )?\s*(?:tell|show) me\b,?(?: if)?", " "),
    (r"\b(?:do you know|i wonder|i(?: would|'d) like to know|i want to know|let me know|any idea)\b,?", " "),
    (r"\b(?:and|so),? (?=what|which|how|is|are|do|does|can)", ""),
    (r"\bwho is\b", "what is"),
    (r"\s+", " "),
    # The image, and what is in it.
    (rf"\b(?:on|inside|within) (?=(?:the|this|that|my|your) (?:{_IMAGE})\b)", "in "),
    (rf"\b(?:(?:the|this|that|my|your|an?) )?(?:{_IMAGE})\b", "the picture"),
    (r"(?<=\bare )here\b", "there"),
    (r"\b(?:in |over )?here\b(?=\s*(?:[?.,!]|assistant:|region:))", "in the picture"),  # an answer may have the word
    (r"\bis (?:this|that|it) (?=an? )", "is there "),
    (r"\b(?:this|that|these|those) (?=\w)", "the "),
    (rf"\bare (?:{_SEEN})\b", "are there"),
    (r"\bare there any\b|\bare any\b|\bis there any\b|\bany\b", "is there a"),
    (r"\b(?:does the picture (?:have|contain|include)|does the picture show(?= an? ))\b", "is there"),
    (rf"\bis (?=an? \w+ (?:in the picture|{_SEEN}))", "is there "),
    (rf" (?:{_SEEN})\b", ""),
    (r"\b(?:can|could|do) (?:you|we|i) (?:find|spot|notice|detect|make out|recogni[sz]e|identify)\b", "do you see"),
    (r"\b(?:can|could) (?:we|i) see\b", "can you see"),
    (rf"(?<={'|'.join(f'is there a {name}' for name in (*EMOJI, *SHAPES))})e?s\b", ""),
    # Places and relations.
    (rf"\b(?:located|placed|positioned|situated|standing|sitting) (?=(?:left|right|{_PLACE})\b)", ""),
    (rf"\b(?:just|directly|immediately|straight|right) (?=(?:left of|right of|{_PLACE})\b)", ""),
    *(
        (
            rf"\b(?:(?:on|at) the {side}{_SIDE}|to the {side}{_FULL_SIDE}|to {side}|{side} side) (?:of|from)\b",
            f"to the {side} of",
        )
        for side in ("left", "right")
    ),
    (r"\bon top of\b|\bup from\b", "above"),
    (r"\b(?:beneath|underneath|down from)\b", "below"),
    (r"\b(?:next to|beside|besides|adjacent to|close to|near to|near|by(?= the))\b", "nearest to"),
    (r"\bnearest (?=the)", "nearest to "),
    (r"\bclosest (?=the)", "closest to "),
    (r"\bin between\b", "between"),
    (r"\bupper[- ]+(?=left|right)|\btop[- ]+(?=left|right)", "top "),
    (r"\blower[- ]+(?=left|right)|\bbottom[- ]+(?=left|right)", "bottom "),
    (r"(?<=top left|top right|bottom left|bottom right)[- ]hand\b", ""),
    (r"(?<=top left|top right|bottom left|bottom right)(?=\?| assistant| region|$)", " corner"),
    (r"\bin the very (?=middle|center|centre)", "in the "),
    # Things.
    (r"\b(?:what|which) (?:kind|sort|type) of (?=\w)", "which "),
    (rf"(?<={_NAMES}) (?:emoji|icon|symbol|shape|figure)\b", ""),
    (rf"\b(?:{_THING})\b", "thing"),
    (r"\bwhich one\b", "which"),
    (r"(?<=expensive|cheapest) (?:thing|object|product)\b", " item"),
    (r"\bitems(?! on)|\belements\b|\bstuff\b", "objects"),
    # Counts.
    (r"(?<=\byou )count\b", "see"),
    (r"\bcount (?:up )?(?:all )?(?:of )?(?:the )?", "what is the number of "),
    (r"\bwhat is the (?:count|amount|total number) of\b", "what is the number of"),
    (r" (?:in total|in all|altogether|overall)\b", ""),
    # Signs, charts and lists.
    (rf"\b(?:what|which) (?:{_TEXT}) (?:is|are|appears?)(?: written| printed)?(?= on)", "what is written"),
    (rf"\bwhat is the (?:{_TEXT})(?= on)", "what is written"),
    (r"\bwhat is (?:printed|painted|shown|displayed|spelled)(?= on)", "what is written"),
    (r"\bwhat does it say on\b", "what is written on"),
    (r"\b(?:(?:can|could) you )?read (?=the )", "what is written on "),
    (r"\b(?:behind|in back of) (?:the objects|the things|everything|them|it all)\b", "in the background"),
    (r"\bproduct\b", "item"),
    (r"(?<=sign) reads?\b| says\b", " say"),
    (r"\bhow (?:expensive|costly|dear) is\b|\bhow (?:high|tall|long|large|big) is\b", "how much is"),
    (r"\b(?:priciest|dearest|costliest)\b", "most expensive"),
    (r"\b(?:pricier|dearer|costlier)\b", "more expensive"),
    (r"\bleast expensive\b", "cheapest"),
    (r"\bless expensive\b", "cheaper"),
    (r"\b(?:biggest|largest|greatest)(?= bar)", "highest"),
    (r"\b(?:smallest|littlest)(?= bar)", "lowest"),
    (r"(?<=which is |what is |bar is )(?:bigger|larger|greater)\b", "higher"),
    (r"(?<=which is |what is |bar is )smaller\b", "lower"),
    (
        r"\bwhich background (?:is (?:there|it)|does it have)\b|\bwhat is the background like\b",
        "which background do you see",
    ),
    *((rf"\b(?:{words})(?=s?\b)", word) for word, words in SYNONYMS.items() if word != "price"),
    (r"\bwhat is the cost of\b", "what is the price of"),
    # The end of the question, before the turn of the model.
    (r"(?<=[^\s?.!,:])[\s.!,]*(?=\s*(?:assistant|region):\s*$)", "? "),
)
