"""What every worker of a sweep loads, by name; see `Equipment` in work.py. torch is imported when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Metric

if TYPE_CHECKING:
    from crop_core.evaluate.runner.trial_runner import TrialRunner


@dataclass(frozen=True)
class WorkerConfig:
    """model to quantize: as in `CropEngine.from_pretrained`, None for its own choice, but localizer None for none at
    all. dataset, metric and longest: of the `Dataset`. threads: of torch, None for its own choice; small models on a
    CPU gain more from processes of one thread each.
    """

    dataset: str
    metric: Metric
    max_new_tokens: int
    model: str
    localizer: str | None
    device: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    threads: int | None = None

    def examiner(self) -> TrialRunner:
        """Models loaded and warm; ModelError with one sentence when that is not possible."""
        import torch

        from crop_core.engine.engine import CropEngine
        from crop_core.evaluate.runner.trial_runner import TrialRunner

        if self.threads:
            torch.set_num_threads(self.threads)
        engine = CropEngine.from_pretrained(self.model, self.localizer, self.device, self.dtype, quantize=self.quantize)
        return TrialRunner(engine.adapter, engine.localizer, self.dataset, self.metric, self.max_new_tokens)
