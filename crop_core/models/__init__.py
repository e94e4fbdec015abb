"""One small adapter per family of vision-language models, behind one protocol; `load` finds it by config.model_type."""

from crop_core.models.placement import Device
from crop_core.models.protocol import (
    Adapter,
    Images,
    ModelError,
    PreparedInputs,
    TokenLayout,
    Turn,
    keeps_history,
    several,
)
from crop_core.models.registry import DEFAULT_LOCALIZER, DEFAULT_MODEL, ModelInfo, available, load

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
    "available",
    "keeps_history",
    "load",
    "several",
]
