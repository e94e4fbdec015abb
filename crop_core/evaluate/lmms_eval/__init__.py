"""Model "crop" for lmms-eval: answers by `CropEngine`'s one path, so that standard tasks run with any method.

Only `model.py` needs lmms-eval, and only lmms-eval imports it; no other room imports this one.
Source: Zhang et al., LMMs-Eval: Reality Check on the Evaluation of Large Multimodal Models, arXiv 2407.12772.
"""

from __future__ import annotations

from typing import Any

NAME = "crop"


def manifest() -> Any:
    """lmms-eval's ModelManifest for requests of the simple kind: images and one text."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(NAME, simple_class_path="crop_core.evaluate.lmms_eval.model.CropLmms")
