"""One validated request: images, question, settings, a region for each image, earlier turns; and the link to a run.

A link holds the example, the question and the settings as a query, and outlives the server. Only examples can be linked
to: a visitor's own image is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from crop_core.io.images import check_question
from crop_core.records.config import ConfigError
from crop_core.records.formatting import truncated_repr
from crop_core.records.region import GRID
from crop_core.records.request import EngineRequest
from ui.page import controls
from ui.page.images import other_regions
from ui.views.explorer_state import ExplorerState
from ui.views.history import FinishedRun

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.config import CropConfig
    from crop_core.records.region import Region
    from crop_core.records.request import Engine, ResultStream
    from crop_core.records.results import Comparison, StreamEvent
    from ui.views.examples import Example

KEYS = (
    "method",
    "budget",
    "custom",
    "rings",
    "schedule",
    "evict",
    "max_new_tokens",
    "short_answer",
    "seed",
    "mode",
    "x0",
    "y0",
    "x1",
    "y1",
)  # as SettingsPanel.values
MAX_QUERY = 2000  # characters of a query
Turn = tuple[str, str]  # an earlier question and its answer


@dataclass(frozen=True, eq=False)
class ComparisonRequest:
    """Validated request of a comparison. regions: one an image, None where it is to be predicted.

    history: earlier questions about the same images and their answers. settings: values of `SettingsPanel`.
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
        """Validate; settings: values of `SettingsPanel`, then of `MoreImages.drawn`. ValueError with one sentence."""
        *values, drawn = settings
        text = check_question(question)
        parsed = controls.parse_settings(values, images[0].size)
        others = other_regions(drawn, parsed.mode, [image.size for image in images[1:]])
        return cls(images, text, parsed.config, (parsed.region, *others), tuple(history), tuple(values))

    def view(self) -> ExplorerState:
        """State before the run."""
        return ExplorerState.of(self.images, self.question, self.config.method)

    def finished(self, result: Comparison, view: ExplorerState) -> FinishedRun:
        """Finished run of this request."""
        return FinishedRun(self.images, result, view, self.settings, request=self.engine_request, to_measure=True)

    @property
    def engine_request(self) -> EngineRequest[StreamEvent]:
        """The request to the engine."""
        return EngineRequest("stream", self.images, self.question, self.config, self.regions, history=self.history)

    def events(self, engine: Engine) -> ResultStream[StreamEvent]:
        """Stream of the engine."""
        return engine.stream(self.engine_request)


def link_query(example: Example, question: str, settings: Sequence[Any]) -> str:
    """Query of an example, the question and the values of the settings (in the order of `SettingsPanel.values`)."""
    fields = {key: _link_text(value) for key, value in zip(KEYS, settings, strict=True)}
    if fields["mode"] != "drawn":
        fields = {key: value for key, value in fields.items() if key not in ("x0", "y0", "x1", "y1")}
    return urlencode({"example": example.image.name, "question": question, **{k: v for k, v in fields.items() if v}})


def _link_text(value: Any) -> str:
    return ("1" if value else "") if isinstance(value, bool) else str(value)


def read_link(
    params: Mapping[str, str], examples: Sequence[Example], defaults: Sequence[Any]
) -> tuple[Any, ...] | None:
    """(image, question, *settings) of a query, None where it names no example; ConfigError for invalid values.

    Missing settings are those of `defaults`.
    """
    chosen = next((one for one in examples if one.image.name == params.get("example")), None)
    if chosen is None:
        if params.get("example"):
            raise ConfigError(f"There is no example {truncated_repr(params['example'])}; choose one on the page.")
        return None
    if sum(len(value) for value in params.values()) > MAX_QUERY:
        raise ConfigError(f"The link is longer than {MAX_QUERY} characters; shorten the question.")
    values = [_link_value(params.get(key), default) for key, default in zip(KEYS, defaults, strict=True)]
    controls.parse_settings(values, (GRID, GRID))  # validates them, for an image of any size
    return str(chosen.image), params.get("question", chosen.question), *values


def _link_value(text: str | None, default: Any) -> Any:
    """Parse a value as the type of its default."""
    if text is None:
        return default
    if isinstance(default, bool):
        return text == "1"
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"The link has {truncated_repr(text)} in place of a grid cell from 0 to 7.") from None
    return text
