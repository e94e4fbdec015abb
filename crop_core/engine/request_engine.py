"""`RequestEngine`: a model that runs requests of every kind, one after another. `CropEngine` is its face in Python."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import cast

from PIL import Image

from crop_core.engine.attention import attention
from crop_core.engine.compare import RequestRuns
from crop_core.engine.feature_cache import DEFAULT_LIMIT_BYTES, FeatureCache
from crop_core.engine.localized_regions import localize_alone
from crop_core.engine.many_runs import ManyRuns
from crop_core.engine.measure import measured_answer, measured_comparison
from crop_core.engine.other_localizers import OtherLocalizers
from crop_core.engine.out_of_memory import compare_with_fallback, translate_oom
from crop_core.engine.request_checks import (
    Deadline,
    EngineError,
    RequestRegions,
    check_size,
    choose_localizer,
    open_images,
    region_per_image,
)
from crop_core.engine.run import Task
from crop_core.engine.session import BASELINE, Session, watches
from crop_core.engine.stream import answers, measurements, streamed
from crop_core.io.images import ImageLike
from crop_core.localize import Localizer
from crop_core.models import Adapter, Images, Turn, as_list, keeps_history, reads_several
from crop_core.records.attention import Attention
from crop_core.records.config import REGION_SOURCES, CropConfig
from crop_core.records.explanation import Localization
from crop_core.records.region import Region
from crop_core.records.request import EngineRequest, R, ResultStream
from crop_core.records.results import Answer, Comparison, RunError, RunResult, RunSpec, StreamEvent

WARM_UP = (Image.new("RGB", (64, 48), "gray"), "?")


class RequestEngine:
    """The interface `Engine` by models of this process; arguments as of `CropEngine`."""

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
        self._cache = FeatureCache(remember)
        self._others = OtherLocalizers(adapter)
        if warm_up:
            self.warm_up()
        self.time_limit = time_limit

    @property
    def keeps_history(self) -> bool:
        """Whether the model reads earlier turns before a follow-up question."""
        return keeps_history(self.adapter)

    @property
    def reads_several(self) -> bool:
        """Whether a question about two images fits into the model's context."""
        return reads_several(self.adapter)

    @property
    def short_answer_request(self) -> str:
        """As `Engine`."""
        return self.adapter.short_answer_request

    def call(self, request: EngineRequest[R], /) -> R:
        """Run a request of the kind "answer", "compare" or "localize"."""
        result: Answer | Comparison | Region | Localization
        if request.kind == "localize":
            found = self._localization(request.image, request.question, request.config)
            result = found if request.explain else found.region
        elif request.kind in ("answer", "compare"):
            runs = self._request(*request.arguments)
            result = self._answer(runs) if request.kind == "answer" else self._compare(runs)
        else:
            raise EngineError(f"A request of kind {request.kind!r} has many results; use `stream`.")
        return cast(R, result)

    def measure(self, request: EngineRequest[StreamEvent]) -> Iterator[StreamEvent]:
        """Stream what is measured of a request's runs, an event after each pair, for `Comparison.measured`.

        Between two events other requests may run. Otherwise as `stream`.
        """
        runs = self._request(*request.arguments)
        return streamed(measurements(runs, request.with_baseline, self._cache.clear), runs, self._lock)

    def _stream(self, request: EngineRequest[R]) -> ResultStream[R]:
        """Run a request of the kind "stream", "measure", "run_many" or "attention"."""
        results: Iterator[StreamEvent | RunResult | RunError | Attention]
        if request.kind == "stream":
            results = self._answers(self._request(*request.arguments))
        elif request.kind == "measure":
            results = self.measure(cast(EngineRequest[StreamEvent], request))
        elif request.kind == "run_many":
            region, *_ = request.regions or (None,)
            limits = request.config.max_new_tokens, request.config.short_answer
            results = self._many(request.image, request.question, request.specs, region, *limits)
        elif request.kind == "attention":
            results = iter(self._attention(self._request(*request.arguments)))
        elif request.kind == "check":
            raise EngineError("This engine does not check its model; start the app with CROP_CHECK=1.")
        else:
            raise EngineError(f"A request of kind {request.kind!r} has one result; use `call`.")
        yield from cast(ResultStream[R], results)

    def _request(
        self,
        image: Images,
        question: str,
        config: CropConfig,
        region: RequestRegions,
        memory: bool,
        history: Sequence[Turn],
    ) -> RequestRuns:
        """The request, validated: all of its errors are raised here."""
        images = as_list(image)
        regions = region_per_image(images, region)
        localizers = [self._localizer(config, own) for own in regions]
        task = Task(self.adapter, images, question, config, history=tuple(history))
        return RequestRuns(task, localizers, Deadline(self.time_limit).progress, memory)

    def _localizer(self, config: CropConfig, region: Region | None) -> Localizer:
        return choose_localizer(config, region, self.localizer, self._others)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Hold the model; out of memory clears the cache, and is one sentence."""
        with self._lock, translate_oom(self._cache.clear):
            yield

    def _answer(self, runs: RequestRuns) -> Answer:
        with self._busy():
            return measured_answer(runs)

    def _compare(self, runs: RequestRuns) -> Comparison:
        with self._lock:
            return compare_with_fallback(measured_comparison, runs, self._cache.clear)

    def _answers(self, runs: RequestRuns) -> Generator[StreamEvent, None, None]:
        return streamed(answers(runs, self._cache.clear), runs, self._lock)

    def _attention(self, runs: RequestRuns) -> list[Attention]:
        with self._busy():
            return attention(runs)

    def _localization(self, image: ImageLike, question: str, config: CropConfig) -> Localization:
        localizer, (image,) = self._localizer(config, None), open_images([image])
        localize = partial(localize_alone, localizer, image, question, self.adapter.device)
        with self._busy():
            return self._cache.get_or_compute(image, "localize", question, id(localizer), compute=localize)

    def _many(
        self,
        image: ImageLike,
        question: str,
        specs: Sequence[RunSpec],
        region: Region | None,
        max_new_tokens: int | None,
        short_answer: bool,
    ) -> Iterator[RunResult | RunError]:
        """As `CropEngine.run_many`."""
        for spec in specs:
            if spec.region is None and spec.config.localizer in REGION_SOURCES:
                self._localizer(spec.config, region)
        (image,) = open_images([image])
        check_size(image, region)
        watch = watches((spec.config for spec in specs), self.adapter)
        session = Session(self.adapter, image, question, max_new_tokens, watch, self._cache, short_answer)
        localizer_of = partial(self._localizer, region=region)
        return ManyRuns(session, localizer_of, self._busy, Deadline(self.time_limit)).results(specs)

    def to(self, device: str) -> None:
        """Move both models to a device, as torch does, from the one device that each was loaded on."""
        for each in (self, self.localizer):
            if (adapter := getattr(each, "adapter", None)) is not None:
                adapter.model.to(device)

    def warm_up(self) -> None:
        """Run both models once: first calls allocate and import, which a comparison should not measure."""
        image, question = WARM_UP
        for config in (BASELINE, CropConfig(budget=None, localizer="whole")):
            self._answer(self._request([image], question, replace(config, max_new_tokens=2, repeats=2), None, True, ()))
        if self.localizer is not None:
            self.localizer.localize(image, question)
