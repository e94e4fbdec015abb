"""Calibrate a model's own attention as its localizer: read it on questions, fit a rule, measure it, keep a profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from crop_core.io.row_reader import Skipped
from crop_core.localize.self_attention.attention_rule import AttentionRule, AttentionTerm
from crop_core.localize.self_attention.profiles import Profile, ProfileKey
from crop_core.localize.self_attention.rule_choice import PLAIN, shipped_rule
from crop_core.models import Adapter
from crop_core.records.environment import versions
from crop_core.records.region import GRID
from crop_core.train.localizer.attention_fit import RuleFigures, calibrated, candidates, figures, fit, own_shares
from crop_core.train.localizer.attention_readings import AttentionReadings, read_attention
from crop_core.train.localizer.calibration_questions import CALIBRATE, FIT, MEASURE, CalibrationQuestion, parts_of
from crop_core.train.localizer.settings import CalibrationSettings

CALIBRATED, WHOLE = "calibrated", "the whole image"
SIZES = (120, 60, 30, 12, 6, 3)  # heads and rows that a rule may read


@dataclass(frozen=True)
class MeasuredQuestion:
    """A question that measured the rule, and its attention: (T, 64) by the rule's own terms."""

    question: CalibrationQuestion
    shares: NDArray[np.float32]


class FittedRule(NamedTuple):
    """score: mean IoU on the questions that calibrate it, in hundredths; of equal ones the cheapest comes first."""

    rule: AttentionRule
    score: tuple[float, ...]


@dataclass(frozen=True)
class CalibrationResult:
    """compared: figures by rule on the measuring questions, the calibrated one first. measured: those questions."""

    profile: Profile
    file: Path
    compared: dict[str, RuleFigures]
    measured: list[MeasuredQuestion]
    skipped: Skipped = field(default_factory=Skipped)


def readings_file(adapter: Adapter) -> Path:
    """Where a calibration of this model keeps what it has read, beside the profile."""
    return ProfileKey.of(adapter).file.with_suffix(".attention")


def calibrate(
    adapter: Adapter, questions: Sequence[CalibrationQuestion], source: str, settings: CalibrationSettings
) -> CalibrationResult:
    """Fit a rule to a loaded model and save its profile, whatever rule it had before.

    source: what the questions are about, as in `Profile`. A run that was stopped goes on from `readings_file`, which is
    removed at the end. Raises TuneError for too few questions and for a file of another run, ModelError and other
    ValueErrors for a model whose attention cannot be read.
    """
    parts_of(questions)  # fails before anything runs
    key, (layers, heads) = ProfileKey.of(adapter), _shape(adapter)
    settings = replace(settings, layers=min(settings.layers or max(1, layers // 2), layers))
    terms = candidates(settings.layers or 1, heads)
    values = len(settings.sides) * len(terms)
    readings = AttentionReadings(readings_file(adapter), _plan(key, questions, settings, values), values)
    skipped = Skipped()
    shares = read_attention(adapter, questions, terms, settings.sides, readings, skipped)
    read = np.isfinite(shares).all((1, 2))
    shares, questions = shares[read], [questions[number] for number in np.flatnonzero(read).tolist()]
    true, part = np.array([each.grid for each in questions]), parts_of(questions)
    grids = dict(zip(settings.sides, np.split(shares, len(settings.sides), axis=2), strict=True))
    fitted = {side: _best(grids[side], true, part, terms, side, settings.coverage) for side in grids}
    rule = max(fitted.values(), key=lambda each: each.score).rule
    held = part == MEASURE
    own = own_shares(rule, grids[rule.side][held], terms)
    compared = {CALIBRATED: figures(rule, own, true[held])}
    for side, (other, _) in fitted.items():
        if other is not rule:
            found = figures(other, own_shares(other, grids[side][held], terms), true[held])
            compared[f"{CALIBRATED} at {side} x {side}"] = found
    compared |= _others(adapter, grids[rule.side][held], true[held], terms)
    facts = {
        "questions fitted to": int((part != MEASURE).sum()),
        "compared": {name: asdict(each) for name, each in compared.items()},
        "settings": asdict(settings),
        "versions": versions(),
    }
    best = compared[CALIBRATED]
    profile = Profile(key, rule, source, best.questions, best.iou, best.coverage, facts)
    file = profile.save()
    readings.file.unlink()
    held_out = [questions[number] for number in np.flatnonzero(held).tolist()]
    measured = [MeasuredQuestion(each, values.T) for each, values in zip(held_out, own, strict=True)]
    return CalibrationResult(profile, file, compared, measured, skipped)


def _best(
    shares: NDArray[np.float32],
    true: NDArray[np.int64],
    part: NDArray[np.int64],
    terms: Sequence[AttentionTerm],
    side: int,
    coverage: float,
) -> FittedRule:
    """Of the fitted rules of all sizes, at this side of the grid, the best one."""
    rules, other = [], part == CALIBRATE
    sizes = [size for size in SIZES if size < len(terms)] or [len(terms)]
    for each in tqdm(fit(shares[part == FIT], true[part == FIT], terms, sizes), "fit", len(sizes), leave=None):
        own = own_shares(each, shares[other], terms)
        rule = calibrated(replace(each, side=side), own, true[other], coverage)
        rules.append(FittedRule(rule, (round(figures(rule, own, true[other]).iou, 2), -side, -len(rule.terms))))
    return max(rules, key=lambda each: each.score)


def _others(
    adapter: Adapter, shares: NDArray[np.float32], true: NDArray[np.int64], terms: Sequence[AttentionTerm]
) -> dict[str, RuleFigures]:
    """Figures of the other rules that read only what was read, on this grid, and of the whole image."""
    rules = {**dict([shipped_rule(adapter)]), PLAIN: AttentionRule.plain(*_shape(adapter))}
    compared = {}
    for name, rule in rules.items():
        if {term._replace(weight=0.0) for term in rule.terms} <= {*terms}:
            compared[name] = figures(rule, own_shares(rule, shares, terms), true)
    return {**compared, WHOLE: RuleFigures.of([(0, 0, GRID - 1, GRID - 1)] * len(true), true)}


def _shape(adapter: Adapter) -> tuple[int, int]:
    """Numbers of decoder layers and of heads."""
    text = adapter.model.config.text_config
    return text.num_hidden_layers, text.num_attention_heads


def _plan(
    key: ProfileKey,
    questions: Sequence[CalibrationQuestion],
    settings: CalibrationSettings,
    values: int,
) -> dict[str, Any]:
    content = repr([(each.image, each.question, each.grid) for each in questions])
    digest = sha256(content.encode()).hexdigest()[:12]
    return {**asdict(key), "questions": len(questions), "rows": digest, "side": [*settings.sides], "terms": values}
