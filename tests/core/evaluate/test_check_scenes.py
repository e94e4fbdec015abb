"""Regions, answers and costs of a check: measured against scenes whose truth is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice

import pytest

from crop_core.engine.engine import CropEngine
from crop_core.evaluate.check import scenes as module
from crop_core.evaluate.check.check import Check
from crop_core.evaluate.check.scenes import RUNS, Scenes
from crop_core.evaluate.check.summary import answer_rows, cost_rows, region_rows
from crop_core.localize import KnownRegion
from crop_core.records.check import (
    BASELINE,
    LocatedScene,
    Repetition,
    SceneReply,
    SceneResult,
    run_name,
)
from crop_core.records.localizers import LOCALIZERS, LocalizerInfo
from crop_core.records.region import Region
from crop_core.train.world import splits
from crop_core.train.world.held_out import one_question_each
from crop_core.train.world.questions import KINDS
from tests.support import checkpoints
from tests.support.fake_records import cost

SCENE = SceneResult(1, "count", "how many?", "two", (0, 0, 3, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoints.save(tmp_path_factory.mktemp("check") / "llava", side=112, layers=6)


@pytest.fixture(scope="module")
def engine(folder):
    return CropEngine.from_pretrained(folder, "self", warm_up=False)


def test_every_scene_has_one_question_and_kinds_come_equally_often():
    items = list(islice(one_question_each(splits.CHECK), 30))
    assert len({item.seed for item in items}) == 30 and {item.seed for item in items} <= set(splits.CHECK)
    counts = [sum(item.question.kind == kind for item in items) for kind in KINDS]
    assert max(counts) - min(counts) <= 2


def test_the_whole_image_covers_every_answer(engine):
    (result,) = Scenes(engine).run(1)
    x0, y0, x1, y1 = result.needed
    whole = region_rows([result])[1]
    assert (whole.localizer, whole.scenes, whole.coverage.value, whole.area) == ("whole", 1, 1.0, 1.0)
    assert whole.iou.value == pytest.approx((x1 - x0 + 1) * (y1 - y0 + 1) / 64)


def test_a_localizer_that_knows_the_region_is_perfect_and_crop_reads_its_region(folder, monkeypatch):
    item = next(one_question_each(splits.CHECK))
    engine = CropEngine.from_pretrained(folder, None, warm_up=False)
    engine.localizer = KnownRegion(item.region)
    seen = []
    run = module.Session.run

    def noted(self, task, region, **options):
        seen.append((task.config.method, region.grid if isinstance(region, Region) else None))
        return run(self, task, region, **options)

    monkeypatch.setattr(module.Session, "run", noted)
    (result,) = Scenes(engine).run(1)
    known = region_rows([result])[0]
    assert known.localizer == "KnownRegion"
    assert (known.iou.value, known.coverage.value) == (1.0, 1.0)
    assert {grid for method, grid in seen if method == "crop"} == {item.region.grid}
    assert {grid for method, grid in seen if method in ("downsample", "random")} == {(0, 0, 7, 7)}
    assert [method for method, _ in seen[1:]] == ["crop", "random", "downsample"] * 3


def test_runs_meet_their_budgets(engine):
    (result,) = Scenes(engine).run(1)
    assert list(result.replies) == [BASELINE, *(run_name(way, str(budget)) for way, budget in RUNS)]
    assert result.replies[BASELINE].tokens == 64 and result.missing == {}
    for way, budget in RUNS:
        assert 0.8 * budget.share * 64 < result.replies[run_name(way, str(budget))].tokens <= budget.share * 64


def test_what_is_done_is_not_run_again(engine):
    three = list(Scenes(engine).run(3))
    (last,) = Scenes(engine).run(3, done=2)
    assert [each.seed for each in three] == sorted({each.seed for each in three})
    timeless = {name: replace(each, seconds=0.0) for name, each in last.regions.items()}
    before = {name: replace(each, seconds=0.0) for name, each in three[2].regions.items()}
    assert replace(last, regions=timeless) == replace(three[2], regions=before)


def test_a_question_is_asked_for_a_short_answer_and_localizers_read_it_alone(engine, monkeypatch):
    read, kind = [], type(engine.adapter)
    prompt = kind.prompt
    monkeypatch.setattr(kind, "short_answer_request", "Shortly.")
    monkeypatch.setattr(kind, "prompt", lambda own, text, *rest: read.append(text) or prompt(own, text, *rest))
    (result,) = Scenes(engine).run(1)
    assert read and set(read) == {f"{result.question}\nShortly."}


@dataclass(frozen=True)
class Broken:
    """A localizer of the registry that cannot be made, or that fails."""

    weights_bytes: int = 0

    def localize(self, image, question):
        raise RuntimeError("no kernel\nand more")


def refused():
    raise ValueError("It needs a package that is missing.")


def test_what_fails_is_missing_with_its_reason_and_the_rest_goes_on(engine, monkeypatch):
    for name, made in (("broken", Broken), ("refused", refused)):
        monkeypatch.setattr(module, made.__name__.lower() + "_", made, raising=False)
        row = LocalizerInfo("a dummy", f"{module.__name__}:{made.__name__.lower()}_")
        monkeypatch.setitem(LOCALIZERS, name, row)
    (result,) = Scenes(engine).run(1)
    assert result.missing == {
        "broken": "RuntimeError: no kernel.",
        "refused": "It needs a package that is missing.",
    }
    rows = {row.localizer: row for row in region_rows([result])}
    assert list(rows) == ["self", "whole", "broken", "refused"]
    assert rows["refused"].missing == "missing in 1 of 1 scenes: It needs a package that is missing."
    assert (rows["broken"].scenes, rows["broken"].iou, rows["whole"].scenes) == (0, None, 1)


def test_a_model_that_is_a_kind_of_localizer_is_measured_as_one(tmp_path):
    folder = checkpoints.save(tmp_path / "boxes", "squash", side=112, layers=4)
    engine = CropEngine.from_pretrained(folder, "self", warm_up=False)
    assert list(Scenes(engine).localizers) == ["self", "whole", "boxes"]


def test_figures_are_means_with_wilsons_intervals():
    known = {"regions": {"self": LocatedScene((0, 0, 3, 3), 0.1)}}
    half = {"regions": {"self": LocatedScene((0, 0, 1, 3), 0.3)}}
    kept = {BASELINE: SceneReply("two", True, 64), "crop 33.3 %": SceneReply("two", True, 21)}
    lost = {BASELINE: SceneReply("two", True, 64), "crop 33.3 %": SceneReply("three", False, 21)}
    scenes = [replace(SCENE, **known, replies=kept), replace(SCENE, **half, replies=lost)]
    (row,) = region_rows(scenes)
    assert (row.iou.value, row.coverage.value, row.area, row.seconds) == (0.75, 0.5, 0.1875, 0.2)
    assert (row.coverage.low, row.coverage.high) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    base, crop, *others = answer_rows(scenes)
    assert (base.method, base.kept, base.right.value, base.tokens) == (BASELINE, None, 1.0, 64)
    assert (crop.method, crop.budget, crop.kept.value, crop.right.value, crop.scenes) == ("crop", "33.3 %", 0.5, 0.5, 2)
    assert {each.scenes for each in others} == {0}
    assert answer_rows([]) == region_rows([]) == cost_rows([]) == []


def test_costs_are_medians_with_their_range():
    rows = cost_rows([Repetition(cost(scale=scale), cost(True, scale)) for scale in (3.0, 1.0, 2.0)])
    first = rows[0]
    assert (first.figure, first.unit) == ("time to first token", "s")
    assert first.baseline.median == pytest.approx(2 * cost().ttft_s)
    assert (first.crop.low, first.crop.high) == pytest.approx((cost(True).ttft_s, 3 * cost(True).ttft_s))
    assert rows[-1].how == cost().peak_method and rows[-1].baseline.median == cost().peak_bytes


def test_a_run_without_its_peak_counts_for_the_other_figures_alone():
    without = replace(cost(), peak_bytes=0, kv_bytes=0)
    rows = {row.figure: row.baseline for row in cost_rows([Repetition(cost(), cost()), Repetition(without, without)])}
    assert rows["peak memory above the weights"].low == cost().peak_bytes and rows["KV cache"].low == 0


def test_costs_of_a_run_are_those_of_both(engine):
    *_, report = Check(engine, scenes=1).run(replace(Check(engine, scenes=1).begin(), proofs=done(engine)))
    rows = {row.figure: row for row in report.costs}
    assert report.finished and len(report.repetitions) == 5
    assert rows["KV cache"].crop.median < rows["KV cache"].baseline.median
    assert 0 < rows["peak memory above the weights"].crop.low <= rows["peak memory above the weights"].baseline.low
    assert all(
        math.isfinite(row.crop.median) and row.crop.low <= row.crop.median <= row.crop.high for row in report.costs
    )


def done(engine):
    """All proofs, as if they had passed: they have tests of their own."""
    from crop_core.records.check import PASSED, Proof
    from crop_core.records.methods import METHODS

    names = ["checkpoint", "visual tokens", "prompt", "baseline", "pruning", "pruning with eviction", "dropping"]
    names += [*(f"method {name}" for name in METHODS), "localizer"]
    return [Proof(name, PASSED, 0.0, 1.0, 0.1, "") for name in names]


def test_a_model_without_memory_for_the_timed_runs_finishes(engine, monkeypatch):
    def broken(*_):
        raise ValueError("The device has too little memory.")

    monkeypatch.setattr("crop_core.evaluate.check.check.repetitions", broken)
    *_, report = Check(engine, scenes=1).run(replace(Check(engine, scenes=1).begin(), proofs=done(engine)))
    assert report.finished and report.passed and report.missing == {"costs": "The device has too little memory."}
