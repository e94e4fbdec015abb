"""Savings by pruning at full size on one GPU: the published dimensions of LLaVA-1.5, LLaVA-NeXT and
Qwen2.5-VL with random weights, so that nothing is downloaded.

    python benchmarks/gpu.py                                            # all models, batch 1
    python benchmarks/gpu.py --models llava-next-7b --profile           # one model; where a prefill's time goes
    python benchmarks/gpu.py --models llava-next-7b --rounds 0 --batches --methods ilp plc crop  # the largest batches
    python benchmarks/gpu.py --tiny --device cpu --budget 30% --rounds 1 --out /tmp/gpu.json  # tests the script itself

Results are merged into gpu.json and gpu.md in benchmarks/results by model and section after every step, so that they
can be measured one by one in short sessions. Needs torch for the GPU, and the other packages of
requirements.txt; on a bare machine whose transformers is older than 5.18, install a newer one from a folder of wheels
first: pip install --no-deps --no-index --find-links wheels transformers

docs/full-size.md summarizes the results on an H200.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.full_size.model_benchmark import ModelBenchmark, Options
from benchmarks.full_size.models import LOCATOR, MODELS
from benchmarks.full_size.report import Results, report
from benchmarks.full_size.variants import LOCALIZERS, METHODS
from crop_core.measure.memory import free_memory
from crop_core.models import ModelError
from crop_core.prune.hooks import ATTENTIONS
from crop_core.records.config import Budget

DTYPES = ("bfloat16", "float16", "float32")
OUT = Path("benchmarks/results/gpu.json")
ANSWERING = tuple(name for name in MODELS if name != LOCATOR)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the arguments name; exit code 0, 1 if something was left out, 2 with a message for invalid input."""
    parsed = _parser().parse_args(arguments)
    try:
        options = _options(parsed, sys.argv[1:] if arguments is None else arguments)
        results = Results(parsed.out)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    completed = []
    for name in parsed.models:
        completed.append(_measure(name, parsed, options, results))
        free_memory()  # of the last model
    sys.stdout.write(report(results.data))
    return 0 if all(completed) else 1


def _measure(name: str, parsed: argparse.Namespace, options: Options, results: Results) -> bool:
    """Measure all requested sections of one model; whether all completed."""
    try:
        benchmark = ModelBenchmark(name, options, results)
    except (ValueError, RuntimeError) as error:
        sys.stderr.write(f"{name} cannot be built: {error}\n")
        return False
    sections = (
        (parsed.rounds, benchmark.runs),
        (parsed.questions, benchmark.questions),
        (parsed.profile, benchmark.profile),
        (parsed.batches, benchmark.batches),
    )
    completed = [benchmark.guarded(section) for requested, section in sections if requested]
    return all(completed)


def _options(parsed: argparse.Namespace, arguments: Sequence[str]) -> Options:
    """The checked options. Raises ModelError or ConfigError."""
    device = _device(parsed.device)
    dtype = parsed.dtype or ("bfloat16" if device.type == "cuda" else "float32")
    return Options(
        command=" ".join(["python benchmarks/gpu.py", *arguments]),
        device=device,
        dtype=getattr(torch, dtype),
        attn=parsed.attn,
        tiny=parsed.tiny,
        budget=Budget.parse(parsed.budget),
        methods=tuple(parsed.methods),
        localizers=tuple(parsed.localizers),
        rounds=parsed.rounds,
        max_batch=parsed.max_batch,
        compiled=parsed.compiled,
    )


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"The device {name!r} cannot be used here; give cuda with a GPU, else cpu.") from error
    return device


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/gpu.py",
        description="Savings by pruning at full size, with random weights, on one GPU; results are merged into --out.",
    )
    parser.add_argument(
        "--models", nargs="+", choices=ANSWERING, default=ANSWERING, metavar="NAME", help=_list(ANSWERING)
    )
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=tuple(METHODS), metavar="NAME", help=_list(METHODS)
    )
    parser.add_argument(
        "--localizers", nargs="+", choices=LOCALIZERS, default=tuple(LOCALIZERS), metavar="NAME", help=_list(LOCALIZERS)
    )
    parser.add_argument(
        "--budget", default="160", help='mean visual tokens per layer, or a share such as "11.1%%" (default: 160)'
    )
    parser.add_argument(
        "--rounds", type=_count, default=5, help="timed rounds after the warm-up; 0 skips these runs (default: 5)"
    )
    parser.add_argument("--device", help="cuda or cpu (default: cuda if available)")
    parser.add_argument("--dtype", choices=DTYPES, help="bfloat16, float16 or float32; bfloat16 on a GPU")
    parser.add_argument("--attn", choices=ATTENTIONS, default="sdpa", help="attention of all models (default: sdpa)")
    parser.add_argument(
        "--tiny", action="store_true", help="models of the same classes with a few thousand weights, to test the script"
    )
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="compile norms and MLPs; recorded as separate models",
    )
    parser.add_argument("--questions", action="store_true", help="also time one answer and one comparison of the app")
    parser.add_argument("--profile", action="store_true", help="also profile the prefills of none, ilp and crop")
    parser.add_argument(
        "--batches", action="store_true", help="also find the largest batch of every method, and its rates"
    )
    parser.add_argument("--max-batch", type=_count, default=256, help="largest batch to try (default: 256)")
    parser.add_argument(
        "--out", type=Path, default=OUT, help=f"JSON to merge into, a .md is written next to it (default: {OUT})"
    )
    return parser


def _list(names: Iterable[str]) -> str:
    return f"any of {', '.join(names)} (default: all)"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a count; give 0 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
