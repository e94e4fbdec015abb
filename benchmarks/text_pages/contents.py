"""What stands on the pages: names, streets, dates, amounts, goods. Invented."""

from __future__ import annotations

import random

FIRST = ("Anna", "Brian", "Carla", "David", "Elena", "Frank", "Grace", "Henry", "Irene", "James", "Laura", "Martin")
LAST = (
    "Adams",
    "Bennett",
    "Carter",
    "Dawson",
    "Ellis",
    "Foster",
    "Grant",
    "Hughes",
    "Keller",
    "Lopez",
    "Morgan",
    "Novak",
)
STREETS = ("Oak Street", "River Road", "Hill Lane", "Park Avenue", "Station Road", "Mill Street", "Church Street")
CITIES = ("Springfield", "Brighton", "Dayton", "Leeds", "Portland", "Boulder", "Oxford", "Madison", "Salem")
COMPANIES = ("Northwind", "Bluebird", "Silverline", "Greenfield", "Redwood", "Lakeside", "Sunrise", "Harbor")
ENDINGS = ("Market", "Bakery", "Hardware", "Books", "Pharmacy", "Coffee", "Garden Shop", "Foods")
GOODS = (
    "Milk", "Bread", "Butter", "Apples", "Orange Juice", "Rice", "Green Tea", "Tomatoes", "Cheese", "Eggs", "Honey",
    "Pasta", "Olive Oil", "Bananas", "Yogurt", "Chicken Soup", "Candles", "Batteries", "Notebook", "Hand Soap",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
SUBJECTS = (
    "Annual meeting",
    "New opening hours",
    "Change of address",
    "Order of spare parts",
    "Summer party",
    "Parking",
)
EVENTS = ("meeting", "concert", "workshop", "lecture", "course", "party")
COUNTRIES = ("Canada", "Ireland", "Norway", "Spain", "Kenya", "Chile", "Japan", "Austria")
SIGNS = (
    "NO PARKING", "OPEN", "EXIT", "TAXI", "BUS STOP", "FRESH FISH", "BAKERY", "SALE", "STAFF ONLY", "KEEP LEFT",
    "ROOM SERVICE", "TICKETS", "BIKE RENTAL", "GARDEN CAFE", "QUIET ZONE", "PUSH", "FIRST AID", "NO SMOKING",
)  # fmt: skip


def person(rng: random.Random) -> str:
    """First and last name."""
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def company(rng: random.Random) -> str:
    """Name of a shop."""
    return f"{rng.choice(COMPANIES)} {rng.choice(ENDINGS)}"


def address(rng: random.Random) -> str:
    """House and street."""
    return f"{rng.randint(1, 199)} {rng.choice(STREETS)}"


def city(rng: random.Random) -> str:
    """Code and city."""
    return f"{rng.choice(CITIES)} {rng.randint(10000, 99999)}"


def date(rng: random.Random) -> str:
    """In one of five ways of writing."""
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1990, 2025)
    return rng.choice(
        (
            f"{day:02}/{month:02}/{year}",
            f"{day:02}.{month:02}.{year}",
            f"{year}-{month:02}-{day:02}",
            f"{day} {MONTHS[month - 1]} {year}",
            f"{MONTHS[month - 1]} {day}, {year}",
        )
    )


def clock(rng: random.Random) -> str:
    """A time of day."""
    hour, minute = rng.randint(7, 20), rng.choice((0, 15, 30, 45))
    return (
        f"{hour:02}:{minute:02}"
        if rng.random() < 0.5
        else f"{(hour - 1) % 12 + 1}:{minute:02} {'am' if hour < 12 else 'pm'}"
    )


def phone(rng: random.Random) -> str:
    """A number to call."""
    return rng.choice(("({0}) 555-{1}", "{0}-555-{1}", "+44 {0} 55{1}")).format(
        rng.randint(200, 989), rng.randint(1000, 9999)
    )


def mail(name: str) -> str:
    """The address of a person."""
    first, last = name.lower().split()
    return f"{first}.{last}@example.com"


def code(rng: random.Random) -> str:
    """Of an invoice, an order, a customer."""
    return rng.choice(("{0}-{1}", "{0}{1}", "{1}")).format(
        "".join(rng.choices("ABCDEFGHKLMNPRST", k=2)), rng.randint(10000, 99999)
    )


def amount(cents: int, sign: str) -> str:
    """Money."""
    return f"{sign}{cents / 100:.2f}"
