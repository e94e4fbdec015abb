"""`CropEngine`: answers a question about an image as baseline and with CROP, and measures both.

The one entry for the app, the command line and the benchmark. Knows nothing of how its results are drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, overload

import torch
from PIL import Image

from crop_core.engine.attention import attention
from crop_core.engine.compare import RequestRuns
from crop_core.engine.feature_cache import DEFAULT_LIMIT_BYTES, FeatureCache
from crop_core.engine.localized_regions import LocalizedRegions, localize_alone
from crop_core.engine.measure import measured_answer, measured_comparison
from crop_core.engine.other_localizers import OtherLocalizers
from crop_core.engine.out_of_memory import compare_with_fallback, translate_oom
from crop_core.engine.request_checks import (
    Deadline,
    EngineError,
    ImageInputs,
    RequestRegions,
    check_size,
    choose_localizer,
    config_of,
    open_images,
    region_per_image,
)
from crop_core.engine.run import Task
from crop_core.engine.session import BASELINE, BASELINE_SPEC, Session, watches
from crop_core.engine.sheets import Sheets
from crop_core.engine.stream import answers, measurements, streamed
from crop_core.io.images import ImageLike
from crop_core.localize import Localizer, localizer_called
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
    reads_several,
)
from crop_core.models.decoder import compile_layers
from crop_core.records.attention import Attention
from crop_core.records.config import REGION_SOURCES, CropConfig
from crop_core.records.explanation import Localization
from crop_core.records.localizers import AUTO, NONE
from crop_core.records.region import Region
from crop_core.records.request import EngineRequest, R, ResultStream
from crop_core.records.results import Answer, Comparison, RunError, RunResult, RunSpec, StreamEvent

WARM_UP = (Image.new("RGB", (64, 48), "gray"), "?")


class CropEngine(Sheets):
    """One answering model and at most one localizer. Requests from several threads run one after another.

    adapter: the answering model. localizer: used where a request has no region; None for an engine without one.
    time_limit: seconds that one request may run (`crop_core.engine.request_checks`), None for no limit. remember: bytes
    of the cache of features and regions (`crop_core.engine.feature_cache`).
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
        self._cache = FeatureCache(remember)
        self._others = OtherLocalizers(adapter)
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

        localizer: a name of `crop_core.records.localizers.named_localizers` or a checkpoint, named like the model; None
        for none, "auto" for the bundled localizer beside the bundled model. compiled: parts
        of the decoder run compiled, see `crop_core.models.decoder`. warm_up: False skips that first run. time_limit
        and remember are the engine's. Device, dtype, attn and quantize as in `crop_core.models.load`, for both models,
        but that a mapping of modules to devices is about the answering model. Raises ModelError with one sentence.
        """
        adapter = load(model, device, dtype, attn, quantize)
        if compiled:
            compile_layers(adapter.stack.layers)
        if localizer == AUTO and str(model) == DEFAULT_MODEL:
            localizer = DEFAULT_LOCALIZER
        localizer_device = adapter.device if isinstance(device, Mapping) else device
        loaded = localizer_called(localizer or NONE, adapter, localizer_device, dtype, attn, quantize)
        return cls(adapter, loaded, warm_up, time_limit, remember)

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
        """Run `answer`, `compare` or `localize`, by the kind of the request."""
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

    def answer(
        self,
        image: ImageInputs,
        question: str,
        config: CropConfig | None = None,
        region: RequestRegions = None,
        memory: bool = True,
        history: Sequence[Turn] = (),
        **settings: Any,
    ) -> Answer:
        """One answer: the baseline where neither config nor settings are given. Otherwise as `compare`."""
        config = config_of(config, settings) if config or settings else BASELINE
        return self._answer(self._request(open_images(image), question, config, region, memory, history))

    def compare(
        self,
        image: ImageInputs,
        question: str,
        config: CropConfig | None = None,
        region: RequestRegions = None,
        memory: bool = True,
        history: Sequence[Turn] = (),
        **settings: Any,
    ) -> Comparison:
        """Both answers about an image or several, with their costs and traces: `compare("a.jpg", "what?", budget=64)`;
        then both runs are measured in turn (`crop_core.engine.measure`).

        image: what `crop_core.io.images.open_image` takes, or a sequence of that. config: of the run, by default
        `CropConfig()`. settings: fields of it that replace the config's. region: used instead of the config's
        localizer; of several images a sequence with None where to localize. A method that needs no region reads
        neither. memory: False leaves out the runs that measure peak memory. history: earlier questions about the same
        images and their answers; the images are read again in full, and get regions of this question. Raises ValueError
        (ImageError, EngineError, ConfigError, BudgetError, ModelError) before any model runs, for a budget that cannot
        be met, a region that is missing or belongs to another image, and a method that reads the vision tower
        where the model's cannot be read. What does not fit into memory falls back or raises OutOfMemory, see
        `crop_core.engine.out_of_memory`.
        """
        images = open_images(image)
        runs = self._request(images, question, config_of(config, settings), region, memory, history)
        return replace(self._compare(runs), images=images)

    def _answer(self, runs: RequestRuns) -> Answer:
        with self._lock, translate_oom(self._cache.clear):
            return measured_answer(runs)

    def _compare(self, runs: RequestRuns) -> Comparison:
        with self._lock:
            return compare_with_fallback(measured_comparison, runs, self._cache.clear)

    @overload
    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]: ...

    @overload
    def stream(
        self,
        image: ImageInputs,
        question: str,
        config: CropConfig | None = None,
        region: RequestRegions = None,
        history: Sequence[Turn] = (),
        **settings: Any,
    ) -> Generator[StreamEvent, None, None]: ...

    def stream(
        self,
        image: ImageInputs | EngineRequest[R],
        question: str = "",
        config: CropConfig | None = None,
        region: RequestRegions = None,
        history: Sequence[Turn] = (),
        **settings: Any,
    ) -> ResultStream[R] | Generator[StreamEvent, None, None]:
        """Stream the answers: localize, both token by token, compare, and done with the comparison, whose times are
        those of the runs that answer; `measure` measures them.

        The work runs in a thread of its own, so that a slow reader does not slow what is timed. Closing the iterator
        ends it at the next token. Errors as `compare`, before the first event. An EngineRequest replaces all arguments.
        """
        if isinstance(image, EngineRequest):
            return self._stream_request(image)
        runs = self._request(open_images(image), question, config_of(config, settings), region, False, history)
        return streamed(answers(runs, self._cache.clear), runs, self._lock)

    def measure(self, request: EngineRequest[StreamEvent]) -> Iterator[StreamEvent]:
        """Stream what is measured of a request's runs, an event after each pair, for `Comparison.measured`.

        Between two events other requests may run. Otherwise as `stream`.
        """
        runs = self._request(*request.arguments)
        return streamed(measurements(runs, request.with_baseline, self._cache.clear), runs, self._lock)

    def _stream_request(self, request: EngineRequest[R]) -> ResultStream[R]:
        results: Iterator[StreamEvent | RunResult | RunError | Attention]
        if request.kind == "stream":
            runs = self._request(*request.arguments)
            results = streamed(answers(runs, self._cache.clear), runs, self._lock)
        elif request.kind == "measure":
            results = self.measure(cast(EngineRequest[StreamEvent], request))
        elif request.kind == "run_many":
            region, *_ = request.regions or (None,)
            limits = request.config.max_new_tokens, request.config.short_answer
            results = self.run_many(request.image, request.question, request.specs, region, *limits)
        elif request.kind == "attention":
            results = iter(self._attention(self._request(*request.arguments)))
        elif request.kind == "check":
            raise EngineError("This engine does not check its model; start the app with CROP_CHECK=1.")
        else:
            raise EngineError(f"A request of kind {request.kind!r} has one result; use `call`.")
        yield from cast(ResultStream[R], results)

    def attention(
        self,
        image: ImageInputs,
        question: str,
        config: CropConfig | None = None,
        region: RequestRegions = None,
        history: Sequence[Turn] = (),
        **settings: Any,
    ) -> list[Attention]:
        """Where the model looked while it answered: one more run, whose attention to each image is read beside it.

        Arguments as of `compare`; method="none" is the baseline.
        """
        return self._attention(
            self._request(open_images(image), question, config_of(config, settings), region, False, history)
        )

    def _attention(self, runs: RequestRuns) -> list[Attention]:
        with self._lock, translate_oom(self._cache.clear):
            return attention(runs)

    @overload
    def localize(
        self, image: ImageLike, question: str, explain: Literal[False] = False, localizer: str = "predicted"
    ) -> Region: ...

    @overload
    def localize(
        self, image: ImageLike, question: str, explain: Literal[True], localizer: str = "predicted"
    ) -> Localization: ...

    def localize(
        self, image: ImageLike, question: str, explain: bool = False, localizer: str = "predicted"
    ) -> Region | Localization:
        """The region of an image; `explain`: with what led to it, its notices and its cost. localizer: as in
        CropConfig. Raises EngineError for an engine without a localizer, ModelError for one whose packages are missing.
        """
        found = self._localization(image, question, CropConfig(localizer=localizer))
        return found if explain else found.region

    def _localization(self, image: ImageLike, question: str, config: CropConfig) -> Localization:
        localizer, (image,) = choose_localizer(config, None, self.localizer, self._others), open_images([image])
        localize = partial(localize_alone, localizer, image, question, self.adapter.device)
        with self._lock, translate_oom(self._cache.clear):
            return self._cache.get_or_compute(image, "localize", question, id(localizer), compute=localize)

    def run_many(
        self,
        image: ImageLike,
        question: str,
        specs: Sequence[RunSpec],
        region: Region | None = None,
        max_new_tokens: int | None = None,
        short_answer: bool = False,
    ) -> Iterator[RunResult | RunError]:
        """Run one question about an image as baseline, then under every spec; results come one by one.

        region: for specs without a region of their own. A localizer is asked once, however many specs read its region.
        max_new_tokens, short_answer: of every answer, as in CropConfig. Other requests may run between two specs;
        closing the iterator ends it there. Errors as `compare`, before the first result; a spec that cannot be run
        gives a RunError.
        """
        for spec in specs:
            if spec.region is None and spec.config.localizer in REGION_SOURCES:
                choose_localizer(spec.config, region, self.localizer, self._others)
        (image,) = open_images([image])
        check_size(image, region)
        watch = watches((spec.config for spec in specs), self.adapter)
        session = Session(self.adapter, image, question, max_new_tokens, watch, self._cache, short_answer)
        return self._run_specs(session, specs, region)

    def _run_specs(
        self, session: Session, specs: Sequence[RunSpec], region: Region | None
    ) -> Iterator[RunResult | RunError]:
        deadline = Deadline(self.time_limit)
        with self._lock, translate_oom(self._cache.clear):
            deadline.check()
            baseline = session.run_spec(BASELINE_SPEC)
        yield baseline
        located: dict[Localizer, LocalizedRegions] = {}
        for spec in specs:
            deadline.check()
            try:
                with self._lock, translate_oom(self._cache.clear):
                    result: RunResult | RunError = session.run_spec(spec, self._located(session, spec, region, located))
            except ValueError as error:
                result = RunError(spec.name, spec.config.method, str(error))
            yield result

    def _located(
        self, session: Session, spec: RunSpec, region: Region | None, known: dict[Localizer, LocalizedRegions]
    ) -> LocalizedRegions | None:
        """The region of a spec; None where it has its own or reads none. known: by localizer, what was found so far."""
        if spec.region is not None or not spec.config.parts.needs_region:
            return None
        localizer = choose_localizer(spec.config, region, self.localizer, self._others)
        if localizer not in known:
            known[localizer] = session.localize(localizer)
        return known[localizer]

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
        localizers = [choose_localizer(config, own, self.localizer, self._others) for own in regions]
        task = Task(self.adapter, images, question, config, history=tuple(history))
        return RequestRuns(task, localizers, Deadline(self.time_limit).progress, memory)

    def to(self, device: str) -> None:
        """Move both models to a device, as torch does, from the one device that each was loaded on."""
        for each in (self, self.localizer):
            if (adapter := getattr(each, "adapter", None)) is not None:
                adapter.model.to(device)

    def warm_up(self) -> None:
        """Run both models once: first calls allocate and import, which a comparison should not measure."""
        image, question = WARM_UP
        for config in (BASELINE, CropConfig(budget=None, localizer="whole")):
            self.answer(image, question, replace(config, max_new_tokens=2, repeats=2))
        if self.localizer is not None:
            self.localizer.localize(image, question)
