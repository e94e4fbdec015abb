"""`bench` of the command line: run methods at budgets over a dataset, record every answer, write a report. Errors as in
main.py.

torch is imported only once the methods, budgets and seeds make sense.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crop_core.cli.options import add_boxes_option, add_model_options, repeatable_localizer
from crop_core.evaluate.datasets.registry import dataset, dataset_names
from crop_core.evaluate.metrics.registry import METRICS
from crop_core.evaluate.runner import plan, store
from crop_core.evaluate.runner.plan import Trial
from crop_core.evaluate.runner.pool import pool_of
from crop_core.evaluate.runner.run import sweep
from crop_core.evaluate.runner.work import Pool, Skipped, SweepError
from crop_core.evaluate.runner.worker_config import WorkerConfig
from crop_core.io import row_reader
from crop_core.records.config import CropConfig
from crop_core.records.localizers import AUTO, NONE, SELF
from crop_core.records.methods import method_of

if TYPE_CHECKING:
    from crop_core.evaluate.datasets.protocol import Dataset

ABOUT = """Answers every question of a dataset by every method at every budget, as the baseline and without the image,
and reports how much each method keeps. Needs pandas, pyarrow and scipy. Answers are recorded: the same command resumes
where it was stopped, and other methods, budgets and seeds may be added to the same --out."""
EXAMPLE = """examples:
  python -m crop_core bench                                            # the bundled world and model, every method
  python -m crop_core bench --methods crop,plc+fastv,random --budgets 128,25% --seeds 0,1,2 --limit 100
  python -m crop_core bench --localizers crop-tiny-locator,self,text --limit 100  # where each looks, at which cost
  python -m crop_core bench files --path my-questions --model llava-hf/llava-1.5-7b-hf --metric contains
"""


def add_command(commands: Any) -> None:
    """The command `bench`, on the subparsers of the command line."""
    parser = commands.add_parser(
        "bench",
        help="measure methods at budgets over a dataset",
        description=ABOUT,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _data_arguments(parser)
    _plan_arguments(parser)
    _engine_arguments(parser)
    parser.set_defaults(run=_bench)


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    names = f"one of {', '.join(dataset_names())} (default: world)"
    parser.add_argument("dataset", metavar="DATASET", nargs="?", default="world", help=names)
    parser.add_argument("--path", metavar="P", type=Path, help="its folder or file on this machine")
    parser.add_argument("--images", metavar="FOLDER", type=Path, help="its images (default: beside --path)")
    parser.add_argument("--split", metavar="NAME", help="part of it (default: the usual one)")
    metric = f"how answers are scored: {', '.join(METRICS)} (default: the dataset's metric)"
    parser.add_argument("--metric", metavar="NAME", help=metric)
    no_score = "keep the replies alone, for questions without answers, in the benchmark's own format"
    parser.add_argument("--no-score", dest="score", action="store_false", help=no_score)
    add_boxes_option(parser)
    parser.add_argument("--limit", metavar="N", type=int, help="at most N questions")
    longest = "tokens of an answer at most (default: the dataset's)"
    parser.add_argument("--max-new-tokens", metavar="N", type=int, help=longest)
    short = "ask for short answers, as the model's family is evaluated (default: as the dataset's evaluation does)"
    parser.add_argument("--short-answer", action=argparse.BooleanOptionalAction, default=None, help=short)
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="records and report (default: runs/DATASET)")


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    methods = "comma-separated names, two joined as in plc+fastv, all, or all,-dart: all but that (default: all)"
    budgets = "mean visual tokens per layer or shares of all, such as 64,25%% (default: 192,128,64)"
    seeds = "of methods that sample at random, such as 0,1,2 (default: 0)"
    compared = "comma-separated localizers, as --localizer names them: CROP by the regions of each, the first of which"
    compared += " is --localizer's, beside random regions and the whole image (methods then default to crop)"
    parser.add_argument("--methods", metavar="NAMES", help=methods)
    parser.add_argument("--localizers", metavar="NAMES", help=compared)
    parser.add_argument("--budgets", metavar="LIST", default=",".join(plan.BUDGETS), help=budgets)
    parser.add_argument("--seeds", metavar="LIST", default="0", help=seeds)


def _engine_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser, SELF)
    workers = "processes, with one thread each if more than one (default: 1)"
    parser.add_argument("--workers", metavar="N", type=int, default=1, help=workers)
    ray = "on Ray, one worker a GPU: a cluster of this machine's, or the one at ADDRESS"
    parser.add_argument("--ray", metavar="ADDRESS", nargs="?", const="", help=ray)


def _bench(arguments: argparse.Namespace) -> None:
    """Cheap checks first, as in `ask`."""
    trials = _trials(arguments)
    if arguments.workers < 1:
        raise SweepError(f"--workers is {arguments.workers}, and must be at least 1.")
    _check_localizer(arguments.localizer, trials)
    store.check_installed()
    data = _dataset(arguments)
    folder = arguments.out or Path("runs") / data.name
    config, identity = _worker_config(arguments, data, trials)
    store.claim(folder, identity)
    try:
        skipped = sweep(config, data.examples, trials, folder, _pool(arguments), _session(arguments, identity))
    except KeyboardInterrupt:
        message = f"Interrupted; what was answered is in '{folder}', and the same command goes on from there."
        raise KeyboardInterrupt(message) from None
    _print_skipped(skipped)
    from crop_core.evaluate.outcome import write_outcome
    from crop_core.evaluate.submission import write_replies

    write = write_outcome if data.scored else write_replies
    print(write(folder, data, trials, skipped))


def _trials(arguments: argparse.Namespace) -> list[Trial]:
    """Of the methods, and of the localizers to compare, the first of which becomes --localizer."""
    compared = None if arguments.localizers is None else _list(arguments.localizers)
    methods = arguments.methods or (plan.EVERY if compared is None else plan.ABLATED.method)
    trials = plan.trials(_list(methods), _list(arguments.budgets), _seeds(arguments.seeds))
    if compared is None:
        return trials
    names = list(dict.fromkeys([arguments.localizer, *compared] if arguments.localizer else compared))
    if not names:
        raise SweepError("--localizers names none; give some, such as self,text.")
    arguments.localizer = names[0]
    return list(dict.fromkeys([*trials, *plan.localizer_trials(names, _list(arguments.budgets))]))


def _check_localizer(name: str | None, trials: Sequence[Trial]) -> None:
    """SweepError for methods that need a region that no localizer is there to predict."""
    if name == NONE and plan.needs_localizer(trials):
        methods = dict.fromkeys(each.method for each in trials if method_of(each.method).needs_region)
        raise SweepError(
            f"--localizer none predicts no region, which {', '.join(methods)} need; leave these out of --methods, or "
            "choose another localizer."
        )


def _dataset(arguments: argparse.Namespace) -> Dataset:
    names = ("limit", "split", "images", "metric", "boxes", "score")
    data = dataset(arguments.dataset, arguments.path, **{name: getattr(arguments, name) for name in names})
    if data.taken:
        print(f"crop_core: {data.taken}", file=sys.stderr)
    if data.skipped:
        print(f"crop_core: of the questions, {data.skipped}.", file=sys.stderr)
    longest = CropConfig(max_new_tokens=arguments.max_new_tokens).max_new_tokens or data.max_new_tokens
    short = data.short_answer if arguments.short_answer is None else arguments.short_answer
    return replace(data, max_new_tokens=longest, short_answer=short)


def _worker_config(
    arguments: argparse.Namespace, data: Dataset, trials: Sequence[Trial]
) -> tuple[WorkerConfig, dict[str, Any]]:
    """What workers load, and the identity that all sessions of one folder share."""
    from crop_core.localize.self_attention.profiles import profiles_digest
    from crop_core.models import DEFAULT_MODEL

    model = arguments.model or DEFAULT_MODEL
    localizer = repeatable_localizer(arguments)
    loaded = localizer if plan.needs_localizer(trials) else None
    threads = 1 if arguments.workers > 1 else None
    options = {name: getattr(arguments, name) for name in ("device", "dtype", "quantize")}
    others = plan.localizer_names(trials)
    options |= {"threads": threads, "short_answer": data.short_answer, "localizers": others}
    config = WorkerConfig(data.name, data.metric, data.max_new_tokens, model, loaded, **options)
    paths = {name: str(each.resolve()) if (each := getattr(arguments, name)) else None for name in ("path", "images")}
    identity = {"model": model, "localizer": localizer, "dataset": data.name, **paths, "split": arguments.split}
    identity["boxes"] = arguments.boxes
    read = {loaded, *others, *(trial.region for trial in trials)} & {AUTO, SELF}
    identity["profile"] = profiles_digest(model) if read else None  # without one: as before there were any
    scoring = {"metric": data.metric.name, "longest": data.max_new_tokens, "short_answer": data.short_answer or None}
    return config, {**identity, **scoring, "precision": _precision(arguments)}


def _precision(arguments: argparse.Namespace) -> str:
    """Of the weights; ModelError for one that is not possible here. Ray's workers choose their own."""
    from crop_core.models.loading.placement import Placement

    if arguments.ray is not None:
        return arguments.quantize or arguments.dtype or "what suits the device"
    return Placement.of(arguments.device, arguments.dtype, arguments.quantize).precision


def _session(arguments: argparse.Namespace, identity: dict[str, Any]) -> dict[str, Any]:
    """Command, device and versions of this run."""
    from crop_core.models.loading.placement import Placement
    from crop_core.records.environment import benchmark_environment

    device = "Ray" if arguments.ray is not None else Placement.of(arguments.device).title
    device += f", {arguments.workers} processes of one thread" if arguments.workers > 1 else ""
    return benchmark_environment("python -m crop_core", device, identity["precision"])


def _pool(arguments: argparse.Namespace) -> Pool:
    if arguments.ray is None:
        return pool_of(arguments.workers)
    from crop_core.evaluate.runner.ray_pool import ray_pool

    return ray_pool(arguments.ray or None, gpus=arguments.device != "cpu")


def _print_skipped(skipped: Sequence[Skipped]) -> None:
    summary = row_reader.Skipped()
    for each in skipped:
        summary.add(each.example, each.reason)
    if skipped:
        print(f"crop_core: of the questions, {summary}.", file=sys.stderr)


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _seeds(text: str) -> list[int]:
    try:
        return [int(each) for each in _list(text)]
    except ValueError:
        raise SweepError(f"The seeds {text!r} are no whole numbers with commas between, such as 0,1,2.") from None
