"""Checks of a request: its regions, the localizer of each of its images, its length, and its time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike
from typing import Any, TypeGuard, cast

import numpy as np
from PIL import Image

from crop_core.io.images import ImageLike, open_image
from crop_core.localize import KnownRegion, Localizer, WholeImage
from crop_core.models import Adapter, Images, Turn, as_list
from crop_core.prune.hooks import check_window
from crop_core.records.config import ConfigError, CropConfig
from crop_core.records.formatting import truncated_repr
from crop_core.records.region import Region

MARKS = 16  # more tokens than any family writes around an image
ImageInputs = ImageLike | Sequence[ImageLike]
RequestRegions = Region | Sequence[Region | None] | None  # one, one an image, or none


class EngineError(ValueError):
    """A request that the engine cannot run; the message is one sentence for its user."""


def config_of(config: CropConfig | None, settings: dict[str, Any]) -> CropConfig:
    """The config, or the default one, with these fields replaced; ConfigError for a name that is none."""
    if config is not None and not isinstance(config, CropConfig):
        raise ConfigError(
            f"The config is {truncated_repr(config)}; give a CropConfig, or settings by name, such as budget=64."
        )
    names = [each.name for each in fields(CropConfig)]
    for name in settings:
        if name not in names:
            raise ConfigError(f"There is no setting {truncated_repr(name)}; choose from {', '.join(names)}.")
    return replace(config or CropConfig(), **settings)


def open_images(source: ImageInputs) -> tuple[Image.Image, ...]:
    """One image or several as RGB; what is not yet (paths, bytes, arrays, files of Pillow) is read by `open_image`."""
    one = isinstance(source, (str, PathLike, bytes, bytearray, Image.Image, np.ndarray))
    several = [cast(ImageLike, source)] if one else cast("Sequence[ImageLike]", source)
    return tuple(each if _is_open(each) else open_image(each) for each in several)


def _is_open(image: ImageLike) -> TypeGuard[Image.Image]:
    """Whether it holds upright RGB pixels already, and is no file whose orientation is still to be applied."""
    return type(image) is Image.Image and image.mode == "RGB"


def region_per_image(images: Sequence[Image.Image], region: RequestRegions) -> list[Region | None]:
    """The region of each image, None where it is to be localized; EngineError for regions that do not fit."""
    if not images:
        raise EngineError("There is no image; give at least one.")
    regions = list(region) if isinstance(region, Sequence) else [region] * len(images)
    for each in regions:
        check_region(each)
    if len(regions) != len(images) or (len(images) > 1 and isinstance(region, Region)):
        raise EngineError(
            f"The regions are not one for each of the images ({len(images)}); give a sequence of one region for each "
            "image, None where it is to be localized."
        )
    for image, own in zip(images, regions, strict=True):
        check_size(image, own)
    return regions


def check_region(region: object) -> None:
    """EngineError for what is no Region, nor None."""
    if not isinstance(region, Region | None):
        raise EngineError(
            f"A region is {truncated_repr(region)}; give a Region, such as Region(x0, y0, x1, y1, width, height) or "
            "Region.from_box((left, top, right, bottom), width, height), or a sequence of one for each image."
        )


def check_size(image: Image.Image, region: Region | None) -> None:
    """EngineError for a region of an image of another size, and for what is none."""
    check_region(region)
    if region is not None and (region.width, region.height) != image.size:
        raise EngineError(
            f"The region belongs to an image of {region.width}x{region.height} pixels, this one has "
            f"{image.width}x{image.height}; draw the region again."
        )


def choose_localizer(
    config: CropConfig, region: Region | None, model: Localizer | None, others: Mapping[str, Localizer]
) -> Localizer:
    """The localizer of one image. region: as given in the request. model: the engine's localizer, if it has one.
    others: those that `config` may name instead.
    """
    if not config.parts.needs_region:
        return WholeImage()
    if region is not None:
        return KnownRegion(region)
    if config.localizer in others:
        return others[config.localizer]
    if config.localizer == "drawn":
        raise EngineError(
            "The region is to be drawn by hand, but no box was given; draw one or choose another localizer."
        )
    if model is None:
        raise EngineError("There is no localizer model here; give a region, or load one (such as crop-tiny-locator).")
    return model


def check_sequence(adapter: Adapter, images: Images, question: str, history: Sequence[Turn], visual: int) -> None:
    """PruneError for a prompt that reaches the model's sliding window, with `visual` tokens that enter the LLM; the
    images are prepared only where it could.
    """
    images = as_list(images)
    if adapter.stack.window is None:
        return
    text = adapter.tokenizer(adapter.prompt(question, len(images), history))["input_ids"]
    if len(text) + visual + MARKS * len(images) >= adapter.stack.window:
        prepared = adapter.prepare(images, question, history)
        check_window(adapter.stack, prepared.input_ids.shape[1] - int(prepared.visual.sum()) + visual)


class RequestTimeout(ValueError):
    """A request that exceeded its time limit; the message is one sentence for its user."""


class Deadline:
    """Deadline that starts at its first check, when the model is free. seconds: None for no limit."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._end: float | None = None

    def check(self) -> None:
        """Raise RequestTimeout once the time is over."""
        if self._seconds is None:
            return
        if self._end is None:
            self._end = self._clock() + self._seconds
        elif self._clock() > self._end:
            raise RequestTimeout(
                f"The question took longer than the {self._seconds:g} seconds that one may take here; ask for fewer "
                "things at once, or use a smaller image."
            )

    def progress(self, *_: object) -> None:
        """`check` as the `progress` callback of a Measurement."""
        self.check()
