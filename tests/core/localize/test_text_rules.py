"""What questions ask of a text: the value, labels, colour and place; and which questions are about text at all."""

import pytest

from crop_core.localize.text.rules import asked, holds, is_text_question
from crop_core.localize.text.words import alike, found, split_joined, words

TEXT_QUESTIONS = """
what does the sign say?
What's written on the red sign?
what number is on the blue sign?
which number is on the jersey?
what is the speed limit?
What does the label on the bottle say?
read the text on the board
what is the brand of this camera?
what is the title of the book?
who is the author of this book?
what is the price of the milk?
how much does the coffee cost?
How much is the total?
what is the total amount on the receipt?
how much tax was paid?
what is the invoice number?
what's the order number?
what is the due date?
when is the payment due?
what date is on the letter?
when was this person born?
what is the phone number?
what is the email address?
what is the address of the shop?
which city is in the address?
what is the name of the restaurant?
what name is on the form?
who is the sender?
who signed the letter?
what is the subject of the letter?
what does the headline say?
what word is on the building?
which words are on the green sign?
what is the license plate?
what is the street name?
what is the website?
what percentage is shown?
In which room is the meeting?
what is on the red sign?
what does it say on the door?
what is the bus number?
what is printed on the shirt?
""".strip().splitlines()
OTHER_QUESTIONS = """
what is left of the dog?
what color is the sign?
which color does the sign have?
how many signs are there?
how many people are in the picture?
what number of cats do you see?
what is the number of dogs?
is there a sign in the picture?
are there any words?
what is next to the sign?
what is the man holding?
what animal is this?
what kind of food is on the table?
what sport is being played?
is the man wearing a hat?
what is in the background?
what is nearest to the clock?
which object is in the corner?
where is the dog?
what is the weather like?
what does the boy eat?
who is in front of the house?
what is on the table?
which thing is between the car and the blue sign?
what is the woman doing?
what material is the floor made of?
""".strip().splitlines()


@pytest.mark.parametrize("question", TEXT_QUESTIONS)
def test_a_question_about_text(question):
    assert is_text_question(question)


@pytest.mark.parametrize("question", OTHER_QUESTIONS)
def test_a_question_about_something_else(question):
    assert not is_text_question(question)


@pytest.mark.parametrize(
    ("question", "values", "label", "content", "colour"),
    [
        ("what is the total?", ("money",), ("total",), ("total",), None),
        ("how much tax was paid?", ("money",), ("vat",), ("tax",), None),
        ("what is the date of birth?", ("date",), ("date", "of", "birth"), ("birth",), None),
        ("What's the phone number?", ("phone",), ("tel",), ("phone",), None),
        ("what is the invoice number?", ("number",), ("invoice", "no"), ("invoice",), None),
        ("what is the e-mail address?", ("email",), ("email",), ("mail", "address"), None),
        ("when does the meeting start?", ("date", "time"), None, ("meeting", "start"), None),
        ("who is it from?", (), ("from",), (), None),
        ("what does the red sign say?", (), None, (), "red"),
        ("what number is on the grey sign?", ("number",), None, (), "grey"),
        ("what is the price of the green tea?", ("money",), None, ("green", "tea"), "green"),
        ("how much is the rice?", ("money",), None, ("rice",), None),
        ("which number can be called?", ("phone",), ("tel",), ("called",), None),
        ("which network is the phone connected to?", (), None, ("network", "phone", "connected"), None),
        ("who should be called in an emergency?", (), None, ("should", "called", "emergency"), None),
        ("what is the licence plate?", ("plate",), None, ("licence",), None),
        ("which month is shown?", ("month",), None, ("month",), None),
        ("how heavy is the pack?", (), ("net", "weight"), ("heavy", "pack"), None),
    ],
)
def test_what_a_question_asks(question, values, label, content, colour):
    own = asked(question)
    assert (own.values, own.content, own.colour) == (values, content, colour)
    assert label in own.labels if label else not own.labels


def test_titles_places_and_everything():
    assert asked("what is the title?").title and not asked("what is the total?").title
    assert asked("what is written at the top?").place == "top"
    assert asked("what is on the last line?").place == "bottom" and asked("what does it say?").place == ""
    assert asked("which team is in third place?").rank == 3 and asked("what is the last name?").rank == 0
    assert asked("what is the event called?").named and not asked("who should be called at night?").named
    assert asked("what is the name of the shop?").title and not asked("what is the address of the shop?").title
    assert asked("what does it say?").everything and not asked("what is the total?").everything


@pytest.mark.parametrize(
    ("kind", "fits", "others"),
    [
        (
            "date",
            [
                "EXP 09/2027",
                "since 1974",
                "17/07/2008",
                "2024-05-01",
                "May 5, 2020",
                "12 October 2004",
                "DateMarch22,2012",
            ],
            ["12.50", "Mary"],
        ),
        ("time", ["10:30", "7:30 pm", "starts at 9 am"], ["12.50", "555-1234"]),
        ("money", ["$12.50", "12,50", "9.99 EUR", "12"], ["Total", "17/07/2008", "10:30"]),
        ("phone", ["(914) 555-6161", "+44 414 554970", "Tel. 555-1234"], ["12.50", "Tel.", "17/02/1988"]),
        ("price", ["$12.50", "12,50"], ["12", "Total"]),
        ("temperature", ["21° 15°"], ["21"]),
        ("plate", ["KX21 RBV", "B-MW 1234"], ["EXIT", "2024", "Taxi to town 1234"]),
        ("place", ["14 Harbour Lane, Portsmouth", "Torstrasse88", "SW1A 1AA"], ["Lisbon", "3 Oak shelves"]),
        ("year", ["Wood-fired since1974", "League 2024/25"], ["12024", "1200"]),
        ("email", ["anna.adams@example.com"], ["example"]),
        ("number", ["BE51906"], ["Order no."]),
    ],
)
def test_what_a_line_holds(kind, fits, others):
    assert [text for text in fits if not holds(text, (kind,))] == []
    assert [text for text in others if holds(text, (kind,))] == []


def test_words_of_lines_that_a_reader_joined():
    assert words("3xOrangeJuice 12.50") == ["3", "x", "orange", "juice", "12.50"]
    assert words("The boss's “Invoice No.”: 47-11") == ["the", "boss", "invoice", "no", "47-11"]
    assert words("TOMAT0ES 1.2KG") == ["tomatoes", "1.2", "kg"]
    assert words("总计 ABC") == ["总", "计", "abc"]
    vocabulary = frozenset({"amount", "due", "total", "is", "in", "room"})
    assert split_joined("amountdue", vocabulary) == ["amount", "due"]
    assert split_joined("isinroom", vocabulary) == ["is", "in", "room"]
    assert split_joined("subtotal", vocabulary) == ["subtotal"]
    assert found("meeting", ["themeetingisin"]) and not found("total", ["subtotal"])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("name", "nane", True),
        ("milk", "m1lk", True),
        ("apple", "apples", True),
        ("customer", "custoner", True),
        ("total", "subtotal", False),
        ("from", "room", False),
        ("year", "dear", False),
        ("phone", "honey", False),
        ("tax", "taxi", False),
        ("4711", "4712", False),
        ("humidity", "humid", True),
        ("delivered", "delivery", True),
        ("wed", "wednesday", True),
        ("state", "station", False),
        ("boarding", "boardingpass", False),
    ],
)
def test_words_that_a_reader_may_have_misread(one, other, same):
    assert alike(one, other) is alike(other, one) is same
