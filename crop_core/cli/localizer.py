"""`localizer train`, `eval` and `calibrate` of the command line. Errors as in main.py.

torch is imported only once the arguments and the data make sense.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from PIL import Image

from crop_core.cli.localizer_calibrate import add_calibrate
from crop_core.cli.localizer_rows import add_data_arguments, load_adapter, print_skipped, quiet_loading, usable_examples
from crop_core.io.json_output import STDOUT, check_json_path, write_json
from crop_core.io.row_reader import Skipped
from crop_core.records.localizers import SELF, TEXT, named_localizers
from crop_core.records.methods import load_class
from crop_core.train.localizer.settings import Settings

TRAIN = """Fine-tunes a vision-language model with LoRA so that it answers with a region of the 8x8 grid. Needs peft.
The same command resumes a run that was stopped."""
EXAMPLE = """examples:
  python -m crop_core localizer train rows.jsonl --model Qwen/Qwen2-VL-2B-Instruct --out my-localizer
  python -m crop_core localizer train viscot_363k.json --images data --out my-localizer \\
      --model Qwen/Qwen2-VL-2B-Instruct
  python -m crop_core localizer eval my-localizer rows.jsonl --json figures.json
  python -m crop_core localizer eval text pages.jsonl
  python -m crop_core localizer calibrate --model llava-hf/llava-1.5-7b-hf
A row: {"image": "street.jpg", "question": "what does the sign say?", "boxes": [[40, 30, 200, 180]]}
"""
EVAL = "Predicts the region of every question, and prints its overlap (IoU) with the boxes and its coverage of them."


def add_command(commands: Any) -> None:
    """The command `localizer` with its subcommands, on the subparsers of the command line."""
    parser = commands.add_parser(
        "localizer",
        help="train a localizer on questions with boxes, measure one, or calibrate a model's own attention",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own = parser.add_subparsers(required=True, metavar="command", parser_class=type(parser))
    train = own.add_parser("train", help="fine-tune a model into a localizer", description=TRAIN)
    add_data_arguments(train)
    train.add_argument("--model", metavar="NAME", required=True, help="model to fine-tune: folder or hub id")
    train.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="new folder for the trained model")
    _settings_arguments(train)
    train.set_defaults(run=_train)
    measure = own.add_parser("eval", help="measure a localizer", description=EVAL)
    measure.add_argument(
        "model", metavar="MODEL", help=f"localizer: bundled name, folder, hub id, {TEXT}, detector or clipseg"
    )
    add_data_arguments(measure)
    measure.add_argument("--self", action="store_true", help="measure an answering model's own attention")
    measure.add_argument("--json", metavar="FILE|-", help="write the figures as JSON; -: print only that")
    measure.set_defaults(run=_eval)
    add_calibrate(own)


def _settings_arguments(parser: argparse.ArgumentParser) -> None:
    """An option for each field of Settings, its default from there."""
    for name, kind, text in (
        ("steps", int, "updates of the weights (default: one epoch)"),
        ("epochs", float, "passes over the questions, where --steps is not given"),
        ("batch", int, "questions an update"),
        ("rate", float, "highest learning rate"),
        ("rank", int, "of the LoRA matrices"),
        ("alpha", float, "weight of the LoRA matrices, over rank"),
        ("dropout", float, "of the inputs of the LoRA matrices"),
        ("warmup", float, "share of the steps in which the learning rate rises"),
        ("held_out", float, "share of the questions to calibrate and measure with"),
        ("coverage", float, "share of the held-out regions that are to be covered"),
        ("seed", int, "of the order, the split and the first weights"),
        ("save_every", int, "steps between two checkpoints"),
        ("eval_every", int, "steps between two evaluations on held-out questions, 0 for none"),
    ):
        default = getattr(Settings, name)
        shown = text if default is None else f"{text} (default: {default:g})"
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, metavar="X", help=shown)
    parser.add_argument("--checkpointing", action="store_true", help="less memory for more time")


def _train(arguments: argparse.Namespace) -> None:
    """Cheap checks first, as in `ask`."""
    settings = Settings(**{each.name: getattr(arguments, each.name) for each in fields(Settings)})
    from crop_core.train.localizer import evaluate, finetune, lora

    lora.check_installed()
    finetune.check_output(arguments.out)
    examples = usable_examples(arguments)
    try:
        result = finetune.train(load_adapter(arguments), examples, settings, arguments.out)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted; {finetune.kept(arguments.out)}") from None
    print_skipped(result.skipped, "images")
    print(f"Saved as {arguments.out}; loss {result.losses[-1]:.3f} in the last of {len(result.losses)} steps.")
    print(f"Held-out questions, without those of the calibration:\n{evaluate.table(result.figures)}")


def _eval(arguments: argparse.Namespace) -> None:
    check_json_path(arguments.json)
    examples = usable_examples(arguments)
    from crop_core.train.localizer import evaluate

    localizer, device, facts = _localizer(arguments)
    localizer.localize(Image.new("RGB", (64, 48), "gray"), "?")  # warm-up: a first call is slower
    skipped = Skipped()
    figures = evaluate.by_kind(evaluate.localize_all(localizer, examples, device, skipped))
    print_skipped(skipped, "images")
    if arguments.json:
        facts = {"model": arguments.model, "data": str(arguments.data), **facts}
        write_json({**facts, "figures": evaluate.to_json(figures)}, arguments.json)
    if arguments.json != STDOUT:
        print(evaluate.table(figures))


def _localizer(arguments: argparse.Namespace) -> tuple[Any, Any, dict[str, str]]:
    """The localizer to measure, the device that it runs on, and facts for the figures."""
    import torch

    from crop_core.localize import SelfLocalizer, load_localizer
    from crop_core.localize.detector import BY_NAME, DetectorLocalizer

    name, row = arguments.model, named_localizers().get(arguments.model)
    if row and row.needs_model and name not in BY_NAME:
        raise ValueError(
            f"{name!r} is no localizer without an answering model; give the model, and --self for {SELF!r}."
        )
    if row and row.factory is None:
        raise ValueError(f"{name!r} finds no region; give a localizer: a checkpoint, {TEXT}, {' or '.join(BY_NAME)}.")
    if row and name not in BY_NAME:
        return load_class(str(row.factory))(), torch.device("cpu"), {"device": "cpu", "dtype": "float32"}
    if arguments.self:
        localizer: Any = SelfLocalizer(load_adapter(arguments))
    else:
        quiet_loading()
        localizer = load_localizer(BY_NAME.get(name, name), arguments.device, arguments.dtype, None, None)
    model = localizer.detector.model if isinstance(localizer, DetectorLocalizer) else localizer.adapter
    return localizer, model.device, {"device": str(model.device), "dtype": str(model.dtype)}
