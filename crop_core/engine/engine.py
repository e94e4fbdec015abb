"""`CropEngine`: answers a question about an image with every visual token and with CROP, and measures both.

The one entry for the app, the command line and the benchmark. Knows nothing of how its results are drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast, overload

import torch
from PIL import Image

from crop_core.engine.compare import Measurement, answer
from crop_core.engine.deadline import Deadline
from crop_core.engine.feature_cache import DEFAULT_LIMIT_BYTES, FeatureCache
from crop_core.engine.out_of_memory import compare_with_fallback, translate_oom
from crop_core.engine.run import Task
from crop_core.engine.session import BASELINE, EVERY_TOKEN, Session, watches
from crop_core.engine.stream import ComparisonThread
from crop_core.localize import SELF, KnownRegion, Localizer, SelfLocalizer, WholeImage, localizer_for
from crop_core.models import (
    DEFAULT_LOCALIZER,
    DEFAULT_MODEL,
    Adapter,
    Device,
    Images,
    Turn,
    as_list,
    keeps_history,
    load,
)
from crop_core.models.decoder import compile_layers
from crop_core.records.config import CropConfig
from crop_core.records.region import Region
from crop_core.records.request import EngineRequest, R, ResultStream
from crop_core.records.results import Answer, Comparison, RunError, RunResult, RunSpec, StreamEvent

AUTO = "auto"
Given = Region | Sequence[Region | None] | None  # one, one an image, or none
WARM_UP = (Image.new("RGB", (64, 48), "gray"), "?")


class EngineError(ValueError):
    """A request that the engine cannot take; the message is one sentence for the person who made it."""


class CropEngine:
    """One answering model and at most one localizer. Requests from several threads wait for each other.

    adapter: the answering model. localizer: finds the region where none is given; None for an engine without one.
    time_limit: seconds that one request may work (`crop_core.engine.deadline`), None for no limit. remember: bytes of
    features
    that are kept for the same question about the same image (`crop_core.engine.feature_cache`).
    """

    def __init__(
        self,
        adapter: Adapter,
        localizer: Localizer | None = None,
        warm_up: bool = True,
        time_limit: float | None = None,
        remember: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        self.adapter = adapter
        self.localizer = localizer
        self.time_limit: float | None = None
        self._lock = threading.Lock()
        self._kept = FeatureCache(remember)
        if warm_up:
            self.warm_up()
        self.time_limit = time_limit

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = DEFAULT_MODEL,
        localizer: str | Path | None = AUTO,
        device: Device | None = None,
        dtype: str | torch.dtype | None = None,
        attn: str | None = None,
        quantize: str | None = None,
        compiled: bool = False,
        warm_up: bool = True,
        time_limit: float | None = None,
        remember: int = DEFAULT_LIMIT_BYTES,
    ) -> CropEngine:
        """Load the models (bundled name, local folder or hub id) and run them once, so that timing starts warm.

        localizer: "self" for the answering model itself, None for none, "auto" for the bundled locator beside the
        bundled model and else the model itself. compiled: parts of the decoder run compiled, see
        `crop_core.models.decoder`. warm_up: False leaves the first run to whoever comes first. time_limit and remember
        are the engine's. Device, dtype, attn and quantize as in `crop_core.models.load`, for both models, but that a
        mapping of modules to devices is about the answering model. Raises ModelError with one sentence.
        """
        adapter = load(model, device, dtype, attn, quantize)
        if compiled:
            compile_layers(adapter.stack.layers)
        if localizer == AUTO:
            localizer = DEFAULT_LOCALIZER if str(model) == DEFAULT_MODEL else SELF
        if localizer is None or localizer == SELF:
            return cls(adapter, SelfLocalizer(adapter) if localizer else None, warm_up, time_limit, remember)
        beside = adapter.device if isinstance(device, Mapping) else device
        found = localizer_for(load(localizer, beside, dtype, attn, quantize))
        return cls(adapter, found, warm_up, time_limit, remember)

    @property
    def keeps_history(self) -> bool:
        """Whether the model reads earlier turns before a follow-up question."""
        return keeps_history(self.adapter)

    def call(self, request: EngineRequest[R], /) -> R:
        """`answer`, `compare` or `localize`, as the request says."""
        result: Answer | Comparison | Region
        if request.kind == "localize":
            result = self.localize(request.image, request.question)
        elif request.kind in ("answer", "compare"):
            run = self.answer if request.kind == "answer" else self.compare
            result = run(
                request.images,
                request.question,
                request.config,
                request.regions or None,
                request.memory,
                request.history,
            )
        else:
            raise EngineError(f"A request of kind {request.kind!r} has many results; use `stream`.")
        return cast(R, result)

    def answer(
        self,
        image: Images,
        question: str,
        config: CropConfig | None = None,
        region: Given = None,
        memory: bool = True,
        history: Sequence[Turn] = (),
    ) -> Answer:
        """One answer: the baseline when config is None, else by the config. Else as `compare`."""
        measured = self._request(image, question, config or BASELINE, region, memory, history)
        with self._lock, translate_oom(self._kept.clear):
            return answer(measured)

    def compare(
        self,
        image: Images,
        question: str,
        config: CropConfig | None = None,
        region: Given = None,
        memory: bool = True,
        history: Sequence[Turn] = (),
    ) -> Comparison:
        """Both answers about an RGB image or several, with their costs and traces.

        region: used instead of the config's localizer; of several images a sequence with None where it is to be found.
        A method that needs no region reads neither. memory: False leaves out the runs that measure peak memory, for
        benchmarks of accuracy. history: earlier questions about the same images and their answers; the images are read
        again in full, and get regions of this question. Raises ValueError (EngineError, ConfigError, BudgetError,
        ModelError) before any model runs, for a budget that cannot be met, a region that is missing or belongs to
        another image, and a method that reads a class token where the model has none. What does not fit into memory
        falls back or raises OutOfMemory, as `crop_core.engine.out_of_memory` tells.
        """
        measured = self._request(image, question, config or CropConfig(), region, memory, history)
        with self._lock:
            return compare_with_fallback(measured, self._kept.clear)

    @overload
    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]: ...

    @overload
    def stream(
        self,
        image: Images,
        question: str,
        config: CropConfig | None = None,
        region: Given = None,
        history: Sequence[Turn] = (),
    ) -> Generator[StreamEvent, None, None]: ...

    def stream(
        self,
        image: Images | EngineRequest[R],
        question: str = "",
        config: CropConfig | None = None,
        region: Given = None,
        history: Sequence[Turn] = (),
    ) -> ResultStream[R] | Generator[StreamEvent, None, None]:
        """`compare` as it happens: localize, both answers token by token, measure, and done with the comparison.

        The work runs in a thread of its own, so that a slow reader does not slow what is timed. Closing the iterator
        ends it at the next token. Errors as `compare`, before the first event. Given an EngineRequest alone, that one.
        """
        if isinstance(image, EngineRequest):
            return self._stream_request(image)
        return self._stream(image, question, config or CropConfig(), region, history)

    def _stream_request(self, request: EngineRequest[R]) -> ResultStream[R]:
        results: Iterator[StreamEvent | RunResult | RunError]
        if request.kind == "stream":
            regions = request.regions or None
            results = self._stream(request.images, request.question, request.config, regions, request.history)
        elif request.kind == "ask_many":
            region, *_ = request.regions or (None,)
            max_new_tokens = request.config.max_new_tokens
            results = self.run_many(request.image, request.question, request.specs, region, max_new_tokens)
        else:
            raise EngineError(f"A request of kind {request.kind!r} has one result; use `call`.")
        yield from cast(ResultStream[R], results)

    def _stream(
        self, image: Images, question: str, config: CropConfig, region: Given, history: Sequence[Turn]
    ) -> Generator[StreamEvent, None, None]:
        measured = self._request(image, question, config, region, True, history)
        work = ComparisonThread(measured, self._lock, self._kept.clear)
        work.start()
        try:
            yield from work.events()
        finally:
            work.cancel()

    def localize(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image that the localizer finds. Raises EngineError where there is none."""
        localizer = self._localizer(CropConfig(), None)
        with self._lock, translate_oom(self._kept.clear):
            localize_region = partial(localizer.localize_region, image, question)
            return self._kept.of(image, "localize", question, id(localizer), make=localize_region)

    def run_many(
        self,
        image: Image.Image,
        question: str,
        ways: Sequence[RunSpec],
        region: Region | None = None,
        max_new_tokens: int = CropConfig().max_new_tokens,
    ) -> Iterator[RunResult | RunError]:
        """What every visual token tells of one RGB image, then what each of the ways tells, one by one.

        region: for the ways without one of their own; looked for once where one of them reads it. longest: tokens an
        answer may take. Other requests get their turn between two ways; closing the iterator ends it there. Errors as
        `compare`, before the first result; a way that cannot be asked is Refused.
        """
        needs = [way for way in ways if way.config.parts.needs_region and way.region is None]
        localizer = self._localizer(needs[0].config, region) if needs else None
        _check_size(image, region)
        watch = watches((way.config for way in ways), self.adapter)
        return self._told(Session(self.adapter, image, question, max_new_tokens, watch, self._kept), ways, localizer)

    def _told(
        self, session: Session, ways: Sequence[RunSpec], localizer: Localizer | None
    ) -> Iterator[RunResult | RunError]:
        deadline = Deadline(self.time_limit)
        with self._lock, translate_oom(self._kept.clear):
            deadline.check()
            full = session.ask(EVERY_TOKEN)
            located = session.localize(localizer) if localizer else None
        yield full
        for way in ways:
            deadline.check()
            try:
                with self._lock, translate_oom(self._kept.clear):
                    told: RunResult | RunError = session.ask(way, located)
            except ValueError as error:
                told = RunError(way.name, way.config.method, str(error))
            yield told

    def _request(
        self, image: Images, question: str, config: CropConfig, region: Given, memory: bool, history: Sequence[Turn]
    ) -> Measurement:
        """Everything that can be refused is refused here."""
        images = as_list(image)
        if not images:
            raise EngineError("There is no image; give at least one.")
        regions = [region] * len(images) if region is None or isinstance(region, Region) else list(region)
        if len(regions) != len(images) or (len(images) > 1 and isinstance(region, Region)):
            raise EngineError(
                f"{len(images)} images need a region each, or None where it is to be found; give a sequence of "
                f"{len(images)}."
            )
        for each, own in zip(images, regions, strict=True):
            _check_size(each, own)
        localizers = [self._localizer(config, own) for own in regions]
        task = Task(self.adapter, images, question, config, history=tuple(history))
        return Measurement(task, localizers, Deadline(self.time_limit).progress, memory)

    def _localizer(self, config: CropConfig, region: Region | None) -> Localizer:
        if not config.parts.needs_region:
            return WholeImage()
        if region is not None:
            return KnownRegion(region)
        if config.localizer == "whole":
            return WholeImage()
        if config.localizer == "box":
            raise EngineError(
                "The region is to be drawn by hand, but no box was given; draw one or choose another localizer."
            )
        if self.localizer is None:
            raise EngineError(
                "There is no localizer model here; give a region, or load one (such as crop-tiny-locator)."
            )
        return self.localizer

    def to(self, device: str) -> None:
        """Move both models there, as torch does, from the one device that each was loaded on."""
        for each in (self, self.localizer):
            if (adapter := getattr(each, "adapter", None)) is not None:
                adapter.model.to(device)

    def warm_up(self) -> None:
        """First calls allocate and import: not what a comparison should measure."""
        image, question = WARM_UP
        for config in (BASELINE, CropConfig(budget=None, localizer="whole")):
            self.answer(image, question, replace(config, max_new_tokens=2))
        if self.localizer is not None:
            self.localizer.localize(image, question)


def _check_size(image: Image.Image, region: Region | None) -> None:
    if region is not None and (region.width, region.height) != image.size:
        raise EngineError(
            f"The region belongs to an image of {region.width}x{region.height} pixels, this one has "
            f"{image.width}x{image.height}; draw the region again."
        )
