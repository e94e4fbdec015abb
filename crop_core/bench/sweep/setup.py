"""What every worker of a sweep loads, by name; see `Equipment` in work.py. torch is imported when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crop_core.bench.data.protocol import Metric

if TYPE_CHECKING:
    from crop_core.bench.sweep.examiner import Examiner


@dataclass(frozen=True)
class Setup:
    """model to quantize: as in `CropEngine.from_pretrained`, None for its own choice, but localizer None for none at
    all. dataset, metric and longest: of the `Dataset`. threads: of torch, None for its own choice; small models on a
    CPU gain more from processes of one thread each.
    """

    dataset: str
    metric: Metric
    longest: int
    model: str
    localizer: str | None
    device: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    threads: int | None = None

    def examiner(self) -> Examiner:
        """Models loaded and warm; ModelError with one sentence when that is not possible."""
        import torch

        from crop_core.bench.sweep.examiner import Examiner
        from crop_core.engine import CropEngine

        if self.threads:
            torch.set_num_threads(self.threads)
        engine = CropEngine.from_pretrained(self.model, self.localizer, self.device, self.dtype, quantize=self.quantize)
        return Examiner(engine.adapter, engine.localizer, self.dataset, self.metric, self.longest)
