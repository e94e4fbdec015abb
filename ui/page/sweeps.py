"""One question asked in many ways: methods side by side, budgets, and places of the region. Each result is shown when
it is there; closing the stream ends the work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import gradio as gr

from crop_core.io.images import check_question, open_image
from crop_core.records.config import Budget, ConfigError, CropConfig
from crop_core.records.methods import METHODS, pruning_methods
from crop_core.records.region import GRID, Region
from crop_core.records.request import Engine, EngineRequest, ManyResult, QueueStatus, ResultStream
from crop_core.records.results import RunError, RunResult, RunSpec
from ui.export.figure import pixels
from ui.export.multi_run_figures import FigureSource, budget_figure, methods_figure, places_figure
from ui.page import controls
from ui.page.handlers import BROKEN
from ui.views import figures
from ui.views.gallery import gallery_json, table_rows
from ui.views.rendering import message, render
from ui.views.texts import queue_message

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)
SHARES = (1 / 36, 1 / 18, 1 / 9, 1 / 6, 2 / 9, 1 / 3, 1 / 2, 3 / 4)  # of the visual tokens
STAGES = {"plc": "PLC", "ilp": "ILP"}  # whose answers are called CROP's elsewhere
ALONE = CropConfig(method="region", budget=None)  # nothing but the region's tokens
WHOLE = "The region is the whole image, which has no other place to go; draw a smaller one, then slide it."


@dataclass(frozen=True)
class SweepRequest:
    """An image, a question and the settings, all checked."""

    image: Image.Image
    question: str
    wanted: controls.ParsedSettings

    @classmethod
    def of(cls, path: str | None, question: str, settings: Sequence[Any]) -> SweepRequest:
        """ValueError with one sentence for what cannot be."""
        image, text = open_image(path), check_question(question)
        return cls(image, text, controls.parse_settings(settings, image.size))

    @cached_property
    def asked(self) -> FigureSource:
        """What figures hold of it."""
        return FigureSource(self.question, self.wanted.config, pixels(self.image))


Shown = tuple[Any, ...]


class SweepHandlers:
    """The handlers over one engine. Every stream ends in (..., message, status)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def methods(self, path: str | None, question: str, names: list[str], *settings: Any) -> Iterator[Shown]:
        """Streams (gallery, table, plate, message, status) of methods at the budget of the settings."""

        def ways(request: SweepRequest) -> list[RunSpec]:
            return [RunSpec(called(name), replace(request.wanted.config, method=name)) for name in known(names)]

        def show(request: SweepRequest, told: list[RunResult], refused: list[RunError]) -> Shown:
            return gallery_json(request.image, told), table_rows(told), methods_figure(request.asked, told, refused)

        yield from self._stream(path, question, settings, ways, show, 3)

    def budgets(self, path: str | None, question: str, names: list[str], *settings: Any) -> Iterator[Shown]:
        """Streams (figure, plate, message, status) of methods at rising budgets."""

        def ways(request: SweepRequest) -> list[RunSpec]:
            config = request.wanted.config
            return [
                RunSpec(called(name), replace(config, method=name, budget=Budget(share=share)))
                for share in SHARES
                for name in known(names)
            ]

        def show(request: SweepRequest, told: list[RunResult], refused: list[RunError]) -> Shown:
            return figures.budget_curves(told), budget_figure(request.asked, told, refused)

        yield from self._stream(path, question, settings, ways, show, 2)

    def places(self, path: str | None, question: str, *settings: Any) -> Iterator[Shown]:
        """Streams (figure, plate, message, status): the region alone, in the size that was found or drawn, over all 64
        cells.
        """

        def ways(request: SweepRequest) -> list[RunSpec]:
            width, height = self._size(request)
            if width == height == GRID:
                raise ConfigError(WHOLE)
            cells = [(x, y) for y in range(GRID) for x in range(GRID)]
            return [RunSpec(f"{x},{y}", ALONE, around(x, y, width, height, request.image.size)) for x, y in cells]

        def show(request: SweepRequest, told: list[RunResult], refused: list[RunError]) -> Shown:
            return figures.answer_map(request.image, told), places_figure(request.asked, told, refused)

        yield from self._stream(path, question, settings, ways, show, 2)

    def _size(self, request: SweepRequest) -> tuple[int, int]:
        """Cells across and down of the region that is moved: the user's, or the localizer's."""
        region = request.wanted.region
        if region is None:
            *_, told = self._ask(request, [RunSpec("found", ALONE)])
            if not isinstance(told, RunResult):
                raise ConfigError(told.why if isinstance(told, RunError) else queue_message(told))
            region = told.region
        return region.x1 - region.x0 + 1, region.y1 - region.y0 + 1

    def _ask(self, request: SweepRequest, ways: list[RunSpec]) -> ResultStream[ManyResult]:
        images, regions = (request.image,), (request.wanted.region,)
        return self.engine.stream(
            EngineRequest("run_many", images, request.question, regions=regions, specs=tuple(ways))
        )

    def _stream(
        self,
        path: str | None,
        question: str,
        settings: Sequence[Any],
        ways: Callable[[SweepRequest], list[RunSpec]],
        show: Callable[[SweepRequest, list[RunResult], list[RunError]], Shown],
        outputs: int,
    ) -> Iterator[Shown]:
        """Bad input, and what an engine refuses or fails at, changes the message alone."""
        shown: Shown = (gr.skip(),) * outputs
        try:
            request = SweepRequest.of(path, question, settings)
            yield *shown, message(), "Looking …"
            asked = ways(request)
            told: list[RunResult] = []
            refused: list[RunError] = []
            for result in self._ask(request, asked):
                if isinstance(result, QueueStatus):
                    yield *shown, message(), queue_message(result)
                    continue
                if isinstance(result, RunResult):
                    told.append(result)
                else:
                    refused.append(result)
                shown = show(request, told, refused)
                yield *shown, message(), progress(len(told) + len(refused) - 1, len(asked), refused)
        except ValueError as error:
            yield *shown, message(str(error)), ""
        except Exception:
            log.exception("the engine failed")
            yield *shown, message(BROKEN), ""


def known(names: list[str]) -> list[str]:
    """Methods by name (they come from the browser); ConfigError for one that is none, or for none at all."""
    chosen = [name for name in pruning_methods() if name in (names or [])]
    if not chosen or set(names) - set(METHODS):
        raise ConfigError("There is no method chosen; choose at least one.")
    return chosen


def called(name: str) -> str:
    """What a method's answers are called where CROP's stages stand beside it."""
    return STAGES.get(name, METHODS[name].title)


def around(x: int, y: int, width: int, height: int, size: tuple[int, int]) -> Region:
    """A region of so many cells with cell (x, y) in its middle, pushed back into the image."""
    x0 = min(max(0, x - (width - 1) // 2), GRID - width)
    y0 = min(max(0, y - (height - 1) // 2), GRID - height)
    return Region(x0, y0, x0 + width - 1, y0 + height - 1, *size, "drawn")


def progress(done: int, total: int, refused: list[RunError]) -> str:
    """How far a stream is, and what could not be asked, each reason once, as HTML."""
    reasons = list(dict.fromkeys(f"{each.name}: {each.why}" for each in refused))
    left = f"{done} of {total}" if done < total else f"{total} ways asked"
    return render("lines", [f"{left}.", *reasons])
