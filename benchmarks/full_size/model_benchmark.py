"""Benchmark of one model, section by section."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from benchmarks.full_size.batches import Batches, largest
from benchmarks.full_size.llm import Prefilled
from benchmarks.full_size.models import QUESTION, build, sample_image
from benchmarks.full_size.profiler import prefill_profile
from benchmarks.full_size.report import Results, with_ratios
from benchmarks.full_size.runs import Bench, alternate, facts, prepare, seconds_of_questions
from benchmarks.full_size.variants import BASELINE, FREE, NEW_TOKENS, Setting, Variant, localizer, variants
from crop_core.engine.run import Task
from crop_core.engine.session import Session
from crop_core.localize import Localizer
from crop_core.models import ModelError
from crop_core.models.decoder import compile_layers
from crop_core.records.config import Budget
from crop_core.records.environment import benchmark_environment
from crop_core.records.region import Region

PROFILED = (BASELINE, "ilp", "crop")


@dataclass(frozen=True)
class Options:
    """Options of the command line, the same for all models."""

    command: str
    device: torch.device
    dtype: torch.dtype
    attn: str
    tiny: bool
    budget: Budget
    methods: tuple[str, ...]
    localizers: tuple[str, ...]
    rounds: int
    max_batch: int
    compiled: bool = False


class ModelBenchmark:
    """A model with its weights; each section is written to the results as soon as part of it is measured."""

    def __init__(self, name: str, options: Options, results: Results) -> None:
        self.name, self.options, self.results = f"{name} compiled" if options.compiled else name, options, results
        self._start = perf_counter()
        self.log("random weights")
        self.adapter = build(name, options.device, options.dtype, options.attn, options.tiny)
        if options.compiled:
            compile_layers(self.adapter.stack.layers)
        self.image = sample_image(name, options.tiny)

    def log(self, text: str) -> None:
        """A line of progress."""
        sys.stderr.write(f"[{perf_counter() - self._start:6.1f} s] {self.name}: {text}\n")

    def runs(self) -> None:
        """Section "runs": every variant, from the image to the last token."""
        refused: dict[str, str] = {}
        benches = self._benches(refused)
        prepare(benches, self.log, refused)
        benches = [bench for bench in benches if bench.variant.name not in refused]

        def keep() -> None:
            results = with_ratios({bench.variant.name: bench.figures() for bench in benches})
            self._put(runs={"variants": results, "refused": refused}, facts=about)

        about = facts(self.adapter, benches[0].task)
        alternate(benches, self.options.rounds, self.log, keep)
        if refused:
            raise ModelError("left out: " + "; ".join(f"{name}: {why}" for name, why in refused.items()))

    def _benches(self, refused: dict[str, str]) -> list[Bench]:
        options, localizers = self.options, dict[str, Localizer]()
        setting = Setting(options.device, options.dtype, options.attn, options.tiny, self.image.size)
        benches = []
        for variant in self._variants(options.localizers):
            try:
                if variant.localizer not in localizers:
                    localizers[variant.localizer] = localizer(variant.localizer, self.adapter, setting)
                benches.append(Bench.of(variant, self.adapter, self.image, QUESTION, localizers[variant.localizer]))
            except ValueError as error:
                refused[variant.name] = str(error)
        return benches

    def _variants(self, localizers: Iterable[str]) -> list[Variant]:
        count = self.adapter.layout(self.image.size).count
        return variants(self.adapter, count, self.options.budget, self.options.methods, tuple(localizers))

    def _session(self) -> Session:
        return Session(self.adapter, self.image, QUESTION, NEW_TOKENS)

    def _tasks(self, session: Session) -> dict[str, Task]:
        """Tasks by method, without those that are not possible."""
        results = {}
        for variant in self._variants(["free"]):
            try:
                results[variant.method] = session.task(variant.config)
            except ValueError as error:
                self.log(f"left out: {variant.method}: {error}")
        return results

    def profile(self) -> None:
        """Section "profile": the prefills of PROFILED."""
        results: dict[str, Any] = {}
        session = self._session()
        for method, task in self._tasks(session).items():
            if method in PROFILED:
                results[method] = prefill_profile(Prefilled.of(task, session.encoded, self._region()))
                self.log(f"profile of {method}")
                self._put(profile={"variants": results})

    def questions(self) -> None:
        """Section "questions": seconds that one occupies a worker of the app."""
        self._put(questions={"asked": seconds_of_questions(self.adapter, self.image, self.options.budget)})
        self.log("questions")

    def batches(self) -> None:
        """Section "batches": the largest batch of every method, then rates at the smallest of these and at its own."""
        results: dict[str, Any] = {}
        session = self._session()
        tasks = self._tasks(session)
        searched = {method: Batches(task, session.encoded, self._region()) for method, task in tasks.items()}
        for method in tasks:
            results[method] = {"largest_batch": largest(searched[method].fits, self.options.max_batch)}
            self.log(f"largest batch of {method}: {results[method]['largest_batch']}")
            self._put(batches={"variants": results, "most": self.options.max_batch})
        common = min(own["largest_batch"] for own in results.values())
        for method, own in results.items():
            rates = [searched[method].rates(each) for each in sorted({common, own["largest_batch"]} - {0})]
            own["rates"] = [each for each in rates if each]
            self._put(batches={"variants": results, "most": self.options.max_batch})
            self.log(f"rates of {method}")

    def _region(self) -> Region:
        return Region(*FREE, *self.image.size)

    def _put(self, **sections: dict[str, Any]) -> None:
        """Write each section with its circumstances; "facts" has none."""
        measured = {
            name: section if name == "facts" else {"circumstances": self._circumstances(), **section}
            for name, section in sections.items()
        }
        self.results.put(self.name, **measured)

    def guarded(self, section: Callable[[], None]) -> bool:
        """Measure a section; whether it completed. An error is reported, and the next section runs."""
        try:
            section()
        except (ValueError, RuntimeError) as error:
            self.log(f"{section.__name__} ended: {type(error).__name__}: {error}")
            return False
        return True

    def _circumstances(self) -> dict[str, Any]:
        options = self.options
        cuda = options.device.type == "cuda"
        return {
            **benchmark_environment(
                options.command, str(options.device), str(options.dtype).removeprefix("torch."), ()
            ),
            "device_name": torch.cuda.get_device_name(options.device) if cuda else _processor_name(),
            "device_bytes": torch.cuda.get_device_properties(options.device).total_memory if cuda else None,
            "attention": options.attn,
            "tiny": options.tiny,
            "budget": str(options.budget),
        }


def _processor_name() -> str:
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
