"""`--model_args`, validated before a model is loaded. Knows nothing of lmms-eval and torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from crop_core.io.json_output import check_json_path
from crop_core.records.config import Budget, CropConfig, IlpConfig
from crop_core.records.localizers import NONE, WHOLE
from crop_core.records.methods import method_of


class LmmsError(ValueError):
    """An invalid model argument or request; the message is one sentence."""


@dataclass(frozen=True)
class LmmsSettings:
    """The arguments of the model "crop".

    pretrained: answering model (bundled name, folder or hub id), None for the bundled one. localizer: named like it;
    "self" for the answering model, "none" for no localizer, "whole" for the whole image, "auto" as
    `CropEngine.from_pretrained` chooses. method, budget, seed, evict: as the command line names them; the budget is for
    all images of a question together, "" for the default. device, dtype, attn, quantize, compiled: as
    `CropEngine.from_pretrained`. trace: a file that gets a line of JSON about each request, None for none. Raises
    LmmsError or ConfigError.
    """

    pretrained: str | None = None
    localizer: str = "auto"
    method: str = "crop"
    budget: str = ""
    seed: int = 0
    evict: bool = False
    device: str | None = None
    dtype: str | None = None
    attn: str | None = None
    quantize: str | None = None
    compiled: bool = False
    trace: str | None = None

    def __post_init__(self) -> None:
        if self.budget and not self._prunes:
            raise LmmsError(f"The method {self.method!r} prunes nothing; leave out budget={self.budget}.")
        if self.localizer == NONE and method_of(self.method).needs_region:
            raise LmmsError(f"The method {self.method!r} needs a region; choose a localizer that is not none.")
        _ = self.config  # raises before a model is loaded
        check_json_path(self.trace)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> LmmsSettings:
        """From lmms-eval's parsed values: 64 is an int, True a bool, everything else a text."""
        defaults = {each.name: each.default for each in fields(cls)}
        if unknown := sorted(set(arguments) - set(defaults)):
            raise LmmsError(f"{unknown[0]!r} is no argument of the model crop; known are {', '.join(defaults)}.")
        return cls(**{name: _value(name, value, defaults[name]) for name, value in arguments.items()})

    @property
    def _prunes(self) -> bool:
        return method_of(self.method).prunes

    @property
    def config(self) -> CropConfig:
        """The configuration of every question, without the length of its answer."""
        budget = Budget.parse(self.budget) if self.budget else CropConfig().budget
        return CropConfig(
            method=self.method,
            budget=budget if self._prunes else None,
            seed=self.seed,
            ilp=IlpConfig(evict=self.evict),
        )

    def engine_options(self) -> dict[str, Any]:
        """Keyword arguments for `CropEngine.from_pretrained`; a localizer is loaded only for methods that read a
        region.
        """
        options = {name: getattr(self, name) for name in ("device", "dtype", "attn", "quantize", "compiled")}
        options["localizer"] = self.localizer
        if self.localizer in (NONE, WHOLE) or not method_of(self.method).needs_region:
            options["localizer"] = None
        return {**options, "model": self.pretrained} if self.pretrained else options


def _value(name: str, value: Any, default: Any) -> Any:
    """The value in the type of its default; a text can look like a number."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise LmmsError(f"{name} is {value!r}, and must be True or False.")
        return value
    if isinstance(default, int):
        if isinstance(value, bool) or not isinstance(value, int):
            raise LmmsError(f"{name} is {value!r}, and must be a whole number.")
        return value
    return str(value)
