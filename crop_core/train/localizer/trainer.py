"""Training loop: seeded batches, one update after another, saved so that a killed run can resume.

Teacher forcing on the answer's tokens alone: the prompt is the adapter's own, and the answer is spelled as a
GridLocalizer feeds it, so that training sees exactly what a localizer sees. Question by question: a batch is
accumulated. Knows nothing of how a run starts and what it leaves behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import get_cosine_schedule_with_warmup

from crop_core.io.images import ImageError
from crop_core.io.row_reader import Skipped
from crop_core.localize.decoding.answer_formats import BRACKETS
from crop_core.models import Adapter, PreparedInputs
from crop_core.train.localizer.data import Example, batches, fingerprint
from crop_core.train.localizer.lora import Lora
from crop_core.train.localizer.settings import Settings, TuneError


def spell(tokenizer: Any, grid: Sequence[int]) -> list[int]:
    """The T tokens of the answer with these four cells."""
    return list(tokenizer.encode(BRACKETS.say(grid), add_special_tokens=False))


def logits(adapter: Adapter, inputs: PreparedInputs, answer: Sequence[int]) -> torch.Tensor:
    """(T, V) logits before each of the T tokens of an answer, in one forward pass (teacher forcing).

    The image is encoded without gradients. The answer's positions count on from the prompt's, as generation does.
    """
    count = len(answer)
    ids = torch.tensor([list(answer)], device=inputs.input_ids.device)
    kwargs: dict[str, Any] = {
        name: F.pad(each, (0, count), value=adapter.written_type) for name, each in inputs.tokens.items()
    }
    if inputs.positions is not None:
        later = inputs.positions[..., -1:] + 1 + torch.arange(count, device=ids.device)
        kwargs["position_ids"] = torch.cat([inputs.positions, later], -1)
    out = adapter.model(
        input_ids=torch.cat([inputs.input_ids, ids], 1),
        mm_encoder_outputs={"image": adapter.encode(inputs)},
        use_cache=False,
        logits_to_keep=count + 1,
        **kwargs,
    )
    return out.logits[0, :-1]


def saved_steps(file: Path) -> int:
    """Steps of a run that its state file holds; 0 without one."""
    return len(_state(file)["losses"]) if file.exists() else 0


def _state(file: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises various errors for other files
        raise TuneError(f"'{file}' holds no state of a training run; delete it to begin again.") from error
    return state


CLIP = 1.0  # maximum norm of a gradient


@dataclass
class Trainer:
    """Trains `lora` on `examples` and saves its state in `file`, from which it resumes if that exists.

    losses: of every step so far, nats per token of the answer. Raises TuneError for a file of other settings or data.
    """

    adapter: Adapter
    lora: Lora
    examples: Sequence[Example]
    settings: Settings
    file: Path
    skipped: Skipped = field(default_factory=Skipped)
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = self.settings.updates(len(self.examples))
        self._parameters = self.lora.parameters
        self._optimizer = torch.optim.AdamW(self._parameters.values(), lr=self.settings.rate, weight_decay=0.0)
        warmup = round(self.settings.warmup * self.steps)
        self._schedule = get_cosine_schedule_with_warmup(self._optimizer, warmup, self.steps)
        model = str(self.adapter.folder or self.adapter.name)
        self._bound = {**self.settings.bound(), "model": model, "data": fingerprint(self.examples)}
        if self.file.exists():
            self._load()

    @property
    def step(self) -> int:
        """Number of finished updates."""
        return len(self.losses)

    def run(self, evaluate: Callable[[], str] | None = None) -> None:
        """Run every remaining step. evaluate: called every `eval_every` steps; its text is shown on stderr.

        Raises TuneError for a loss that is not finite and for too little memory; the last saved state stays.
        """
        self.lora.train()
        with tqdm(total=self.steps, initial=self.step, desc="training", mininterval=5) as bar:
            while self.step < self.steps:
                self._update()
                bar.set_postfix(loss=f"{self.losses[-1]:.3f}", refresh=False)
                bar.update()
                if self._due(self.settings.save_every) or self.step == self.steps:
                    self._save()
                if evaluate is not None and self._due(self.settings.eval_every):
                    self.lora.train(False)
                    bar.write(f"step {self.step}: {evaluate()}", file=bar.fp)
                    self.lora.train()
        self.lora.train(False)

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _update(self) -> None:
        """Run one step. It seeds the dropout, so that a resumed run samples the same."""
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)
        batch = batches(len(self.examples), self.settings.batch, self.step, self.settings.seed)
        try:
            loss = sum(self._learn(self.examples[index]) for index in batch) / len(batch)
        except torch.OutOfMemoryError as error:
            raise TuneError(
                f"{self.adapter.name} does not fit into the memory of {self.adapter.device} while it is trained: use "
                "--checkpointing, or a smaller model."
            ) from error
        if not math.isfinite(loss):
            raise TuneError(
                f"The loss of step {self.step + 1} is {loss}: begin again with a lower --rate than "
                f"{self.settings.rate:g}, or with --dtype float32."
            )
        nn.utils.clip_grad_norm_(self._parameters.values(), CLIP)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.losses.append(loss)

    def _learn(self, example: Example) -> float:
        """Add one question's gradient; return its loss, 0 for an image that cannot be read."""
        try:
            image = example.open()
        except ImageError as error:
            self.skipped.add(str(example.image), error)
            return 0.0
        answer = spell(self.adapter.tokenizer, example.grid)
        inputs = self.adapter.prepare(image, BRACKETS.ask(example.question))
        predicted = logits(self.adapter, inputs, answer).float()
        loss = F.cross_entropy(predicted, torch.tensor(answer, device=predicted.device))
        (loss / self.settings.batch).backward()
        return float(loss.detach())

    def _save(self) -> None:
        """Save the state atomically."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        state = {
            "bound": self._bound,
            "losses": self.losses,
            "lora": {name: each.detach().cpu() for name, each in self._parameters.items()},
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        torch.save(state, part)
        part.replace(self.file)

    def _load(self) -> None:
        state = _state(self.file)
        for name, value in self._bound.items():
            if state["bound"][name] != value:
                raise TuneError(
                    f"'{self.file}' was begun with {name} {state['bound'][name]}, not {value}: go on with that, or "
                    "delete it to begin again."
                )
        self.losses = state["losses"]
        self.lora.load(state["lora"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
