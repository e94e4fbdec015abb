"""Batch 1, from the image to the last token: alternating rounds over all variants, and a separate run for memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

import torch
from PIL import Image

from benchmarks.full_size import variants
from benchmarks.full_size.models import QUESTION
from benchmarks.full_size.variants import Variant
from crop_core.engine.engine import CropEngine
from crop_core.engine.run import Run, Task
from crop_core.localize import LocalizationResult, Localizer, SelfLocalizer
from crop_core.measure.flops import prefill_flops
from crop_core.measure.memory import peak_meter, weights_bytes
from crop_core.models import Adapter, ModelError
from crop_core.records.config import Budget, CropConfig

TIMES = ("ttft_s", "total_s", "localizer_s", "encode_s", "compression_s", "scoring_s", "prefill_s", "decode_s")
RATE = "decode_tokens_per_s"
Figures = dict[str, Any]
Tell = Callable[[str], None]


@dataclass
class Bench:
    """One variant of one model, asked one question about one image."""

    variant: Variant
    task: Task
    localizer: Localizer

    @classmethod
    def of(cls, variant: Variant, adapter: Adapter, image: Image.Image, question: str, localizer: Localizer) -> Bench:
        """Raises ConfigError for a budget that the method cannot meet on this model."""
        return cls(variant, Task(adapter, image, question, variant.config), localizer)

    def __post_init__(self) -> None:
        self.rounds: list[dict[str, float]] = []
        self.once: Figures = {}

    def answer(self, keep_logits: bool = False) -> tuple[Run, LocalizationResult, float]:
        """Run the localizer, then the model; returns both results and the localizer's seconds."""
        localized = self.task.localize([self.localizer])
        run = self.task.crop(localized.regions, localized, keep_logits=keep_logits)
        return run, localized.results[0], localized.seconds

    def warm_up(self) -> None:
        """An untimed first run: constants of every run, and a check that the logits are finite."""
        run, finding, _ = self.answer(keep_logits=True)
        assert run.generated.logits is not None  # noqa: S101  keep_logits was set
        if not bool(run.generated.logits.isfinite().all()):
            raise ModelError(
                f"{self.task.adapter.name} with {self.variant.name} has logits that are not finite in "
                f"{self.task.adapter.dtype}; its times would mean nothing."
            )
        self.once.update(constants(self.task, run), localizer_flops=finding.flops, region=list(finding.region.grid))
        self.once["localizer_weights_bytes"] = self.localizer.weights_bytes

    def measure_peak(self) -> None:
        """Peak bytes above the weights, localizer included."""
        meter, self.once["peak_method"] = peak_meter(self.task.adapter.device)
        with meter:
            self.answer()
        self.once["peak_bytes"] = meter.peak

    def repeat(self) -> None:
        """One timed round."""
        run, _, localizer_s = self.answer()
        stages = {name: run.stages.get(name.removesuffix("_s"), 0.0) for name in TIMES}
        whole = {
            "ttft_s": localizer_s + run.ttft_s,
            "total_s": localizer_s + run.total_s,
            "localizer_s": localizer_s,
            RATE: (len(run.generated.ids) - 1) / run.stages["decode"],
        }
        self.rounds.append({**stages, **whole})

    def figures(self) -> Figures:
        """Median, minimum and maximum of every timed figure, and the constants."""
        columns = {name: [each[name] for each in self.rounds] for name in (*TIMES, RATE)}
        timed = {name: spread(own) for name, own in columns.items()}
        names = {"method": self.variant.method, "localizer": self.variant.localizer}
        return {**names, "rounds": len(self.rounds), **timed, **self.once}


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, minimum and maximum."""
    return {"median": median(seconds), "min": min(seconds), "max": max(seconds)}


def constants(task: Task, run: Run) -> Figures:
    """Figures that are the same in every run of a task. prefill_flops: of the LLM alone, scoring not included."""
    (trace,) = run.traces
    text = text_tokens(task)
    lengths = [text + int(alive) for alive in trace.alive_counts]
    return {
        "new_tokens": len(run.generated.ids),
        "input_tokens": trace.input_tokens,
        "mean_tokens": trace.mean_tokens,
        "final_tokens": trace.final_tokens,
        "cuts": [[step.layer, len(step.kept)] for step in trace.steps],
        "kv_bytes": run.generated.kv_bytes,
        "flops": run.flops,
        "prefill_flops": prefill_flops(task.adapter.model.config, lengths),
    }


def text_tokens(task: Task) -> int:
    """Text tokens of the prompt."""
    prepared = task.adapter.prepare(task.images, task.question)
    return int((~prepared.visual).sum())


def facts(adapter: Adapter, task: Task) -> Figures:
    """Properties of the model and its question, common to all variants."""
    return {
        "image": list(task.layouts[0].image_size),
        "visual_tokens": task.layouts[0].count,
        "text_tokens": text_tokens(task),
        "layers": adapter.layers,
        "parameters": sum(each.numel() for each in adapter.model.parameters()),
        "weights_bytes": weights_bytes(adapter.model),
    }


@torch.inference_mode()
def prepare(benches: Sequence[Bench], tell: Tell, refused: dict[str, str]) -> None:
    """Warm up all variants, then measure the peak of each; errors are put into `refused`, except those of the
    first one, the baseline, which are raised.
    """
    for step in (Bench.warm_up, Bench.measure_peak):
        for bench in benches:
            if bench.variant.name in refused:
                continue
            try:
                step(bench)
            except (ValueError, RuntimeError) as error:
                if bench is benches[0]:
                    raise
                refused[bench.variant.name] = f"{type(error).__name__}: {error}"
        tell(step.__name__.replace("_", " "))


@torch.inference_mode()
def alternate(benches: Sequence[Bench], rounds: int, tell: Tell, keep: Callable[[], None]) -> None:
    """Timed rounds, each over all variants, starting with a different one; `keep` is called after every round."""
    for number in range(rounds):
        start = number % len(benches)
        for bench in [*benches[start:], *benches[:start]]:
            bench.repeat()
        keep()
        tell(f"round {number + 1} of {rounds}")


REPEATS = 3


def seconds_of_questions(adapter: Adapter, image: Image.Image, budget: Budget) -> dict[str, Any]:
    """{entry of the engine: median, minimum and maximum seconds}, after a warm-up; CROP with the model as
    its own localizer, and answers of variants.NEW_TOKENS tokens.

    A comparison runs baseline and CROP several times: for times, peaks, and the probability of each other's answer.
    """
    engine = CropEngine(adapter, SelfLocalizer(adapter))
    config = CropConfig("crop", budget, max_new_tokens=variants.NEW_TOKENS, repeats=2)
    entries: dict[str, Callable[..., object]] = {"compare": engine.compare, "answer": engine.answer}
    return {name: spread(_seconds(partial(ask, image, QUESTION, config))) for name, ask in entries.items()}


def _seconds(ask: Callable[[], object]) -> list[float]:
    starts = []
    for _ in range(REPEATS + 2):
        starts.append(perf_counter())
        ask()
    return [end - start for start, end in pairwise(starts[1:])]
