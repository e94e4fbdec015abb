"""Proofs that pruning is exact with one's own weights on one's own machine.

A proof compares the engine with transformers' own `generate`, or with the masking oracle, and says how far they were
apart and how far they may be. Knows nothing of how its results are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from functools import cached_property, partial
from typing import Any, NamedTuple, cast

import torch
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.engine.run import Run, Task
from crop_core.engine.session import Session, watches
from crop_core.evaluate.oracle import Masked, dropped_by, hidden_by, plain_inputs, run
from crop_core.measure.timing import now
from crop_core.models import ModelError
from crop_core.models.base_adapter import BaseAdapter
from crop_core.records.check import FAILED, NOT_APPLICABLE, PASSED, Proof
from crop_core.records.config import Budget, CropConfig, IlpConfig
from crop_core.records.methods import BASELINE, METHODS
from crop_core.records.region import Region
from crop_core.train.world.scenes import make_scene

SCENE, QUESTION = 11, "what price does the milk have?"  # a drawn price list, 248 x 336 pixels
STEPS = 8  # tokens that are compared
TOLERANCE = {torch.float16: 1e-2, torch.bfloat16: 5e-2}  # of the largest logit, or of 1 where that is more
TOLERANCE_FLOAT32 = 1e-4
ROUNDING = 1e-6  # tokens


class NotApplicableError(Exception):
    """A proof that this model, or its settings, leave nothing to prove for; the message is the reason."""


class Outcome(NamedTuple):
    """What a proof measured; not a number makes it fail."""

    measured: float
    tolerance: float
    detail: str
    passed: bool | None = None  # None: measured <= tolerance


def sample_image() -> Image.Image:
    """The drawn image that is asked about where no other is given; QUESTION suits it."""
    return make_scene(SCENE, held_out=True).image


class Proofs:
    """The proofs for one loaded engine, an RGB image and a question."""

    def __init__(self, engine: CropEngine, image: Image.Image, question: str) -> None:
        self.engine, self.adapter = engine, engine.adapter
        self.image, self.question = image, question
        self.region = Region(2, 2, 5, 5, *image.size)
        self.session = Session(self.adapter, image, question, STEPS)

    def run(self, done: Collection[str] = ()) -> Iterator[Proof]:
        """Every proof but those that are done, by name; one that fails does not keep the others from running."""
        parts: dict[str, Callable[[], Outcome]] = {
            "checkpoint": self._checkpoint,
            "visual tokens": self._visual_tokens,
            "prompt": self._prompt,
            "baseline": self._baseline,
            "pruning": partial(self._pruning, evict=False),
            "pruning with eviction": partial(self._pruning, evict=True),
            "dropping": self._dropping,
            **{f"method {name}": partial(self._method, name) for name in METHODS if name != BASELINE},
            "localizer": self._localizer,
        }
        for name, prove in parts.items():
            if name in done:
                continue
            start = now(self.adapter.device)
            status, outcome = _proved(prove)
            measured, tolerance = (_finite(value) for value in outcome[:2])
            yield Proof(name, status, measured, tolerance, now(self.adapter.device) - start, outcome.detail)

    def _checkpoint(self) -> Outcome:
        """Loading has refused files and tensors that are missing; numbers that are none are found here."""
        weights = [each for each in self.adapter.model.parameters() if not each.is_meta]
        broken = sum(not bool(torch.isfinite(each).all()) for each in weights)
        return Outcome(broken, 0, f"tensors, of {len(weights)}, with values that are not finite")

    def _visual_tokens(self) -> Outcome:
        encoded, layout = self.session.encoded, self.adapter.layout(self.image.size)
        counts = layout.count, int(encoded.prepared.visual.sum()), len(encoded.features.pooler_output[0])
        detail = "tokens apart: layout {}, placeholders {}, features {}".format(*counts)
        return Outcome(max(counts) - min(counts), 0, detail)

    @cached_property
    def _processed(self) -> dict[str, Any]:
        """What the checkpoint's own processor makes of image and question, on the model's device."""
        processor = cast(BaseAdapter, self.adapter).processor
        if processor.chat_template:
            content = [{"type": "image", "image": self.image}, {"type": "text", "text": self.question}]
            turns = [{"role": "user", "content": content}]
            how = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
            inputs = processor.apply_chat_template(turns, **how)
        else:
            text = self.adapter.prompt(self.question)
            inputs = processor(images=[self.image], text=[text], return_tensors="pt")
        return {key: self._here(value) for key, value in inputs.items()}

    def _here(self, value: torch.Tensor) -> torch.Tensor:
        return value.to(self.adapter.device, self.adapter.dtype if value.is_floating_point() else None)

    def _prompt(self) -> Outcome:
        """The engine's prompt against the processor's, id by id."""
        own, other = self.session.encoded.prepared.input_ids[0].tolist(), self._processed["input_ids"][0].tolist()
        unlike = sum(a != b for a, b in zip(own, other, strict=False)) + abs(len(own) - len(other))
        begin = self.adapter.tokenizer.bos_token_id
        doubled = begin is not None and own[:2] == [begin] * 2
        detail = f"ids unlike the processor's, of {len(own)} and {len(other)}"
        return Outcome(unlike, 0, detail + "; begins with two BOS tokens" * doubled, not (unlike or doubled))

    def _baseline(self) -> Outcome:
        """The engine with nothing pruned against `model.generate` with the processor's inputs."""
        plain = run(self.adapter.model, self._processed, STEPS)
        ids = plain.sequences[0, self._processed["input_ids"].shape[1] :].tolist()
        own, logits = self.session.baseline.generated.ids, plain.logits[0].float()
        apart, same = _apart(_logits(self.session.baseline)[:1], logits), own == ids
        detail = f"first-token logits; {'the same' if same else 'other'} ids ({len(own)} and {len(ids)})"
        tolerance = self._tolerance(logits)
        return Outcome(apart, tolerance, detail, apart <= tolerance and (same or self.adapter.dtype in TOLERANCE))

    def _pruning(self, evict: bool) -> Outcome:
        """ILP's cuts in the engine against masking the same tokens from the same layers on."""
        task = self.session.task(CropConfig(method="ilp", budget=None, ilp=IlpConfig(evict=evict)))
        pruned = self.session.run(task, self.region, forced=self._forced)
        hidden = hidden_by(pruned.traces[0].steps, self._visual)
        if not hidden:
            raise NotApplicableError("the model has no decoder layer that can be cut")
        cuts = ", ".join(f"{len(step.kept)} from layer {step.layer}" for step in pruned.traces[0].steps)
        return self._equals_masking(pruned, hidden, hidden[max(hidden)] if evict else None, f"kept {cuts}")

    def _dropping(self) -> Outcome:
        """Half of the visual tokens dropped before the LLM against masking them everywhere."""
        task = self.session.task(CropConfig(method="random", budget=Budget(share=0.5)))
        dropped = self.session.run(task, self.region, forced=self._forced)
        trace = dropped.traces[0]
        return self._equals_masking(
            dropped, dropped_by(trace, self._visual), None, f"kept {trace.input_tokens} of {trace.visual_tokens}"
        )

    @cached_property
    def _forced(self) -> list[int]:
        """Tokens of the question again and again, as an answer that no end token cuts short."""
        ids = self.adapter.tokenizer.encode(self.question, add_special_tokens=False)
        return (ids * STEPS)[:STEPS]

    @property
    def _visual(self) -> torch.Tensor:
        return self.session.encoded.prepared.visual

    def _equals_masking(
        self, own: Run, hidden: dict[int, torch.Tensor], later: torch.Tensor | None, what: str
    ) -> Outcome:
        """Logits of a run that was forced against those of the oracle, which is forced to write the same tokens."""
        if self.adapter.stack.attention not in ("sdpa", "eager"):
            raise NotApplicableError(f"{self.adapter.stack.attention} takes no mask; check again with --attention sdpa")
        forced = torch.tensor([own.generated.ids], device=self.adapter.device)
        with Masked(self.adapter.model, hidden, later):
            out = run(self.adapter.model, plain_inputs(self.session.encoded.prepared), forced.shape[1], forced)
        masked = torch.cat(out.logits).float()  # (T, V)
        if len(masked) != len(own.generated.ids):
            return Outcome(math.nan, math.nan, f"the oracle stopped after {len(masked)} of {forced.shape[1]} tokens")
        apart, tolerance = _apart(_logits(own), masked), self._tolerance(masked)
        moved = _apart(_logits(own)[:1], _logits(self.session.baseline)[:1])
        if apart <= tolerance and not moved > tolerance:
            raise NotApplicableError(
                f"logits move by {moved:.2g} and may be off by {tolerance:.2g}, so this proves nothing; use --dtype "
                "float32 or --image"
            )
        first = _apart(_logits(own)[:1], masked[:1])
        return Outcome(
            apart, tolerance, f"logits of {len(masked)} tokens ({first:.2g} at prefill); {what}; moved by {moved:.2g}"
        )

    @cached_property
    def _pair(self) -> Session:
        """Image and a smaller copy of it, or the image alone where both are too long for the model."""
        configs = [CropConfig(method=name) for name in METHODS]
        images = [self.image, self.image.resize([max(1, side // 2) for side in self.image.size])]
        try:
            self.adapter.prepare(images, self.question)
        except ModelError:
            images.pop()
        return Session(self.adapter, images, self.question, 2, watches(configs, self.adapter))

    def _method(self, name: str) -> Outcome:
        """One method at a share of the tokens that leaves room for the layers which must stay whole."""
        whole = self.adapter.stack.first_prunable / self.adapter.layers
        config = CropConfig(method=name, budget=Budget(share=1 / 3 if whole < 0.2 else 0.75))
        task = self._task(config)
        images = cast("tuple[Image.Image, ...]", task.images)
        ran = self._pair.run(task, [Region(2, 2, 5, 5, *image.size) for image in images])
        budget, fewest = task.counts.mean or 0.0, min(trace.final_tokens for trace in ran.traces)
        total, many = sum(task.counts.visual), "1 image" if len(images) == 1 else f"{len(images)} images"
        detail = f"mean tokens per layer, of {total} in {many}; {fewest} left at the end in an image"
        return Outcome(ran.mean_tokens, budget, detail, ran.mean_tokens <= budget + ROUNDING and fewest >= 1)

    def _task(self, config: CropConfig) -> Task:
        try:
            return self._pair.task(config)
        except ValueError as error:  # before anything runs: the model lacks what the method needs
            raise NotApplicableError(str(error)) from None

    def _localizer(self) -> Outcome:
        """Region refuses cells off its grid; a region that holds no token of the image would prune by nothing."""
        if self.engine.localizer is None:
            raise NotApplicableError("no localizer is loaded")
        region = self.engine.localize(self.image, self.question)
        inside = int(region.mask(self.adapter.layout(self.image.size).boxes).sum())
        valid = inside > 0 and (region.width, region.height) == self.image.size
        detail = f"visual tokens in the grid cells {list(region.grid)} ({region.source}); at least 1"
        return Outcome(inside, math.nan, detail, valid)

    def _tolerance(self, logits: torch.Tensor) -> float:
        share = TOLERANCE.get(self.adapter.dtype, TOLERANCE_FLOAT32)
        return share * max(1.0, float(logits.abs().max()))


def _proved(prove: Callable[[], Outcome]) -> tuple[str, Outcome]:
    """Status and outcome; an error is a proof that failed, with the error's first line."""
    try:
        outcome = prove()
    except NotApplicableError as reason:
        return NOT_APPLICABLE, Outcome(math.nan, math.nan, str(reason))
    except Exception as error:
        message = (str(error).strip() or "no message").splitlines()[0]
        return FAILED, Outcome(math.nan, math.nan, f"{type(error).__name__}: {message}")
    passed = outcome.measured <= outcome.tolerance if outcome.passed is None else outcome.passed
    return (PASSED if passed else FAILED), outcome


def _logits(run: Run) -> torch.Tensor:
    """(T, V) of a run that has kept them."""
    return cast(torch.Tensor, run.generated.logits)


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference of two arrays of logits."""
    return float((one - other).abs().max())


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
