"""Training loop of both stages: optimizers, learning rate, progress bar, resumable checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

Stats = dict[str, float]


class TrainingRun:
    """`steps` updates of `modules` by `loss(step) -> (loss, stats)`, saved to `file` every `save_every` steps.

    muon: whether Muon trains the matrices, instead of AdamW.
    """

    def __init__(
        self,
        modules: nn.ModuleDict,
        file: Path,
        steps: int,
        rate: float,
        warmup: int = 60,
        save_every: int = 100,
        muon: bool = True,
    ):
        self.modules, self.file, self.steps, self.rate = modules, file, steps, rate
        self.warmup, self.save_every = warmup, save_every
        named = [(name, p) for name, p in modules.named_parameters() if p.requires_grad]
        matrices = [
            p
            for name, p in named
            if muon and p.ndim == 2 and not any(k in name for k in ("embed", "lm_head", "heads."))
        ]
        taken = {id(p) for p in matrices}
        others = [p for _, p in named if id(p) not in taken]
        self.parameters = matrices + others
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
        ]
        if matrices:
            options: dict[str, Any] = {"weight_decay": 0.02, "momentum": 0.95, "ns_steps": 4}
            self.optimizers.insert(0, torch.optim.Muon(matrices, lr=rate, adjust_lr_fn="match_rms_adamw", **options))
        self.step = 0
        if file.exists():
            self._load()

    def _load(self) -> None:
        state = torch.load(self.file, map_location="cpu", weights_only=True)
        self.modules.load_state_dict(state["modules"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step = state["step"]

    def save(self) -> None:
        """Save atomically everything needed to resume, on any device."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "modules": self.modules.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
        }
        torch.save(_on_cpu(state), self.file.with_suffix(".part"))
        self.file.with_suffix(".part").replace(self.file)

    @property
    def done(self) -> float:
        """Share of the steps that are done."""
        return self.step / self.steps

    def _learning_rate(self) -> float:
        return (
            self.rate * min(1.0, (self.step + 1) / self.warmup) * max(0.02, 0.5 * (1 + math.cos(math.pi * self.done)))
        )

    def train(self, loss: Callable[[int], tuple[Tensor, Stats]], until: int | None = None) -> Stats:
        """Train to step `until` (the end if None); return the stats, averaged over about the last twenty steps."""
        mean: Stats = {}
        end = min(self.steps, until or self.steps)
        bar = tqdm(range(self.step, end), initial=self.step, total=self.steps, desc=self.file.stem, mininterval=10)
        for _ in bar:
            value, stats = loss(self.step)
            value.backward()
            nn.utils.clip_grad_norm_(self.parameters, 1.0)
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self._learning_rate()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            self.step += 1
            mean = {name: 0.95 * mean.get(name, number) + 0.05 * number for name, number in stats.items()}
            bar.set_postfix({name: f"{number:.3f}" for name, number in mean.items()}, refresh=False)
            if self.step % self.save_every == 0 or self.step == end:
                self.save()
        return mean


def _on_cpu(state: Any) -> Any:
    """The state with its tensors on the CPU."""
    if isinstance(state, dict):
        return {key: _on_cpu(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_on_cpu(value) for value in state]
    return state.cpu() if isinstance(state, Tensor) else state
