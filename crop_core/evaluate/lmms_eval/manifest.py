"""The entry point by which lmms-eval finds the model "crop"; see pyproject.toml."""

from __future__ import annotations

from typing import Any

NAME = "crop"


def manifest() -> Any:
    """lmms-eval's ModelManifest: requests of the simple kind, of images and one text."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(NAME, simple_class_path="crop_core.evaluate.lmms_eval.model.CropLmms")
