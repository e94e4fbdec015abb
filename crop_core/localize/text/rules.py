"""What a question asks of a text, by tables: the value, the labels that stand before it on pages, a colour, a place.

Every table holds patterns over the question in lower case. English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from crop_core.localize.text.colours import COLOURS, OTHER_NAMES, named_colour
from crop_core.localize.text.words import spaced, words

_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_COLOUR = "|".join((*COLOURS, *OTHER_NAMES))
VALUES: dict[str, str] = {  # what a line that holds such a value looks like
    "date": rf"\d{{1,4}} ?[./-] ?\d{{1,2}} ?[./-] ?\d{{1,4}}|\b({_MONTH})[a-z]*\.? ?\d|\d ?({_MONTH})",
    "time": r"\d ?: ?[0-5]\d(?![\d.,/])|\d ?(am|pm)\b|o'? ?clock|\bnoon\b|\bmidnight\b",
    "money": r"[$€£¥] ?\d|\d[.,] ?\d\d\b(?![.,/:-]\d)|\d ?([$€£¥]|eur|usd|gbp)|^\d+$",
    "phone": r"\+? ?(\(?\d[\d ()./-]{5,}\d)",
    "email": r"\S ?@ ?\S|\S\.(com|org|net)\b",
    "web": r"www ?\.|https?:|\.(com|org|net|io|edu|gov)\b",
    "percent": r"\d ?%",
    "number": r"\d",
}
ASKED_VALUES: list[tuple[str, tuple[str, ...]]] = [  # kinds of VALUES that answer a question; the first that fits
    (r"\be-?mail\b", ("email",)),
    (r"\b(tele)?phone\b|\bmobile\b|\bfax\b|\bcall(ed)?\b|\btel\b", ("phone",)),
    (r"\bweb ?(site|page)?\b|\burl\b|\bhomepage\b", ("web",)),
    (r"\b(what|start) time\b|\bo'?clock\b|\bopening hours\b", ("time",)),
    (r"\bdated?\b|\b(which|what) day\b|\bborn\b|\bbirth|\bdue\b|\bby when\b|\bexpir|\bvalid until\b", ("date",)),
    (r"\bwhen\b", ("date", "time")),
    (r"\bper ?cent|\bpercentage\b", ("percent",)),
    (r"\bhow (much|expensive)\b|\bprice\b|\bcosts?\b|\bamount\b|\b(sub-?)?total\b", ("money",)),
    (r"\b(tax|vat|tip|cash|change|balance|fees?|fare|discount|salary|rent)\b", ("money",)),
    (r"\bnumbers?\b|\bno\.?$|\bno\b|\bcode\b|\bhow (old|tall|long|far|high|many)\b|\bspeed limit\b", ("number",)),
]
LABELS: list[tuple[str, tuple[str, ...]]] = [  # what stands before the answer on a page; of all patterns that fit
    (r"\bsub-?total\b", ("subtotal", "sub total")),
    (r"\btotal\b|\bto pay\b|\bamount due\b", ("total", "grand total", "total to pay", "total amount")),
    (r"\btotal\b|\bto pay\b|\bamount due\b", ("amount due", "total due", "balance due")),
    (r"\btax\b|\bvat\b", ("tax", "vat", "sales tax", "gst")),
    (r"\bcash\b", ("cash",)),
    (r"\bchange\b", ("change",)),
    (r"\bbirth|\bborn\b", ("date of birth", "birth date", "born", "dob", "birthday")),
    (r"\bdue\b|\bby when\b|\bbe paid\b", ("due date", "payment due", "due", "pay by")),
    (r"\bdate\b(?! of birth)|\bdated\b|\b(which|what) day\b", ("date", "date of issue", "issued", "dated")),
    (r"\b(tele)?phone\b|\bcall(ed)?\b|\btel\b", ("phone", "tel", "telephone", "mobile", "phone no")),
    (r"\be-?mail\b", ("email", "e mail", "mail")),
    (r"\bweb|\burl\b", ("web", "website", "www")),
    (r"\baddress\b|\bstreet\b", ("address", "street address", "street")),
    (r"\bcity\b|\btown\b", ("city", "town", "town city")),
    (r"\bcountry\b", ("country",)),
    (r"\bfrom whom\b|\bwho (wrote|sent)\b|\bwho is .*\bfrom\b|\bsender\b", ("from", "sender")),
    (
        r"\b(to|for) whom\b|\brecipient\b|\baddressed to\b|\bwho is .*\b(to|for)\b",
        ("to", "recipient", "dear", "sold to", "bill to", "billed to", "ship to"),
    ),
    (r"\bsubject\b|\bregarding\b|\bconcern", ("subject", "re", "regarding")),
    (r"\bsign(ed|ature)\b", ("sincerely", "yours sincerely", "kind regards", "regards", "signature", "signed")),
    (r"\bname\b(?! of the (shop|store|company|restaurant|bar|item|product))", ("name", "full name")),
    (r"\bname\b(?! of the (shop|store|company|restaurant|bar|item|product))", ("name of applicant",)),
    (r"\border (number|no)\b|\bnumber of the order\b", ("order no", "order number", "order")),
    (r"\binvoice (number|no)\b|\bnumber of the invoice\b", ("invoice no", "invoice number", "invoice")),
]
TITLES = [
    r"\b(title|headline|heading|header|caption)\b",
    r"\b(shop|store|company|restaurant|cafe|brand|firm|business)\b",
]
EVERYTHING = [
    r"\b(say|says|said|reads?|written|writing|words?|texts?|letters|printed|displayed|spell(ed)?)\b",
    r"\b(sign(s|board)?|label|poster)\b",
]
PLACES: list[tuple[str, str]] = [  # edge of the page
    (r"\b(at|on|in) (the )?(very )?top\b|\b(first|top) line\b", "top"),
    (r"\b(at|on|in) (the )?(very )?bottom\b|\b(last|bottom) line\b", "bottom"),
]
BEYOND = re.compile(  # a line beside the one that is named
    r"^(?:what|which)(?: \w+){0,4} (?:is|are|stands?|comes?|appears?|says?|written|printed|listed) "
    r"(?:directly |right |just )?(?P<side>below|under|underneath|beneath|above|over)\b"
)
# Words that say what is done with a text, or nothing, and stand on no label.
EMPTY = frozenset(
    words(
        """a an and any are as at be been by can could did do does for from give given gave has have hear here how i if
        in into is it its kindly let may me my name named of off on one or our out over paid part please s see seen show
        shown shows so some t tell than that the their them then there these they thing this those to under up us was we
        were what whats when where which who whom whose why will with would you your word words text say says said read
        reads written writing write wrote writer letter letters line lines sign signs signboard label poster board plate
        page paper photo picture image document form receipt bill list menu screen print printed display displayed stand
        stands number numbers no much many cost costs price amount color colour date day time expensive value"""
    )
)
ON_COLOUR = [  # the colour is that of a thing with a text on it, and no part of a name such as green tea
    rf"\b({_COLOUR}) (sign|signboard|plate|board|label|poster|banner|button|box|card|ticket|tag|sticker)\b",
    rf"\b({_COLOUR}) (text|letters?|words?|background|bus|taxi|van|truck|shirt|jersey|door|flag|screen|can|bottle)\b",
]
READING = [  # a question about a text has one of these, and none of ELSEWHERE
    r"\b(say|says|reads?|written|wrote|writing|spell(ed)?|printed|texts?|words?)\b",
    r"\b(captions?|titles?|headlines?|headings?|labels?|slogan|logo|brand|author|publisher)\b",
    r"\b(url|web ?site|e-?mail|(tele)?phone|address|zip ?code|postcode|city|country)\b",
    r"\b(price|costs?|how much|(sub-?)?total|tax|vat|invoice|receipt|percent(age)?)\b",
    r"\b(subject|sender|recipient|signed|signature|company|store|shop)\b",
    r"\b(dates?|due|born|when|(what|start) time|expir\w*)\b",
    r"\b(speed limit|(license|licence|number) plate|street name|room)\b",
    r"\bname (of|on)\b|\b(the|what|which) name\b",
    r"\b(what|which) number\b|\bnumber (on|is|does)\b|\b\w+ (number|no)\b(?! of)",
    rf"\bon the ({_COLOUR}) sign\b",
]
ELSEWHERE = [
    r"\b(what|which) colou?r\b|\bcolou?r (is|are|of|has|does)\b",
    r"\bhow many\b|\b(what|the) number of\b(?! the (invoice|order))",
    r"\b(kind|type|sort) of\b",
    r"\b(left|right|above|below|under|next|near|nearest|closest|beside|between|behind|in front)\b",
    r"\b(is|are) there\b|\bcan be seen\b|\bdo you see\b|\bbackground\b",
    r"\b(wearing|holding|sitting|standing|eating|doing)\b",
    r"\bwhere (is|are) the (man|woman|person|people|dog|cat|child|boy|girl|car)\b",
]


@dataclass(frozen=True)
class Asked:
    """What a question asks of a text.

    values: kinds of VALUES, the answer is one of them; () for any text. labels: what may stand before it, in words.
    content: words of the question that may stand on its line or its label. colour: of its sign. place: "top",
    "bottom" or "". beyond: "below" or "above" where the row under or over the named line is asked for, else "".
    title: whether it is the title. everything: whether all texts are, where nothing else is named.
    """

    values: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    content: tuple[str, ...]
    colour: str | None
    place: str
    beyond: str
    title: bool
    everything: bool


def asked(question: str) -> Asked:
    """The question by the tables."""
    plain, own = _plain(question), words(question)
    skipped = EMPTY | {*COLOURS, *OTHER_NAMES} if _any(ON_COLOUR, plain) else EMPTY
    labels = [label for pattern, group in LABELS if re.search(pattern, plain) for label in group]
    return Asked(
        values=next((kinds for pattern, kinds in ASKED_VALUES if re.search(pattern, plain)), ()),
        labels=tuple(tuple(words(label)) for label in labels),
        content=tuple(dict.fromkeys(word for word in own if word not in skipped)),
        colour=named_colour(own),
        place=next((place for pattern, place in PLACES if re.search(pattern, plain)), ""),
        beyond=_beyond(plain),
        title=_any(TITLES, plain),
        everything=_any(EVERYTHING, plain),
    )


def holds(text: str, kinds: tuple[str, ...]) -> bool:
    """Whether a line holds a value of one of these kinds; any text does where there are none."""
    plain = spaced(text).strip()
    return bool(plain) and (not kinds or _any((VALUES[kind] for kind in kinds), plain))


def is_text_question(question: str) -> bool:
    """Whether the answer is a text in the image: read, not seen."""
    plain = _plain(question)
    return _any(READING, plain) and not _any(ELSEWHERE, plain)


def _beyond(plain: str) -> str:
    side = found["side"] if (found := BEYOND.search(plain)) else ""
    return "above" if side in ("above", "over") else "below" if side else ""


def _plain(question: str) -> str:
    return question.casefold().replace("’", "'").strip()


def _any(patterns: Iterable[str], plain: str) -> bool:
    return any(re.search(pattern, plain) for pattern in patterns)
