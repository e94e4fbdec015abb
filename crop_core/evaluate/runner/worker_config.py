"""What every worker of a sweep loads; torch is imported when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Metric

if TYPE_CHECKING:
    from crop_core.evaluate.runner.trial_runner import TrialRunner


@dataclass(frozen=True)
class WorkerConfig:
    """What every worker loads. model to quantize: as in `CropEngine.from_pretrained`, None for its default, but
    localizer None for none. dataset, metric, max_new_tokens and short_answer: of the `Dataset`. threads: of torch, None
    for its default; small models on a CPU gain more from processes of one thread each. localizers: further ones.
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
    short_answer: bool = False
    localizers: tuple[str, ...] = ()

    def trial_runner(self) -> TrialRunner:
        """Load and warm up the models; ModelError with one sentence when that is not possible."""
        import torch

        from crop_core.engine.engine import CropEngine
        from crop_core.evaluate.runner.trial_runner import TrialRunner
        from crop_core.localize import localizer_called

        if self.threads:
            torch.set_num_threads(self.threads)
        engine = CropEngine.from_pretrained(self.model, self.localizer, self.device, self.dtype, quantize=self.quantize)
        data = (self.dataset, self.metric, self.max_new_tokens, self.short_answer)
        placed = {"device": self.device, "dtype": self.dtype, "quantize": self.quantize}
        others = {name: localizer_called(name, engine.adapter, **placed) for name in self.localizers}
        return TrialRunner(engine.adapter, engine.localizer, *data, {k: v for k, v in others.items() if v is not None})
