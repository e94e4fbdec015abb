"""LLaVA-NeXT and LLaVA-OneVision: an overview of the image, then tiles of it in the resolution that fits best.

Sources: Liu et al., LLaVA-NeXT: Improved reasoning, OCR, and world knowledge, 2024; Li et al., LLaVA-OneVision, arXiv
2408.03326. The model sees every pixel twice, so that a region holds tokens of both views; the tokens at the ends of
rows have no place.
"""

from __future__ import annotations

from typing import Any, ClassVar

from crop_core.models.adapter import ModelError, TokenLayout
from crop_core.models.anyres import AnyRes
from crop_core.models.families.llava import fill_processor
from crop_core.models.fast_preprocess import FastPreprocessAdapter


class LlavaNextAdapter(FastPreprocessAdapter):
    """CLIP tower without its class token; all tokens of the canvas are kept."""

    vision_keys: ClassVar[tuple[str, ...]] = ("pixel_values", "image_sizes")
    vision_types: ClassVar[tuple[str, ...]] = ("clip_vision_model",)
    strategy: ClassVar[str] = "default"  # the vision_feature_select_strategy that leaves one feature a patch

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
        self.anyres = AnyRes(side, config.vision_config.patch_size, pinpoints, self._most(config))

    def _fill_processor(self, config: Any) -> None:
        fill_processor(self.processor, config)

    def _most(self, config: Any) -> int | None:
        """Tiles' worth of tokens that a canvas may keep."""
        return None

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """Overview, canvas, and the ends of its rows."""
        return self.anyres.layout(size)


class LlavaOnevisionAdapter(LlavaNextAdapter):
    """SigLIP tower, which has no class token; a canvas of more than so many tiles' worth of tokens is shrunk, and of
    several images there are overviews alone, padded to squares.
    """

    vision_keys = ("pixel_values", "image_sizes", "batch_num_images")
    vision_types = ("siglip_vision_model",)
    strategy = "full"

    def _fill_processor(self, config: Any) -> None:
        """Its processor is complete."""

    def _layout_of_several(self, size: tuple[int, int]) -> TokenLayout:
        return self.anyres.padded(size)

    def _most(self, config: Any) -> int | None:
        return int(config.vision_aspect_ratio.removeprefix("anyres_max_"))


def _pairs(pinpoints: Any) -> tuple[tuple[int, int], ...]:
    """(height, width) of each canvas."""
    return tuple((int(high), int(wide)) for high, wide in pinpoints)
