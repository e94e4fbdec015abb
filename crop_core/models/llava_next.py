"""LLaVA-NeXT and LLaVA-OneVision: an overview of the image, then tiles of it in the resolution that fits best.

Sources: Liu et al., LLaVA-NeXT: Improved reasoning, OCR, and world knowledge, 2024; Li et al., LLaVA-OneVision, arXiv
2408.03326. The model sees every pixel twice, so that a region holds tokens of both views; the tokens at the ends of rows
have no place.
"""

from __future__ import annotations

from typing import Any

from crop_core.models.anyres import AnyRes
from crop_core.models.hf import HfAdapter, check_parts
from crop_core.models.llava import TEXT_TYPES, fill_processor
from crop_core.models.protocol import ModelError, TokenLayout


class LlavaNextAdapter(HfAdapter):
    """CLIP tower; all tokens of the canvas are kept."""

    vision_keys = ("pixel_values", "image_sizes")
    title, towers = "LLaVA-NeXT", ("clip_vision_model",)

    @classmethod
    def check(cls, name: str, config: Any) -> None:
        """ModelError for a checkpoint whose parts are not supported; called before its weights are read."""
        check_parts(name, config, cls.title, cls.towers, TEXT_TYPES)
        if config.vision_feature_select_strategy != cls.strategy():
            raise ModelError(
                f"{name} selects the vision features {config.vision_feature_select_strategy!r}; {cls.title} models are "
                f"supported with {cls.strategy()!r}."
            )

    @staticmethod
    def strategy() -> str:
        """The vision_feature_select_strategy that leaves one feature a patch."""
        return "default"

    def __post_init__(self) -> None:
        fill_processor(self.processor, self.model.config)
        self.anyres = self._anyres(None)

    def _anyres(self, most: int | None) -> AnyRes:
        """As the model packs its features; ModelError for a processor that makes others."""
        config, images = self.model.config, self.processor.image_processor
        side = config.vision_config.image_size
        told = {images.size.shortest_edge or images.size.height, images.crop_size.height if images.do_center_crop else side}
        pinpoints = tuple(tuple(each) for each in config.image_grid_pinpoints)
        if told != {side} or tuple(tuple(each) for each in images.image_grid_pinpoints) != pinpoints:
            raise ModelError(
                f"The image processor of {self.name} makes tiles of {sorted(told)} px on {len(images.image_grid_pinpoints)} "
                f"canvases, its model reads {side} px on {len(pinpoints)}; correct its processor_config.json."
            )
        return AnyRes(side, config.vision_config.patch_size, pinpoints, most)

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """Overview, canvas, and the ends of its rows."""
        return self.anyres.layout(size)


class LlavaOnevisionAdapter(LlavaNextAdapter):
    """SigLIP tower; a canvas of more than so many tiles' worth of tokens is shrunk."""

    vision_keys = ("pixel_values", "image_sizes", "batch_num_images")
    title, towers = "LLaVA-OneVision", ("siglip_vision_model",)

    @staticmethod
    def strategy() -> str:
        """A SigLIP tower has no class token to leave out."""
        return "full"

    def __post_init__(self) -> None:
        self.anyres = self._anyres(int(self.model.config.vision_aspect_ratio.removeprefix("anyres_max_")))
