"""`python -m benchmarks.attended_boxes`: what the answering model's attention does for a detector's choice of boxes.

The detector is a stand-in that finds every sign of a scene with the same score, as one that does not know which;
the questions are the benchmark's about signs, whose answer stands on one. Prints figures for docs/localizers.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import cast

import torch
from PIL import Image

from benchmarks.text_localizer import figures, on_signs, table
from crop_core.localize.detector import DetectorLocalizer, beside
from crop_core.localize.detector_models import Detection, PhraseDetector
from crop_core.models import DEFAULT_MODEL, load
from crop_core.train.world import splits
from crop_core.train.world.held_out import held_out

QUESTIONS = 60  # of each kind


class EverySign:
    """Finds the signs of the benchmark's scenes, all with the same score."""

    name, model = "every sign", torch.nn.Module()

    def __init__(self) -> None:
        scenes = [item.scene for item in held_out(QUESTIONS, splits.BENCHMARK) if item.question.kind == "text"]
        self._boxes = {
            scene.image.tobytes(): [thing.box for thing in scene.objects if thing.kind == "sign"] for scene in scenes
        }

    def detect(self, image: Image.Image, phrases: Sequence[str]) -> list[Detection]:
        """The signs, as the first phrase."""
        return [Detection(box, 0.5, phrases[0]) for box in self._boxes[image.tobytes()]]


def main() -> None:
    detector = cast("PhraseDetector", EverySign())
    localizers = {
        "every sign": DetectorLocalizer(detector),
        "with the model's attention": beside(detector, load(DEFAULT_MODEL)),
    }
    results = on_signs(localizers, QUESTIONS, splits.BENCHMARK)
    sys.stdout.write(table({name: figures(each) for name, each in results.items()}, "boxes") + "\n")


if __name__ == "__main__":
    main()
