"""Fuzzing of texts: questions, settings, regions, links, and environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from unittest import mock
from urllib.parse import parse_qsl

from benchmarks.fuzzing.mutations import check_sentence
from crop_core.io.images import check_question
from crop_core.records.config import PRESETS, Budget
from crop_core.records.methods import METHODS
from ui.page import api, controls, images, request
from ui.server.setting_errors import SettingsError, variable
from ui.server.settings import Settings
from ui.views.examples import Example

PIECES = (
    "64", "11.1%", "1:4", "2:9", "rest:36", "2:0.5", "6:0.2", "0,0,7,7", "2: 0 1 3 4", "crop", "plc+fastv", "drawn",
    "whole", "custom", "ratios", "inf", "nan", "-1", "1e999", "1e-400", "0x10", "٣", "½", "1_0", "+", ":", ",", "%",
    " ", "\n", "\0", "\u200b", "\u202e", "\ud800", "𝟙", "🦊", "e\u0301", "<script>", "{0}", "%s", "&", "=",
    "example=01.jpg",
    "question=", "method=", "budget=custom", "mode=drawn", "x0=", "9" * 5000, "a" * 600, ":" * 3000, "1:1," * 2000,
)  # fmt: skip
EXAMPLE = Example(Path("01.jpg"), "what?", "dog", "place")
DEFAULTS = ("crop", "192", "", "1:4, 2:9, rest:36", "", False, "predicted", 2, 2, 5, 5)
NOT_TEXTS: tuple[object, ...] = (  # not a text
    None, True, 0, -1, 8, 2.5, float("nan"), float("inf"), 10**30, [], {}, ("a",),
)  # fmt: skip
SIZES = ((1, 1), (336, 336), (16_384, 164))


class Texts:
    """An input is a text or a set of settings: it is parsed, or refused with one sentence."""

    def one(self, rng: Random) -> str:
        """Run one input; returns "read" or "refused". Raises for anything else."""
        size, read = rng.choice(SIZES), rng.choice(READERS)
        try:
            read(rng, size)
        except ValueError as error:
            check_sentence(error)
            return "refused"
        return "read"


def text(rng: Random) -> str:
    """Concatenated pieces, or random characters."""
    if rng.random() < 0.1:
        return "".join(chr(rng.randrange(0x3000)) for _ in range(rng.randrange(40)))
    return "".join(rng.choice(PIECES) for _ in range(rng.choice((0, 1, 1, 2, 3, 6))))


def _question(rng: Random, size: tuple[int, int]) -> None:
    cleaned = check_question(text(rng))
    assert 0 < len(cleaned) <= 500 and "\n" not in cleaned and "\0" not in cleaned


def _settings(rng: Random, size: tuple[int, int]) -> None:
    values = list(DEFAULTS)
    for _ in range(rng.randint(1, 3)):
        choices = (*METHODS, *PRESETS, "custom", "ratios", "drawn", "whole")
        values[rng.randrange(len(values))] = rng.choice((text(rng), rng.choice(NOT_TEXTS), rng.choice(choices)))
    parsed = controls.parse_settings(values, size)
    assert parsed.config.method in METHODS or "+" in parsed.config.method


def _link(rng: Random, size: tuple[int, int]) -> None:
    query = "&".join(f"{rng.choice(request.KEYS)}={text(rng)}" for _ in range(rng.randrange(5)))
    params = dict(parse_qsl("example=01.jpg&" + query, keep_blank_values=True, errors="replace"))
    values = request.read_link(params, [EXAMPLE], DEFAULTS)
    assert values is None or len(values) == 2 + len(DEFAULTS)


def _regions(rng: Random, size: tuple[int, int]) -> None:
    regions = images.other_regions(text(rng), rng.choice(("whole", "drawn", "predicted", "")), [size, size])
    assert len(regions) == 2


def _cells(rng: Random, size: tuple[int, int]) -> None:
    api.cells(text(rng), size)


def _budget(rng: Random, size: tuple[int, int]) -> None:
    Budget.parse(text(rng))


def _variables(rng: Random, size: tuple[int, int]) -> None:
    name = rng.choice(list(Settings.model_fields))
    value = text(rng).replace("\0", "").encode("utf-8", "replace").decode()
    with mock.patch.dict(os.environ, {variable(name): value}, clear=True):
        try:
            messages = Settings.from_env().describe()
        except SettingsError as error:
            messages = [str(error)]
        assert name != "login" or not any(len(value) > 8 and value in each for each in messages), "a secret is shown"


READERS = (_question, _settings, _settings, _link, _regions, _cells, _budget, _variables)
