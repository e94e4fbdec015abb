"""SmolVLM, Idefics3 and InternVL: square tiles of the whole image, row by row, then an overview of it.

Sources: Marafioti et al., SmolVLM, arXiv 2504.05299; Laurençon et al., Idefics3, arXiv 2408.12637; Chen et al.,
InternVL, arXiv 2312.14238. Row and column markers between the tiles are text, and never pruned.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import transformers
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
from transformers.models.idefics3.image_processing_pil_idefics3 import get_resize_output_image_size

from crop_core.models.adapter import Images, ModelError, PreparedInputs, TokenLayout, Turn
from crop_core.models.base_adapter import BaseAdapter
from crop_core.models.chat_template import PublishedChat
from crop_core.models.families.published_chats import IDEFICS, INTERNVL, SMOLVLM
from crop_core.models.geometry import tiled_layout


def tiles_of_any_number() -> bool:
    """Whether SmolVLM and Idefics3 take any number of visual tokens; transformers before 5.23 requires whole tiles."""
    return tuple(int(part) for part in transformers.__version__.split(".")[:2]) >= (5, 23)


class IdeficsAdapter(BaseAdapter):
    """Idefics3 and SmolVLM: the image is enlarged to whole tiles in both directions."""

    short_request = "Give a very brief answer."  # of their evaluation in VLMEvalKit

    vision_keys = ("pixel_values", "pixel_attention_mask")

    @classmethod
    def check(cls, name: str, config: Any) -> None:
        """As in BaseAdapter; also ModelError for a transformers version that requires whole tiles."""
        super().check(name, config)
        if not tiles_of_any_number():
            raise ModelError(
                f"{name} is a {config.model_type} model, which needs transformers 5.23 or later, not "
                f"{transformers.__version__}; with Python 3.11 or later pip installs it."
            )

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat:
        """By the language model's first token: the first SmolVLMs are of the model type idefics3 too."""
        return IDEFICS if IDEFICS.begin in tokenizer.get_vocab() else SMOLVLM

    @property
    def language_model(self) -> Any:
        """The decoder."""
        return self.model.model.text_model

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """Tiles, then the overview; only the overview for images of one tile or without splitting."""
        images = self.processor.image_processor
        rows, columns = self._tiles(size, images) if images.do_image_splitting else (0, 0)
        return tiled_layout(size, rows, columns, math.isqrt(self.processor.image_seq_len))

    def _tiles(self, size: tuple[int, int], images: Any) -> tuple[int, int]:
        """Rows and columns of tiles, as in the image processor: the longer side is rounded up to whole tiles first."""
        tile, (width, height) = images.max_image_size["longest_edge"], size
        if images.do_resize:
            shape = SimpleNamespace(shape=(3, height, width))
            height, width = get_resize_output_image_size(shape, images.size["longest_edge"])
        across, down = math.ceil(width / tile), math.ceil(height / tile)
        if width >= height:
            down = math.ceil(int(across * tile / (width / height)) / tile)
        else:
            across = math.ceil(int(down * tile * (width / height)) / tile)
        return (down, across) if max(down, across) > 1 else (0, 0)


class _Told(logging.Filter):
    """Drops the warning about an ambiguous layout."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "channel dimension is ambiguous" not in record.getMessage()


class InternVlAdapter(BaseAdapter):
    """The arrangement of tiles whose aspect ratio is nearest to the image's."""

    text_types = ("llama", "qwen2", "qwen3")

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat:
        """Qwen's."""
        return INTERNVL

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """As in BaseAdapter; the processor's warning that it guesses the layout of a narrow image is left out, since it
        guesses what it has been told.
        """
        logger, told = logging.getLogger("transformers.image_utils"), _Told()
        logger.addFilter(told)
        try:
            return super().prepare(images, question, history)
        finally:
            logger.removeFilter(told)

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """Tiles, then the overview if there is more than one tile."""
        images = self.processor.image_processor
        tile = (images.size["height"], images.size["width"])
        columns, rows = get_optimal_tiled_canvas(size[::-1], tile, images.min_patches, images.max_patches)
        many = rows * columns > 1
        side = math.isqrt(self.processor.image_seq_length)
        return tiled_layout(size, rows if many else 0, columns if many else 0, side)
