"""Training command of the bundled models: vision tower, then language model, then the checkpoint folder."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from crop_core.train.bundled.batches import TrainingBatches, stack
from crop_core.train.bundled.checkpoint import RECIPES, Recipe, build_model, build_tokenizer, save
from crop_core.train.bundled.dense import DenseHeads, encode_patches
from crop_core.train.bundled.language import LanguagePlan, train_language
from crop_core.train.bundled.token_selection import patches_to_keep
from crop_core.train.bundled.training_loop import Stats, TrainingRun
from crop_core.train.bundled.warm_start import Imitation, grow, start_from
from crop_core.train.bundled.workers import Workers


@dataclass(frozen=True)
class VisionPlan:
    """Schedule of stage 1: `kept` patches an image, all of them in the last `full` share of the steps; `signs` is the
    share of pages full of signs.
    """

    steps: int
    batch: int = 16
    fresh: int = 6
    kept: int = 240
    full: float = 0.05
    signs: float = 0.3
    rate: float = 2e-3


def train_vision(
    model: LlavaForConditionalGeneration, recipe: Recipe, plan: VisionPlan, file: Path, workers: Workers
) -> Stats:
    """Train the tower of `model` in place and on its device, resuming from `file` if it exists."""
    tower, device = model.model.vision_tower, model.device
    modules = nn.ModuleDict({"tower": tower, "heads": DenseHeads(recipe.vision["hidden_size"], recipe.bins)}).to(device)
    run = TrainingRun(modules, file, plan.steps, plan.rate)
    batches = TrainingBatches(recipe, plan.batch, plan.fresh, memory=6000, workers=workers, signs=plan.signs)

    def loss(step: int) -> tuple[Tensor, Stats]:
        squares, labels = stack(batches(step)[0])
        keep = patches_to_keep(labels, plan.kept if run.done < 1 - plan.full else recipe.grid**2)
        if keep is not None:
            labels = labels.gather(1, keep[..., None].expand(-1, -1, labels.shape[-1]))
            keep = keep.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            features = encode_patches(tower, squares.to(device), keep)
            return modules["heads"](features, labels.to(device))

    tower.train()
    return run.train(loss)


VISION = {
    "crop-tiny": VisionPlan(5000, signs=0.5, rate=1.5e-3),
    "crop-tiny-locator": VisionPlan(1500, batch=32, fresh=12, kept=144),
}
LANGUAGE = {
    "crop-tiny": LanguagePlan(
        7000,
        reference_layers=(1,),
        target_layers=(3, 4),
        winner_layers=(6, 7),
        align=150,
        kept=200,
        pooled=0.15,
        pruned=0.4,
        salience=0.1,
        full=0.12,
        rate=1.5e-3,
    ),
    "crop-tiny-locator": LanguagePlan(1000, reference_layers=(1,), target_layers=(2, 3), batch=16, fresh=8, kept=400),
}
TEACHERS = {"crop-tiny": "crop-tiny-locator"}  # student -> teacher, which is trained first


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m crop_core.train.bundled", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(RECIPES)} (default: both)")
    parser.add_argument("--work", type=Path, default=Path("training"), help="where resumable checkpoints are kept")
    parser.add_argument("--out", type=Path, help="another folder for the trained models, beside WORK")
    parser.add_argument("--start", type=Path, help="a folder with earlier checkpoints of the models, to start from")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the models are trained")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches ahead (default: none)")
    parser.add_argument("--vision-steps", type=int, help="number of steps; 0 keeps the tower of --start")
    parser.add_argument("--language-steps", type=int, help="number of steps")
    unpruned = "train the language model on all visual tokens, without pruning, pooling or dropping any (slower)"
    parser.add_argument("--unpruned", action="store_true", help=unpruned)
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU that torch can use, and there is none; --device cpu trains without")
    if options.workers < 0:
        parser.error(f"--workers is a number of processes, 0 for none, not {options.workers}")
    for name in options.models or sorted(RECIPES, key=lambda name: name in TEACHERS):
        if name not in RECIPES:
            parser.error(f"there is no bundled model {name!r}; choose of {', '.join(RECIPES)}")
        out = options.out / name if options.out else None
        start = options.start / name if options.start else None
        steps = options.vision_steps, options.language_steps
        train(
            name, options.work, out, start, options.threads, *steps, options.device, options.workers, options.unpruned
        )


def train(
    name: str,
    work: Path,
    out: Path | None = None,
    start: Path | None = None,
    threads: int = 2,
    vision_steps: int | None = None,
    language_steps: int | None = None,
    device: str = "cpu",
    workers: int = 0,
    unpruned: bool = False,
) -> dict[str, dict[str, float]]:
    """Train the bundled model `name`, resuming from `work`; return each stage's last running averages.

    The model is written to `work / name`, and to `out` if given.

    `start` is an earlier checkpoint of it. Without one, the answerer starts from the localizer in `work`. Runs resume
    on any device, and the number of worker processes does not change the result. `unpruned`: see
    `LanguagePlan.unpruned`; use a `work` of its own.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    recipe, tokenizer = RECIPES[name], build_tokenizer()
    vision, language = VISION[name], LANGUAGE[name].unpruned(recipe.grid**2) if unpruned else LANGUAGE[name]
    model = build_model(recipe, tokenizer)
    if start:
        start_from(model, tokenizer, start)
    model.to(device)
    vision_plan = replace(vision, steps=vision.steps if vision_steps is None else vision_steps)
    language_plan = replace(language, steps=language_steps or language.steps)
    with Workers(workers) as processes:
        vision_stats = train_vision(model, recipe, vision_plan, work / f"{name}-vision.pt", processes)
        imitation = None
        if name in TEACHERS and not start:
            teacher = LlavaForConditionalGeneration.from_pretrained(work / TEACHERS[name], dtype=torch.float32)
            grow(model, teacher)
            imitation = Imitation(teacher.eval().to(device), RECIPES[TEACHERS[name]], recipe)
        language_stats = train_language(
            model, recipe, tokenizer, language_plan, work / f"{name}-language.pt", processes, imitation
        )
    model.model.language_model.config._attn_implementation = "sdpa"
    for folder in filter(None, (work / name, out)):  # the answerer loads its teacher from `work`
        save(model, recipe, tokenizer, folder)
    return {"vision": vision_stats, "language": language_stats}


if __name__ == "__main__":
    main()
