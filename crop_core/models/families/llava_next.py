"""LLaVA-NeXT and LLaVA-OneVision: an overview of the image, then tiles of a padded canvas of the best resolution.

Sources: Liu et al., LLaVA-NeXT: Improved reasoning, OCR, and world knowledge, 2024; Li et al., LLaVA-OneVision, arXiv
2408.03326. A region holds tokens of both views; the newline tokens at row ends have no position. The canvas follows
transformers: the resolution that wastes least, the image centred, whole rows and columns of padding removed
(tests/core/models/test_anyres.py compares with the real processors).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.image_processing_utils import select_best_resolution
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

from crop_core.models.adapter import ModelError, PreparedInputs, TokenLayout, TowerAttention
from crop_core.models.chat_template import PublishedChat
from crop_core.models.families.llava import fill_processor
from crop_core.models.families.published_chats import MISTRAL, ONEVISION, VICUNA, of_llava
from crop_core.models.fast_preprocess import FastPreprocessAdapter
from crop_core.models.geometry import Framing, grid_layout
from crop_core.models.tower_attention import TowerRecorder

Floats = NDArray[np.float64]


class LlavaNextAdapter(FastPreprocessAdapter):
    """CLIP tower without its class token; all tokens of the canvas are kept."""

    vision_keys: ClassVar[tuple[str, ...]] = ("pixel_values", "image_sizes")
    vision_types: ClassVar[tuple[str, ...]] = ("clip_vision_model",)
    strategy: ClassVar[str] = "default"  # vision_feature_select_strategy with one feature per patch

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat:
        """That of its language model."""
        return of_llava(tokenizer, MISTRAL if config.text_config.model_type == "mistral" else VICUNA)

    @classmethod
    def check(cls, name: str, config: Any) -> None:
        """ModelError for a checkpoint whose parts are not supported; called before its weights are read."""
        super().check(name, config)
        if config.vision_feature_select_strategy != cls.strategy:
            raise ModelError(
                f"{name} has the vision_feature_select_strategy {config.vision_feature_select_strategy!r}; "
                f"{config.model_type} models are supported with {cls.strategy!r}."
            )

    def __post_init__(self) -> None:
        config, images = self.model.config, self.processor.image_processor
        self._fill_processor(config)
        side, pinpoints = config.vision_config.image_size, _pairs(config.image_grid_pinpoints)
        tiles = images.crop_size.height if images.do_center_crop else images.size.shortest_edge or images.size.height
        if tiles != side or _pairs(images.image_grid_pinpoints) != pinpoints:
            raise ModelError(
                f"The image processor of {self.name} makes tiles of {tiles} px for {len(images.image_grid_pinpoints)} "
                f"canvases, its model reads {side} px of {len(pinpoints)}; correct its processor_config.json."
            )
        self.anyres = AnyRes(side, config.vision_config.patch_size, pinpoints, self._max_tiles(config))

    def record_tower(self) -> TowerRecorder:
        """Context manager that records the tower's attention in the layer that the projector reads."""
        return TowerRecorder(self.model.model.vision_tower, self.model.config)

    def tower_attention(self, recorder: TowerRecorder, inputs: PreparedInputs) -> list[TowerAttention]:
        """Per image, each view's own attention; packed into tokens by the model, as the features are (tiles in place,
        padding removed, shrunk where the canvas is), so that newlines have zeros.
        """
        read = recorder.read()
        rows = torch.cat([read.attention[..., None], read.published[..., None], read.keys.float()], -1)  # (views, P, F)
        sizes, newline = inputs.vision["image_sizes"], rows.new_zeros(rows.shape[-1])
        views = rows.split(self._views(sizes))
        packed, _ = self.model.model.pack_image_features(views, sizes, image_newline=newline, **self._packing())
        return [TowerAttention(each[:, 0], each[:, 2:], each[:, 1]) for each in packed]

    def _views(self, sizes: torch.Tensor) -> list[int]:
        """Number of views of each image, of (height, width) sizes (images, 2)."""
        config = self.model.config
        return [image_size_to_num_patches(size, config.image_grid_pinpoints, self.anyres.side) for size in sizes]

    def _packing(self) -> dict[str, Any]:
        """The family's own argument of `pack_image_features`."""
        return {"vision_feature_select_strategy": self.strategy}

    def _fill_processor(self, config: Any) -> None:
        fill_processor(self.processor, config)

    def _max_tiles(self, config: Any) -> int | None:
        """Maximum canvas size in tiles; None for no limit."""
        return None

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """Overview, canvas, and newline tokens."""
        return self.anyres.layout(size)


class LlavaOnevisionAdapter(LlavaNextAdapter):
    """SigLIP tower, which has no class token; a canvas above the maximum number of tiles is shrunk, and several
    images are read as overviews only, padded to squares.
    """

    vision_keys = ("pixel_values", "image_sizes", "batch_num_images")
    vision_types = ("siglip_vision_model",)
    strategy = "full"

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat:
        """Qwen's."""
        return ONEVISION

    def _fill_processor(self, config: Any) -> None:
        """The processor is complete."""

    def _views(self, sizes: torch.Tensor) -> list[int]:
        return super()._views(sizes) if len(sizes) == 1 else [1] * len(sizes)

    def _packing(self) -> dict[str, Any]:
        return {"vision_aspect_ratio": self.model.config.vision_aspect_ratio}

    def _layout_of_several(self, size: tuple[int, int]) -> TokenLayout:
        return self.anyres.padded(size)

    def _max_tiles(self, config: Any) -> int | None:
        return int(config.vision_aspect_ratio.removeprefix("anyres_max_"))


def _pairs(pinpoints: Any) -> tuple[tuple[int, int], ...]:
    """(height, width) of each canvas."""
    return tuple((int(high), int(wide)) for high, wide in pinpoints)


@dataclass(frozen=True)
class AnyRes:
    """Token layout of images of any resolution.

    side: pixels of the overview and of a tile. patch: pixels of a token. resolutions: (height, width) of canvases.
    max_tiles: canvas tokens are shrunk to at most this many tiles (LLaVA-OneVision), None for no limit.
    """

    side: int
    patch: int
    resolutions: tuple[tuple[int, int], ...]
    max_tiles: int | None = None

    def layout(self, image_size: tuple[int, int]) -> TokenLayout:
        """Layout of a (width, height) image: the overview's grid as view 0, the canvas as view 1."""
        squash = Framing(pad_square=False, shortest_edge=None, resize=(self.side, self.side), crop=None)
        overview = grid_layout(image_size, squash, self.patch)
        width, height = image_size
        canvas = Canvas.of(self, width, height)
        left, right = self._spans(canvas.columns, canvas.tokens_across, canvas.left, canvas.scale_x)
        top, bottom = self._spans(canvas.rows, canvas.tokens_down, canvas.top, canvas.scale_y)
        row, col = np.indices((len(top), len(left)))
        boxes = np.stack([left[col], top[row], right[col], bottom[row]], axis=-1)  # (rows, columns, 4)
        return TokenLayout(
            image_size,
            np.concatenate([overview.boxes, _with_newlines(boxes, np.nan).reshape(-1, 4)]),
            np.concatenate([overview.view, _with_newlines(np.ones_like(row), -1).reshape(-1)]),
            np.concatenate([overview.row, _with_newlines(row, -1).reshape(-1)]),
            np.concatenate([overview.col, _with_newlines(col, -1).reshape(-1)]),
            overview.visible,
        )

    def padded(self, image_size: tuple[int, int]) -> TokenLayout:
        """Layout of one view, the image padded to a square, with a newline token."""
        square = Framing(pad_square=True, shortest_edge=None, resize=(self.side, self.side), crop=None)
        grid = grid_layout(image_size, square, self.patch)
        boxes = np.pad(grid.boxes, ((0, 1), (0, 0)), constant_values=np.nan)
        view, row, col = (np.append(part, -1) for part in (grid.view, grid.row, grid.col))
        return TokenLayout(image_size, boxes, view, row, col, grid.visible)

    def _spans(self, ends: tuple[int, int], count: int, start: int, scale: float) -> tuple[Floats, Floats]:
        """(count,) first and last original pixels of `count` tokens over the canvas' cells from ends[0] to ends[1].

        A tile's cells may not reach its end, so that two neighbours lie apart there. Of an image so narrow that the
        model leaves none of its canvas, count is 0.
        """
        cells = ends[0] + (ends[1] - ends[0]) * np.arange(count + 1) / max(count, 1)
        per_tile = self.side // self.patch
        tile, last = np.floor(cells[:-1] / per_tile), np.ceil(cells[1:] / per_tile) - 1
        first_px = tile * self.side + (cells[:-1] - tile * per_tile) * self.patch
        last_px = last * self.side + (cells[1:] - last * per_tile) * self.patch
        return (first_px - start) * scale, (last_px - start) * scale


@dataclass(frozen=True)
class Canvas:
    """The padded canvas of one image.

    left, top: canvas pixels where the image begins. scale_x, scale_y: original pixels per canvas pixel. columns,
    rows: (first, end) cells that are kept. tokens_across, tokens_down: their number of tokens after shrinking.
    """

    left: int
    top: int
    scale_x: float
    scale_y: float
    columns: tuple[int, int]
    rows: tuple[int, int]
    tokens_across: int
    tokens_down: int

    @classmethod
    def of(cls, anyres: AnyRes, width: int, height: int) -> Canvas:
        """The canvas of a width x height image."""
        high, wide = select_best_resolution((height, width), [list(each) for each in anyres.resolutions])
        fit_x, fit_y = wide / width, high / height
        if fit_x < fit_y:
            new_width, new_height = wide, min(math.ceil(height * fit_x), high)
        else:
            new_width, new_height = min(math.ceil(width * fit_y), wide), high
        per_tile = anyres.side // anyres.patch
        across, down = wide // anyres.side * per_tile, high // anyres.side * per_tile
        columns, rows = _unpadded(width, height, across, down)
        tokens = (columns[1] - columns[0], rows[1] - rows[0])
        shrink = math.sqrt(tokens[0] * tokens[1] / (anyres.max_tiles * per_tile**2)) if anyres.max_tiles else 1.0
        if shrink > 1.1:
            tokens = (int(tokens[0] // shrink), int(tokens[1] // shrink))
        start = ((wide - new_width) // 2, (high - new_height) // 2)
        return cls(*start, width / new_width, height / new_height, columns, rows, *tokens)


def _unpadded(width: int, height: int, across: int, down: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(first, end) columns and rows of an across x down canvas that are not all padding, by the model's arithmetic."""
    if width / height > across / down:
        spare = (down - int(round(height * (across / width), 7))) // 2
        return (0, across), (spare, down - spare)
    spare = (across - int(round(width * (down / height), 7))) // 2
    return (spare, across - spare), (0, down)


def _with_newlines(cells: NDArray[Any], value: float) -> NDArray[Any]:
    """Append a cell of `value` to every row of (rows, columns, ...)."""
    return np.concatenate([cells, np.full((len(cells), 1, *cells.shape[2:]), value, dtype=cells.dtype)], axis=1)
