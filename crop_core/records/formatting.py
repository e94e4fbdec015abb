"""Formatting of numbers and units in app, command line and reports. Knows nothing of records."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MAX_REPR = 60  # characters of an invalid value in a message


def format_seconds(value: float) -> str:
    """Seconds as ms below one second."""
    if value < 0.0995:
        return f"{1000 * value:.1f} ms"
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"


def format_bytes(value: float) -> str:
    """Bytes in binary units."""
    return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def format_flops(value: float) -> str:
    """Floating-point operations."""
    return _scaled(value, 1000, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"))


def format_number(value: float) -> str:
    """A token count: whole when it is, else one decimal."""
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"


def format_probability(value: float) -> str:
    """A probability as a percentage."""
    return "under 0.1 %" if 0 < value < 0.001 else f"{100 * value:.1f} %"


def counted(number: int, noun: str) -> str:
    """ "1 image", "2 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def truncated_repr(value: object) -> str:
    """repr of an invalid value for an error message, its middle omitted when long."""
    text = repr(value)
    return text if len(text) <= MAX_REPR else f"{text[: MAX_REPR // 2]}…{text[-MAX_REPR // 2 :]}"


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """What to do about an unknown name, as the end of a sentence: the known name most like it, or `otherwise`."""
    found = get_close_matches(name, list(known), 1)
    return f"did you mean {found[0]}?" if found else otherwise


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for a sentence, with what follows a colon; its class for one without."""
    first, *later = (str(error).strip() or type(error).__name__).splitlines()
    return f"{first} {later[0].strip()}".rstrip(".") if first.endswith(":") and later else first.rstrip(".")


def _scaled(value: float, step: float, units: tuple[str, ...]) -> str:
    """`value` with the largest unit that leaves at least 1, in three digits."""
    power = 0
    while value >= step and power < len(units) - 1:
        value, power = value / step, power + 1
    return f"{value:.0f} {units[power]}" if power == 0 or value >= 99.5 else f"{value:.3g} {units[power]}"
