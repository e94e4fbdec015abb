"""Entry point of the model "crop" for lmms-eval, see pyproject.toml."""

from __future__ import annotations

from typing import Any

NAME = "crop"


def manifest() -> Any:
    """lmms-eval's ModelManifest for requests of the simple kind: images and one text."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(NAME, simple_class_path="crop_core.evaluate.lmms_eval.model.CropLmms")
