"""What a run is told to do: one frozen, validated tree of settings. Knows nothing of torch, models or arrays."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from crop_core.records.formatting import truncated_repr
from crop_core.records.localizers import comparable_localizers
from crop_core.records.methods import CHOSEN, Method, method_of
from crop_core.records.methods import ConfigError as ConfigError

log = logging.getLogger(__name__)
DEFAULT_NEW_TOKENS, MAX_NEW_TOKENS = 256, 10_000  # of an answer: where a checkpoint names none, and at most
LEFT = " left"  # behind a budget's number: of tokens after the last cut, not of their mean
AS_GIVEN = "ratios and shares of the settings"  # what a run without a budget keeps
PAPER_TOKENS = 576  # visual tokens of LLaVA-1.5, which the paper's budgets refer to
REGION_SOURCES = {
    "predicted": "by the engine's localizer",
    "drawn": "by hand",
    "whole": "the whole image",
}
DEPRECATED_SOURCES = {"grid": "predicted", "box": "drawn"}  # names of the previous version


@dataclass(frozen=True)
class Budget:
    """A mean number of visual tokens per decoder layer, the share (0..1] of all N, or the number that is left after
    the last cut, as many papers count; exactly one of the three.
    """

    mean_tokens: float | None = None
    share: float | None = None
    left: float | None = None

    def __post_init__(self) -> None:
        if [self.mean_tokens, self.share, self.left].count(None) != 2:
            raise ConfigError(
                "A budget is a mean number of tokens, a share of them, or the tokens that are left; give exactly one "
                "of the three."
            )
        for tokens in (self.mean_tokens, self.left):
            if tokens is not None and not 1 <= tokens < math.inf:
                raise ConfigError(f"A budget of {tokens:g} tokens is not possible; give at least 1.")
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigError(
                f"A budget of {100 * self.share:g} % is not possible; give more than 0 % and at most 100 %."
            )

    @classmethod
    def parse(cls, text: str) -> Budget:
        """A number of tokens ("64"), a share ("11.1%"), or what is left at the end ("64 left"); else ConfigError."""
        word = text.strip()
        try:
            if word.endswith(LEFT):
                return cls(left=float(word.removesuffix(LEFT)))
            return cls(share=float(word[:-1]) / 100) if word.endswith("%") else cls(mean_tokens=float(word))
        except ConfigError:
            raise
        except ValueError:
            raise ConfigError(
                f"The budget {truncated_repr(text)} is neither a number of tokens (64) nor a share (11.1%) nor what is "
                "left (64 left)."
            ) from None

    @classmethod
    def of(cls, value: Any) -> Budget:
        """Any form of a budget: itself, a number of tokens (64), or a text as `parse` takes it ("64", "25%")."""
        if isinstance(value, Budget):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(
                f"The budget {truncated_repr(value)} is neither a number of tokens (64) nor a share ('11.1%')."
            )
        if 0 < value < 1:
            share = f"{100 * value:.3g}%"
            raise ConfigError(
                f"A budget of {value:g} tokens is not possible; give at least 1, or a share as a text ({share!r})."
            )
        return cls(mean_tokens=float(value))

    def tokens(self, count: int, images: int = 1) -> float:
        """Mean tokens per layer, or those that are left, for `count` visual tokens of so many images, all of them where
        the budget is larger; ConfigError when that is less than one an image.
        """
        mean = self.share * count if self.share is not None else self.mean_tokens or self.left or 0.0
        if mean < images:
            whose = "an image" if images == 1 else f"{images} images"
            raise ConfigError(
                f"A budget of {mean:g} visual tokens is not possible for {whose} of {count}; give at least {images}."
            )
        return min(mean, count)

    def __str__(self) -> str:
        if self.left is not None:
            return f"{self.left:g} tokens left"
        return f"{100 * self.share:.3g} %" if self.share is not None else f"{self.mean_tokens:g} tokens"


MAX_SEED = 2**32 - 1
PRESETS = {str(tokens): Budget(share=tokens / PAPER_TOKENS) for tokens in (192, 128, 64)}


@dataclass(frozen=True)
class Ring:
    """A ring around the region: `width` in grid cells (math.inf: the rest), of `ratio` tokens one is left."""

    width: float
    ratio: float

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ConfigError(f"A ring of width {self.width:g} is not possible; give more than 0 grid cells.")
        if not 1 <= self.ratio < math.inf:
            raise ConfigError(f"A ring's ratio of {self.ratio:g} is not possible; give 1 (every token left) or more.")


@dataclass(frozen=True)
class PlcConfig:
    """Pre-LLM compression. rings: near to far, the last infinitely wide; a budget makes their ratios relative.

    overshoot: with a pruner after it, a compressor leaves this many times the budget, and the pruner meets it; None: as
    many as suit the method, see `Method.overshoot`. region_ratio: as a ring's, of the region where none of its tokens
    are retained (the method "queries").
    """

    rings: tuple[Ring, ...] = (Ring(1, 4), Ring(2, 9), Ring(math.inf, 36))
    overshoot: float | None = None
    region_ratio: float = 4.0

    def __post_init__(self) -> None:
        if (
            not self.rings
            or self.rings[-1].width != math.inf
            or any(ring.width == math.inf for ring in self.rings[:-1])
        ):
            raise ConfigError(
                "The last PLC ring, and only the last, must be infinitely wide, so that every token has a ring."
            )
        if self.overshoot is not None and not 1 <= self.overshoot < math.inf:
            raise ConfigError(f"A PLC overshoot of {self.overshoot:g} is not possible; give 1 or more.")
        if not 1 <= self.region_ratio < math.inf:
            raise ConfigError(f"A region ratio of {self.region_ratio:g} is not possible; give 1 or more.")


@dataclass(frozen=True)
class IlpConfig:
    """Inner-LLM pruning. schedule: (layer, share of visual tokens alive from it on), by rising layer and falling share.

    Empty: the default cuts of the model's depth. With a budget the shares are relative: they are scaled together until
    the budget is met. query_rows: how many last text tokens of the prompt vote, by their attention, for what stays.
    evict: after the last cut, what was dropped leaves the KV cache of the layers before it too, where later tokens
    could have read it.
    """

    schedule: tuple[tuple[int, float], ...] = ()
    query_rows: int = 4
    evict: bool = False

    def __post_init__(self) -> None:
        before_layer, before_share = 0, 1.0
        for layer, share in self.schedule:
            if not before_layer < layer or not 0 < share <= before_share:
                raise ConfigError(
                    f"The ILP schedule {truncated_repr(list(self.schedule))} is not possible; layers must rise from 1 "
                    "on, and shares fall from at most 1 to more than 0."
                )
            before_layer, before_share = layer, share
        if self.query_rows < 1:
            raise ConfigError(f"ILP needs at least 1 text row to score with, not {self.query_rows}.")


@dataclass(frozen=True)
class CropConfig:
    """One run. method: a name that `method_of` knows. budget: a Budget, or what `Budget.of` makes one of (64, "25%");
    None lets the PLC ratios and ILP shares stand as they are.

    localizer: a key of REGION_SOURCES, or one of `comparable_localizers` in place of the engine's own ("self", "text"),
    used when no region is given and the method needs one; those of DEPRECATED_SOURCES are replaced. seed: what the
    method "random" draws its tokens from. tokens: indices of the visual tokens that the method "chosen" keeps, which
    takes no budget. max_new_tokens: longest answer, its end token included; None: as the model's generation_config.json
    says, else DEFAULT_NEW_TOKENS. short_answer: whether the model is asked for a short answer, by the sentence that its
    family's evaluation puts below a question. repeats: how often each run is done; the first gives the answer, and the
    others are timed. measure_s: seconds of timing after which no further run begins, but for the first one. Raises
    ConfigError for values outside these.
    """

    method: str = "crop"
    budget: Budget | None = field(default_factory=lambda: PRESETS["192"])
    plc: PlcConfig = field(default_factory=PlcConfig)
    ilp: IlpConfig = field(default_factory=IlpConfig)
    localizer: str = "predicted"
    seed: int = 0
    tokens: tuple[int, ...] = ()
    max_new_tokens: int | None = None
    short_answer: bool = False
    repeats: int = 6
    measure_s: float = 20.0

    def __post_init__(self) -> None:
        method_of(self.method)
        if self.budget is not None:
            object.__setattr__(self, "budget", Budget.of(self.budget))
        if self.localizer in DEPRECATED_SOURCES:
            object.__setattr__(self, "localizer", _renamed_localizer(self.localizer))
        _one_of("localizer", self.localizer, REGION_SOURCES | comparable_localizers())
        if self.method == CHOSEN and not self.tokens:
            raise ConfigError("No visual token is chosen; choose at least one, or take another method.")
        if self.method == CHOSEN and self.budget is not None:
            raise ConfigError("Tokens that are chosen by hand take no budget; give none.")
        if self.tokens and self.method != CHOSEN:
            raise ConfigError(f"The method {truncated_repr(self.method)} takes no tokens; only {CHOSEN!r} does.")
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError(f"The seed is {self.seed}; give a whole number from 0 to {MAX_SEED}.")
        if self.max_new_tokens is not None and not 1 <= self.max_new_tokens <= MAX_NEW_TOKENS:
            raise ConfigError(f"max_new_tokens is {truncated_repr(self.max_new_tokens)}; give 1 to {MAX_NEW_TOKENS}.")
        if self.repeats < 1:
            raise ConfigError(f"repeats is {self.repeats}; give at least 1.")
        if not self.measure_s >= 0:
            raise ConfigError(f"measure_s is {self.measure_s}; give 0 seconds or more.")

    @property
    def overshoot(self) -> float:
        """How many times the budget the compressor leaves: 1 where no pruner follows."""
        if self.parts.pruner is None:
            return 1.0
        return self.plc.overshoot or self.parts.overshoot

    @property
    def parts(self) -> Method:
        """The compressor and pruner that the method names."""
        return method_of(self.method)


def deprecation(old: str, new: str) -> str:
    """What a user is told who still says `old`."""
    return f"{old} is now {new}; it goes with the next version."


@cache
def _renamed_localizer(old: str) -> str:
    """The new name of a deprecated one, logged once."""
    new = DEPRECATED_SOURCES[old]
    log.warning(deprecation(f"localizer={old!r}", repr(new)))
    return new


def _one_of(name: str, value: Any, allowed: dict[str, Any]) -> None:
    if value not in allowed:
        raise ConfigError(f"The {name} {truncated_repr(value)} is not known; choose one of {', '.join(allowed)}.")
