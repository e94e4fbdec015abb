"""Questions about the fields of the pages: some to choose rules with, others to report with.

A field's questions mean the same, and the answer is its value, wherever it stands. `{what}` is the thing that a page
names in this place.
"""

from __future__ import annotations

import random

CHOOSING: dict[str, tuple[str, ...]] = {
    "name": ("what is the name?", "what name is on the form?", "what is the full name of the person?"),
    "birth": ("what is the date of birth?", "when was this person born?"),
    "address": ("what is the address?", "which street is in the address?"),
    "city": ("what is the city?", "which city is given?"),
    "country": ("what is the country?", "which country is named?"),
    "phone": ("what is the phone number?", "which number can be called?"),
    "email": ("what is the email address?", "which e-mail is given?"),
    "date": ("what is the date?", "what is the date on this page?"),
    "order": ("what is the order number?", "what is the number of the order?"),
    "invoice": ("what is the invoice number?", "which invoice number is this?"),
    "due": ("what is the due date?", "when is the payment due?"),
    "customer": ("what is the customer number?",),
    "total": ("what is the total?", "what is the total amount?", "how much is the total?"),
    "subtotal": ("what is the subtotal?",),
    "tax": ("how much is the tax?", "what is the tax?"),
    "cash": ("how much cash was given?",),
    "change": ("how much change was given?", "what is the change?"),
    "item": ("how much is the {what}?", "what is the price of the {what}?", "what does the {what} cost?"),
    "shop": ("what is the name of the shop?", "what is the store name?"),
    "title": ("what is the title?", "what is the heading of the page?"),
    "sender": ("who is it from?", "who is the sender?"),
    "recipient": ("who is it to?", "who is the recipient?"),
    "subject": ("what is the subject?", "what is the subject of the letter?"),
    "begins": ("when does the {what} start?", "at what time does the {what} start?"),
    "room": ("in which room is the {what}?", "what is the room number?"),
    "signed": ("who signed the letter?",),
    "sign": ("what does the {what} sign say?", "what is written on the {what} sign?", "what is on the {what} sign?"),
    "sign number": ("what number is on the {what} sign?", "which number is on the {what} sign?"),
    "only sign": ("what does the sign say?", "what is written on the sign?"),
}
REPORTING: dict[str, tuple[str, ...]] = {
    "name": ("whose form is this, by name?", "What's the person's name?", "name of the person"),
    "birth": ("What's the birth date?", "on which day was the person born?"),
    "address": ("What's the street address?", "tell me the address"),
    "city": ("What city is it?", "in which city?"),
    "country": ("What country is written there?", "country?"),
    "phone": ("What's the telephone number?", "which phone number is given?"),
    "email": ("What's the e-mail address?", "what email is written there?"),
    "date": ("Which date is written on it?", "What's the date?"),
    "order": ("What's the order number?", "which order number does it have?"),
    "invoice": ("What's the number of the invoice?", "tell me the invoice no"),
    "due": ("By when must it be paid?", "What's the due date?"),
    "customer": ("Which customer number is given?",),
    "total": ("What's the total to pay?", "how much is it in total?"),
    "subtotal": ("how much is the subtotal?",),
    "tax": ("How much tax was paid?", "what's the amount of the tax?"),
    "cash": ("What cash amount was paid?",),
    "change": ("what change was paid back?",),
    "item": ("What's the cost of the {what}?", "how much did the {what} cost?", "price of {what}"),
    "shop": ("Which shop is this receipt from?", "What store is it?"),
    "title": ("What's the headline?", "What does the title say?"),
    "sender": ("From whom is this letter?", "Who wrote this?"),
    "recipient": ("Who is this letter addressed to?", "To whom was it sent?"),
    "subject": ("What's the subject line?", "which subject does it have?"),
    "begins": ("What time does the {what} begin?", "what's the start time of the {what}?"),
    "room": ("Which room is the {what} in?",),
    "signed": ("Whose signature is under the letter?",),
    "sign": (
        "Which words are on the {what} sign?",
        "can you read the {what} sign?",
        "what is the text on the {what} sign?",
    ),
    "sign number": ("What's the number on the {what} sign?", "tell me the number on the {what} sign"),
    "only sign": ("what can be read on the sign?", "what is the text of the sign?"),
}


def ask(rng: random.Random, form: str, reporting: bool, what: str = "") -> str:
    """A question of this form."""
    return rng.choice((REPORTING if reporting else CHOOSING)[form]).format(what=what)
