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
_MONTHS = "january|february|march|april|june|july|august|september|october|november|december"
_YEAR = r"(?:1[89]|20)\d\d"
_ROAD = "street|st|road|rd|avenue|ave|lane|ln|way|drive|court|square|sq|boulevard|blvd|highway|hwy|terrace|quay"
_BUSINESS = "shop|store|company|restaurant|cafe|brand|firm|business"
_COLOUR = "|".join((*COLOURS, *OTHER_NAMES))
VALUES: dict[str, str] = {  # what a line that holds such a value looks like
    "date": rf"\d{{1,4}} ?[./-] ?\d{{1,2}} ?[./-] ?\d{{1,4}}|\b({_MONTH})[a-z]*\.? ?\d|\d ?({_MONTH})|"
    rf"\b\d{{1,2}} ?[/.-] ?{_YEAR}\b|\b(since|est\.?|founded|in) ?{_YEAR}\b",
    "year": rf"(?<!\d){_YEAR}(?!\d)",
    "month": rf"\b({_MONTHS}|may)\b",
    "time": r"\d ?: ?[0-5]\d(?![\d.,/])|\d ?(am|pm)\b|o'? ?clock|\bnoon\b|\bmidnight\b",
    "price": r"[$€£¥] ?\d|\d[.,] ?\d\d\b(?![.,/:-]\d)",
    "money": r"[$€£¥] ?\d|\d[.,] ?\d\d\b(?![.,/:-]\d)|\d ?([$€£¥]|eur|usd|gbp)|^\d+$",
    "phone": r"\+? ?(\(?\d[\d ()./-]{5,}\d)",
    "email": r"\S ?@ ?\S|\S\.(com|org|net)\b",
    "web": r"www ?\.|https?:|\.(com|org|net|io|edu|gov)\b",
    "percent": r"\d ?%",
    "temperature": r"\d ?[°º]",
    "plate": r"\b(?=.*\d)(?=.*[a-z])(?=.{5})(?:(?:[a-z]{1,3}(?![a-z])|\d{1,4}(?!\d))[ -]?){2,4}$",
    "place": rf"\d+[a-z]? ?[^\d]{{2,}}\b({_ROAD})\b|[a-z](stra(ss|ß)e|weg|platz)(?![a-z])|"
    r"\b[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2}\b",
    "number": r"\d",
}
_PHONE = (  # a number to call; not the phone itself, and not what something is called
    r"\b(tele)?phone (number|no)\b|\b(number|no)\b.*\b(tele)?phone\b|\b(what|which)( is|'s)? (the )?(tele)?phone\b|"
    r"\bmobile (number|no)\b|\bfax\b|\btel\b|\bnumber\b.*\b(call(ed)?|ring)\b|\b(i|we|you|to) (call|phone|ring)\b"
)
ASKED_VALUES: list[tuple[str, tuple[str, ...]]] = [  # kinds of VALUES that answer a question; the first that fits
    (r"\be-?mail\b", ("email",)),
    (_PHONE, ("phone",)),
    (r"\b(licen[cs]e|number|registration) (plate|number)\b|\bplates?\b", ("plate",)),
    (r"\bweb ?(site|page)?\b|\burl\b|\bhomepage\b", ("web",)),
    (r"\b(what|start) time\b|\bo'?clock\b|\bopening hours\b", ("time",)),
    (r"\bdated?\b|\b(which|what) day\b|\bborn\b|\bbirth|\bdue\b|\bby when\b|\bexpir|\bvalid until\b", ("date",)),
    (r"\b(which|what) year\b|\bseason\b|\bfounded\b|\bestablished\b", ("year",)),
    (r"\b(which|what) month\b", ("month",)),
    (r"\bwhen\b", ("date", "time")),
    (r"\bper ?cent|\bpercentage\b|\bbattery\b|\bhumid", ("percent",)),
    (r"\btemperature\b|\bhow (warm|hot|cold)\b", ("temperature",)),
    (r"\baddress\b|\bwhere (is|are|can|does|do)\b.*\b(office|located|live|lives|shop|take place|find)\b", ("place",)),
    (r"\bhow much \w+ (is|are) (in|there)\b", ("number",)),
    (r"\bhow (much|expensive)\b|\bprice\b|\bcosts?\b|\bamount\b|\b(sub-?)?total\b", ("money",)),
    (r"\b(tax|vat|tip|cash|change|balance|fees?|fare|discount|salary|rent)\b", ("money",)),
    (r"\bnumbers?\b|\bno\.?$|\bno\b|\bcode\b|\bhow (old|tall|long|far|high|many)\b|\bspeed limit\b", ("number",)),
]
_EXPIRY = r"\bexpir|\b(valid|good|used?|usable) (until|till|by)\b|\buntil when\b"
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
    (_PHONE, ("phone", "tel", "telephone", "mobile", "phone no")),
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
    (r"\bwho (got|gets|received|receives)\b", ("to", "recipient")),
    (_EXPIRY, ("best before", "use by", "exp", "expires", "expiry date", "valid until", "valid thru")),
    (r"\b(kept|keep|stored?)\b", ("store", "storage", "keep")),
    (r"\bhow heavy\b|\bweighs?\b|\bweight\b", ("net weight", "weight", "net wt")),
    (r"\bfor a living\b|\bprofession\b|\boccupation\b|\bjob\b", ("occupation", "profession", "job title", "position")),
    (r"\bwhere (does|do) \w+ live\b|\bresidence\b", ("home address", "address", "residence")),
    (r"\bwho (is|are) (travel|fly)|\bpassenger\b|\btravell?er\b", ("passenger", "passenger name", "name of passenger")),
    (r"^(to )?where\b.*\b(go|goes|going|fly|flying|travell?ing)\b|\bdestination\b", ("to", "destination", "arrival")),
    (r"^(from )?where\b.*\b(leave|leaving|depart\w*|com(es?|ing))\b|\borigin\b", ("from", "departure", "origin")),
    (r"\bcalories\b", ("energy", "calories", "kcal")),
    (r"\bhow (did|do|was|is) .*\b(pay|paid)\b|\bpayment method\b", ("visa", "mastercard", "card", "payment method")),
    (r"\bserved\b|\bwaiter\b|\bwaitress\b|\bcashier\b", ("served by", "server", "waiter", "cashier")),
    (r"\b(bank )?account\b", ("iban", "account", "account no", "account number")),
    (r"\bspace\b", ("storage",)),
    (r"\bsubject\b|\bregarding\b|\bconcern", ("subject", "re", "regarding")),
    (r"\bsign(ed|ature)\b", ("sincerely", "yours sincerely", "kind regards", "regards", "signature", "signed")),
    (r"\bname\b(?! of the (shop|store|company|restaurant|bar|item|product))", ("name", "full name")),
    (r"\bname\b(?! of the (shop|store|company|restaurant|bar|item|product))", ("name of applicant",)),
    (r"\border (number|no)\b|\bnumber of the order\b", ("order no", "order number", "order")),
    (r"\binvoice (number|no)\b|\bnumber of the invoice\b", ("invoice no", "invoice number", "invoice")),
]
TITLES = [
    r"\b(title|headline|heading|header|caption)\b",
    rf"\b(name|named|called)\b.*\b({_BUSINESS})\b|\b({_BUSINESS})\b.*\b(name|named|called)\b",
    rf"\b(what|which)('s|s| is| was)? (the )?({_BUSINESS})\b(?!.*\b(work|address)\b)",
]
NAMED = [  # of what has a name, which is the largest line where no other one fits
    r"\b(name|named)\b|\bcalled\W*$|\b(what|which) (airline|hotel|street|station|city|town|band|film|medicine)\b",
]
HEADS = frozenset(  # further words of labels and of the heads of columns
    words("class seat gate flight boarding nationality contact qty quantity unit price description item team played")
)
EVERYTHING = [
    r"\b(say|says|said|reads?|written|writing|words?|texts?|letters|printed|displayed|spell(ed)?)\b",
    r"\b(sign(s|board)?|label|poster)\b",
]
PLACES: list[tuple[str, str]] = [  # edge of the page
    (r"\b(at|on|in) (the )?(very )?top\b|\b(first|top) line\b", "top"),
    (r"\b(at|on|in) (the )?(very )?bottom\b|\b(last|bottom) line\b", "bottom"),
]
RANKS: list[tuple[str, int]] = [  # rows under the head of a column, from its first or last one
    (r"\bfirst\b(?! (name|line))|\b1st\b", 1),
    (r"\bsecond\b|\b2nd\b", 2),
    (r"\bthird\b|\b3rd\b", 3),
    (r"\bfourth\b|\b4th\b", 4),
    (r"\bfifth\b|\b5th\b", 5),
    (r"\blast\b(?! (name|line))", -1),
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
        stands number numbers no much many cost costs price amount color colour date day time expensive value th
        st nd rd money second third fourth fifth"""
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
    r"\b(expir\w*|best before|weighs?|temperature|humid\w*|passenger|flight|gate|battery|wi-?fi|password|iban)\b",
    r"\b(account|calories|occupation|profession|nationality|chapter|appointment|menu|discount|refund|deadline|month|year)\b",
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
    rank: of the row under the head of a column, from 1, or -1 for the last one; 0 for none. title: whether it is the
    title. named: whether it is a name, which the title may be. everything: whether all texts are, where
    nothing else is named.
    """

    values: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    content: tuple[str, ...]
    colour: str | None
    place: str
    beyond: str
    rank: int
    title: bool
    named: bool
    everything: bool


def asked(question: str) -> Asked:
    """The question by the tables."""
    plain, own = _plain(question), words(question)
    skipped = EMPTY | {*COLOURS, *OTHER_NAMES} if _any(ON_COLOUR, plain) else EMPTY
    labels = [label for pattern, group in LABELS if re.search(pattern, plain) for label in group]
    return Asked(
        values=next((kinds for pattern, kinds in ASKED_VALUES if re.search(pattern, plain)), ()),
        labels=tuple(tuple(words(label)) for label in labels),
        content=tuple(dict.fromkeys(word for word in own if word not in skipped and (len(word) > 1 or word.isdigit()))),
        colour=named_colour(own),
        place=next((place for pattern, place in PLACES if re.search(pattern, plain)), ""),
        beyond=_beyond(plain),
        rank=next((rank for pattern, rank in RANKS if re.search(pattern, plain)), 0),
        title=_any(TITLES, plain),
        named=_any(NAMED, plain),
        everything=_any(EVERYTHING, plain),
    )


def holds(text: str, kinds: tuple[str, ...]) -> bool:
    """Whether a line holds a value of one of these kinds; any text does where there are none."""
    plain = spaced(text).strip()
    if "phone" in kinds and re.search(VALUES["date"], plain):
        return False
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
