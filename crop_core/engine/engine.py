"""`CropEngine`: answers a question about an image as baseline and with CROP, and measures both.

The one entry for the app, the command line and the benchmark. Knows nothing of how its results are drawn.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import torch

from crop_core.engine.feature_cache import DEFAULT_LIMIT_BYTES
from crop_core.engine.request_checks import ImageInputs, RequestRegions, config_of, open_images
from crop_core.engine.request_engine import RequestEngine
from crop_core.engine.session import BASELINE
from crop_core.engine.sheets import Sheets
from crop_core.io.images import ImageLike
from crop_core.localize import check_localizer_name, localizer_called
from crop_core.models import DEFAULT_MODEL, Device, Turn, load
from crop_core.models.decoder import compile_layers
from crop_core.records.attention import Attention
from crop_core.records.config import CropConfig
from crop_core.records.explanation import Localization
from crop_core.records.localizers import AUTO, NONE
from crop_core.records.region import Region
from crop_core.records.request import EngineRequest, R, ResultStream
from crop_core.records.results import Answer, Comparison, RunError, RunResult, RunSpec, StreamEvent


class CropEngine(RequestEngine, Sheets):
    """One answering model and at most one localizer. Requests from several threads run one after another.

    adapter: the answering model. localizer: used where a request has no region; None for an engine without one.
    time_limit: seconds that one request may run (`crop_core.engine.request_checks`), None for no limit. remember: bytes
    of the cache of features and regions (`crop_core.engine.feature_cache`).
    """

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
        check_localizer_name(localizer or NONE)
        adapter = load(model, device, dtype, attn, quantize)
        if compiled:
            compile_layers(adapter.stack.layers)
        localizer_device = adapter.device if isinstance(device, Mapping) else device
        loaded = localizer_called(localizer or NONE, adapter, localizer_device, dtype, attn, quantize)
        return cls(adapter, loaded, warm_up, time_limit, remember)

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
            return self._stream(image)
        runs = self._request(open_images(image), question, config_of(config, settings), region, False, history)
        return self._answers(runs)

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
        return self._many(image, question, specs, region, max_new_tokens, short_answer)
