"""CROP_LOGIN: users and passwords out of one text. What is wrong with it is told by its shape alone."""

from __future__ import annotations

from unicodedata import category, normalize

FORM = "user:password, several of them separated by commas, with no user twice"


def parse_logins(text: str) -> list[tuple[str, str]]:
    """(user, password) of every login, without spaces around either and with each accent in one character, as the login
    page sends them; ValueError that names the first wrong entry, but nothing that stands in it.
    """
    text = normalize("NFC", text.removeprefix("\ufeff").strip())
    if text.startswith(('"', "'")) and text[:1] == text[-1:]:  # a container's file of variables keeps them
        raise ValueError(f"{FORM}: it stands in quotes, which would be part of it, so leave them out")
    entries = parts(text)
    if not entries:
        raise ValueError(f"{FORM}: there is no entry")
    logins: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        user, colon, password = map(str.strip, entry.partition(":"))
        if mistake := _mistake(user, colon, password, list(logins)):
            comma = " (a comma ends a password)" if number > 1 and not colon else ""
            raise ValueError(f"{FORM}: entry {number} of {len(entries)} {mistake}{comma}")
        logins[user] = password
    return list(logins.items())


def parts(text: str) -> list[str]:
    """The texts between commas that are not empty."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _mistake(user: str, colon: str, password: str, users: list[str]) -> str:
    """What is wrong with an entry; empty for a right one. users: those of the entries before it."""
    if not colon:
        return "has no colon"
    if not user or not password:
        return f"has no {'password' if user else 'user'}"
    if any(category(each) in ("Cc", "Cs") for each in user + password):
        return "holds a line break or another character that nobody can type"
    return f"has the user of entry {users.index(user) + 1}" if user in users else ""
