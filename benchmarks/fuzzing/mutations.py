"""Mutations of the bytes of a valid file, in any format, and the check that an error message is one sentence."""

from __future__ import annotations

from pathlib import Path
from random import Random

PRIVATE = (str(Path(__file__).resolve().parents[2]), str(Path.home()), "/tmp/", "site-packages", "Traceback")
MAX_LENGTH = 1000  # characters


def check_sentence(error: object) -> str:
    """The error message, checked to be one short sentence without a local path (AssertionError otherwise)."""
    text = str(error)
    assert text and text == text.strip() and "\n" not in text, f"not a sentence: {text!r}"
    assert len(text) <= MAX_LENGTH, f"a sentence of {len(text)} characters: {text[:200]!r}"
    assert not any(path in text for path in PRIVATE), f"a path: {text!r}"
    return text


LENGTHS = (0, 1, 2, 255, 256, 16_383, 16_385, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)  # boundary lengths


def mutate(good: bytes, other: bytes, rng: Random) -> bytes:
    """`good` after one to four mutations; other: a second file, parts of which are inserted."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(MUTATIONS)(data, other, rng)
    return bytes(data)


def _offset(data: bytearray, rng: Random) -> int:
    """An offset; in the header as often as anywhere."""
    return rng.randrange(min(len(data), rng.choice((32, 128, len(data) or 1))) or 1)


def _flip(data: bytearray, other: bytes, rng: Random) -> None:
    for _ in range(rng.choice((1, 1, 8, 64)) if data else 0):
        data[_offset(data, rng)] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, other: bytes, rng: Random) -> None:
    del data[rng.randint(0, len(data)) :]


def _delete(data: bytearray, other: bytes, rng: Random) -> None:
    at = _offset(data, rng)
    del data[at : at + rng.choice((1, 4, 100))]


def _repeat(data: bytearray, other: bytes, rng: Random) -> None:
    at = _offset(data, rng)
    data[at:at] = data[at : at + rng.choice((1, 16, 200))] * rng.choice((1, 2, 50))


def _number(data: bytearray, other: bytes, rng: Random) -> None:
    at, size = _offset(data, rng), rng.choice((2, 4))
    value = rng.choice(LENGTHS) % 2 ** (8 * size)
    data[at : at + size] = value.to_bytes(size, rng.choice(("big", "little")))


def _noise(data: bytearray, other: bytes, rng: Random) -> None:
    at = _offset(data, rng)
    data[at : at + rng.choice((1, 8, 64))] = rng.randbytes(rng.choice((0, 1, 8, 64)))


def _start(data: bytearray, other: bytes, rng: Random) -> None:
    size = rng.choice((4, 8, 16, 64))
    data[:size] = other[:size]


def _end(data: bytearray, other: bytes, rng: Random) -> None:
    at = rng.randint(0, len(data))
    data[at:] = other[rng.randint(0, len(other)) :]


MUTATIONS = (_flip, _cut, _delete, _repeat, _number, _number, _noise, _start, _end)
