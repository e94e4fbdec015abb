"""Fine-tune a localizer: hold out, train, merge, calibrate, evaluate, save its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crop_core.io.row_reader import Skipped
from crop_core.localize import GridVlmLocalizer, Localizer, calibration
from crop_core.localize.calibration import FORMAT, Calibration
from crop_core.localize.decoding.answer_formats import BRACKETS
from crop_core.localize.decoding.answer_tokens import ConstrainedDecodingError
from crop_core.models import Adapter
from crop_core.train.localizer import evaluate
from crop_core.train.localizer.data import Example, split
from crop_core.train.localizer.lora import Lora
from crop_core.train.localizer.settings import Settings, TuneError
from crop_core.train.localizer.trainer import Trainer, saved_steps

UNCALIBRATED = Calibration()
PROGRESS_QUESTIONS = 100  # held-out questions that are evaluated during training


@dataclass(frozen=True)
class Result:
    """losses: of every step. figures: of the held-out questions that were not used for calibration, by kind."""

    losses: list[float]
    calibration: Calibration
    figures: dict[str, evaluate.LocalizerFigures]
    skipped: Skipped


def check_output(out: Path) -> None:
    """TuneError for a folder that cannot be created."""
    if out.exists():
        raise TuneError(f"'{out}' exists already: choose another folder for --out, or remove it.")
    if not out.absolute().parent.is_dir():
        raise TuneError(f"The folder '{out}' cannot be made: '{out.parent}' is no folder.")


def state_file(out: Path) -> Path:
    """The file with the state of a run for the folder `out`, to resume it."""
    return out.with_name(out.name + ".training.pt")


def kept(out: Path) -> str:
    """What an interrupted run for the folder `out` has left, and how to go on, in words."""
    file = state_file(out)
    steps = saved_steps(file)
    if not steps:
        return "no checkpoint was saved yet (--save-every); the same command begins again."
    return f"the first {steps} steps are kept in '{file}', and the same command goes on from there."


def train(adapter: Adapter, examples: Sequence[Example], settings: Settings, out: Path) -> Result:
    """Fine-tune the loaded model and write it to the new folder `out`, as an ordinary checkpoint whose config
    holds its answer format and calibration.

    Resumes from `state_file(out)` where a run was stopped, and removes that at the end. Half of the held-out questions
    calibrate, the figures are of the other half. Raises TuneError and ModelError.
    """
    check_output(out)
    kept, held = split(examples, settings.held_out, settings.seed)
    progress = partial(_progress, _localizer(adapter), held[:PROGRESS_QUESTIONS], adapter.device)
    trainer = Trainer(adapter, _lora(adapter, settings), kept, settings, state_file(out))
    trainer.run(progress)
    trainer.lora.merge()
    fitted = _calibrate(_localizer(adapter), held[::2], settings.coverage, trainer.skipped)
    results = evaluate.localize_all(_localizer(adapter, fitted), held[1::2], adapter.device, trainer.skipped)
    result = Result(trainer.losses, fitted, evaluate.by_kind(results), trainer.skipped)
    adapter.model.config.crop_region = {FORMAT: "brackets", **fitted.to_json()}
    _write(adapter, out, _report(result, settings, len(kept), len(held)))
    state_file(out).unlink(missing_ok=True)
    return result


def _localizer(adapter: Adapter, rule: Calibration = UNCALIBRATED) -> GridVlmLocalizer:
    """The model as a localizer."""
    try:
        return GridVlmLocalizer(adapter, BRACKETS, rule)
    except ConstrainedDecodingError as error:
        raise TuneError(f"{adapter.name} cannot be fed answers such as [0, 1, 2, 3]; choose another model.") from error


def _lora(adapter: Adapter, settings: Settings) -> Lora:
    torch.manual_seed(settings.seed)
    lora = Lora(adapter, settings.rank, settings.alpha, settings.dropout)
    if settings.checkpointing:
        lora.checkpoint()
    return lora


def _progress(localizer: Localizer, examples: Sequence[Example], device: torch.device) -> str:
    figures = evaluate.LocalizerFigures.of(evaluate.localize_all(localizer, examples, device))
    return f"mean IoU {figures.iou:.3f} of {figures.questions} held-out questions, {figures.coverage:.1%} covered"


def _calibrate(
    localizer: GridVlmLocalizer, examples: Sequence[Example], coverage: float, skipped: Skipped
) -> Calibration:
    probabilities, needed = [], []
    for example, image in evaluate.readable(examples, skipped):
        probabilities.append(localizer.probabilities(image, example.question))
        needed.append(example.grid)
    return calibration.fit(np.stack(probabilities), needed, coverage)


def _report(result: Result, settings: Settings, kept: int, held: int) -> dict[str, Any]:
    return {
        "settings": asdict(settings),
        "questions": {"trained on": kept, "held out": held},
        "calibration": result.calibration.to_json(),
        "held_out": evaluate.to_json(result.figures),
        "losses": result.losses,
    }


def _write(adapter: Adapter, out: Path, report: dict[str, Any]) -> None:
    """Save atomically: into a folder beside `out`, which is then renamed."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    adapter.save(part)
    (part / "training.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    part.rename(out)
