"""The whole check of one loaded engine, part by part: a report after each, from which a stopped check goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import torch
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.evaluate.check.costs import repetitions
from crop_core.evaluate.check.proofs import QUESTION, Proofs, sample_image
from crop_core.evaluate.check.scenes import Scenes
from crop_core.evaluate.check.summary import answer_rows, cost_rows, region_rows
from crop_core.localize.self_attention.profiles import profiles_digest
from crop_core.models.adapter import dtype_name
from crop_core.models.loading.checkpoint import revision
from crop_core.records.check import REPETITIONS, SCENES, CheckError, CheckReport
from crop_core.records.environment import run_environment

COSTS = "costs"  # key of `CheckReport.missing`


class Check:
    """The check of an engine, an RGB image and a question, and so many drawn scenes."""

    def __init__(
        self,
        engine: CropEngine,
        image: Image.Image | None = None,
        question: str = QUESTION,
        scenes: int = SCENES,
    ) -> None:
        self.engine, self.question, self.count = engine, question, scenes
        self.image = sample_image() if image is None else image
        self.proofs, self.scenes = Proofs(engine, self.image, question), Scenes(engine)

    @property
    def environment(self) -> dict[str, Any]:
        """What is checked, where and with which versions."""
        adapter, localizer = self.engine.adapter, self.engine.localizer
        device, folder = adapter.device, getattr(adapter, "folder", None)
        gpu = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
        return {
            "model": adapter.name,
            "revision": "unknown" if folder is None else revision(folder),
            "model_type": adapter.model.config.model_type,
            "adapter": type(adapter).__name__,
            "localizer": "none" if localizer is None else type(localizer).__name__,
            "localizer_name": "none" if localizer is None else self.scenes.loaded,
            "attention_profiles": profiles_digest(adapter.name) or "none",
            "device": f"{device}{gpu}",
            "dtype": dtype_name(adapter),
            "attention": adapter.stack.attention,
            "layers": adapter.layers,
            "parameters": sum(each.numel() for each in adapter.model.parameters()),
            "image": list(self.image.size),
            "image_digest": sha256(self.image.tobytes()).hexdigest()[:12],
            "question": self.question,
            "scenes": self.count,
            **run_environment(),
        }

    def begin(self, stopped: CheckReport | None = None) -> CheckReport:
        """The report to start from: an empty one, or that of a stopped check; CheckError where that was another one."""
        report = CheckReport(self.environment)
        if stopped is None:
            return report
        for name, value in report.environment.items():
            before = stopped.environment.get(name)
            if name != "date" and before != value:
                raise CheckError(f"it is of the {name} {before!r}, not {value!r}")
        return stopped

    def run(self, report: CheckReport | None = None) -> Iterator[CheckReport]:
        """The report after every part, the last one finished. report: of `begin`."""
        report = report or self.begin()
        for proof in self.proofs.run({each.name for each in report.proofs}):
            report = replace(report, proofs=[*report.proofs, proof])
            yield report
        for scene in self.scenes.run(self.count, len(report.scenes)):
            scenes = [*report.scenes, scene]
            report = replace(report, scenes=scenes, regions=region_rows(scenes), answers=answer_rows(scenes))
            yield report
        for each in self._timed(report):
            report = each
            yield report
        yield replace(report, finished=True)

    def _timed(self, report: CheckReport) -> Iterator[CheckReport]:
        try:
            what = self.engine, self.image, self.question
            for each in repetitions(*what, REPETITIONS, len(report.repetitions)):
                timed = [*report.repetitions, each]
                report = replace(report, repetitions=timed, costs=cost_rows(timed))
                yield report
        except ValueError as error:
            yield replace(report, missing={COSTS: str(error)})
