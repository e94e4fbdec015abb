"""Figures of the scenes and of the timed runs of a check, with their intervals.

Every interval is Wilson's: the scenes are independent. Of a mean of values in 0..1, such as the IoU, it is rather too
wide, since no such values vary more than right and wrong ones with the same mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from crop_core.evaluate.check.scenes import RUNS
from crop_core.evaluate.report.statistics import wilson
from crop_core.localize.calibration import covers, iou
from crop_core.records.check import (
    BASELINE,
    AnswerRow,
    CostRow,
    RegionRow,
    Repetition,
    SceneReply,
    SceneResult,
    Share,
    Spread,
    run_name,
)
from crop_core.records.region import GRID
from crop_core.records.results import Cost

PEAK = "peak_bytes"  # 0 in a run without it
FIGURES = {  # -> field of Cost, unit
    "time to first token": ("ttft_s", "s"),
    "total time": ("total_s", "s"),
    "tokens of the answer": ("new_tokens", "tokens"),
    "KV cache": ("kv_bytes", "bytes"),
    "peak memory above the weights": (PEAK, "bytes"),
}


def region_rows(scenes: Sequence[SceneResult]) -> list[RegionRow]:
    """A row for each localizer, in the order of their first scene."""
    runs = {BASELINE, *(run_name(way, str(budget)) for way, budget in RUNS)}
    names = dict.fromkeys(name for scene in scenes for name in (*scene.regions, *scene.missing) if name not in runs)
    return [_regions(name, scenes) for name in names]


def _regions(name: str, scenes: Sequence[SceneResult]) -> RegionRow:
    with_region = [scene for scene in scenes if name in scene.regions]
    if not with_region:
        return RegionRow(name, 0, missing=_missing(name, scenes))
    found = [scene.regions[name] for scene in with_region]
    grids, needed = [each.grid for each in found], [scene.needed for scene in with_region]
    return RegionRow(
        name,
        len(found),
        _share(iou(grids, needed).tolist()),
        _share(covers(grids, needed).tolist()),
        fmean((x1 - x0 + 1) * (y1 - y0 + 1) / GRID**2 for x0, y0, x1, y1 in grids),
        median(each.seconds for each in found),
        _missing(name, scenes),
    )


def answer_rows(scenes: Sequence[SceneResult]) -> list[AnswerRow]:
    """The baseline's row, then one for each run; none without scenes."""
    if not scenes:
        return []
    return [_answers(BASELINE, "", scenes), *(_answers(way, str(budget), scenes) for way, budget in RUNS)]


def _answers(way: str, budget: str, scenes: Sequence[SceneResult]) -> AnswerRow:
    name = run_name(way, budget) if budget else way
    pairs = [(each.replies[name], each.replies[BASELINE]) for each in scenes if {name, BASELINE} <= {*each.replies}]
    if not pairs:
        return AnswerRow(way, budget, 0, missing=_missing(name, scenes))
    replies: list[SceneReply] = [own for own, _ in pairs]
    kept = None if way == BASELINE else _share([own.text == whole.text for own, whole in pairs])
    right, tokens = _share([reply.right for reply in replies]), fmean(reply.tokens for reply in replies)
    return AnswerRow(way, budget, len(pairs), kept, right, tokens, _missing(name, scenes))


def cost_rows(repetitions: Sequence[Repetition]) -> list[CostRow]:
    """A row for each figure; none without runs."""
    if not repetitions:
        return []
    base, crop = [each.baseline for each in repetitions], [each.crop for each in repetitions]
    return [
        CostRow(figure, unit, _spread(base, name), _spread(crop, name), base[0].peak_method * (name == PEAK))
        for figure, (name, unit) in FIGURES.items()
    ]


def _spread(costs: Sequence[Cost], name: str) -> Spread:
    values = [float(value) for cost in costs if (value := getattr(cost, name)) or name != PEAK]
    return Spread(median(values), min(values), max(values))


def _share(values: Sequence[float]) -> Share:
    mean = fmean(values)
    return Share(mean, *wilson(mean, len(values)))


def _missing(name: str, scenes: Sequence[SceneResult]) -> str:
    """The first reason why a scene lacks it, and how many do."""
    reasons = [scene.missing[name] for scene in scenes if name in scene.missing]
    return f"missing in {len(reasons)} of {len(scenes)} scenes: {reasons[0]}" if reasons else ""
