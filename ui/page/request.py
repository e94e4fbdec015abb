"""What somebody asks, all of it checked: images, question, settings, a region for each image, earlier turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crop_core.io.images import check_question
from crop_core.records.request import EngineRequest
from ui.page import controls
from ui.page.images import other_regions
from ui.views import texts
from ui.views.explorer_state import ExplorerState
from ui.views.history import FinishedRun

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.config import CropConfig
    from crop_core.records.region import Region
    from crop_core.records.request import Engine, ResultStream
    from crop_core.records.results import Comparison, StreamEvent

Turn = tuple[str, str]  # an earlier question and its answer


@dataclass(frozen=True, eq=False)
class ComparisonRequest:
    """regions: one an image, None where it is to be found. history: earlier questions about the same images and
    their answers. settings: values of `Panel` that it was asked with.
    """

    images: tuple[Image.Image, ...]
    question: str
    config: CropConfig
    regions: tuple[Region | None, ...]
    history: tuple[Turn, ...] = ()
    settings: tuple[Any, ...] = ()

    @classmethod
    def of(
        cls,
        images: tuple[Image.Image, ...],
        question: str,
        settings: Sequence[Any],
        history: Sequence[Turn] = (),
    ) -> ComparisonRequest:
        """settings: values of `Panel`, then that of `MorePictures.drawn`; ValueError with one sentence."""
        *values, drawn = settings
        text = check_question(question)
        wanted = controls.parse_settings(values, images[0].size)
        others = other_regions(drawn, wanted.mode, [image.size for image in images[1:]])
        return cls(images, text, wanted.config, (wanted.region, *others), tuple(history), tuple(values))

    def view(self) -> ExplorerState:
        """The images and the question, with nothing known yet."""
        return ExplorerState.of(self.images, self.question, texts.method_name(self.config.method))

    def finished(self, result: Comparison, view: ExplorerState) -> FinishedRun:
        """The run that answers it."""
        return FinishedRun(self.images, result, view, self.settings)

    def events(self, engine: Engine) -> ResultStream[StreamEvent]:
        """The engine's stream."""
        return engine.stream(
            EngineRequest("stream", self.images, self.question, self.config, self.regions, history=self.history)
        )
