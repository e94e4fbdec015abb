"""A link that brings a run back: the example, the question and the settings as a query, which outlives the server.

Only examples can be linked to: a visitor's own image is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from crop_core.records.config import ConfigError
from crop_core.records.formatting import truncated_repr
from crop_core.records.region import GRID
from ui.page import controls
from ui.views.examples import Example

KEYS = ("method", "budget", "custom", "rings", "schedule", "evict", "mode", "x0", "y0", "x1", "y1")  # as Panel.values
MOST = 2000  # characters of a query that is read


def query(example: Example, question: str, settings: Sequence[Any]) -> str:
    """The query of an example, the question and the values of the settings (in the order of `Panel.values`)."""
    told = {key: _written(value) for key, value in zip(KEYS, settings, strict=True)}
    if told["mode"] != "drawn":
        told = {key: value for key, value in told.items() if key not in ("x0", "y0", "x1", "y1")}
    return urlencode({"example": example.image.name, "question": question, **{k: v for k, v in told.items() if v}})


def _written(value: Any) -> str:
    return ("1" if value else "") if isinstance(value, bool) else str(value)


def read(params: Mapping[str, str], examples: Sequence[Example], defaults: Sequence[Any]) -> tuple[Any, ...] | None:
    """(image, question, *settings) of a query, or None where it names no example; ConfigError for values that cannot
    be. What the query leaves out is as in `defaults`.
    """
    chosen = next((one for one in examples if one.image.name == params.get("example")), None)
    if chosen is None:
        return None
    if sum(len(value) for value in params.values()) > MOST:
        raise ConfigError(f"The link is longer than {MOST} characters, and cannot be read.")
    values = [_read(params.get(key), default) for key, default in zip(KEYS, defaults, strict=True)]
    controls.parse_settings(values, (GRID, GRID))  # refuses what cannot be, in an image of any size
    return str(chosen.image), params.get("question", chosen.question), *values


def _read(text: str | None, default: Any) -> Any:
    """A value of the kind of its default."""
    if text is None:
        return default
    if isinstance(default, bool):
        return text == "1"
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise ConfigError(
                f"The link says {truncated_repr(text)} where a grid cell from 0 to 7 is needed."
            ) from None
    return text
