"""Adapters of vision-language models, one per family, behind one protocol; `load` chooses by config.model_type."""

from crop_core.models.adapter import (
    Adapter,
    Images,
    ModelError,
    PreparedInputs,
    TokenLayout,
    Turn,
    as_list,
    keeps_history,
    reads_several,
)
from crop_core.models.loading.placement import Device
from crop_core.models.loading.registry import DEFAULT_LOCALIZER, DEFAULT_MODEL, ModelInfo, available, load

__all__ = [
    "DEFAULT_LOCALIZER",
    "DEFAULT_MODEL",
    "Adapter",
    "Device",
    "Images",
    "ModelError",
    "ModelInfo",
    "PreparedInputs",
    "TokenLayout",
    "Turn",
    "as_list",
    "available",
    "keeps_history",
    "load",
    "reads_several",
]
