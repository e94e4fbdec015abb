"""Sweeps: one question in many runs (methods side by side, budgets, region positions), each result streamed.

Closing the stream ends the work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from crop_core.io.images import check_question, image_notices, open_image
from crop_core.records.config import Budget, ConfigError, CropConfig
from crop_core.records.environment import now
from crop_core.records.formatting import counted
from crop_core.records.localizers import comparable_localizers
from crop_core.records.methods import METHODS, method_of
from crop_core.records.region import GRID, Region
from crop_core.records.request import Engine, EngineRequest, ManyResult, QueueStatus, ResultStream
from crop_core.records.results import RunError, RunResult, RunSpec
from ui.export.figure import pixels
from ui.export.multi_run_figures import FigureSource, budget_figure, methods_figure, places_figure
from ui.page import controls
from ui.page.one_more_run import BROKEN
from ui.views import figures
from ui.views.explorer_state import LOCALIZER_COLUMNS, gallery_json, table
from ui.views.progress import ProgressBar, status_line
from ui.views.rendering import message
from ui.views.texts import queue_message

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)
SHARES = (1 / 36, 1 / 18, 1 / 9, 1 / 6, 2 / 9, 1 / 3, 1 / 2, 3 / 4)  # of the visual tokens
MAX_NEW_TOKENS = 32  # of each answer where the settings name none: many runs shall not take minutes
REGION_ONLY = CropConfig(method="region", budget=None)  # only the region's tokens
LOCALIZERS = "localizers"  # what is compared, where it is not methods
OWN, DRAWN = "the app's localizer", "drawn by you"
READS_NONE = "Choose a method in Settings that reads one, such as CROP, to compare localizers."
WHOLE = "The region is the whole image and cannot be moved; draw a smaller one, then slide it."


@dataclass(frozen=True)
class SweepRequest:
    """Image, question and settings, validated. name: of the image's file."""

    image: Image.Image
    question: str
    settings: controls.ParsedSettings
    name: str = ""

    @classmethod
    def of(cls, path: str | None, question: str, settings: Sequence[Any]) -> SweepRequest:
        """Validate the inputs; ValueError with one sentence for invalid ones."""
        image, text = open_image(path), check_question(question)
        return cls(image, text, controls.parse_settings(settings, image.size), Path(path or "").name)

    @cached_property
    def source(self) -> FigureSource:
        """The part that figures hold."""
        return FigureSource(self.question, self.settings.config, pixels(self.image), self.name)


Shown = tuple[Any, ...]


class SweepHandlers:
    """Handlers over one engine. Every moment of a stream ends in (..., message, status)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def compared(
        self, path: str | None, question: str, what: str, methods: list[str], localizers: list[str], *settings: Any
    ) -> Iterator[Shown]:
        """Stream of `methods`, or of `localizers` where `what` is LOCALIZERS."""
        if what == LOCALIZERS:
            yield from self.localizers(path, question, localizers, *settings)
        else:
            yield from self.methods(path, question, methods, *settings)

    def methods(self, path: str | None, question: str, names: list[str], *settings: Any) -> Iterator[Shown]:
        """Stream (gallery, table, export figure, message, status) of methods at the budget of the settings."""

        def specs(request: SweepRequest) -> list[RunSpec]:
            return [
                RunSpec(method_of(name).title, replace(request.settings.config, method=name))
                for name in valid_methods(names)
            ]

        def show(request: SweepRequest, results: list[RunResult], errors: list[RunError]) -> Shown:
            figure = methods_figure(request.source, results, errors)
            return gallery_json(request.image, results), table(results), figure

        yield from self._stream(path, question, settings, specs, show, 3)

    def localizers(self, path: str | None, question: str, names: list[str], *settings: Any) -> Iterator[Shown]:
        """Stream as `methods`, of the method of the settings with the region of each of these localizers."""

        def specs(request: SweepRequest) -> list[RunSpec]:
            config, drawn = request.settings.config, request.settings.region
            if not config.parts.needs_region:
                raise ConfigError(f"{config.parts.no_region} {READS_NONE}")
            chosen = valid_localizers(names)
            found = [RunSpec(name or OWN, replace(config, localizer=name or "predicted")) for name in chosen]
            return [*found, *([RunSpec(DRAWN, config, drawn)] if request.settings.mode == "drawn" else [])]

        def show(request: SweepRequest, results: list[RunResult], errors: list[RunError]) -> Shown:
            what = f"{request.settings.config.parts.title} with each localizer"
            figure = methods_figure(request.source, results, errors, what)
            return gallery_json(request.image, results), table(results, LOCALIZER_COLUMNS), figure

        yield from self._stream(path, question, settings, specs, show, 3, localize=True)

    def budgets(self, path: str | None, question: str, names: list[str], *settings: Any) -> Iterator[Shown]:
        """Stream (figure, export figure, message, status) of methods at rising budgets."""

        def specs(request: SweepRequest) -> list[RunSpec]:
            config = request.settings.config
            return [
                RunSpec(method_of(name).title, replace(config, method=name, budget=Budget(share=share)))
                for share in SHARES
                for name in valid_methods(names)
            ]

        def show(request: SweepRequest, results: list[RunResult], errors: list[RunError]) -> Shown:
            return figures.budget_curves(results), budget_figure(request.source, results, errors)

        yield from self._stream(path, question, settings, specs, show, 2)

    def places(self, path: str | None, question: str, *settings: Any) -> Iterator[Shown]:
        """Stream (figure, export figure, message, status) of the region alone, in its size, over all 64 cells."""

        slid: list[Region] = []

        def specs(request: SweepRequest) -> list[RunSpec]:
            region = self._slid(request)
            if region.is_whole:
                raise ConfigError(WHOLE)
            slid[:] = [region]
            width, height = region.x1 - region.x0 + 1, region.y1 - region.y0 + 1
            cells = [(x, y) for y in range(GRID) for x in range(GRID)]
            return [
                RunSpec(f"{x},{y}", REGION_ONLY, centred_region(x, y, width, height, request.image.size))
                for x, y in cells
            ]

        def show(request: SweepRequest, results: list[RunResult], errors: list[RunError]) -> Shown:
            on_screen = figures.answer_map(request.image, results, slid[0])
            return on_screen, places_figure(request.source, results, errors, slid[0])

        yield from self._stream(path, question, settings, specs, show, 2)

    def _slid(self, request: SweepRequest) -> Region:
        """The region that is slid: the drawn one, or the localizer's."""
        region = request.settings.region
        if region is None:
            config = replace(REGION_ONLY, localizer=request.settings.config.localizer)
            *_, result = self._ask(request, [RunSpec("predicted", config)])
            if not isinstance(result, RunResult):
                raise ConfigError(result.why if isinstance(result, RunError) else queue_message(result))
            region = result.region
        return region

    def _ask(
        self, request: SweepRequest, specs: list[RunSpec], region: Region | None = None
    ) -> ResultStream[ManyResult]:
        images, regions, config = (request.image,), (region,), request.settings.config
        config = replace(config, max_new_tokens=config.max_new_tokens or MAX_NEW_TOKENS)
        return self.engine.stream(
            EngineRequest("run_many", images, request.question, config, regions, specs=tuple(specs))
        )

    def _stream(
        self,
        path: str | None,
        question: str,
        settings: Sequence[Any],
        specs: Callable[[SweepRequest], list[RunSpec]],
        show: Callable[[SweepRequest, list[RunResult], list[RunError]], Shown],
        outputs: int,
        localize: bool = False,
    ) -> Iterator[Shown]:
        """Run the specs; invalid input and errors of the engine change the message only. localize: in place of the
        region of the settings.
        """
        shown: Shown = (gr.skip(),) * outputs
        try:
            request = SweepRequest.of(path, question, settings)
            note = message(*image_notices([request.image]))
            yield *shown, note, status_line("Starting …")
            requested = specs(request)
            bar, began = ProgressBar(len(requested)), now()
            results: list[RunResult] = []
            errors: list[RunError] = []
            for result in self._ask(request, requested, None if localize else request.settings.region):
                if isinstance(result, QueueStatus):
                    yield *shown, note, status_line(queue_message(result))
                    continue
                if isinstance(result, RunResult):
                    results.append(result)
                else:
                    errors.append(result)
                shown = show(request, results, errors)
                lines = [f"{each.name}: {each.why}" for each in errors] + made_before(results, began)
                yield *shown, note, progress(bar, len(results) + len(errors) - 1, len(requested), lines)
        except ValueError as error:
            yield *shown, message(), message(str(error))
        except Exception:
            log.exception("the engine failed")
            yield *shown, message(), message(BROKEN)


def valid_methods(names: list[str]) -> list[str]:
    """Methods by name or joined (from the browser), each once; ConfigError for an unknown one, none, or too many."""
    chosen = [name for name in dict.fromkeys(str(each).strip() for each in names or []) if method_of(name).prunes]
    if not chosen:
        raise ConfigError("No method that prunes is chosen; choose at least one.")
    if len(chosen) > len(METHODS):
        raise ConfigError(f"{len(chosen)} methods are chosen; at most {len(METHODS)} can be compared at once.")
    return chosen


def valid_localizers(names: list[str]) -> list[str]:
    """Localizers by name (from the browser), "" for the engine's own, each once; ConfigError for an unknown or none."""
    if not names or set(names) - {"", *comparable_localizers()}:
        raise ConfigError("No valid localizer is chosen; choose at least one.")
    return [*dict.fromkeys(names)]


def centred_region(x: int, y: int, width: int, height: int, size: tuple[int, int]) -> Region:
    """Region of width x height cells centred on cell (x, y), shifted into the image."""
    x0 = min(max(0, x - (width - 1) // 2), GRID - width)
    y0 = min(max(0, y - (height - 1) // 2), GRID - height)
    return Region(x0, y0, x0 + width - 1, y0 + height - 1, *size, "drawn")


def progress(bar: ProgressBar, done: int, total: int, lines: list[str]) -> str:
    """Progress of a stream, and further lines, each once, as HTML."""
    further = tuple(dict.fromkeys(lines))
    if done < total:
        return bar.at(done, further=further)
    return status_line(f"Done: {counted(total, 'run')}.", *further)


def made_before(results: list[RunResult], began: str) -> list[str]:
    """A line that tells of runs that were kept from an earlier visitor, if there are any."""
    dates = [date for each in results if (date := each.made.get("date", began)) < began]
    return [f"The same was asked here before: these runs are of {min(dates)[11:19]} UTC."] if dates else []
